package importer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// names are few, and such that objects of one queue look like those of another.
var names = rapid.SampledFrom([]string{
	"a", "a.dlx", "a.dead", "a.failed", "a.retry", "a.retry.1000", "a.retry.1.1000", "a.retry.2.2000", "a.dead.dead", "b", "b.dlx", "dlx", "A", "ü/ñ", "a b", "true", "warrener.migrate.x",
})

var values = rapid.SampledFrom([]any{
	int64(0), int64(1), int64(1000), int64(1) << 60, "", "text", "on", "# no remark", true, false, 1.0, 2.5, 1e20, 1e30,
	[]any{int64(1), []any{"x", map[string]any{"y": 0.5}}}, map[string]any{"k": map[string]any{"list": []any{}}},
})

var argumentNames = []string{
	"x-message-ttl", "x-expires", "x-max-length", "x-overflow", "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-dead-letter-strategy",
	"x-delivery-limit", "x-single-active-consumer", "x-max-priority", "x-unknown", "plain", "x-match", "alternate-exchange", "x-queue-leader-locator", "x-max-age",
}

var tables = rapid.MapOfN(rapid.SampledFrom(argumentNames), values, 0, 3)

func arguments(t *rapid.T) topology.Arguments { return topology.Arguments(tables.Draw(t, "arguments")) }

var kinds = rapid.SampledFrom([]string{"classic", "quorum", "stream"})

// strange is an object as anybody may have made it.
func strange(t *rapid.T) topology.Resource {
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return &topology.Exchange{
			VirtualHost: "/", Name: names.Draw(t, "exchange"), Type: rapid.SampledFrom([]string{"direct", "fanout", "topic", "headers", "x-hash"}).Draw(t, "type"),
			Durable: rapid.Bool().Draw(t, "durable"), Internal: rapid.Bool().Draw(t, "internal"), AutoDelete: rapid.IntRange(0, 9).Draw(t, "auto") == 0, Arguments: arguments(t),
		}
	case 1:
		return &topology.BrokerPolicy{
			VirtualHost: "/", Name: rapid.SampledFrom([]string{"warrener.a", "warrener.b", "all"}).Draw(t, "policy"), Pattern: rapid.SampledFrom([]string{"^a$", "^b$", "."}).Draw(t, "pattern"),
			ApplyTo: "queues", Priority: rapid.SampledFrom([]int64{0, 1000, 2000}).Draw(t, "priority"), Definition: topology.Arguments{"max-length": int64(5)},
		}
	case 2:
		return &topology.Binding{
			VirtualHost: "/", Source: rapid.SampledFrom([]string{"a", "a.dlx", "dlx", "amq.topic", "amq.headers", "a.failed"}).Draw(t, "source"),
			Destination: names.Draw(t, "destination"), DestinationType: rapid.SampledFrom([]string{"queue", "exchange"}).Draw(t, "destination type"),
			RoutingKey: rapid.SampledFrom([]string{"", "a", "#", "on", "a, b", "null"}).Draw(t, "key"), Arguments: arguments(t),
		}
	default:
		kind := kinds.Draw(t, "type")
		return &topology.Queue{
			VirtualHost: "/", Name: names.Draw(t, "queue"), Type: kind, Durable: kind != "classic" || rapid.Bool().Draw(t, "durable"),
			Exclusive: rapid.IntRange(0, 9).Draw(t, "exclusive") == 0, AutoDelete: rapid.IntRange(0, 9).Draw(t, "auto") == 0, Arguments: arguments(t),
		}
	}
}

func some[T any](t *rapid.T, name string, generator *rapid.Generator[T]) *T {
	if !rapid.Bool().Draw(t, "has "+name) {
		return nil
	}
	value := generator.Draw(t, name)
	return &value
}

