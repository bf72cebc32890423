package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// What cannot be is refused: by the API server with a sentence that tells what
// to write, by the compiler, or by the broker in its own words; and it keeps
// none of the fifty other objects from being Ready.
func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		reason string // why this cannot be
		object func() client.Object
		// refused: what the API server says. Else stalled for a reason, and
		// what the status says.
		refused string
		stalled string
		says    []string
	}{
		"ttl-string": {
			reason: "an argument that a field covers belongs in the field",
			object: func() client.Object {
				q := queue("ttl-string", "shop", v1alpha1.QueueTypeClassic)
				q.Spec.Arguments = v1alpha1.Arguments{"x-message-ttl": v1alpha1.MustValue("60000")}
				return q
			},
			stalled: v1alpha1.ReasonInvalidSpec, says: []string{"spec.arguments", "x-message-ttl", "write spec.messageTTL instead"},
		},
		"version-string": {
			reason: "the broker takes an integer here",
			object: func() client.Object {
				q := queue("version-string", "shop", v1alpha1.QueueTypeClassic)
				q.Spec.Arguments = v1alpha1.Arguments{"x-queue-version": v1alpha1.MustValue("2")}
				return q
			},
			stalled: v1alpha1.ReasonInvalidSpec, says: []string{"x-queue-version", "write 2 without quotes"},
		},
		"unknown-version": {
			reason: "only the broker knows its queue versions",
			object: func() client.Object {
				q := queue("unknown-version", "shop", v1alpha1.QueueTypeClassic)
				q.Spec.Arguments = v1alpha1.Arguments{"x-queue-version": v1alpha1.MustValue(7)}
				return q
			},
			stalled: v1alpha1.ReasonBrokerRejected, says: []string{"unknown-version: create", "x-queue-version"},
		},
		"ttl-fraction": {
			reason: "RabbitMQ counts whole milliseconds",
			object: func() client.Object {
				q := queue("ttl-fraction", "shop", v1alpha1.QueueTypeClassic)
				q.Spec.MessageTTL = &metav1.Duration{Duration: 1500 * time.Microsecond}
				return q
			},
			refused: "write whole milliseconds up to 4294967295ms (about 49 days), such as 500ms, 1.5s or 24h",
		},
		"ttl-float": {
			reason: "a TTL in a fraction of a millisecond, written as an argument",
			object: func() client.Object {
				q := queue("ttl-float", "shop", v1alpha1.QueueTypeClassic)
				q.Spec.Arguments = v1alpha1.Arguments{"x-message-ttl": v1alpha1.MustValue(0.5)}
				return q
			},
			stalled: v1alpha1.ReasonInvalidSpec, says: []string{"write spec.messageTTL instead"},
		},
		"name-300": {
			reason: "AMQP has room for 255 bytes",
			object: func() client.Object {
				q := queue("name-300", "shop", v1alpha1.QueueTypeClassic)
				q.Spec.Name = strings.Repeat("n", 300)
				return q
			},
			refused: "may not be more than 255",
		},
		"name-300-bytes": {
			reason: "150 characters of two bytes each",
			object: func() client.Object {
				e := exchange("name-300-bytes", "shop", "direct")
				e.Spec.Name = strings.Repeat("é", 150)
				return e
			},
			stalled: v1alpha1.ReasonInvalidSpec, says: []string{"spec.name", "300 bytes", "255", "write a shorter one"},
		},
		"type-unknown": {
			reason:  "no broker has this type",
			object:  func() client.Object { return exchange("type-unknown", "shop", "topical") },
			refused: "write direct, fanout, topic, headers, or the type of a plugin, which begins with x-",
		},
		"type-plugin": {
			reason:  "this broker has no such plugin",
			object:  func() client.Object { return exchange("type-plugin", "shop", "x-nonsense") },
			stalled: v1alpha1.ReasonBrokerRejected, says: []string{"type-plugin: create", "x-nonsense"},
		},
		"name-dots": {
			reason: "no path of the management API can carry it",
			object: func() client.Object {
				q := queue("name-dots", "shop", v1alpha1.QueueTypeClassic)
				q.Spec.Name = ".."
				return q
			},
			stalled: v1alpha1.ReasonUnsupportedByBroker, says: []string{`cannot address the name ".."`},
		},
	}
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		var others []client.Object
		for i := range 25 {
			q := queue(fmt.Sprintf("good-%02d", i), "shop", v1alpha1.QueueTypeClassic)
			q.Spec.Bindings = []v1alpha1.BindingSource{{Source: "good-" + fmt.Sprint(i)}}
			others = append(others, q, exchange(fmt.Sprintf("good-%d", i), "shop", "fanout"))
		}
		bad := map[string]client.Object{}
		for name, c := range cases {
			object := c.object()
			object.SetNamespace(s.namespace)
			err := s.client.Create(t.Context(), object)
			switch {
			case c.refused == "":
				must(t, err)
				bad[name] = object
			case err == nil:
				t.Errorf("%s: accepted by the API server, although %s", name, c.reason)
			default:
				says(t, err.Error(), c.refused)
			}
		}
		s.create(others...)
		s.ready(others...)
		for name, object := range bad {
			message := s.stalled(object, cases[name].stalled)
			says(t, message, cases[name].says...)
			t.Logf("%s: %s", name, message)
		}
		// Nothing of what was refused is on the books, and deleting it is quick.
		for _, entry := range s.inventory() {
			if !strings.Contains(entry, "good-") {
				t.Errorf("on the books: %s", entry)
			}
		}
		before := s.listing()
		for _, object := range bad {
			s.remove(object)
		}
		s.idle(1)
		s.same("deleting what was refused", before)
	})
}

