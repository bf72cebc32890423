package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// What is taken out of a declaration is undone on the broker: exactly that, and
// what replaces it stands before it goes.
func TestUndo(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		s.declareQueue("theirs", v1alpha1.QueueTypeClassic, nil)
		orders := exchange("orders", "shop", "topic")
		work := queue("work", "shop", v1alpha1.QueueTypeQuorum)
		work.Spec.DeadLetter = &v1alpha1.DeadLetter{}
		work.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"a", "b", "c"}}}
		sink, passing := queue("sink", "shop", v1alpha1.QueueTypeClassic), queue("passing", "shop", v1alpha1.QueueTypeClassic)
		passing.Spec.DeadLetter = &v1alpha1.DeadLetter{}
		passing.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"passing"}}}
		audit := binding("audit", "shop", "orders", "sink", "audit", "more")
		s.create(orders, work, sink, passing, audit)
		s.ready(orders, work, sink, passing, audit)
		s.broker.Must(t, "POST", bindingPath(s.virtualHost, "orders", "work"), map[string]any{"routing_key": "theirs"}, nil)

		// One resource is deleted.
		before := s.listing()
		s.remove(passing)
		s.shows(slices.DeleteFunc(slices.Clone(before), func(line string) bool { return strings.Contains(line, "passing") }))

		// A key is changed in a queue's list.
		before, start := s.listing(), time.Now()
		edit(s.stage, work, func(q *v1alpha1.Queue) { q.Spec.Bindings[0].RoutingKeys = []string{"a", "changed", "c"} })
		s.ready(work)
		s.shows(replaced(before, `"orders" -> queue "work" key "b"`, `"orders" -> queue "work" key "changed"`))
		path := strings.Replace(bindingPath(s.virtualHost, "orders", "work"), "/"+s.virtualHost+"/", "/", 1)
		if diff := cmp.Diff([]string{"POST " + path + " 201", "DELETE " + path + "/b 204"}, s.writes(start)); diff != "" {
			t.Errorf("a changed key was not one binding made and then one broken (-wanted +found):\n%s", diff)
		}

		// The same in a resource of its own: another source, one key fewer.
		fanout := exchange("fanout", "shop", "fanout")
		s.create(fanout)
		s.ready(fanout)
		before, start = s.listing(), time.Now()
		edit(s.stage, audit, func(b *v1alpha1.ExchangeBinding) { b.Spec.Source, b.Spec.RoutingKeys = "fanout", []string{"audit"} })
		s.ready(audit)
		wanted := slices.DeleteFunc(slices.Clone(before), func(line string) bool { return strings.Contains(line, `key "more"`) })
		s.shows(replaced(wanted, `"orders" -> queue "sink"`, `"fanout" -> queue "sink"`))
		if writes := s.writes(start); len(writes) != 3 || !strings.HasPrefix(writes[0], "POST /api/bindings/e/fanout/q/sink") {
			t.Errorf("a changed source was not one binding made and then two broken: %q", writes)
		}

		// While the new binding cannot be made, the old one stays.
		before = s.listing()
		edit(s.stage, audit, func(b *v1alpha1.ExchangeBinding) { b.Spec.Source = "missing" })
		says(t, s.reaches(audit, "False", v1alpha1.ReasonDependencyNotReady), "exchange "+s.virtualHost+"/missing")
		s.idle(1)
		s.same("an edit that cannot be made", before)
		edit(s.stage, audit, func(b *v1alpha1.ExchangeBinding) { b.Spec.Source = "fanout" })
		s.ready(audit)
		s.same("an edit that was taken back", before)
	})
}

// A config key that is removed from a topic is unset, and no other.
func TestUndoConfig(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	orders := s.topic("orders", 2, map[string]string{"retention.ms": "604800000", "max.message.bytes": "5000"})
	passing := s.topic("passing", 1, nil)
	s.create(orders, passing)
	s.ready(orders, passing)
	s.alter(orders, map[string]string{"segment.ms": "3600000"}) // somebody else's
	var before []string
	within(t, "segment.ms to be shown", func(context.Context) (bool, string) {
		before = s.describe(orders)
		return slices.Contains(before, "segment.ms=3600000"), fmt.Sprintf("%q", before)
	})

	edit(s.stage, orders, func(t *v1alpha1.Topic) { delete(t.Spec.Config, "max.message.bytes") })
	s.ready(orders)
	wanted := slices.DeleteFunc(slices.Clone(before), func(line string) bool { return strings.HasPrefix(line, "max.message.bytes") })
	if diff := cmp.Diff(wanted, s.describe(orders)); diff != "" {
		t.Errorf("not exactly one key was unset (-wanted +found):\n%s", diff)
	}
	edit(s.stage, orders, func(t *v1alpha1.Topic) { t.Spec.Config = nil })
	s.ready(orders)
	if diff := cmp.Diff(map[string]string{"segment.ms": "3600000"}, s.configs(orders)); diff != "" {
		t.Errorf("what was declared is not all unset, or more is (-wanted +found):\n%s", diff)
	}

	s.remove(passing)
	within(t, "the topic to be gone", func(context.Context) (bool, string) {
		now := s.describe(passing)
		return now == nil, fmt.Sprintf("%q", now)
	})
	if now := s.describe(orders); now == nil {
		t.Error("the other topic went too")
	}
}