// declared is a queue that Warrener has made.
func declared(t *rapid.T) v1alpha1.Object {
	span := rapid.Map(rapid.SampledFrom([]int64{1, 1000, 1500, 2000, 4000, 60_000, 3_600_000}), func(ms int64) metav1.Duration {
		return metav1.Duration{Duration: time.Duration(ms) * time.Millisecond}
	})
	q := &v1alpha1.Queue{Spec: v1alpha1.QueueSpec{
		Name: rapid.SampledFrom([]string{"a", "b", "a.dead", "Ü 1"}).Draw(t, "name"), Type: v1alpha1.QueueType(kinds.Draw(t, "type")),
		Settings: rapid.SampledFrom([]v1alpha1.QueueSettings{"", "Policy"}).Draw(t, "settings"),
		Overflow: rapid.SampledFrom([]v1alpha1.Overflow{"", "reject-publish", "drop-head"}).Draw(t, "overflow"),
	}}
	q.Spec.MessageTTL, q.Spec.MaxLength = some(t, "ttl", span), some(t, "length", rapid.Int64Range(0, 10))
	if q.Spec.Type == v1alpha1.QueueTypeStream {
		return q
	}
	if rapid.Bool().Draw(t, "dead letters") {
		q.Spec.DeadLetter = &v1alpha1.DeadLetter{
			Exchange: some(t, "exchange", rapid.SampledFrom([]string{"dlx", "b.dlx"})), RoutingKey: some(t, "key", rapid.SampledFrom([]string{"", "a"})),
			Queue:        rapid.SampledFrom([]string{"", "dead", "a.dead"}).Draw(t, "dead queue"),
			ExchangeType: rapid.SampledFrom([]string{"", "fanout", "topic"}).Draw(t, "exchange type"),
			QueueType:    rapid.SampledFrom([]v1alpha1.DeadLetterQueueType{"", "classic"}).Draw(t, "dead type"),
			MessageTTL:   some(t, "dead ttl", span),
		}
	}
	if rapid.Bool().Draw(t, "retry") {
		r := &v1alpha1.Retry{Strategy: rapid.SampledFrom([]v1alpha1.RetryStrategy{"Tiers", "Tiers", "Published", "Native"}).Draw(t, "strategy")}
		if r.MaxRetries = some(t, "retries", rapid.Int32Range(1, 6)); r.MaxRetries != nil && rapid.Bool().Draw(t, "backoff") {
			r.Backoff = &v1alpha1.Backoff{Initial: span.Draw(t, "initial"), Max: some(t, "max", span)}
			if r.Strategy != v1alpha1.RetryNative {
				r.Backoff.Factor = some(t, "factor", rapid.SampledFrom([]intstr.IntOrString{intstr.FromInt32(1), intstr.FromInt32(3), intstr.FromString("1.5"), intstr.FromString("1.333")}))
			}
		} else {
			r.Delays = rapid.SliceOfN(span, 1, 3).Draw(t, "delays")
		}
		q.Spec.Retry = r
	}
	return q
}

// anyBroker is a broker on which Warrener's objects stand beside others, and on
// which somebody has deleted and changed some.
func anyBroker(t *rapid.T) *Source {
	version := rapid.SampledFrom([]string{"3.10.8", "4.0.5", "4.3.6", ""}).Draw(t, "version")
	var objects []v1alpha1.Object
	for range rapid.IntRange(0, 3).Draw(t, "declared") {
		objects = append(objects, declared(t))
	}
	if rapid.Bool().Draw(t, "with a retry") { // the names of those above clash so often that few are whole
		objects = append(objects, &v1alpha1.Queue{Spec: v1alpha1.QueueSpec{
			Name: "c", Type: v1alpha1.QueueTypeQuorum, Retry: &v1alpha1.Retry{Strategy: v1alpha1.RetryTiers, Delays: []metav1.Duration{{Duration: time.Second}, {Duration: time.Minute}}},
		}})
	}
	source := applied(v1alpha1.BrokerTypeRabbitMQ, version, "/", objects...)
	live := source.Live.Objects
	addVirtualHost(live, "/")
	incomplete := rapid.Bool().Draw(t, "somebody has deleted some") // a retry has so many parts that one of them is nearly always among them
	for _, id := range sortedIDs(live) {
		if incomplete && rapid.IntRange(0, 60).Draw(t, "fate") == 0 && id.Kind != topology.KindVirtualHost && !strings.HasPrefix(id.Name, "amq.") {
			delete(live, id)
		}
	}
	for range rapid.IntRange(0, 6).Draw(t, "strangers") {
		object := strange(t)
		live[object.ID()] = object
	}
	for id, object := range live { // a broker has no binding without its ends
		if b, ok := object.(*topology.Binding); ok && (live[b.SourceID()] == nil || live[b.DestinationID()] == nil) {
			delete(live, id)
		}
	}
	source.Live = snapshotOf(live)
	return source
}