// The same on Kafka.
func TestTopicRefusals(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	none := s.topic("none", 0, nil)
	none.SetNamespace(s.namespace)
	if err := s.client.Create(t.Context(), none); err == nil {
		t.Error("0 partitions are accepted by the API server")
	} else {
		says(t, err.Error(), "spec.partitions", "should be greater than or equal to 1")
	}
	long := s.topic("long", 1, nil)
	long.SetNamespace(s.namespace)
	long.Spec.Name = strings.Repeat("n", 300)
	if err := s.client.Create(t.Context(), long); err == nil {
		t.Error("300 characters are accepted by the API server")
	} else {
		says(t, err.Error(), "spec.name", "may not be more than 249")
	}
	replicas := int16(3)
	replicated := s.topic("replicated", 1, nil)
	replicated.Spec.ReplicationFactor = &replicas
	misspelt := s.topic("misspelt", 1, map[string]string{"retention.mss": "1"})
	wrong := s.topic("wrong", 1, map[string]string{"retention.ms": "a week"})
	s.create(replicated, misspelt, wrong)
	var others []client.Object
	for i := range 50 {
		others = append(others, s.topic(fmt.Sprintf("good-%02d", i), 1, nil))
	}
	s.create(others...)
	s.ready(others...)
	for object, parts := range map[client.Object][]string{
		replicated: {"replicated: create", "replication factor", "3", "1 broker"},
		misspelt:   {"misspelt: create", "retention.mss"},
		wrong:      {"wrong: create", "a week", "retention.ms"},
	} {
		message := s.stalled(object, v1alpha1.ReasonBrokerRejected)
		says(t, message, parts...)
		t.Logf("%s: %s", object.GetName(), message)
	}
	// Corrected, it is tried at once.
	edit(s.stage, replicated, func(t *v1alpha1.Topic) { *t.Spec.ReplicationFactor = 1 })
	edit(s.stage, wrong, func(t *v1alpha1.Topic) { t.Spec.Config["retention.ms"] = "604800000" })
	s.ready(replicated, wrong)
}

// Partitions are never taken away, and added as the topic permits.
func TestPartitions(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	shrinking, empty, full, never := s.topic("shrinking", 3, nil), s.topic("empty", 3, nil), s.topic("full", 3, nil), s.topic("never", 3, nil)
	never.Spec.PartitionGrowth = v1alpha1.PartitionGrowthNever
	s.create(shrinking, empty, full, never)
	s.ready(shrinking, empty, full, never)
	s.produce(full, 5)
	resize := func(t *v1alpha1.Topic, partitions int32) {
		edit(s.stage, t, func(t *v1alpha1.Topic) { t.Spec.Partitions = &partitions })
	}
	partitions := func(object *v1alpha1.Topic, wanted int) {
		t.Helper()
		if now := s.describe(object); !slices.Contains(now, fmt.Sprintf("%d partitions", wanted)) {
			t.Errorf("%s is to have %d partitions: %q", object.Name, wanted, now)
		}
	}
	refused := func(object *v1alpha1.Topic, parts ...string) {
		t.Helper()
		says(t, s.stalled(object, v1alpha1.ReasonPartitionGrowthRefused), parts...)
		partitions(object, 3)
	}

	before := s.describe(shrinking)
	edit(s.stage, shrinking, func(t *v1alpha1.Topic) {
		fewer := int32(2)
		t.Spec.Partitions, t.Spec.Config = &fewer, map[string]string{"retention.ms": "1000"}
	})
	refused(shrinking, "partitions: 3 on the broker, 2 declared", "Kafka cannot take partitions away: set partitions back to 3")
	time.Sleep(interval)
	if diff := cmp.Diff(before, s.describe(shrinking)); diff != "" {
		t.Errorf("half of a refused change was made:\n%s", diff)
	}
	resize(shrinking, 3)
	s.ready(shrinking)

	resize(empty, 6)
	s.ready(empty)
	partitions(empty, 6)

	resize(full, 6)
	refused(full, "more partitions move keys to other partitions and end per-key ordering", "the topic holds messages", "set partitionGrowth: Always")
	edit(s.stage, full, func(t *v1alpha1.Topic) { t.Spec.PartitionGrowth = v1alpha1.PartitionGrowthAlways })
	s.ready(full)
	partitions(full, 6)

	resize(never, 4)
	refused(never, "partitionGrowth is Never")
}