// The end of a resource does to its queue what its deletion policy says, and
// nothing that holds messages is lost unless it says Delete. What stays is
// listed, and applying the resource again takes it back.
func TestDeletionPolicies(t *testing.T) {
	type fate struct {
		kind   v1alpha1.QueueType
		policy v1alpha1.DeletionPolicy
		full   bool
		stays  bool // on the broker
		listed bool // as left behind
	}
	var fates []fate
	for _, kind := range []v1alpha1.QueueType{v1alpha1.QueueTypeClassic, v1alpha1.QueueTypeQuorum, v1alpha1.QueueTypeStream} {
		for _, full := range []bool{false, true} {
			// The broker does not tell whether a stream is empty.
			used := full || kind == v1alpha1.QueueTypeStream
			fates = append(fates,
				fate{kind, v1alpha1.Retain, full, true, false},
				fate{kind, v1alpha1.DeleteAlways, full, false, false},
				fate{kind, v1alpha1.DeleteIfUnused, full, used, used})
		}
	}
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		orders := exchange("orders", "shop", "direct")
		s.create(orders)
		declare := func(f fate) *v1alpha1.Queue {
			q := queue(strings.ToLower(fmt.Sprintf("%s-%s-%t", f.kind, f.policy, f.full)), "shop", f.kind)
			q.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{q.Name}}}
			q.Spec.DeletionPolicy = f.policy
			if f.kind != v1alpha1.QueueTypeStream {
				q.Spec.DeadLetter = &v1alpha1.DeadLetter{}
			}
			return q
		}
		var all []client.Object
		channel := amqpChannel(t, s.broker, s.virtualHost)
		for _, f := range fates {
			q := declare(f)
			s.create(q)
			all = append(all, q)
		}
		s.ready(all...)
		for i, f := range fates {
			if f.full {
				publish(t, channel, "orders", all[i].GetName(), "first", "second")
			}
		}
		s.counts("quorum-deleteifunused-true", 2) // till then it seems empty, and is unbound to find out
		before := s.listing()
		s.remove(all...)
		wanted := slices.DeleteFunc(slices.Clone(before), func(line string) bool {
			return slices.ContainsFunc(fates, func(f fate) bool { return !f.stays && strings.Contains(line, `"`+declare(f).Name) })
		})
		s.shows(wanted)
		s.idle(1)
		s.shows(wanted)

		var leftBehind []string
		within(t, "the connection to list what is left behind", func(context.Context) (bool, string) {
			s.get(s.connection)
			leftBehind = nil
			for _, entry := range s.connection.Status.LeftBehind {
				leftBehind = append(leftBehind, fmt.Sprintf("%s of %s: %s", entry.Object, entry.Owner, entry.Reason))
			}
			return s.connection.Status.PendingDeletions == 0, fmt.Sprintf("%d pending, left behind %q", s.connection.Status.PendingDeletions, leftBehind)
		})
		for _, f := range fates {
			name := declare(f).Name
			line := fmt.Sprintf("queue %s/%s of Queue %s/%s: ", s.virtualHost, name, s.namespace, name)
			i := slices.IndexFunc(leftBehind, func(entry string) bool { return strings.HasPrefix(entry, line) })
			switch {
			case f.listed != (i >= 0):
				t.Errorf("%s: left behind %t, not %t: %q", name, i >= 0, f.listed, leftBehind)
			case f.listed && f.kind != v1alpha1.QueueTypeStream && !strings.HasSuffix(leftBehind[i], ": it holds messages"):
				t.Errorf("%s: %q", name, leftBehind[i])
			}
			warning := "Warning LeftBehind RabbitMQConnection/shop: of Queue " + s.namespace + "/" + name + " stays on the broker: "
			if f.listed {
				says(t, s.arrives(1, warning)[0], "queue "+s.virtualHost+"/"+name)
			} else if found := s.eventsWith(warning); len(found) > 0 {
				t.Errorf("%q", found)
			}
			if !f.stays {
				deleted := s.eventsWith("Normal Deleted RabbitMQConnection/shop: deleted for Queue " + s.namespace + "/" + name + ":")
				says(t, strings.Join(deleted, "\n"), "queue "+s.virtualHost+"/"+name)
			}
			if f.stays && f.full && f.kind != v1alpha1.QueueTypeStream && ready(t, channel, name) != 2 {
				t.Errorf("%s held 2 messages and holds %d", name, ready(t, channel, name))
			}
		}

		// Applied again, they are taken back, those that were retained too.
		start := time.Now()
		var again []client.Object
		for _, f := range fates {
			if f.stays {
				again = append(again, declare(f))
			}
		}
		s.create(again...)
		s.ready(again...)
		within(t, "nothing to be left behind any more", func(context.Context) (bool, string) {
			s.get(s.connection)
			status := s.connection.Status
			return status.LeftBehindCount == 0 && len(status.LeftBehind) == 0, fmt.Sprintf("%v", status.LeftBehind)
		})
		if writes := s.writes(start); len(writes) > 0 {
			t.Errorf("taking back wrote %q", writes)
		}
		s.same("taking back", wanted)
		for _, f := range fates {
			if f.stays && f.full && f.kind == v1alpha1.QueueTypeStream {
				if got := firstOf(t, channel, declare(f).Name); got != "first" {
					t.Errorf("%s begins with %q", declare(f).Name, got)
				}
			}
		}
		// And are as deletable as before.
		for _, object := range again {
			edit(s.stage, object.(*v1alpha1.Queue), func(q *v1alpha1.Queue) { q.Spec.DeletionPolicy = v1alpha1.DeleteAlways })
		}
		s.ready(again...)
		s.remove(again...)
		s.shows(slices.DeleteFunc(wanted, func(line string) bool { return !strings.Contains(line, "exchange \"orders\"") }))
	})
}

