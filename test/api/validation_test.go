/*
Copyright The Warrener Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package api_test

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// refusal is a patch of a base manifest that must be refused in these words.
type refusal struct{ reason, kind, patch, words string }

var createRefusals = []refusal{
	// Connections
	{"an endpoint is a URL", "RabbitMQConnection", `{endpoint: "rabbitmq:15672"}`, "write the URL of the management API"},
	{"AMQP is not the management API", "RabbitMQConnection", `{endpoint: "amqp://rabbitmq:5672"}`, "write the URL of the management API"},
	{"a URL has a host", "RabbitMQConnection", `{endpoint: "http://"}`, "write the URL of the management API"},
	{"credentials do not belong in the URL", "RabbitMQConnection", `{endpoint: "http://guest:guest@rabbitmq:15672"}`, "credentials belong in authentication.secretRef"},
	{"a query makes no sense", "RabbitMQConnection", `{endpoint: "http://rabbitmq:15672/?a=b"}`, "without user, password, query and fragment"},
	{"authentication is required", "RabbitMQConnection", `{authentication: null}`, "spec.authentication: Required value"},
	{"Basic needs a Secret", "RabbitMQConnection", `{authentication: {secretRef: null}}`, "type: Basic needs secretRef"},
	{"unknown authentication", "RabbitMQConnection", `{authentication: {type: OAuth}}`, `supported values: "Basic"`},
	{"TLS over plain HTTP", "RabbitMQConnection", `{endpoint: "http://rabbitmq:15672", tls: {}}`, "tls needs an endpoint that begins with https://"},
	{"client endpoints carry no password", "RabbitMQConnection", `{clientEndpoints: ["amqp://a:b@rabbitmq:5672"]}`, "as a URL without user and password"},
	{"client endpoints are URLs", "RabbitMQConnection", `{clientEndpoints: ["rabbitmq:5672"]}`, "as a URL without user and password"},
	{"a selector without Selector", "RabbitMQConnection", `{allowedNamespaces: {from: All, selector: {}}}`, "selector belongs to from: Selector"},
	{"Selector without a selector", "RabbitMQConnection", `{allowedNamespaces: {from: Selector}}`, "from: Selector needs a selector"},
	{"a selector without from, which defaults to Same", "KafkaConnection", `{allowedNamespaces: {selector: {}}}`, "selector belongs to from: Selector"},
	{"half a second is too often", "RabbitMQConnection", `{interval: 500ms}`, "write an interval from 1s to 24h"},
	{"two days are too seldom", "KafkaConnection", `{interval: 48h}`, "write an interval from 1s to 24h"},
	{"a duration has a unit", "RabbitMQConnection", `{interval: "10"}`, "write an interval from 1s to 24h"},
	{"a CA has a kind", "RabbitMQConnection", `{tls: {caRef: {name: ca}}}`, "spec.tls.caRef.kind: Required value"},
	{"no bootstrap servers", "KafkaConnection", `{bootstrapServers: []}`, "should have at least 1 items"},
	{"a server has a port", "KafkaConnection", `{bootstrapServers: [kafka]}`, "write each server as host:port"},
	{"a server is not a URL", "KafkaConnection", `{bootstrapServers: ["http://kafka:9092"]}`, "write each server as host:port"},
	{"one server an entry", "KafkaConnection", `{bootstrapServers: ["a:9092,b:9092"]}`, "write each server as host:port"},
	{"SCRAM needs a Secret", "KafkaConnection", `{authentication: {type: ScramSha512}}`, "need secretRef"},
	{"TLS has no Secret", "KafkaConnection", `{authentication: {type: TLS, secretRef: {name: a}}, tls: {clientCertificateSecretRef: {name: a}}}`, "type: TLS has none"},
	{"TLS needs a certificate", "KafkaConnection", `{authentication: {type: TLS}, tls: {}}`, "needs tls.clientCertificateSecretRef"},
	{"TLS needs tls", "KafkaConnection", `{authentication: {type: TLS}}`, "needs tls.clientCertificateSecretRef"},

	// Virtual hosts
	{"a connection is required", "VirtualHost", `{connectionRef: null}`, "spec.connectionRef: Required value"},
	{"a connection has a name", "VirtualHost", `{connectionRef: {name: ""}}`, "spec.connectionRef.name"},
	{"tags are one an entry", "VirtualHost", `{tags: ["a,b"]}`, "a tag cannot contain a comma"},
	{"a tag once", "VirtualHost", `{tags: [a, a]}`, "Duplicate value"},
	{"line breaks", "VirtualHost", `{name: "a\nb"}`, "a name cannot contain a line break"},
	{"unknown queue type", "VirtualHost", `{defaultQueueType: lazy}`, `supported values: "classic", "quorum", "stream"`},
	{"unknown deletion policy", "VirtualHost", `{deletionPolicy: Orphan}`, `supported values: "DeleteIfUnused", "Delete", "Retain"`},
	{"unknown adoption policy", "VirtualHost", `{adoptionPolicy: Maybe}`, `supported values: "IfIdentical", "Always", "Never"`},
	{"unknown approval", "VirtualHost", `{approval: Maybe}`, `supported values: "None", "Required"`},
	{"unknown approval of a connection", "KafkaConnection", `{approval: Maybe}`, `supported values: "None", "Required"`},
	{"unknown drift policy", "VirtualHost", `{driftPolicy: Ignore}`, `supported values: "Correct", "Report"`},
	{"no negative limits", "VirtualHost", `{limits: {maxQueues: -1}}`, "should be greater than or equal to 0"},

	// Exchanges
	{"a type is required", "Exchange", `{type: null}`, "spec.type: Required value"},
	{"an unknown type", "Exchange", `{type: random}`, "write direct, fanout, topic, headers, or the type of a plugin"},
	{"a plugin's type has a name", "Exchange", `{type: x-}`, "write direct, fanout, topic, headers, or the type of a plugin"},
	{"the broker's own names", "Exchange", `{name: amq.orders}`, "names that begin with amq. belong to the broker"},
	{"the default exchange", "Exchange", `{name: ""}`, "spec.name"},
	{"line breaks", "Exchange", `{name: "a\rb"}`, "a name cannot contain a line break"},
	{"300 characters", "Exchange", `{name: ` + strings.Repeat("a", 300) + `}`, "may not be more than 255"},
	{"keys and headers", "Exchange", `{bindings: [{source: a, routingKeys: [k], headers: {values: {h: 1}}}]}`, "write either routingKeys or headers, not both"},

	// Queues
	{"a type is required", "Queue", `{type: null}`, "spec.type: Required value"},
	{"an unknown type", "Queue", `{type: mirrored}`, `supported values: "classic", "quorum", "stream"`},
	{"the broker's own names", "Queue", `{name: amq.gen-1}`, "names that begin with amq. belong to the broker"},
	{"line breaks", "Queue", `{name: "a\nb"}`, "a name cannot contain a line break"},
	{"300 characters", "Queue", `{name: ` + strings.Repeat("a", 300) + `}`, "may not be more than 255"},
	{"quorum queues are durable", "Queue", `{type: quorum, durable: false}`, "always durable: remove durable: false"},
	{"streams are durable", "Queue", `{type: stream, durable: false}`, "always durable: remove durable: false"},
	{"quorum queues stay", "Queue", `{type: quorum, autoDelete: true}`, "cannot be deleted automatically"},
	{"streams stay", "Queue", `{type: stream, autoDelete: true}`, "cannot be deleted automatically"},
	{"priorities are classic", "Queue", `{type: quorum, maxPriority: 5}`, "maxPriority is for classic queues"},
	{"priorities are not for streams", "Queue", `{type: stream, maxPriority: 5}`, "maxPriority is for classic queues"},
	{"priorities end at 255", "Queue", `{maxPriority: 256}`, "should be less than or equal to 255"},
	{"classic queues count no deliveries", "Queue", `{deliveryLimit: 5}`, "deliveryLimit is for quorum queues"},
	{"streams count no deliveries", "Queue", `{type: stream, deliveryLimit: 5}`, "deliveryLimit is for quorum queues"},
	{"classic queues have no group", "Queue", `{initialGroupSize: 3}`, "initialGroupSize is for quorum queues and streams"},
	{"ages are for streams", "Queue", `{maxAge: 7D}`, "maxAge is for streams: write messageTTL instead"},
	{"an age is the broker's", "Queue", `{type: stream, maxAge: 7 days}`, "such as 7D for seven days"},
	{"segments are for streams", "Queue", `{type: quorum, maxSegmentSizeBytes: 1000}`, "maxSegmentSizeBytes is for streams"},
	{"a stream has no TTL", "Queue", `{type: stream, messageTTL: 60s}`, "write maxAge, such as 7D, instead of messageTTL"},
	{"a stream does not expire", "Queue", `{type: stream, expires: 60s}`, "a stream does not expire"},
	{"a stream has no length in messages", "Queue", `{type: stream, maxLength: 5}`, "write maxLengthBytes or maxAge instead of maxLength"},
	{"a stream does not overflow", "Queue", `{type: stream, overflow: drop-head}`, "remove overflow"},
	{"a stream has no single active consumer", "Queue", `{type: stream, singleActiveConsumer: true}`, "remove singleActiveConsumer"},
	{"a stream has no dead letters", "Queue", `{type: stream, deadLetter: {}}`, "remove deadLetter, or write type: quorum"},
	{"reject-publish-dlx is classic", "Queue", `{type: quorum, overflow: reject-publish-dlx}`, "write reject-publish or drop-head"},
	{"at-least-once is for quorum queues", "Queue", `{overflow: reject-publish, deadLetter: {strategy: at-least-once}}`, "at-least-once needs type: quorum and overflow: reject-publish"},
	{"at-least-once needs overflow", "Queue", `{type: quorum, deadLetter: {strategy: at-least-once}}`, "at-least-once needs type: quorum and overflow: reject-publish"},
	{"at-least-once needs another overflow", "Queue", `{type: quorum, overflow: drop-head, deadLetter: {strategy: at-least-once}}`, "at-least-once needs type: quorum and overflow: reject-publish"},
	{"settings stand in one place", "Queue", `{settings: Both}`, `supported values: "Arguments", "Policy"`},
	{"only referring needs a name", "Queue", `{deadLetter: {create: false}}`, "name it in exchange"},
	{"only referring creates no queue", "Queue", `{deadLetter: {create: false, exchange: a, queue: b}}`, "create: false creates nothing"},
	{"the default exchange cannot be created", "Queue", `{deadLetter: {exchange: ""}}`, "name another exchange, or write create: false"},
	{"the broker's exchanges cannot be created", "Queue", `{deadLetter: {exchange: amq.direct}}`, "name another exchange, or write create: false"},
	{"the broker's queues cannot be created", "Queue", `{deadLetter: {queue: amq.dead}}`, "name another dead-letter queue"},
	{"dead letters are read and gone", "Queue", `{type: quorum, deadLetter: {queueType: stream}}`, `spec.deadLetter.queueType: Unsupported value: "stream": supported values: "classic", "quorum"`},
	{"a loop", "Queue", `{name: a, deadLetter: {queue: a}}`, "deadLetter.queue cannot be this queue itself"},
	{"an unknown update policy", "Queue", `{updatePolicy: Replace}`, `supported values: "Refuse", "Recreate", "Migrate"`},
	{"a migration needs a consent", "Queue", `{updatePolicy: Migrate}`, "write migration.defaultExchangePublishers: None if nobody does so, Paused if they pause meanwhile, or AcceptLoss"},
	{"an empty consent is none", "Queue", `{updatePolicy: Migrate, migration: {}}`, "spec.migration.defaultExchangePublishers: Required value"},
	{"a consent has a word", "Queue", `{updatePolicy: Migrate, migration: {defaultExchangePublishers: Maybe}}`, `supported values: "None", "Paused", "AcceptLoss"`},
	{"a consent to nothing", "Queue", `{updatePolicy: Recreate, migration: {defaultExchangePublishers: None}}`, "remove migration, or write that policy"},
	{"a consent without a policy", "Queue", `{migration: {defaultExchangePublishers: None}}`, "remove migration, or write that policy"},
	{"a stream is not migrated", "Queue", `{type: stream, updatePolicy: Migrate, migration: {defaultExchangePublishers: None}}`, "remove updatePolicy: Migrate, or declare another stream"},
	{"a stream has no retries", "Queue", `{type: stream, retry: {strategy: Tiers, delays: [1s]}}`, "remove retry, or write type: quorum"},
	{"a retry needs a queue that stays", "Queue", `{autoDelete: true, retry: {strategy: Tiers, delays: [1s]}}`, "remove durable: false, autoDelete and expires, or remove retry"},
	{"over a restart too", "Queue", `{durable: false, retry: {strategy: Published, delays: [1s]}}`, "remove durable: false, autoDelete and expires, or remove retry"},
	{"and over a pause", "Queue", `{type: quorum, expires: 1h, retry: {strategy: Native, maxRetries: 1, backoff: {initial: 1s}}}`, "remove durable: false, autoDelete and expires, or remove retry"},
	{"a full classic queue refuses what returns", "Queue", `{maxLength: 5, overflow: reject-publish, retry: {strategy: Tiers, delays: [1s]}}`, "write overflow: reject-publish-dlx, or type: quorum"},
	{"whoever sends it there", "Queue", `{maxLength: 5, overflow: reject-publish, retry: {strategy: Published, delays: [1s]}}`, "write overflow: reject-publish-dlx, or type: quorum"},
	{"Native is for quorum queues", "Queue", `{retry: {strategy: Native, maxRetries: 1, backoff: {initial: 1s}}}`, "Native is for quorum queues"},
	{"Native has a delivery limit", "Queue", `{type: quorum, deliveryLimit: 5, retry: {strategy: Native, maxRetries: 1, backoff: {initial: 1s}}}`, "remove deliveryLimit"},
	{"Native has no list", "Queue", `{type: quorum, retry: {strategy: Native, delays: [1s]}}`, "strategy: Native has no list of delays"},
	{"Native has no factor", "Queue", `{type: quorum, retry: {strategy: Native, maxRetries: 1, backoff: {initial: 1s, factor: 2}}}`, "strategy: Native has no factor"},
	{"drop-head under Tiers", "Queue", `{type: quorum, overflow: drop-head, retry: {strategy: Tiers, delays: [1s]}}`, "remove overflow, or write overflow: reject-publish"},
	{"at-most-once under Tiers", "Queue", `{type: quorum, deadLetter: {strategy: at-most-once}, retry: {strategy: Tiers, delays: [1s]}}`, "remove deadLetter.strategy"},
	{"an exchange of one's own under Tiers", "Queue", `{deadLetter: {exchange: x}, retry: {strategy: Tiers, delays: [1s]}}`, "decide what is retried"},
	{"a type of exchange under Tiers", "Queue", `{deadLetter: {exchangeType: fanout}, retry: {strategy: Tiers, delays: [1s]}}`, "decide what is retried"},
	{"a key of one's own under Tiers", "Queue", `{deadLetter: {routingKey: k}, retry: {strategy: Tiers, delays: [1s]}}`, "decide what is retried"},
	{"somebody else's exchange under Tiers", "Queue", `{deadLetter: {create: false, exchange: x}, retry: {strategy: Tiers, delays: [1s]}}`, "decide what is retried"},
	{"a strategy is required", "Queue", `{retry: {delays: [1s]}}`, "spec.retry.strategy: Required value"},
	{"an unknown strategy", "Queue", `{retry: {strategy: Topic, delays: [1s]}}`, `supported values: "Tiers", "Published", "Native"`},
	{"neither backoff nor delays", "Queue", `{retry: {strategy: Tiers, maxRetries: 3}}`, "write either backoff"},
	{"both backoff and delays", "Queue", `{retry: {strategy: Tiers, maxRetries: 3, delays: [1s], backoff: {initial: 1s}}}`, "write either backoff"},
	{"a backoff without an end", "Queue", `{retry: {strategy: Tiers, backoff: {initial: 1s}}}`, "write maxRetries"},
	{"more than 20 retries", "Queue", `{retry: {strategy: Tiers, maxRetries: 21, backoff: {initial: 1s}}}`, "should be less than or equal to 20"},
	{"no retries", "Queue", `{retry: {strategy: Tiers, maxRetries: 0, backoff: {initial: 1s}}}`, "should be greater than or equal to 1"},
	{"more than 20 delays", "Queue", `{retry: {strategy: Tiers, delays: [1s` + strings.Repeat(", 1s", 20) + `]}}`, "must have at most 20 items"},
	{"no delays", "Queue", `{retry: {strategy: Tiers, delays: []}}`, "should have at least 1 items"},
	{"delays that are never used", "Queue", `{retry: {strategy: Tiers, maxRetries: 1, delays: [1s, 2s]}}`, "remove those that are never used"},
	{"clients know no tiers", "Queue", `{retry: {strategy: Tiers, delays: [1s], delayQueues: Managed}}`, "delayQueues is for strategy: Published"},
	{"a fraction, for delays", "Queue", `{retry: {strategy: Tiers, delays: [1s, 1.5ms]}}`, "from 1ms to 4294967295ms"},
	{"no time at all, for delays", "Queue", `{retry: {strategy: Tiers, delays: [0s]}}`, "from 1ms to 4294967295ms"},
	{"too long, for delays", "Queue", `{retry: {strategy: Tiers, delays: [1194h]}}`, "from 1ms to 4294967295ms"},
	{"no time at all, for a backoff", "Queue", `{retry: {strategy: Tiers, maxRetries: 1, backoff: {initial: 0s}}}`, "from 1ms to 4294967295ms"},
	{"too long, for a backoff", "Queue", `{retry: {strategy: Tiers, maxRetries: 1, backoff: {initial: 1s, max: 1194h}}}`, "from 1ms to 4294967295ms"},
	{"max below initial", "Queue", `{retry: {strategy: Tiers, maxRetries: 1, backoff: {initial: 2s, max: 1s}}}`, "max is shorter than initial"},
	{"a factor below 1", "Queue", `{retry: {strategy: Tiers, maxRetries: 1, backoff: {initial: 1s, factor: 0}}}`, "write a factor from 1 to 100"},
	{"a factor below 1, as text", "Queue", `{retry: {strategy: Tiers, maxRetries: 1, backoff: {initial: 1s, factor: "0.5"}}}`, "write a factor from 1 to 100"},
	{"a factor beyond 100", "Queue", `{retry: {strategy: Tiers, maxRetries: 1, backoff: {initial: 1s, factor: "100.1"}}}`, "write a factor from 1 to 100"},
	{"a factor that is none", "Queue", `{retry: {strategy: Tiers, maxRetries: 1, backoff: {initial: 1s, factor: twice}}}`, "write a factor from 1 to 100"},
	{"a fraction of a millisecond", "Queue", `{messageTTL: 1.5ms}`, "write whole milliseconds"},
	{"a fraction of a millisecond, in seconds", "Queue", `{messageTTL: 1.0005s}`, "write whole milliseconds"},
	{"microseconds", "Queue", `{messageTTL: 1000us}`, "write whole milliseconds"},
	{"a number has no unit", "Queue", `{messageTTL: "60000"}`, "write whole milliseconds"},
	{"a number is not a string", "Queue", `{messageTTL: 60000}`, "must be of type string"},
	{"negative", "Queue", `{messageTTL: -1s}`, "write whole milliseconds"},
	{"too long", "Queue", `{messageTTL: 1194h}`, "up to 4294967295ms"},
	{"longer than a Go duration can be", "Queue", `{messageTTL: 99999999h}`, "up to 4294967295ms"},
	{"a queue that expires at once", "Queue", `{expires: 0s}`, "from 1ms to 4294967295ms"},
	{"a fraction, for expires", "Queue", `{expires: 0.5ms}`, "from 1ms to 4294967295ms"},
	{"a fraction, for dead letters", "Queue", `{deadLetter: {messageTTL: 0.5ms}}`, "write whole milliseconds"},
	{"lengths are not negative", "Queue", `{maxLength: -1}`, "should be greater than or equal to 0"},
	{"a number that no client could read would end every list", "Queue", `{maxLength: 1.0e30}`, "should be less than or equal to"},
	{"a number is not a string", "Queue", `{maxLength: "5"}`, "must be of type integer"},
	{"keys and headers", "Queue", `{bindings: [{source: a, routingKeys: [k], headers: {values: {h: 1}}}]}`, "write either routingKeys or headers, not both"},
	{"the default exchange cannot be bound", "Queue", `{bindings: [{source: ""}]}`, "spec.bindings[0].source"},
	{"a key once", "Queue", `{bindings: [{source: a, routingKeys: [k, k]}]}`, "Duplicate value"},
	{"headers without values match everything or nothing", "Queue", `{bindings: [{source: a, headers: {values: {}}}]}`, "should have at least 1 properties"},
	{"an unknown match", "Queue", `{bindings: [{source: a, headers: {match: some, values: {h: 1}}}]}`, `supported values: "all", "any", "all-with-x", "any-with-x"`},

	// Bindings
	{"keys and headers", "ExchangeBinding", `{routingKeys: [k], headers: {values: {h: 1}}}`, "write either routingKeys or headers, not both"},
	{"a destination is a queue or an exchange", "ExchangeBinding", `{destinationType: topic}`, `supported values: "queue", "exchange"`},
	{"a source is required", "ExchangeBinding", `{source: null}`, "spec.source: Required value"},

	// Topics
	{"a space", "Topic", `{name: "a b"}`, "a topic name has letters, digits"},
	{"a dot", "Topic", `{name: "."}`, "neither '.' nor '..'"},
	{"a contract in a ConfigMap that cannot be", "Queue", `{contract: {configMap: Orders_Contract}}`, "write the name of a ConfigMap"},
	{"a contract without a name", "Queue", `{contract: {}}`, "spec.contract.configMap: Required value"},
	{"a name that ends with a dot", "Topic", `{contract: {configMap: orders.}}`, "write the name of a ConfigMap"},
	{"a name of 254 characters", "Topic", `{contract: {configMap: ` + strings.Repeat("a", 254) + `}}`, "may not be more than 253"},
	{"no prefetch at all", "Queue", `{consumer: {prefetch: 0}}`, "should be greater than or equal to 1"},
	{"more than basic.qos has room for", "Queue", `{consumer: {prefetch: 65536}}`, "should be less than or equal to 65535"},
	{"an empty group", "Topic", `{consumer: {group: ""}}`, "should be at least 1 chars long"},
	{"two dots", "Topic", `{name: ".."}`, "neither '.' nor '..'"},
	{"300 characters", "Topic", `{name: ` + strings.Repeat("a", 300) + `}`, "may not be more than 249"},
	{"Kafka's own names", "Topic", `{name: __consumer_offsets}`, "names that begin with __ belong to Kafka"},
	{"no partitions", "Topic", `{partitions: 0}`, "should be greater than or equal to 1"},
	{"no replicas", "Topic", `{replicationFactor: 0}`, "should be greater than or equal to 1"},
	{"a replication factor beside assignments", "Topic", `{replicationFactor: 1, assignments: [{replicas: [1]}]}`, "remove replicationFactor, or remove assignments"},
	{"partitions that the assignments contradict", "Topic", `{partitions: 2, assignments: [{replicas: [1]}]}`, "one entry in assignments per partition"},
	{"a broker twice", "Topic", `{assignments: [{replicas: [1, 1]}]}`, "write each broker id once"},
	{"different replication", "Topic", `{assignments: [{replicas: [1, 2]}, {replicas: [1]}]}`, "the same number of replicas for every partition"},
	{"a broker id that no client could read would end every list", "Topic", `{assignments: [{replicas: [3000000000]}]}`, "should be less than or equal to 2147483647"},
	{"an unknown policy for growth", "Topic", `{partitionGrowth: Sometimes}`, `supported values: "WhenEmpty", "Always", "Never"`},
	{"configs are strings", "Topic", `{config: {retention.ms: 604800000}}`, "must be of type string"},
	{"throttled replicas", "Topic", `{config: {leader.replication.throttled.replicas: "*"}}`, "write reassignment.throttleBytesPerSecond"},
	{"throttled replicas of followers", "Topic", `{config: {follower.replication.throttled.replicas: "0:1"}}`, "write reassignment.throttleBytesPerSecond"},
	{"a throttle that lets nothing through", "Topic", `{reassignment: {throttleBytesPerSecond: 1023}}`, "should be greater than or equal to 1024"},
	{"an empty config key", "Topic", `{config: {"": a}}`, "a config key has from 1 to 249 characters"},
	{"retries need to know the partitions", "Topic", `{retry: {}}`, "write partitions"},
	{"a fraction, for delays", "Topic", `{partitions: 1, retry: {delays: [1.5ms]}}`, "from 1ms to 4294967295ms"},
	{"a name that no topic can have", "Topic", `{partitions: 1, retry: {topics: {name: "{topic} retry"}}}`, "and the placeholders {topic}"},
	{"a placeholder that there is not", "Topic", `{partitions: 1, retry: {deadLetter: {name: "{name}.dlt"}}}`, "and the placeholders {topic}"},
	{"dead letters have no delay", "Topic", `{partitions: 1, retry: {deadLetter: {name: "{topic}.{delay}"}}}`, "deadLetter.name can have {topic} only"},
	{"an empty config key, for retries", "Topic", `{partitions: 1, retry: {topics: {config: {"": a}}}}`, "a config key has from 1 to 249 characters"},
	{"an empty config key, for dead letters", "Topic", `{partitions: 1, retry: {deadLetter: {config: {"": a}}}}`, "a config key has from 1 to 249 characters"},
	{"throttled replicas, for retries", "Topic", `{partitions: 1, retry: {topics: {config: {leader.replication.throttled.replicas: "*"}}}}`, "write reassignment.throttleBytesPerSecond"},
	{"throttled replicas, for dead letters", "Topic", `{partitions: 1, retry: {deadLetter: {config: {follower.replication.throttled.replicas: "*"}}}}`, "write reassignment.throttleBytesPerSecond"},
	{"a long config value", "Topic", `{config: {a: ` + strings.Repeat("a", 9000) + `}}`, "its value at most 8192"},
}

// acceptance is a patch of a base manifest that must be accepted.
type acceptance struct{ reason, kind, patch string }

var acceptances = []acceptance{
	{"the smallest", "RabbitMQConnection", `{}`},
	{"a path prefix, IPv6", "RabbitMQConnection", `{endpoint: "http://[::1]:15672/rabbit"}`},
	{"everything", "RabbitMQConnection", `{tls: {caRef: {kind: ConfigMap, name: ca}, clientCertificateSecretRef: {name: c}, serverName: rabbitmq}, virtualHost: shop, clientEndpoints: ["amqps://rabbitmq:5671", "rabbitmq-stream+tls://rabbitmq:5551"], allowedNamespaces: {from: Selector, selector: {matchLabels: {team: a}}}, interval: 2s, suspend: true}`},
	{"the system's authorities", "RabbitMQConnection", `{tls: {}}`},
	{"the longest interval", "RabbitMQConnection", `{interval: 24h}`},
	{"an interval with a fraction", "RabbitMQConnection", `{interval: 1.5s}`},
	{"everywhere", "RabbitMQConnection", `{allowedNamespaces: {from: All}}`},
	{"the smallest", "KafkaConnection", `{}`},
	{"SCRAM over TLS", "KafkaConnection", `{bootstrapServers: ["a:9092", "[::1]:9093"], authentication: {type: ScramSha512, secretRef: {name: a}}, tls: {caRef: {kind: Secret, name: ca, key: tls.crt}}}`},
	{"a client certificate", "KafkaConnection", `{authentication: {type: TLS}, tls: {clientCertificateSecretRef: {name: a}}, interval: 1m30s}`},
	{"the smallest", "VirtualHost", `{}`},
	{"the broker's first virtual host", "VirtualHost", `{name: /}`},
	{"everything", "VirtualHost", `{name: "/a b/é", description: d, tags: [a, b c], defaultQueueType: quorum, limits: {maxConnections: 0, maxQueues: 100}, deletionPolicy: DeleteIfUnused, adoptionPolicy: Always, driftPolicy: Report, approval: None, suspend: true}`},
	{"the smallest", "Exchange", `{}`},
	{"a plugin's type", "Exchange", `{type: x-consistent-hash}`},
	{"everything", "Exchange", `{virtualHost: /a, name: "or/de rs%+é", durable: false, autoDelete: true, internal: true, alternateExchange: amq.fanout, arguments: {x: 1}, bindings: [{source: amq.topic, routingKeys: ["a.#", ""]}, {source: a, headers: {match: any-with-x, values: {x-a: 1}}, arguments: {b: [1]}}, {source: b}]}`},
	{"settings in a policy", "Queue", `{type: quorum, settings: Policy, messageTTL: 1m, maxLength: 5, overflow: reject-publish, deliveryLimit: 3, deadLetter: {strategy: at-least-once}}`},
	{"settings in a policy beside retries", "Queue", `{type: quorum, settings: Policy, maxLength: 5, retry: {strategy: Tiers, delays: [1s]}}`},
	{"the smallest", "Queue", `{}`},
	{"a classic queue", "Queue", `{durable: false, autoDelete: true, messageTTL: 0s, expires: 1ms, maxLength: 0, maxLengthBytes: 1, overflow: reject-publish-dlx, maxPriority: 255, singleActiveConsumer: true, leaderLocator: balanced}`},
	{"a quorum queue", "Queue", `{type: quorum, durable: true, autoDelete: false, messageTTL: 4294967295ms, expires: 1193h2m47.295s, overflow: reject-publish, deliveryLimit: -1, initialGroupSize: 3, singleActiveConsumer: true, deadLetter: {strategy: at-least-once}}`},
	{"a stream", "Queue", `{type: stream, maxAge: 7D, maxLengthBytes: 1000000, maxSegmentSizeBytes: 3000000000, leaderLocator: client-local, initialGroupSize: 1}`},
	{"a migration with a word", "Queue", `{type: quorum, updatePolicy: Migrate, migration: {defaultExchangePublishers: AcceptLoss}}`},
	{"a recreation needs none", "Queue", `{updatePolicy: Recreate}`},
	{"dead letters, by default", "Queue", `{deadLetter: {}}`},
	{"dead letters, all named", "Queue", `{deadLetter: {create: true, exchange: order.dlx, exchangeType: topic, queue: dead, queueType: quorum, routingKey: "", messageTTL: 168h, maxLength: 5, strategy: at-most-once}}`},
	{"dead letters to an exchange of somebody else", "Queue", `{deadLetter: {create: false, exchange: amq.direct, routingKey: k, strategy: at-most-once}}`},
	{"dead letters to a queue, through the default exchange", "Queue", `{deadLetter: {create: false, exchange: "", routingKey: dead}}`},
	{"retries, doubling", "Queue", `{retry: {strategy: Tiers, maxRetries: 20, backoff: {initial: 1s, factor: 2, max: 30s}}}`},
	{"a factor with decimals", "Queue", `{retry: {strategy: Tiers, maxRetries: 2, backoff: {initial: 1s, factor: "1.125"}}}`},
	{"retries, listed, the last one repeating", "Queue", `{type: quorum, deliveryLimit: 3, deadLetter: {queue: d, queueType: classic, messageTTL: 168h, maxLength: 5, strategy: at-least-once}, retry: {strategy: Tiers, maxRetries: 5, delays: [1s, 10s, 5m]}}`},
	{"a bounded classic queue with retries", "Queue", `{maxLength: 5, overflow: reject-publish-dlx, retry: {strategy: Tiers, delays: [1ms]}}`},
	{"delay queues of the clients'", "Queue", `{retry: {strategy: Published, delays: [1s, 1s], delayQueues: ClientDeclared}}`},
	{"native retries", "Queue", `{type: quorum, overflow: drop-head, retry: {strategy: Native, maxRetries: 3, backoff: {initial: 200ms, max: 800ms}}}`},
	{"a contract", "Queue", `{consumer: {prefetch: 65535}, contract: {configMap: order-process.contract-1}}`},
	{"TTL in the way that Go writes a minute", "Queue", `{messageTTL: 1m0s}`},
	{"an empty list of keys beside headers", "Queue", `{bindings: [{source: a, routingKeys: [], headers: {values: {h: 1}}}]}`},
	{"the smallest", "ExchangeBinding", `{}`},
	{"to an exchange", "ExchangeBinding", `{virtualHost: a, destinationType: exchange, routingKeys: ["#"], arguments: {a: 1}, deletionPolicy: Retain}`},
	{"the smallest", "Topic", `{}`},
	{"everything", "Topic", `{name: order_Events.v1, partitions: 12, replicationFactor: 3, reassignment: {throttleBytesPerSecond: 10485760}, config: {retention.ms: "604800000", cleanup.policy: delete}}`},
	{"assignments", "Topic", `{partitions: 2, assignments: [{replicas: [1, 2]}, {replicas: [2, 1]}]}`},
	{"a contract", "Topic", `{consumer: {group: billing}, contract: {configMap: order-events.contract}}`},
	{"a topic for dead letters", "Topic", `{partitions: 3, retry: {}}`},
	{"topics for retries, in the way of a client framework", "Topic", `{partitions: 3, replicationFactor: 1, retry: {delays: [1s, 2s], topics: {name: "{topic}-retry-{delayMs}", config: {retention.ms: "86400000"}}, deadLetter: {name: "{topic}-dlt", config: {retention.ms: "-1"}}}}`},
	{"assignments and retries", "Topic", `{assignments: [{replicas: [0]}], retry: {delays: [1s]}}`},
	{"assignments alone", "Topic", `{assignments: [{replicas: [0]}]}`},
}

// change is an edit of an object that exists; words are empty where it must be accepted.
type change struct{ reason, kind, before, after, words string }

// identityChanges builds the ways to change a part of the identity: another value, none, one where none was.
func identityChanges(kind, field, a, b, words string) []change {
	set := func(value string) string { return "{" + field + ": " + value + "}" }
	return []change{
		{field + ", another value", kind, set(a), set(b), words},
		{field + ", set -> unset", kind, set(a), set("null"), words},
		{field + ", unset -> set", kind, `{}`, set(b), words},
		{field + ", the same value", kind, set(a), set(a), ""},
	}
}

func changes() []change {
	all := []change{
		{"virtualHost, another value", "RabbitMQConnection", `{virtualHost: a}`, `{virtualHost: b}`, "virtualHost cannot be changed"},
		{"virtualHost, set -> unset, which is /", "RabbitMQConnection", `{virtualHost: a}`, `{virtualHost: null}`, "virtualHost cannot be changed"},
		{"virtualHost, unset, which is / -> set", "RabbitMQConnection", `{}`, `{virtualHost: b}`, "virtualHost cannot be changed"},
		{"virtualHost, unset -> /, which is the same", "RabbitMQConnection", `{}`, `{virtualHost: /}`, ""},
		{"another endpoint", "RabbitMQConnection", `{}`, `{endpoint: "http://other:15672"}`, ""},
		{"another type: refused by the planner, not by the schema", "Queue", `{}`, `{type: quorum}`, ""},
		{"fewer partitions: refused by the planner, not by the schema", "Topic", `{partitions: 3}`, `{partitions: 1}`, ""},
		{"another replication factor", "Topic", `{replicationFactor: 1}`, `{replicationFactor: 3}`, ""},
		{"other assignments", "Topic", `{assignments: [{replicas: [1]}]}`, `{assignments: [{replicas: [2, 1]}]}`, ""},
		{"a factor -> assignments", "Topic", `{replicationFactor: 1}`, `{replicationFactor: null, assignments: [{replicas: [2, 1]}]}`, ""},
		{"another throttle", "Topic", `{reassignment: {throttleBytesPerSecond: 1024}}`, `{reassignment: {throttleBytesPerSecond: 2048}}`, ""},
		{"another source", "ExchangeBinding", `{}`, `{source: other, routingKeys: [k]}`, ""},
		{"another destination", "ExchangeBinding", `{}`, `{destination: other}`, "destination and destinationType cannot be changed"},
		{"another kind of destination", "ExchangeBinding", `{}`, `{destinationType: exchange}`, "destination and destinationType cannot be changed"},
	}
	for _, kind := range []string{"VirtualHost", "Exchange", "Queue", "ExchangeBinding", "Topic"} {
		words := "connectionRef cannot be changed: create a new " + kind
		all = append(all,
			change{"another connection", kind, `{}`, `{connectionRef: {name: other}}`, words},
			change{"another namespace", kind, `{connectionRef: {namespace: a}}`, `{connectionRef: {namespace: b}}`, words},
			change{"namespace, set -> unset", kind, `{connectionRef: {namespace: a}}`, `{connectionRef: {namespace: null}}`, words},
			change{"namespace, unset -> set", kind, `{}`, `{connectionRef: {namespace: b}}`, words},
			change{"policies", kind, `{}`, `{deletionPolicy: Delete, adoptionPolicy: Never, driftPolicy: Report, approval: Required, suspend: true}`, ""},
		)
		if kind != "ExchangeBinding" {
			all = append(all, identityChanges(kind, "name", "a", "b", "name cannot be changed: create a new "+kind)...)
		}
		if kind != "VirtualHost" && kind != "Topic" {
			all = append(all, identityChanges(kind, "virtualHost", "a", "b", "virtualHost cannot be changed, added or removed: create a new "+kind)...)
		}
	}
	return all
}

func TestValidation(t *testing.T) {
	_, kube := needsServer(t)
	refusing := map[rule]bool{}
	saw := func(kind string, err error) {
		for _, r := range rulesRefusing(kind, err) {
			refusing[r] = true
		}
	}

	for _, tc := range createRefusals {
		t.Run("refused/"+tc.kind+"/"+tc.reason, func(t *testing.T) {
			err := create(t, manifest(t, tc.kind, objectName(t), tc.patch))
			wantRefusal(t, err, tc.reason, tc.words)
			saw(tc.kind, err)
		})
	}
	t.Run("refused/Topic/a metadata.name that no topic can have", func(t *testing.T) {
		err := create(t, manifest(t, "Topic", strings.Repeat("a", 250)))
		wantRefusal(t, err, "metadata.name may have 253 characters, a topic 249", "metadata.name is too long for a topic")
		saw("Topic", err)
	})
	t.Run("refused/Exchange/a metadata.name of the broker's", func(t *testing.T) {
		err := create(t, manifest(t, "Exchange", "amq.orders"))
		wantRefusal(t, err, "the rule is about the name on the broker", "names that begin with amq. belong to the broker")
	})
	t.Run("refused/Queue/a loop through metadata.name", func(t *testing.T) {
		err := create(t, manifest(t, "Queue", "dead", `{deadLetter: {queue: dead}}`))
		wantRefusal(t, err, "the rule is about the name on the broker", "deadLetter.queue cannot be this queue itself")
	})

	for _, tc := range acceptances {
		t.Run("accepted/"+tc.kind+"/"+tc.reason, func(t *testing.T) {
			object := manifest(t, tc.kind, objectName(t), tc.patch)
			if err := create(t, object); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			// What the API server accepts, the Go types must be able to read: a watch decodes whole lists,
			// and one object that cannot be read would blind it to all the others.
			text, err := yaml.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			if err := yaml.UnmarshalStrict(text, typed(t, tc.kind)); err != nil {
				t.Errorf("%s: accepted, but the Go type cannot read it: %v", tc.reason, err)
			}
		})
	}

	for _, tc := range changes() {
		t.Run("changed/"+tc.kind+"/"+tc.reason, func(t *testing.T) {
			object := manifest(t, tc.kind, objectName(t), tc.before)
			if err := create(t, object); err != nil {
				t.Fatalf("%s: create: %v", tc.reason, err)
			}
			edited := manifest(t, tc.kind, object.GetName(), tc.before, tc.after)
			edited.SetResourceVersion(object.GetResourceVersion())
			err := kube.Update(context.Background(), edited)
			if tc.words == "" {
				if err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			wantRefusal(t, err, tc.reason, tc.words)
			saw(tc.kind, err)
		})
	}
	t.Run("changed/Queue/spec.name written out as metadata.name", func(t *testing.T) {
		object := manifest(t, "Queue", "same-name")
		if err := create(t, object); err != nil {
			t.Fatal(err)
		}
		if err := kube.Patch(context.Background(), object, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"name":"same-name"}}`))); err != nil {
			t.Errorf("the queue on the broker stays the same, so this must be accepted: %v", err)
		}
	})

	if t.Failed() {
		return
	}
	for _, r := range rulesOfCRDs(t) {
		// The causes of the API server begin with the kind of failure and the value.
		found := false
		for seen := range refusing {
			found = found || seen.kind == r.kind && seen.field == r.field && strings.Contains(seen.message, r.message)
		}
		if !found {
			t.Errorf("%s: no case is refused by the rule at %q: %s", r.kind, r.field, r.message)
		}
	}
}

func typed(t *testing.T, kind string) any {
	t.Helper()
	for _, object := range v1alpha1.NewObjects() {
		if object.KindName() == kind {
			return object
		}
	}
	for _, connection := range v1alpha1.NewConnections() {
		if connection.KindName() == kind {
			return connection
		}
	}
	t.Fatalf("no Go type for %s", kind)
	return nil
}
