package api_test

import "strings"

// compliant turns the smallest manifests into those that every policy of config/policies accepts; NS is the namespace.
var compliant = map[string]string{
	"VirtualHost":        `{name: NS}`,
	"Exchange":           `{name: NS.orders}`,
	"Queue":              `{name: NS.orders, type: quorum, deadLetter: {}}`,
	"ExchangeBinding":    `{destination: NS.audit}`,
	"Topic":              `{name: NS.orders, partitions: 3, replicationFactor: 3}`,
	"RabbitMQConnection": `{}`,
	"KafkaConnection":    `{}`,
}

// guarded is a manifest, as a patch of a compliant one, that one policy refuses in these words; without words it is accepted.
type guarded struct {
	policy, reason, kind, patch string
	annotations                 map[string]string
	words                       string
}

var guardedCases = []guarded{
	{"naming", "the name is that of the resource", "Exchange", `{name: null}`, nil, "name: NS.... instead of "},
	{"naming", "of somebody else", "Queue", `{name: other.orders}`, nil, "names on the broker begin with NS. in namespace NS: write name: NS.... instead of other.orders"},
	{"naming", "a longer word is another name", "Queue", `{name: NSx.orders}`, nil, "instead of NSx.orders"},
	{"naming", "a virtual host", "VirtualHost", `{name: shop}`, nil, "instead of shop"},
	{"naming", "below the name of the namespace", "VirtualHost", `{name: NS.staging}`, nil, ""},
	{"naming", "a topic", "Topic", `{name: orders}`, nil, "name: NS.... instead of orders"},
	{"naming", "the namespace itself", "Topic", `{name: NS}`, nil, ""},
	{"naming", "into somebody else's queue", "ExchangeBinding", `{destination: other.audit}`, nil, "write destination: NS.... instead of other.audit"},
	{"naming", "from somebody else's exchange", "ExchangeBinding", `{source: other.orders}`, nil, ""},
	{"naming", "dead letters into somebody else's queue", "Queue", `{deadLetter: {queue: other.dead, exchange: dlx}}`, nil, "deadLetter.exchange: NS.... instead of dlx and deadLetter.queue: NS.... instead of other.dead"},
	{"naming", "dead letters of one's own", "Queue", `{deadLetter: {queue: NS.dead, exchange: NS.dlx}}`, nil, ""},
	{"naming", "a dead-letter exchange that is only referred to", "Queue", `{deadLetter: {create: false, exchange: company.dlx}}`, nil, ""},
	{"naming", "topics for retries", "Topic", `{retry: {delays: [1s], topics: {name: "{delay}.{topic}"}}}`, nil, "retry.topics.name: NS.... instead of {delay}.NS.orders"},
	{"naming", "a topic for dead letters", "Topic", `{retry: {deadLetter: {name: "dlt.{topic}"}}}`, nil, "retry.deadLetter.name: NS.... instead of dlt.NS.orders"},
	{"naming", "topics that begin with the topic", "Topic", `{retry: {delays: [1s], topics: {name: "{topic}-{index}"}, deadLetter: {name: "NS.dead"}}}`, nil, ""},

	{"maximum-partitions", "one too many", "Topic", `{partitions: 25}`, nil, "has 25 partitions: write at most 24, or ask for the annotation"},
	{"maximum-partitions", "as many as may be", "Topic", `{partitions: 24}`, nil, ""},
	{"maximum-partitions", "the broker's default", "Topic", `{partitions: null}`, nil, ""},
	{"maximum-partitions", "assignments are counted", "Topic", `{partitions: null, replicationFactor: null, assignments: [` + strings.Repeat("{replicas: [1, 2, 3]}, ", 25) + `]}`, nil, "has 25 partitions"},

	{"minimum-replication", "one too few", "Topic", `{replicationFactor: 2}`, nil, "has 2 replicas of each partition: write replicationFactor: 3 or more"},
	{"minimum-replication", "a single one", "Topic", `{replicationFactor: 1}`, nil, "has 1 replica of each partition: write replicationFactor: 3 or more"},
	{"minimum-replication", "as many as must be", "Topic", `{replicationFactor: 3}`, nil, ""},
	{"minimum-replication", "the broker's default is not known", "Topic", `{replicationFactor: null}`, nil, "names no replication factor, and the default of the broker is not known here: write replicationFactor: 3 or more"},
	{"minimum-replication", "too few by assignments", "Topic", `{partitions: null, replicationFactor: null, assignments: [{replicas: [1]}]}`, nil, "has 1 replica of each partition: write replicationFactor: 3 or more"},
	{"minimum-replication", "enough by assignments", "Topic", `{partitions: null, replicationFactor: null, assignments: [{replicas: [1, 2, 3]}]}`, nil, ""},
	{"minimum-replication", "a queue with too few", "Queue", `{initialGroupSize: 1}`, nil, "has initialGroupSize: 1: remove it, or write 3 or more"},
	{"minimum-replication", "a queue with enough", "Queue", `{initialGroupSize: 3}`, nil, ""},
	{"minimum-replication", "the default of queues is known", "Queue", `{}`, nil, ""},

	{"quorum-only", "a classic queue", "Queue", `{type: classic}`, nil, "a classic queue keeps its messages on one node: write type: quorum"},
	{"quorum-only", "classic dead letters", "Queue", `{deadLetter: {queueType: classic}}`, nil, "write deadLetter.queueType: quorum"},
	{"quorum-only", "all of it", "Queue", `{type: classic, deadLetter: {queueType: classic}}`, nil, "write type: quorum and deadLetter.queueType: quorum"},
	{"quorum-only", "what clients get", "VirtualHost", `{defaultQueueType: classic}`, nil, "write defaultQueueType: quorum"},
	{"quorum-only", "a quorum queue", "Queue", `{deadLetter: {queueType: quorum}}`, nil, ""},
	{"quorum-only", "a stream is replicated", "Queue", `{type: stream, deadLetter: null}`, nil, ""},
	{"quorum-only", "a virtual host of quorum queues", "VirtualHost", `{defaultQueueType: quorum}`, nil, ""},

	{"dead-letter-required", "nowhere to go", "Queue", `{deadLetter: null}`, nil, "drops what is rejected, expires or overflows: write deadLetter: {}, or retry; a queue that holds dead letters itself is one whose name matches [.](dead|dlq)$"},
	{"dead-letter-required", "a retry by copies sends nothing there that is rejected", "Queue", `{deadLetter: null, retry: {strategy: Published, delays: [1s]}}`, nil, "write deadLetter: {} beside retry"},
	{"dead-letter-required", "a retry by tiers has them", "Queue", `{deadLetter: null, retry: {strategy: Tiers, delays: [1s]}}`, nil, ""},
	{"dead-letter-required", "a native retry has them", "Queue", `{deadLetter: null, retry: {strategy: Native, maxRetries: 1, backoff: {initial: 1s}}}`, nil, ""},
	{"dead-letter-required", "a dead-letter queue needs none", "Queue", `{name: NS.orders.dead, deadLetter: null}`, nil, ""},
	{"dead-letter-required", "a stream has none", "Queue", `{type: stream, deadLetter: null}`, nil, ""},

	{"acknowledgements", "a mass deletion", "RabbitMQConnection", `{}`, map[string]string{"topology.warrener.dev/allow-deletes": "w1"}, "author may not set the annotation topology.warrener.dev/allow-deletes on RabbitMQConnection"},
	{"acknowledgements", "another cluster", "KafkaConnection", `{}`, map[string]string{"topology.warrener.dev/accept-cluster": "c1"}, "ask somebody who has the ClusterRole warrener-acknowledge"},
	{"acknowledgements", "asking for a look", "KafkaConnection", `{}`, map[string]string{"topology.warrener.dev/reconcile-at": "now"}, ""},
}