// A topic that holds messages stays unless its policy is Delete.
func TestTopicDeletionPolicies(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	var all []client.Object
	stays := map[*v1alpha1.Topic]bool{}
	for _, policy := range []v1alpha1.DeletionPolicy{v1alpha1.Retain, v1alpha1.DeleteAlways, v1alpha1.DeleteIfUnused} {
		for _, full := range []bool{false, true} {
			topic := s.topic(strings.ToLower(fmt.Sprintf("%s-%t", policy, full)), 2, nil)
			topic.Spec.DeletionPolicy = policy
			s.create(topic)
			all = append(all, topic)
			stays[topic] = policy == v1alpha1.Retain || policy == v1alpha1.DeleteIfUnused && full
		}
	}
	s.ready(all...)
	for _, object := range all {
		if strings.HasSuffix(object.GetName(), "true") {
			s.produce(object.(*v1alpha1.Topic), 3)
		}
	}
	s.remove(all...)
	within(t, "the topics to have gone", func(context.Context) (bool, string) {
		for topic, stay := range stays {
			if !stay && s.describe(topic) != nil {
				return false, topic.BrokerName() + " is there"
			}
		}
		return true, ""
	})
	within(t, "one topic to be left behind", func(context.Context) (bool, string) {
		s.get(s.connection)
		status := s.connection.Status
		return status.LeftBehindCount == 1 && status.PendingDeletions == 0 && status.LeftBehind[0].Object == "topic "+s.prefix+"deleteifunused-true",
			fmt.Sprintf("%d pending, %v", status.PendingDeletions, status.LeftBehind)
	})
	s.arrives(1, corev1.EventTypeWarning+" "+v1alpha1.ReasonLeftBehind)
	time.Sleep(interval)
	for topic, stay := range stays {
		if stay && s.describe(topic) == nil {
			t.Errorf("%s is gone", topic.BrokerName())
		}
	}
}

// counts waits until the statistics of a quorum queue, which lag, have a number
// of messages.
func (s *scene) counts(queue string, messages int) {
	s.t.Helper()
	within(s.t, fmt.Sprintf("%d messages in %s", messages, queue), func(context.Context) (bool, string) {
		var all []brokerQueue
		s.broker.Must(s.t, "GET", "/api/queues/"+s.virtualHost+"?disable_stats=true&enable_queue_totals=true", nil, &all)
		for _, q := range all {
			if q.Name == queue && q.Messages == messages {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%v", all)
	})
}

// replaced is a listing in which a part of some lines reads differently.
func replaced(listing []string, old, with string) []string {
	var out []string
	for _, line := range listing {
		out = append(out, strings.Replace(line, old, with, 1))
	}
	slices.Sort(out)
	return out
}
