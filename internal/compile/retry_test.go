package compile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// lines renders what a claim wants, one object a line, in order.
func lines(wants []topology.Want) []string {
	var out []string
	for _, want := range wants {
		line := want.Resource.ID().String()
		switch r := want.Resource.(type) {
		case *topology.Queue:
			line += " " + r.Type + " " + r.Arguments.Canonical()
		case *topology.Exchange:
			line += " " + r.Type + " " + r.Arguments.Canonical()
		case *topology.Topic:
			line += fmt.Sprintf(" %d×%d %v", r.Partitions, r.ReplicationFactor, r.Config)
			if r.Follows != "" {
				line += " follows " + r.Follows
			}
		case *topology.Binding:
			if r.Alone {
				line += " alone"
			}
		}
		if want.Shareable {
			line = "+ " + line
		}
		out = append(out, strings.ReplaceAll(line, " shop/", " "))
	}
	return out
}

func compiled(t testing.TB, kind, name, spec, version string) topology.Claim {
	t.Helper()
	conn := shop
	conn.Version = version
	return Claim(parse(t, manifest(kind, name, spec)), conn)
}

func TestRetryOnTheBroker(t *testing.T) {
	// keysToDead are the keys beyond n retries.
	keysToDead := func(n int) []string {
		var out []string
		for i := n + 1; i <= 21; i++ {
			out = append(out, fmt.Sprintf("+ binding q.retry -> queue q.dead key warrener.q.attempt.%d alone", i))
		}
		return out
	}
	cases := map[string]struct {
		reason, spec, version string
		want                  []string
	}{
		"TiersClassic": {
			reason: "the rejections go through the tiers, all else to the dead queue; 3.10 knows only why a message died first",
			spec:   "type: classic, retry: {strategy: Tiers, delays: [200ms, 1s]}", version: "3.10.8",
			want: slices.Concat([]string{
				`queue q classic {"x-dead-letter-exchange":"q.failed"}`,
				`+ queue q.dead classic {}`,
				`+ exchange q.giveup fanout {}`,
				`+ binding q.giveup -> queue q.dead key ""`,
				`+ exchange q.redeliver fanout {}`,
				`+ queue q.retry.1.200 classic {"x-dead-letter-exchange":"q.redeliver","x-dead-letter-routing-key":"warrener.q.attempt.2","x-message-ttl":200}`,
				`+ queue q.retry.2.1000 classic {"x-dead-letter-exchange":"q.redeliver","x-dead-letter-routing-key":"warrener.q.attempt.3","x-message-ttl":1000}`,
				`+ exchange q.retry.first fanout {"alternate-exchange":"q.redeliver"}`,
				`+ exchange q.retry direct {"alternate-exchange":"q.retry.first"}`,
				`+ binding q.retry.first -> queue q.retry.1.200 key "" alone`,
				`+ binding q.retry -> queue q.retry.2.1000 key warrener.q.attempt.2 alone`,
			}, keysToDead(2), []string{
				`+ exchange q.failed headers {"alternate-exchange":"q.giveup"}`,
				`+ binding q.failed -> exchange q.retry key "" {"x-first-death-reason":"rejected","x-match":"all-with-x"}`,
				`+ binding q.redeliver -> queue q key ""`,
			}),
		},
		"TiersQuorum": {
			reason: "at-least-once on the queue and the tiers, with the overflow that it needs; the dead queue as deadLetter says",
			spec:   "type: quorum, deliveryLimit: 3, deadLetter: {queue: grave, queueType: classic, messageTTL: 1h, maxLength: 9}, retry: {strategy: Tiers, maxRetries: 1, backoff: {initial: 5s}}", version: "4.0.5",
			want: slices.Concat([]string{
				`queue q quorum {"x-dead-letter-exchange":"q.failed","x-dead-letter-strategy":"at-least-once","x-delivery-limit":3,"x-overflow":"reject-publish"}`,
				`+ queue grave classic {"x-max-length":9,"x-message-ttl":3600000}`,
				`+ exchange q.giveup fanout {}`,
				`+ binding q.giveup -> queue grave key ""`,
				`+ exchange q.redeliver fanout {}`,
				`+ queue q.retry.1.5000 quorum {"x-dead-letter-exchange":"q.redeliver","x-dead-letter-routing-key":"warrener.q.attempt.2","x-dead-letter-strategy":"at-least-once","x-message-ttl":5000,"x-overflow":"reject-publish"}`,
				`+ exchange q.retry.first fanout {"alternate-exchange":"q.redeliver"}`,
				`+ exchange q.retry direct {"alternate-exchange":"q.retry.first"}`,
				`+ binding q.retry.first -> queue q.retry.1.5000 key "" alone`,
			}, func() []string {
				keys := keysToDead(1)
				for i := range keys {
					keys[i] = strings.Replace(keys[i], "q.dead", "grave", 1)
				}
				return keys
			}(), []string{
				`+ exchange q.failed headers {"alternate-exchange":"q.giveup"}`,
				`+ binding q.failed -> exchange q.retry key "" {"x-last-death-reason":"rejected","x-match":"all-with-x"}`,
				`+ binding q.redeliver -> queue q key ""`,
			}),
		},
		"Published": {
			reason: "a queue for each delay, once, as client programs declare it; nothing on the queue itself",
			spec:   "type: classic, retry: {strategy: Published, maxRetries: 4, delays: [1s, 5s, 1s]}",
			want: []string{
				`queue q classic {}`,
				`+ queue q.dead classic {}`,
				`+ queue q.retry.1000 classic {"x-dead-letter-exchange":"","x-dead-letter-routing-key":"q","x-message-ttl":1000}`,
				`+ queue q.retry.5000 classic {"x-dead-letter-exchange":"","x-dead-letter-routing-key":"q","x-message-ttl":5000}`,
			},
		},
		"PublishedQuorum": {
			reason: "what waits in a quorum queue survives a restart",
			spec:   "type: quorum, deadLetter: {}, retry: {strategy: Published, delays: [1s]}",
			want: []string{
				`queue q quorum {"x-dead-letter-exchange":"q.dlx","x-dead-letter-routing-key":"q"}`,
				`+ exchange q.dlx direct {}`,
				`+ queue q.dead quorum {}`,
				`+ binding q.dlx -> queue q.dead key q`,
				`+ queue q.retry.1000 quorum {"x-dead-letter-exchange":"","x-dead-letter-routing-key":"q","x-dead-letter-strategy":"at-least-once","x-message-ttl":1000,"x-overflow":"reject-publish"}`,
			},
		},
		"ClientDeclared": {
			reason: "what clients declare themselves is not touched",
			spec:   "type: classic, deadLetter: {create: false, exchange: x}, retry: {strategy: Published, delays: [1s, 5s], delayQueues: ClientDeclared}",
			want:   []string{`queue q classic {"x-dead-letter-exchange":"x"}`, `+ queue q.dead classic {}`},
		},
		"Native": {
			reason: "maxRetries is the delivery limit, and dead letters have a place without being asked for",
			spec:   "type: quorum, retry: {strategy: Native, maxRetries: 3, backoff: {initial: 200ms, max: 800ms}}", version: "4.3.6",
			want: []string{
				`queue q quorum {"x-dead-letter-exchange":"q.dlx","x-dead-letter-routing-key":"q","x-delayed-retry-max":600,"x-delayed-retry-min":200,"x-delayed-retry-type":"all","x-delivery-limit":3}`,
				`+ exchange q.dlx direct {}`, `+ queue q.dead quorum {}`, `+ binding q.dlx -> queue q.dead key q`,
			},
		},
		"NativeCapped": {
			reason: "the broker caps the delay",
			spec:   `type: quorum, deadLetter: {create: false, exchange: "", routingKey: dead}, retry: {strategy: Native, maxRetries: 10, backoff: {initial: 1s, max: 5s}}`,
			want: []string{
				`queue q quorum {"x-dead-letter-exchange":"","x-dead-letter-routing-key":"dead","x-delayed-retry-max":5000,"x-delayed-retry-min":1000,"x-delayed-retry-type":"all","x-delivery-limit":10}`,
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claim := compiled(t, "Queue", "q", tc.spec, tc.version)
			if claim.Invalid != nil {
				t.Fatalf("%s: invalid: %v", tc.reason, claim.Invalid)
			}
			if diff := cmp.Diff(tc.want, lines(claim.Want)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			checkClaim(t, claim)
		})
	}
}

// A message that arrives while the objects are being created must find all that
// it can be sent to: whatever leads somewhere stands after it.
func TestRetryStandsBeforeItsQueue(t *testing.T) {
	claim := compiled(t, "Queue", "q", "type: quorum, retry: {strategy: Tiers, delays: [1s, 2s, 3s]}", "")
	queue := claim.Want[0].Resource.(*topology.Queue)
	needed := map[topology.ID]bool{}
	for _, id := range queue.After {
		needed[id] = true
	}
	for _, want := range claim.Want[1:] {
		id := want.Resource.ID()
		binding, isBinding := want.Resource.(*topology.Binding)
		leadsBack := isBinding && binding.DestinationID() == queue.ID()
		if needed[id] == leadsBack {
			t.Errorf("%s: stands before the queue is %v; only what leads back to the queue can come after it", id, needed[id])
		}
	}
}

// A tier that is timed anew is another queue, and everything else stays: the
// queue itself above all, which cannot be changed.
func TestRetimedTier(t *testing.T) {
	before := lines(compiled(t, "Queue", "q", "type: classic, retry: {strategy: Tiers, delays: [1s, 2s, 3s]}", "").Want)
	after := lines(compiled(t, "Queue", "q", "type: classic, retry: {strategy: Tiers, delays: [1s, 5s]}", "").Want)
	only := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
	}
	tier := func(n, ms int) string {
		return fmt.Sprintf(`+ queue q.retry.%d.%d classic {"x-dead-letter-exchange":"q.redeliver","x-dead-letter-routing-key":"warrener.q.attempt.%d","x-message-ttl":%d}`, n, ms, n+1, ms)
	}
	bound := func(n int, queue string) string {
		return fmt.Sprintf("+ binding q.retry -> queue %s key warrener.q.attempt.%d alone", queue, n)
	}
	if diff := cmp.Diff([]string{tier(2, 2000), tier(3, 3000), bound(2, "q.retry.2.2000"), bound(3, "q.retry.3.3000")}, only(before, after)); diff != "" {
		t.Errorf("what goes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{tier(2, 5000), bound(2, "q.retry.2.5000"), bound(3, "q.dead")}, only(after, before)); diff != "" {
		t.Errorf("what comes (-want +got):\n%s", diff)
	}
}

func TestRetryDelays(t *testing.T) {
	cases := map[string]struct {
		reason, retry string
		want          string
	}{
		"Doubles":     {"the factor is 2 unless written", "maxRetries: 5, backoff: {initial: 1s, max: 10s}", "1s 2s 4s 8s 10s"},
		"Constant":    {"a factor of 1 is a constant delay", "maxRetries: 3, backoff: {initial: 1s, factor: 1}", "1s 1s 1s"},
		"Fraction":    {"each delay is rounded, and none is computed from a rounded one", `maxRetries: 5, backoff: {initial: 5ms, factor: "1.5"}`, "5ms 8ms 11ms 17ms 25ms"},
		"LongTail":    {"twenty at most, up to the cap", "maxRetries: 20, backoff: {initial: 1h, factor: 100, max: 24h}", "1h0m0s" + strings.Repeat(" 24h0m0s", 19)},
		"Listed":      {"as they are written, in any order", "delays: [10s, 1s]", "10s 1s"},
		"LastRepeats": {"a higher maxRetries repeats the last", "maxRetries: 4, delays: [1s, 1m]", "1s 1m0s 1m0s 1m0s"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			q := parse(t, manifest("Queue", "q", "type: classic, retry: {strategy: Tiers, "+tc.retry+"}")).(*v1alpha1.Queue)
			retry, problems := retryOf(q)
			if len(problems) > 0 {
				t.Fatalf("%s: %v", tc.reason, problems)
			}
			var got []string
			for _, step := range retry.Steps {
				got = append(got, step.Delay.String())
			}
			if diff := cmp.Diff(tc.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if retry.MaxRetries != len(retry.Steps) {
				t.Errorf("%d retries and %d steps", retry.MaxRetries, len(retry.Steps))
			}
		})
	}
}

func TestRetryOf(t *testing.T) {
	cases := map[string]struct {
		reason, spec string
		want         *Retry
	}{
		"None": {reason: "no retry, no description", spec: "type: classic"},
		"Tiers": {
			reason: "all names, and the key of the next attempt",
			spec:   "type: classic, retry: {strategy: Tiers, delays: [1s, 2s]}",
			want: &Retry{
				Strategy: "Tiers", Queue: "q", MaxRetries: 2, DeadQueue: "q.dead",
				Steps:       []RetryStep{{1, time.Second, "q.retry.1.1000", "warrener.q.attempt.2"}, {2, 2 * time.Second, "q.retry.2.2000", "warrener.q.attempt.3"}},
				DelayQueues: []DelayQueue{{"q.retry.1.1000", time.Second}, {"q.retry.2.2000", 2 * time.Second}},
				Exchanges:   &TierExchanges{Failed: "q.failed", GiveUp: "q.giveup", Retry: "q.retry", First: "q.retry.first", Redeliver: "q.redeliver"},
				Trigger:     Action{"reject-no-requeue", "reject the message: basic.reject or basic.nack with requeue=false"},
				GiveUp:      Action{"reject-no-requeue", "the same: the broker moves the message to q.dead"},
			},
		},
		"ClientDeclared": {
			reason: "the names are known, whoever declares the queues",
			spec:   "type: classic, deadLetter: {queue: d}, retry: {strategy: Published, delays: [1s, 1s], delayQueues: ClientDeclared}",
			want: &Retry{
				Strategy: "Published", Queue: "q", MaxRetries: 2, DeadQueue: "d", ClientDeclared: true,
				Steps:       []RetryStep{{1, time.Second, "q.retry.1000", "q"}, {2, time.Second, "q.retry.1000", "q"}},
				DelayQueues: []DelayQueue{{"q.retry.1000", time.Second}},
				Trigger:     Action{"publish-to-delay-queue", "publish a copy to the delay queue of this retry, through the default exchange; acknowledge the message when the broker has confirmed the copy"},
				GiveUp:      Action{"publish-to-dead-letter-queue", "publish a copy to d, through the default exchange; acknowledge the message when the broker has confirmed the copy"},
			},
		},
		"Native": {
			reason: "the delay grows by itself, and the dead letters go where somebody else says",
			spec:   "type: quorum, deadLetter: {create: false, exchange: x}, retry: {strategy: Native, maxRetries: 3, backoff: {initial: 200ms, max: 500ms}}",
			want: &Retry{
				Strategy: "Native", Queue: "q", MaxRetries: 3,
				Steps:   []RetryStep{{Retry: 1, Delay: 200 * time.Millisecond}, {Retry: 2, Delay: 400 * time.Millisecond}, {Retry: 3, Delay: 500 * time.Millisecond}},
				Trigger: Action{"reject-requeue", "basic.reject with requeue=true; never basic.nack, which the broker does not count"},
				GiveUp:  Action{"reject-requeue", "the same: the broker dead-letters the message"},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			q := parse(t, manifest("Queue", "q", tc.spec)).(*v1alpha1.Queue)
			if diff := cmp.Diff(tc.want, RetryOf(q)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestInvalidRetry(t *testing.T) {
	const tiers = "retry: {strategy: Tiers, delays: [1s]}"
	cases := map[string]struct {
		reason, spec string
		want         []string
	}{
		"Stream":            {"a stream has no retries, and that is all there is to say", "type: stream, " + tiers, []string{"spec.retry: a stream keeps"}},
		"NativeOnClassic":   {"the broker has it for quorum queues", "type: classic, retry: {strategy: Native, maxRetries: 1, backoff: {initial: 1s}}", []string{"spec.retry.strategy: Native is for quorum queues"}},
		"Strategy":          {"a closed list", "type: classic, retry: {strategy: Tired, delays: [1s], delayQueues: Mine}", []string{`spec.retry.strategy: "Tired"`, `spec.retry.delayQueues: "Mine"`, "spec.retry.delayQueues: is for strategy: Published"}},
		"QueueThatVanishes": {"what waits has nowhere to return to", "type: classic, durable: false, autoDelete: true, expires: 1h, " + tiers, []string{"spec.durable: what waits", "spec.autoDelete: what waits", "spec.expires: what waits"}},
		"ClassicFull":       {"a classic queue loses what returns to it", "type: classic, maxLength: 5, overflow: reject-publish, " + tiers, []string{"spec.overflow: a full classic queue with reject-publish"}},
		"ClassicFullPublished": {
			"under Published too", "type: classic, maxLength: 5, overflow: reject-publish, retry: {strategy: Published, delays: [1s]}",
			[]string{"spec.overflow: a full classic queue with reject-publish"},
		},
		"QuorumDropHead": {"RabbitMQ would be at-most-once", "type: quorum, overflow: drop-head, " + tiers, []string{"spec.overflow: under retry.strategy: Tiers a quorum queue"}},
		"AtMostOnce":     {"so would this", "type: quorum, deadLetter: {strategy: at-most-once}, " + tiers, []string{"spec.deadLetter.strategy: at-most-once loses"}},
		"OwnRoute": {
			"Tiers has its own", "type: classic, deadLetter: {create: false, exchange: x, exchangeType: fanout, routingKey: k}, " + tiers,
			[]string{"spec.deadLetter.create: under", "spec.deadLetter.exchange: under", "spec.deadLetter.exchangeType: under", "spec.deadLetter.routingKey: under"},
		},
		"NativeExtras": {
			"there is no room for more", "type: quorum, deliveryLimit: 2, arguments: {x-delayed-retry-min: 5}, retry: {strategy: Native, maxRetries: 3, backoff: {initial: 1s, factor: 3}}",
			[]string{"spec.deliveryLimit: under retry.strategy: Native", "spec.retry.backoff.factor: strategy: Native has no factor", "spec.arguments[x-delayed-retry-min]: is set already by spec.retry"},
		},
		"NativeDelays":     {"nor for a list", "type: quorum, retry: {strategy: Native, delays: [1s]}", []string{"spec.retry.delays: strategy: Native has no list of delays"}},
		"BothDelays":       {"one or the other", "type: classic, retry: {strategy: Tiers, delays: [1s], maxRetries: 1, backoff: {initial: 1s}}", []string{"spec.retry: write either backoff"}},
		"NoDelays":         {"but one", "type: classic, retry: {strategy: Tiers, maxRetries: 3}", []string{"spec.retry: write either backoff"}},
		"Endless":          {"a backoff ends", "type: classic, retry: {strategy: Tiers, backoff: {initial: 1s}}", []string{"spec.retry.maxRetries: backoff goes on for ever"}},
		"TooMany":          {"twenty at most", "type: classic, retry: {strategy: Tiers, maxRetries: 21, backoff: {initial: 1s}}", []string{"spec.retry.maxRetries: 21 is not from 1 to 20"}},
		"TooManyDelays":    {"twenty at most", "type: classic, retry: {strategy: Tiers, delays: [1s" + strings.Repeat(", 1s", 20) + "]}", []string{"spec.retry.delays: 21 entries"}},
		"UnusedDelays":     {"a delay that is never used is a mistake", "type: classic, retry: {strategy: Tiers, maxRetries: 1, delays: [1s, 2s]}", []string{"spec.retry.delays: 2 entries for 1 retries"}},
		"Spans":            {"RabbitMQ counts whole milliseconds", "type: classic, retry: {strategy: Tiers, delays: [0s, 1.5ms]}", []string{"spec.retry.delays[0]: 0s is too short", "spec.retry.delays[1]: 1.5ms is not a whole number"}},
		"Initial":          {"in a backoff too", "type: classic, retry: {strategy: Tiers, maxRetries: 1, backoff: {initial: 0s}}", []string{"spec.retry.backoff.initial: 0s is too short"}},
		"MaxBelowInitial":  {"the first delay would not fit", "type: classic, retry: {strategy: Tiers, maxRetries: 1, backoff: {initial: 2s, max: 1s}}", []string{"spec.retry.backoff.max: 1s is shorter than initial"}},
		"BeyondSevenWeeks": {"the last of them cannot be", "type: classic, retry: {strategy: Tiers, maxRetries: 20, backoff: {initial: 1h, factor: 10}}", []string{"spec.retry.backoff: the delay before retry 5 is longer than RabbitMQ can wait, about 49 days: write max"}},
		"Factor":           {"a factor is a number", `type: classic, retry: {strategy: Tiers, maxRetries: 2, backoff: {initial: 1s, factor: "1.2345"}}`, []string{`spec.retry.backoff.factor: "1.2345" is no factor`}},
		"FactorBelowOne":   {"delays do not shrink", "type: classic, retry: {strategy: Tiers, maxRetries: 2, backoff: {initial: 1s, factor: 0}}", []string{`spec.retry.backoff.factor: "0" is no factor`}},
		"DeadQueueTaken":   {"a dead letter would come back", "type: classic, deadLetter: {queue: q.retry.1000}, retry: {strategy: Published, delays: [1s]}", []string{`spec.deadLetter.queue: "q.retry.1000" is a queue in which messages wait`}},
		"LongName": {
			"the derived names need room", "type: classic, name: " + strings.Repeat("n", 240) + ", retry: {strategy: Tiers, maxRetries: 20, backoff: {initial: 10h, factor: 1}}",
			[]string{"spec.retry: names that end in …nnnnn.attempt.21 become 260 bytes long, and AMQP has room for 255: write a spec.name of at most 235 bytes"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claim := compiled(t, "Queue", "q", tc.spec, "")
			got := problemsOf(t, claim)
			if len(got) != len(tc.want) {
				t.Fatalf("%s: want %d problems, got %q", tc.reason, len(tc.want), got)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tc.want[i]) {
					t.Errorf("%s: want %q, got %q", tc.reason, tc.want[i], got[i])
				}
			}
			if len(claim.Want) == 0 {
				t.Error("an invalid claim that wants nothing is never found, and so never reported")
			}
		})
	}
}

func TestUnsupportedRetry(t *testing.T) {
	const spec = "type: quorum, retry: {strategy: Native, maxRetries: 3, backoff: {initial: 1s}}"
	for version, unsupported := range map[string]bool{
		"3.10.8": true, "4.0.5": true, "4.2.9": true, "4.3.0": false, "4.3.0-rc.1": false, "4.10.1": false, "5.0.0": false, "": false, "unknown": false,
	} {
		claim := compiled(t, "Queue", "q", spec, version)
		if got := claim.Invalid != nil; got != unsupported {
			t.Errorf("%q: invalid is %v, want %v", version, claim.Invalid, unsupported)
		}
		want := "spec.retry.strategy: Native needs RabbitMQ 4.3 or later, and the broker is " + version + ": upgrade the broker, or write strategy: Tiers"
		if claim.Invalid != nil && (claim.Invalid.Error() != want || topology.ClassOf(claim.Invalid) != topology.ClassUnsupported) {
			t.Errorf("%q: %v", version, claim.Invalid)
		}
	}
	var invalid *InvalidSpec
	if claim := compiled(t, "Queue", "q", "deliveryLimit: 3, "+spec, "3.10.8"); !errors.As(claim.Invalid, &invalid) {
		t.Errorf("what is wrong on every broker is said first, got %v", claim.Invalid)
	}
}

// Names and keys fit at the longest name that is accepted, for the longest delay.
func TestDerivedNamesFit(t *testing.T) {
	for n := 230; n <= 255; n++ {
		claim := compiled(t, "Queue", "q", "type: classic, name: "+strings.Repeat("n", n)+", retry: {strategy: Tiers, maxRetries: 20, backoff: {initial: 4294967295ms, factor: 1}}", "")
		for _, want := range claim.Want {
			name := want.Resource.ID().Name
			if binding, ok := want.Resource.(*topology.Binding); ok {
				name = binding.RoutingKey
			}
			if queue, ok := want.Resource.(*topology.Queue); ok {
				key, _ := queue.Arguments[argDeadLetterRoutingKey].(string)
				name = max(name, key)
			}
			if len(name) > maxShortString && claim.Invalid == nil {
				t.Errorf("a name of %d bytes is accepted, and leads to %d bytes: %s", n, len(name), name[n-5:])
			}
		}
		if (claim.Invalid != nil) != (n > 235) {
			t.Errorf("%d bytes: %v", n, claim.Invalid)
		}
	}
}

func TestTopicRetry(t *testing.T) {
	const serves = "partitions: 6, replicationFactor: 3, "
	cases := map[string]struct {
		reason, spec string
		want         []string
	}{
		"DeadLettersOnly": {
			reason: "{} is a topic for dead letters",
			spec:   "partitions: 6, config: {retention.ms: '5'}, retry: {}",
			want:   []string{"topic t 6×0 map[retention.ms:5]", "+ topic t.dlt 6×0 map[] follows t"},
		},
		"Delays": {
			reason: "a topic for each delay, with configs of their own; the units that count",
			spec:   serves + "retry: {delays: [5s, 90s, 500ms, 1h], topics: {config: {retention.ms: '7'}}, deadLetter: {config: {retention.ms: '-1'}}}",
			want: []string{
				"topic t 6×3 map[]", "+ topic t.retry.5s 6×3 map[retention.ms:7] follows t", "+ topic t.retry.1m30s 6×3 map[retention.ms:7] follows t",
				"+ topic t.retry.500ms 6×3 map[retention.ms:7] follows t", "+ topic t.retry.1h 6×3 map[retention.ms:7] follows t", "+ topic t.dlt 6×3 map[retention.ms:-1] follows t",
			},
		},
		"SpringByIndex": {
			reason: "the names of a client framework",
			spec:   serves + `retry: {delays: [1s, 1s], topics: {name: "{topic}-retry-{index}"}, deadLetter: {name: "{topic}-dlt"}}`,
			want:   []string{"topic t 6×3 map[]", "+ topic t-retry-0 6×3 map[] follows t", "+ topic t-retry-1 6×3 map[] follows t", "+ topic t-dlt 6×3 map[] follows t"},
		},
		"SpringByDelay": {
			reason: "the same delay twice is one topic",
			spec:   serves + `retry: {delays: [1s, 2s, 2s], topics: {name: "{topic}-retry-{delayMs}"}}`,
			want:   []string{"topic t 6×3 map[]", "+ topic t-retry-1000 6×3 map[] follows t", "+ topic t-retry-2000 6×3 map[] follows t", "+ topic t.dlt 6×3 map[] follows t"},
		},
		"Assignments": {
			reason: "the brokers are the topic's own business, their number is not",
			spec:   "assignments: [{replicas: [1, 2]}, {replicas: [2, 1]}], retry: {}",
			want:   []string{"topic t 2×0 map[]", "+ topic t.dlt 2×2 map[] follows t"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claim := compiled(t, "Topic", "t", tc.spec, "")
			if claim.Invalid != nil {
				t.Fatalf("%s: invalid: %v", tc.reason, claim.Invalid)
			}
			if diff := cmp.Diff(tc.want, lines(claim.Want)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestInvalidTopicRetry(t *testing.T) {
	cases := map[string]struct {
		reason, spec string
		want         []string
	}{
		"Partitions":    {"as many as the topic has, which nobody says", "retry: {}", []string{"spec.retry: the topics that retry creates have as many partitions as this one: write spec.partitions"}},
		"SameName":      {"two delays need two topics", `partitions: 1, retry: {delays: [1s, 2s], topics: {name: "{topic}-retry"}}`, []string{`spec.retry.topics.name: delays of 1s and 2s both lead to "t-retry": tell them apart with {delay}, {delayMs} or {index}`}},
		"ItsOwnName":    {"a message would be where it was", `partitions: 1, retry: {delays: [1s], topics: {name: "{topic}"}}`, []string{`spec.retry.topics.name: "t" is this topic itself: name others, with {delay}, {delayMs} or {index}`}},
		"DeadTaken":     {"dead letters are not tried again", `partitions: 1, retry: {delays: [1s], deadLetter: {name: "{topic}.retry.1s"}}`, []string{`spec.retry.deadLetter.name: "t.retry.1s" is taken by this topic, or by a retry: name another topic`}},
		"Unknown":       {"braces are no letters", `partitions: 1, retry: {deadLetter: {name: "{topik}.dlt"}}`, []string{`spec.retry.deadLetter.name: "{topik}.dlt" has a character that Kafka does not take: use letters, digits, '.', '_' and '-'`}},
		"TooLong":       {"Kafka has room for 249", `partitions: 1, name: ` + strings.Repeat("t", 246) + `, retry: {}`, []string{`spec.retry.deadLetter.name: "` + strings.Repeat("t", 64) + `…" is 250 characters long and Kafka has room for 249: write a shorter name in spec.name`}},
		"Spans":         {"no half milliseconds", "partitions: 1, retry: {delays: [1.5ms, 0s]}", []string{"spec.retry.delays[0]: 1.5ms is not a whole number of milliseconds, from 1ms up: write one", "spec.retry.delays[1]: 0s is not a whole number of milliseconds, from 1ms up: write one"}},
		"EmptyKeys":     {"in all three places", `partitions: 1, config: {"": a}, retry: {topics: {config: {"": a}}, deadLetter: {config: {"": a}}}`, []string{"spec.config: has an empty key: write the name of a topic config, such as retention.ms", "spec.retry.topics.config: has an empty key: write the name of a topic config, such as retention.ms", "spec.retry.deadLetter.config: has an empty key: write the name of a topic config, such as retention.ms"}},
		"TooManyDelays": {"twenty at most", "partitions: 1, retry: {delays: [1s" + strings.Repeat(", 1s", 20) + "]}", []string{"spec.retry.delays: 21 entries, and at most 20 retries are possible"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, problemsOf(t, compiled(t, "Topic", "t", tc.spec, ""))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