// A change of something that was refused had it been new: what is not made worse passes.
var guardedChanges = []struct {
	guarded
	after string
}{
	{guarded{"maximum-partitions", "fewer, but too many", "Topic", `{partitions: 30}`, nil, ""}, `{partitions: 29}`},
	{guarded{"maximum-partitions", "more of what is too many", "Topic", `{partitions: 30}`, nil, "has 31 partitions"}, `{partitions: 31}`},
	{guarded{"minimum-replication", "more, but too few", "Topic", `{replicationFactor: 1}`, nil, ""}, `{replicationFactor: 2}`},
	{guarded{"minimum-replication", "fewer than too few", "Topic", `{replicationFactor: 2}`, nil, "has 1 replica of each partition: write replicationFactor: 3 or more"}, `{replicationFactor: 1}`},
	{guarded{"minimum-replication", "not said any more", "Topic", `{replicationFactor: 2}`, nil, "names no replication factor"}, `{replicationFactor: null}`},
	{guarded{"minimum-replication", "said, and too few", "Topic", `{replicationFactor: null}`, nil, "has 2 replicas"}, `{replicationFactor: 2}`},
	{guarded{"minimum-replication", "a group that gets smaller", "Queue", `{initialGroupSize: 2}`, nil, "initialGroupSize: 1"}, `{initialGroupSize: 1}`},
	{guarded{"minimum-replication", "a group that was not said", "Queue", `{}`, nil, "initialGroupSize: 1"}, `{initialGroupSize: 1}`},
	{guarded{"naming", "a second foreign name", "Queue", `{name: other.orders}`, nil, "write deadLetter.queue: NS.... instead of other.dead"}, `{deadLetter: {queue: other.dead}}`},
	{guarded{"quorum-only", "a classic queue gets classic dead letters", "Queue", `{type: classic}`, nil, "write deadLetter.queueType: quorum"}, `{deadLetter: {queueType: classic}}`},
	{guarded{"dead-letter-required", "dead letters are taken away", "Queue", `{}`, nil, "drops what is rejected"}, `{deadLetter: null}`},
	{guarded{"dead-letter-required", "dead letters come", "Queue", `{deadLetter: null}`, nil, ""}, `{deadLetter: {}}`},
}