// Whatever a broker has: a plan of what was imported is empty, nothing is dropped
// without a word, and what is printed reads back as it was.
func TestAnyBroker(t *testing.T) {
	folded := 0
	rapid.Check(t, func(t *rapid.T) {
		source := anyBroker(t)
		result := check(t, source)
		for _, object := range result.Objects() {
			if q, ok := object.(*v1alpha1.Queue); ok && q.Spec.Retry != nil {
				folded++
			}
		}
	})
	if folded == 0 {
		t.Error("no retry was ever folded: the generator makes nothing that matters")
	}
}

func check(t *rapid.T, source *Source) *Result {
	t.Helper()
	result := Import(source, Options{})
	if left := Remaining(result, source, Options{}); len(left) > 0 {
		t.Fatalf("a plan of what was imported is not empty:\n%s\n%s", strings.Join(left, "\n"), printed(result))
	}
	if silent := Unaccounted(result, source, Options{}); len(silent) > 0 {
		t.Fatalf("dropped without a word: %v\n%s", silent, printed(result))
	}
	seen := map[string]bool{}
	for _, object := range result.Objects() {
		key := object.KindName() + "/" + object.GetName()
		if seen[key] || !validName.MatchString(object.GetName()) || len(object.GetName()) > maxName {
			t.Fatalf("a name twice, or one that is none: %q", key)
		}
		seen[key] = true
	}
	text := printed(result)
	sameObjects(t, []*Result{result}, text)
	if again := printed(Import(source, Options{})); again != text {
		t.Fatalf("importing twice prints two things:\n%s\n%s", text, again)
	}
	return result
}

func printed(r *Result) string {
	text, err := Text([]*Result{r})
	if err != nil {
		return fmt.Sprint(err)
	}
	return text
}

var topicNames = rapid.SampledFrom([]string{
	"a", "a.dlt", "a-dlt", "a.DLT", "a.retry.5s", "a.retry.1m", "a.retry.60s", "a-retry-5000", "a.dlt.dlt", "A_B", "__internal", "a.retry", "b", "b.dlt",
})

func TestAnyTopics(t *testing.T) {
	folded := 0
	rapid.Check(t, func(t *rapid.T) {
		live := map[topology.ID]topology.Resource{}
		chosen := rapid.SliceOfNDistinct(topicNames, 0, 8, rapid.ID).Draw(t, "topics")
		if rapid.Bool().Draw(t, "with a retry") {
			chosen = append(chosen, "c", "c.dlt", "c.retry.5s")
		}
		for _, name := range chosen {
			topic := &topology.Topic{
				Name: name, Partitions: rapid.SampledFrom([]int32{3, 3, 3, 6}).Draw(t, "partitions"), ReplicationFactor: 1,
				Config: rapid.SampledFrom([]map[string]string{nil, nil, {"retention.ms": "1000"}}).Draw(t, "config"),
			}
			topic.Assignments = slices.Repeat([][]int32{{1}}, int(topic.Partitions))
			if rapid.IntRange(0, 9).Draw(t, "hidden") == 0 {
				topic.Hidden = []string{"secret.key"}
			}
			live[topic.ID()] = topic
		}
		source := &Source{Origin: "a test", Live: snapshotOf(live), Connection: Connection{Broker: v1alpha1.BrokerTypeKafka}}
		for _, object := range check(t, source).Objects() {
			if retry := object.(*v1alpha1.Topic).Spec.Retry; retry != nil && len(retry.Delays) > 0 {
				folded++
			}
		}
	})
	if folded == 0 {
		t.Error("no retry was ever folded: the generator makes nothing that matters")
	}
}
