package compile

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

func TestInvalid(t *testing.T) {
	long := strings.Repeat("é", 128) // 256 bytes, 128 characters: a schema lets it pass
	longQuoted := `"` + strings.Repeat("é", 32) + `…"`
	tooLong := longQuoted + " is 256 bytes long and AMQP has room for 255: write a shorter one"
	q := func(spec string) string { return manifest("Queue", "q", spec) }
	cases := map[string]struct {
		reason, manifest string
		want             []string
	}{
		"Contract": {
			reason:   "what never passed an API server is told here",
			manifest: q("type: classic, consumer: {prefetch: 65536}, contract: {configMap: Orders_Contract}"),
			want: []string{
				`spec.contract.configMap: "Orders_Contract" is no name of a ConfigMap: write at most 253 lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit`,
				"spec.consumer.prefetch: 65536 is not from 1 to 65535",
			},
		},
		"CoveredArguments": {
			reason:   "what a field covers is refused with the field's name, whatever its value",
			manifest: q("type: quorum, arguments: {x-message-ttl: 1000, x-queue-type: classic, x-dead-letter-exchange: 7, x-dead-letter-routing-key: a, x-initial-cluster-size: 1}"),
			want: []string{
				"spec.arguments[x-dead-letter-exchange]: write spec.deadLetter.exchange instead",
				"spec.arguments[x-dead-letter-routing-key]: write spec.deadLetter.routingKey instead",
				"spec.arguments[x-initial-cluster-size]: write spec.initialGroupSize instead",
				"spec.arguments[x-message-ttl]: write spec.messageTTL instead",
				"spec.arguments[x-queue-type]: write spec.type instead",
			},
		},
		"AlternateExchange": {
			reason:   "the same on an exchange",
			manifest: manifest("Exchange", "e", "type: direct, arguments: {alternate-exchange: x, x-delayed-type: 3}"),
			want: []string{
				"spec.arguments[alternate-exchange]: write spec.alternateExchange instead",
				"spec.arguments[x-delayed-type]: 3 is not a string, and RabbitMQ takes nothing else here",
			},
		},
		"WrongTypes": {
			reason:   "the broker compares types; what was meant is named where it can be told",
			manifest: q(`type: quorum, arguments: {x-max-in-memory-length: "3", x-max-in-memory-bytes: 2.5, x-queue-version: two, x-queue-mode: true}`),
			want: []string{
				"spec.arguments[x-max-in-memory-bytes]: 2.5 is not an integer, and RabbitMQ takes nothing else here",
				`spec.arguments[x-max-in-memory-length]: "3" is not an integer, and RabbitMQ takes nothing else here: write 3 without quotes`,
				"spec.arguments[x-queue-mode]: true is not a string, and RabbitMQ takes nothing else here",
				`spec.arguments[x-queue-version]: "two" is not an integer, and RabbitMQ takes nothing else here`,
			},
		},
		"Values": {
			reason:   "null and numbers that do not fit are refused, deep down too",
			manifest: q("type: classic, arguments: {a: null, b: [1, {c: null}], d: 9223372036854775808}"),
			want: []string{
				"spec.arguments[a]: RabbitMQ refuses null: write a value, or leave it out",
				"spec.arguments[b]: RabbitMQ refuses null: write a value, or leave it out",
				"spec.arguments[d]: RabbitMQ cannot store this value: integer 9223372036854775808 does not fit 64 bits",
			},
		},
		"Durations": {
			reason:   "RabbitMQ counts whole milliseconds, of which there are fewer than 2^32",
			manifest: q("type: classic, messageTTL: 1.0005s, expires: 0s, deadLetter: {messageTTL: 1200h}"),
			want: []string{
				"spec.messageTTL: 1.0005s is not a whole number of milliseconds, and RabbitMQ has no finer unit: write 1.001s",
				"spec.expires: 0s is too short: write at least 1ms",
				"spec.deadLetter.messageTTL: 1200h0m0s is longer than RabbitMQ can wait: write at most 4294967295ms, about 49 days",
			},
		},
		"NegativeDuration": {
			reason:   "a time to live cannot be negative",
			manifest: q("type: classic, messageTTL: -1s"),
			want:     []string{"spec.messageTTL: -1s is too short: write at least 0ms"},
		},
		"FieldsOfAnotherType": {
			reason:   "a field whose argument the queue's type does not know",
			manifest: q("type: stream, messageTTL: 1s, maxPriority: 3, deadLetter: {create: false, exchange: x}"),
			want: []string{
				"spec.deadLetter.exchange: a stream queue has no x-dead-letter-exchange: remove the field, or write type: classic or quorum",
				"spec.maxPriority: a stream queue has no x-max-priority: remove the field, or write type: classic",
				"spec.messageTTL: a stream queue has no x-message-ttl: remove the field, or write type: classic or quorum",
			},
		},
		"UnknownQueueType": {
			reason:   "one problem, not one a field",
			manifest: q("type: mirrored, messageTTL: 1s"),
			want:     []string{`spec.type: "mirrored" is not a value of this field: write classic, quorum or stream`},
		},
		"Scaffolding": {
			reason:   "a migration would delete it, with the messages in it",
			manifest: manifest("Queue", "q", "name: warrener.migrate.orders.trial, type: classic"),
			want:     []string{`spec.name: "warrener.migrate.orders.trial" begins with warrener.migrate., and what has such a name comes and goes with the migration of a queue: choose another name`},
		},
		"ScaffoldingPolicy": {
			reason:   "a migration of X would delete the policy of the queue migrate.X.policy",
			manifest: manifest("Queue", "q", "name: migrate.x.policy, type: classic, settings: Policy, maxLength: 5"),
			want:     []string{`spec.settings: a policy of the name warrener.migrate.x.policy belongs to the migration of a queue: choose a name that does not begin with migrate., or write Arguments`},
		},
		"OwnNames": {
			reason:   "amq. is the broker's, whether the name is written or is metadata.name",
			manifest: manifest("Exchange", "amq.mine", "type: topic"),
			want:     []string{`metadata.name: "amq.mine" begins with amq., and such names belong to the broker: choose another name`},
		},
		"LongNames": {
			reason:   "lengths are in bytes; the default names of dead letters count too",
			manifest: q("type: classic, name: " + strings.Repeat("n", 252) + ", deadLetter: {routingKey: " + long + "}, bindings: [{source: " + long + ", routingKeys: [" + long + "], arguments: {" + long + ": 1}}]"),
			want: []string{
				`spec.deadLetter.exchange: "` + strings.Repeat("n", 64) + `…" is 256 bytes long and AMQP has room for 255: write a shorter one`,
				`spec.deadLetter.queue: "` + strings.Repeat("n", 64) + `…" is 257 bytes long and AMQP has room for 255: write a shorter one`,
				"spec.deadLetter.routingKey: " + tooLong,
				"spec.bindings[0].source: " + tooLong,
				"spec.bindings[0].arguments[" + longQuoted + "]: " + tooLong,
				"spec.bindings[0].routingKeys[0]: " + tooLong,
			},
		},
		"LineBreaks": {
			reason:   "RabbitMQ removes them without a word, and the queue would never be found again",
			manifest: q(`type: classic, name: "a\nb"`),
			want:     []string{`spec.name: "a\nb" contains a line break, which RabbitMQ would remove: write the name without`},
		},
		"DeadLetterNames": {
			reason:   "what is created must be creatable, and not the queue itself",
			manifest: q(`type: classic, deadLetter: {exchange: "", queue: q, exchangeType: headers, queueType: stream}`),
			want: []string{
				"spec.deadLetter.exchange: the default exchange (an empty name) cannot be created: name another exchange, or write create: false",
				`spec.deadLetter.exchangeType: "headers" is not a value of this field: write direct, fanout or topic`,
				`spec.deadLetter.queue: "q" is this queue itself: name another queue`,
				`spec.deadLetter.queueType: "stream" is not a value of this field: write classic or quorum`,
			},
		},
		"DeadLetterReferenceWithoutName": {
			reason:   "there is nothing to refer to",
			manifest: q("type: classic, deadLetter: {create: false}"),
			want:     []string{`spec.deadLetter.exchange: create: false only refers to an existing exchange: name it, "" for the default exchange`},
		},
		"AtLeastOnce": {
			reason:   "RabbitMQ would accept it and do something else",
			manifest: q("type: quorum, deadLetter: {strategy: at-least-once}"),
			want:     []string{"spec.deadLetter.strategy: at-least-once needs overflow: reject-publish, else RabbitMQ silently uses at-most-once"},
		},
		"AtLeastOnceClassic": {
			reason:   "classic queues have no strategy at all",
			manifest: q("type: classic, deadLetter: {strategy: at-least-once}"),
			want:     []string{"spec.deadLetter.strategy: a classic queue has no x-dead-letter-strategy: remove the field, or write type: quorum"},
		},
		"BindingSources": {
			reason:   "the default exchange cannot be bound; keys and headers are two bindings",
			manifest: q(`type: classic, bindings: [{source: ""}, {source: vip, routingKeys: [a], headers: {values: {b: 1}}}]`),
			want: []string{
				"spec.bindings[0].source: is empty, and the default exchange cannot be bound: every queue receives from it under its own name; name another exchange",
				"spec.bindings[1]: write either routingKeys or headers, not both: two entries with the same source make two bindings",
			},
		},
		"Headers": {
			reason:   "headers and arguments are one table to the broker, and x-match has a field",
			manifest: q("type: classic, bindings: [{source: vip, arguments: {x-match: any, a: 1}, headers: {match: some, values: {a: 2, x-match: all, b: null}}}, {source: vip, headers: {values: {}}}]"),
			want: []string{
				"spec.bindings[0].arguments[x-match]: write spec.bindings[0].headers.match instead",
				`spec.bindings[0].headers.match: "some" is not a value of this field: write all, any, all-with-x or any-with-x`,
				"spec.bindings[0].headers.values[a]: stands in arguments too, and both are one table to RabbitMQ: remove one of them",
				"spec.bindings[0].headers.values[b]: RabbitMQ refuses null: write a value, or leave it out",
				"spec.bindings[0].headers.values[x-match]: x-match is how values are compared, not a header: write spec.bindings[0].headers.match",
				"spec.bindings[1].headers.values: is empty, which would match every message or none: write at least one header",
			},
		},
		"ExchangeType": {
			reason:   "types of plugins begin with x-, and no others exist",
			manifest: manifest("Exchange", "e", "type: Topic"),
			want:     []string{`spec.type: "Topic" is no exchange type: write direct, fanout, topic, headers, or the type of a plugin, which begins with x-`},
		},
		"ExchangeBinding": {
			reason:   "both ends are needed",
			manifest: manifest("ExchangeBinding", "b", `source: "", destination: "", destinationType: topic`),
			want: []string{
				"spec.destination: is empty: write a name",
				`spec.destinationType: "topic" is not a value of this field: write queue or exchange`,
				"spec.source: is empty, and the default exchange cannot be bound: every queue receives from it under its own name; name another exchange",
			},
		},
		"Policies": {
			reason:   "a misspelt policy is not the default, nor anything else",
			manifest: manifest("Topic", "t", "deletionPolicy: delete, driftPolicy: Ignore, partitionGrowth: Sometimes"),
			want: []string{
				`spec.deletionPolicy: "delete" is not a value of this field: write DeleteIfUnused, Delete or Retain`,
				`spec.driftPolicy: "Ignore" is not a value of this field: write Correct or Report`,
				`spec.partitionGrowth: "Sometimes" is not a value of this field: write WhenEmpty, Always or Never`,
			},
		},
		"UpdatePolicy": {
			reason:   "nor is a misspelt one about replacing a queue",
			manifest: manifest("Queue", "q", "type: classic, updatePolicy: migrate"),
			want:     []string{`spec.updatePolicy: "migrate" is not a value of this field: write Refuse, Recreate or Migrate`},
		},
		"MigrateWithoutConsent": {
			reason:   "no migration without a word about the messages that it cannot protect",
			manifest: manifest("Queue", "q", "type: classic, updatePolicy: Migrate"),
			want:     []string{"spec.migration.defaultExchangePublishers: is required by updatePolicy: Migrate, which cannot protect what is published through the default exchange: write None, Paused or AcceptLoss"},
		},
		"MigrateWithOddConsent": {
			reason:   "a word that is none",
			manifest: manifest("Queue", "q", "type: classic, updatePolicy: Migrate, migration: {defaultExchangePublishers: maybe}"),
			want:     []string{`spec.migration.defaultExchangePublishers: "maybe" is not a value of this field: write None, Paused or AcceptLoss`},
		},
		"TopicNumbers": {
			reason:   "0 is not the absence of a number",
			manifest: manifest("Topic", "t", "partitions: 0, replicationFactor: 0"),
			want: []string{
				"spec.partitions: 0 partitions cannot hold a message: write at least 1, or leave it out for the broker's default",
				"spec.replicationFactor: 0 replicas cannot hold a message: write at least 1, or leave it out for the broker's default",
			},
		},
		"TopicThrottle": {
			reason:   "a throttle is the reassignment's, and a rate that moves nothing is none",
			manifest: manifest("Topic", "t", `partitions: 1, reassignment: {throttleBytesPerSecond: 0}, config: {leader.replication.throttled.replicas: "*"}, retry: {deadLetter: {config: {follower.replication.throttled.replicas: "0:1"}}}`),
			want: []string{
				"spec.reassignment.throttleBytesPerSecond: 0 bytes per second move nothing: write at least 1024, or leave it out for no throttle",
				"spec.config: leader.replication.throttled.replicas comes and goes with each reassignment: remove it, and write spec.reassignment.throttleBytesPerSecond",
				"spec.retry.deadLetter.config: follower.replication.throttled.replicas comes and goes with each reassignment: remove it, and write spec.reassignment.throttleBytesPerSecond",
			},
		},
		"TopicAssignments": {
			reason:   "assignments say all about replicas",
			manifest: manifest("Topic", "t", "partitions: 3, replicationFactor: 1, assignments: [{replicas: [1]}, {replicas: []}]"),
			want: []string{
				"spec.replicationFactor: assignments say how many replicas there are: remove replicationFactor, or remove assignments",
				"spec.assignments: 2 entries for 3 partitions: write one entry per partition, or remove partitions",
				"spec.assignments[1].replicas: is empty: write at least one broker id",
				"spec.assignments[1].replicas: write the same number of replicas for every partition",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claim := Claim(parse(t, tc.manifest), shop)
			if diff := cmp.Diff(tc.want, problemsOf(t, claim)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if len(claim.Want) == 0 {
				t.Errorf("an invalid claim that wants nothing is never found, and so never reported")
			}
		})
	}
}

// YAML tools write 2.0 as 2; JSON that says 2.0 arrives as it is.
func TestWholeFloat(t *testing.T) {
	q := &v1alpha1.Queue{Spec: v1alpha1.QueueSpec{
		Name: "q", Type: v1alpha1.QueueTypeQuorum, Arguments: v1alpha1.Arguments{"x-max-in-memory-bytes": {Raw: []byte("2.0")}},
	}}
	want := []string{"spec.arguments[x-max-in-memory-bytes]: 2.0 is not an integer, and RabbitMQ takes nothing else here: write 2"}
	if diff := cmp.Diff(want, problemsOf(t, Claim(q, shop))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTopicNames(t *testing.T) {
	for name, invalid := range map[string]bool{
		"order-events": false, "user.events": false, "a_b": false, "_schemas": false, strings.Repeat("t", 249): false,
		"__consumer_offsets": true, ".": true, "..": true, "a b": true, "é": true, "a/b": true, strings.Repeat("t", 250): true,
	} {
		topic := &v1alpha1.Topic{Spec: v1alpha1.TopicSpec{Name: name}}
		claim := Claim(topic, ConnectionDefaults{})
		if got := claim.Invalid != nil; got != invalid {
			t.Errorf("%.20q: invalid is %v (%v), want %v", name, got, claim.Invalid, invalid)
		}
		if claim.Invalid != nil && !strings.HasPrefix(claim.Invalid.Error(), "spec.name: ") {
			t.Errorf("%q does not begin with the field", claim.Invalid)
		}
	}
}

func TestWarnings(t *testing.T) {
	const tiers = "retry: {strategy: Tiers, maxRetries: 3, backoff: {initial: 1s}}, "
	cases := map[string]struct {
		reason, version, spec string
		want                  []string
	}{
		"CyclesBefore4": {
			reason: "the cycle detection of 3.10 drops what was rejected, died otherwise and is rejected again", version: "3.10.8",
			spec: tiers + "maxLength: 10",
			want: []string{"spec.retry: RabbitMQ 3.10.8 may lose a message that is rejected, then expires, overflows or exceeds the delivery limit on its way back, and is rejected again: upgrade to 4.0 or later, write maxRetries: 2, or remove messageTTL, maxLength, maxLengthBytes and deliveryLimit"},
		},
		"NoCyclesFrom4":        {reason: "4.0 tells why a message died last", version: "4.0.5", spec: tiers + "maxLength: 10"},
		"NothingDiesOtherwise": {reason: "rejections alone are safe on 3.10 too", version: "3.10.8", spec: strings.TrimSuffix(tiers, ", ")},
		"UnknownArgument": {
			reason: "tutorials use x-max-retries; no broker does",
			spec:   "arguments: {x-max-retries: 5}",
			want:   []string{"spec.arguments[x-max-retries]: no queue type of RabbitMQ 3.10 to 4.3 knows this argument: the broker stores it and does nothing with it"},
		},
		"AlmostKnown": {
			reason: "a forgotten x- is worth a hint",
			spec:   "arguments: {message-ttl: 5}",
			want:   []string{"spec.arguments[message-ttl]: no queue type of RabbitMQ 3.10 to 4.3 knows this argument: the broker stores it and does nothing with it; if you mean spec.messageTTL, write that"},
		},
		"KnownArgument": {
			reason: "known to one version is known",
			spec:   "arguments: {x-delayed-retry-type: all, x-consumer-timeout: 5}",
		},
		"IgnoredHeaders": {
			reason: "all and any do not look at x- headers: such a binding takes everything or nothing",
			spec:   "bindings: [{source: a, headers: {values: {x-a: 1}}}, {source: b, headers: {match: any, values: {x-a: 1}}}, {source: c, headers: {values: {x-a: 1, b: 1}}}]",
			want: []string{
				"spec.bindings[0].headers.match: all ignores headers that begin with x-, so this binding takes every message: write all-with-x",
				"spec.bindings[1].headers.match: any ignores headers that begin with x-, so this binding takes no message: write any-with-x",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			connection := shop
			connection.Version = tc.version
			claim := Claim(parse(t, manifest("Queue", "q", "type: classic, "+tc.spec)), connection)
			if claim.Invalid != nil {
				t.Fatalf("%s: invalid: %v", tc.reason, claim.Invalid)
			}
			if diff := cmp.Diff(tc.want, claim.Warnings); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// A status has room for a message, and a reader has patience for a few lines.
func TestManyProblemsStayReadable(t *testing.T) {
	args := v1alpha1.Arguments{}
	for r := 'a'; r <= 'z'; r++ {
		args[strings.Repeat(string(r), 5000)] = v1alpha1.MustValue(nil)
	}
	q := &v1alpha1.Queue{Spec: v1alpha1.QueueSpec{Name: "q", Type: v1alpha1.QueueTypeClassic, Arguments: args}}
	text := Claim(q, shop).Invalid.Error()
	if !strings.HasSuffix(text, "; and 47 more") || len(text) > 2000 || !utf8.ValidString(text) {
		t.Errorf("52 problems make %d bytes: %s", len(text), text)
	}
}
