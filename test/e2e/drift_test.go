package e2e

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

const corrected = corev1.EventTypeNormal + " " + v1alpha1.ReasonDriftCorrected

// Somebody deletes an exchange, and with it all that is bound to it: after one
// interval everything is back, and one event tells of it.
func TestExchangeDeleted(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		orders, audit := exchange("orders", "shop", "topic"), exchange("audit", "shop", "fanout")
		audit.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"#"}}}
		s.create(orders, audit)
		all := []client.Object{orders, audit}
		for _, name := range []string{"a", "b", "c"} {
			q := queue(name, "shop", v1alpha1.QueueTypeClassic)
			q.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{name, name + ".*"}}, {Source: "audit"}}
			extra := binding("extra-"+name, "shop", "orders", name, "extra.#")
			s.create(q, extra)
			all = append(all, q, extra)
		}
		s.ready(all...)
		before := s.listing()

		s.broker.Must(t, "DELETE", exchangePath(s.virtualHost, "orders"), nil, nil)
		s.shows(before)
		s.idle(2)
		events := s.arrives(1, corrected)
		wanted := corrected + " Exchange/orders: changed by somebody else and put right: exchange " + s.virtualHost + "/orders"
		if events[0] != wanted {
			t.Errorf("the event is %q, not %q", events[0], wanted)
		}
		if warnings := s.eventsWith(corev1.EventTypeWarning); len(warnings) > 0 {
			t.Errorf("Warnings: %q", warnings)
		}
		s.ready(all...)
	})
}

// What is changed by hand is put right after one interval: bindings and queues
// that were deleted, and a binding in the place of another. What nobody
// declared stays.
func TestDriftCorrected(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		orders := exchange("orders", "shop", "topic")
		work := queue("work", "shop", v1alpha1.QueueTypeQuorum)
		work.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"a", "b"}}}
		work.Spec.DeadLetter = &v1alpha1.DeadLetter{}
		sink := queue("sink", "shop", v1alpha1.QueueTypeClassic)
		s.create(orders, work, sink)
		s.ready(orders, work, sink)
		before := s.listing()

		remove := func(path string) { s.broker.Must(t, "DELETE", path, nil, nil) }
		remove(bindingPath(s.virtualHost, "orders", "work") + "/a")
		s.shows(before)
		says(t, s.arrives(1, corrected)[0], "Queue/work", "orders -> queue work key a")

		remove(queuePath(s.virtualHost, "sink"))
		s.shows(before)
		remove(queuePath(s.virtualHost, "work"))
		remove(exchangePath(s.virtualHost, "work.dlx"))
		s.shows(before)
		s.arrives(1, corrected+" Queue/sink")
		within(t, "the second correction of work", func(context.Context) (bool, string) {
			found := s.eventsWith(corrected + " Queue/work")
			series := len(found) == 1 && strings.HasSuffix(found[0], " x2") // unless the status changed in between
			return series || len(found) == 2, fmt.Sprintf("%q", found)
		})

		// Nobody's business: what is bound besides.
		s.declareQueue("theirs", v1alpha1.QueueTypeClassic, nil)
		s.broker.Must(t, "POST", bindingPath(s.virtualHost, "orders", "work"), map[string]any{"routing_key": "theirs"}, nil)
		with := s.listing()
		s.idle(2)
		s.same("somebody else's objects", with)

		// A queue in the place of another: it may hold messages, so it is not
		// replaced, and the user is told.
		remove(queuePath(s.virtualHost, "sink"))
		s.declareQueue("sink", v1alpha1.QueueTypeClassic, map[string]any{"x-max-length": 5})
		replaced := s.listing()
		says(t, s.stalled(sink, v1alpha1.ReasonImmutableFieldChanged), "x-max-length: 5 on the broker, (unset) declared")
		s.same("a queue that cannot be put right", replaced)
		s.ready(orders, work)
	})
}

// Under driftPolicy: Report a change by hand is shown, field by field, and left
// alone; the object stays Ready.
func TestDriftReported(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		orders := exchange("orders", "shop", "topic")
		gone, replaced, unbound := queue("gone", "shop", v1alpha1.QueueTypeClassic), queue("replaced", "shop", v1alpha1.QueueTypeClassic), queue("unbound", "shop", v1alpha1.QueueTypeQuorum)
		unbound.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"a", "b"}}}
		replaced.Spec.MessageTTL = &metav1.Duration{Duration: time.Minute}
		host := &v1alpha1.VirtualHost{
			ObjectMeta: metav1.ObjectMeta{Name: "shop"},
			Spec:       v1alpha1.VirtualHostSpec{ConnectionRef: ref("shop"), Name: s.virtualHost, Description: "declared"},
		}
		host.Spec.AdoptionPolicy = v1alpha1.AdoptAlways
		for _, policies := range []*v1alpha1.Policies{&gone.Spec.Policies, &replaced.Spec.Policies, &unbound.Spec.Policies, &host.Spec.Policies} {
			policies.DriftPolicy = v1alpha1.DriftReport
		}
		s.create(host, orders, gone, replaced, unbound)
		s.ready(host, orders, gone, replaced, unbound)
		wanted := s.listing()

		s.broker.Must(t, "DELETE", queuePath(s.virtualHost, "gone"), nil, nil)
		s.broker.Must(t, "DELETE", queuePath(s.virtualHost, "replaced"), nil, nil)
		s.declareQueue("replaced", v1alpha1.QueueTypeClassic, map[string]any{"x-message-ttl": 1000})
		s.broker.Must(t, "DELETE", bindingPath(s.virtualHost, "orders", "unbound")+"/a", nil, nil)
		s.broker.Must(t, "PUT", "/api/vhosts/"+url.PathEscape(s.virtualHost), map[string]any{"description": "by hand"}, nil)
		changed, start := s.listing(), time.Now()

		says(t, s.drifted(gone), "queue "+s.virtualHost+"/gone was changed by somebody else", "existence: missing on the broker, present declared")
		says(t, s.drifted(replaced), "x-message-ttl: 1000 on the broker, 60000 declared")
		says(t, s.drifted(unbound), "orders -> queue unbound key a", "existence: missing on the broker")
		says(t, s.drifted(host), `description: "by hand" on the broker, "declared" declared`)
		s.ready(host, orders, gone, replaced, unbound)
		within(t, "the metric to count the four", func(context.Context) (bool, string) {
			n, _ := metric(t, s.controller, "warrener_drift_reported", fmt.Sprintf(`connection="RabbitMQConnection %s/shop"`, s.namespace))
			return n == 4, fmt.Sprint(n)
		})
		s.idle(1)
		s.same("reporting drift", changed)
		if writes := s.writes(start); len(writes) > 0 {
			t.Errorf("reporting drift wrote %q", writes)
		}

		// An edit says what is wanted now; and with Correct it is put right.
		edit(s.stage, gone, func(q *v1alpha1.Queue) { q.Spec.DriftPolicy = v1alpha1.DriftCorrect })
		edit(s.stage, unbound, func(q *v1alpha1.Queue) { q.Spec.DriftPolicy = v1alpha1.DriftCorrect })
		edit(s.stage, host, func(h *v1alpha1.VirtualHost) { h.Spec.DriftPolicy = v1alpha1.DriftCorrect })
		s.ready(host, gone, unbound)
		for _, object := range []client.Object{host, gone, unbound} {
			if _, conditions := conditionsOf(object); meta.FindStatusCondition(conditions, v1alpha1.ConditionDrifted) != nil {
				t.Errorf("put right and still Drifted: %s", describe(object))
			}
		}
		// What somebody put back is no drift any more.
		s.broker.Must(t, "DELETE", queuePath(s.virtualHost, "replaced"), nil, nil)
		s.declareQueue("replaced", v1alpha1.QueueTypeClassic, map[string]any{"x-message-ttl": 60000})
		s.settled(replaced)
		s.shows(wanted)
		within(t, "the metric to forget them", func(context.Context) (bool, string) {
			n, found := metric(t, s.controller, "warrener_drift_reported")
			return n == 0 && found == 1, fmt.Sprint(n)
		})
	})
}

// The same on Kafka: configs, and a topic that is deleted.
func TestTopicDrift(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	config := map[string]string{"retention.ms": "604800000", "cleanup.policy": "delete"}
	orders, seen := s.topic("orders", 3, config), s.topic("seen", 1, config)
	seen.Spec.DriftPolicy = v1alpha1.DriftReport
	s.create(orders, seen)
	s.ready(orders, seen)
	before := s.describe(orders)

	s.alter(orders, map[string]string{"retention.ms": "1000", "cleanup.policy": "", "max.message.bytes": "5000"})
	put := func(before []string) {
		t.Helper()
		within(t, "the topic to be put right", func(context.Context) (bool, string) {
			diff := cmp.Diff(before, s.describe(orders))
			return diff == "", diff
		})
	}
	// A key that was never declared is nobody's business.
	put([]string{before[0], "cleanup.policy=delete", before[2], "max.message.bytes=5000", "retention.ms=604800000"})
	says(t, s.arrives(1, corrected)[0], "topic "+orders.BrokerName())

	s.alter(seen, map[string]string{"retention.ms": "1000"})
	says(t, s.drifted(seen), "config.retention.ms: 1000 on the broker, 604800000 declared")
	time.Sleep(interval)
	if got := s.configs(seen)["retention.ms"]; got != "1000" {
		t.Errorf("reported drift was changed: retention.ms=%s", got)
	}
	s.ready(seen)
	s.alter(seen, map[string]string{"retention.ms": "604800000"})
	s.settled(seen)

	answers, err := s.admin.DeleteTopics(t.Context(), orders.BrokerName())
	must(t, err)
	must(t, answers.Error())
	within(t, "the topic to be back", func(context.Context) (bool, string) {
		now := strings.Join(s.describe(orders), " ")
		return strings.Contains(now, "3 partitions") && strings.Contains(now, "retention.ms=604800000"), now
	})
	within(t, "the second correction", func(context.Context) (bool, string) {
		found := s.eventsWith(corrected)
		return len(found) == 1 && strings.HasSuffix(found[0], " x2"), fmt.Sprintf("%q", found)
	})
}

// drifted waits until an object is reported to have drifted, and returns how. It
// is Ready all the same.
func (s *stage) drifted(object client.Object) string {
	s.t.Helper()
	var message string
	within(s.t, object.GetName()+" to be reported as drifted", func(context.Context) (bool, string) {
		s.get(object)
		_, conditions := conditionsOf(object)
		if !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
			s.t.Fatalf("not Ready: %s", describe(object))
		}
		drifted := meta.FindStatusCondition(conditions, v1alpha1.ConditionDrifted)
		if drifted == nil {
			return false, describe(object)
		}
		message = drifted.Message
		return drifted.Status == metav1.ConditionTrue && drifted.Reason == v1alpha1.ReasonDriftReported, describe(object)
	})
	return message
}

// settled waits until an object is not Drifted any more.
func (s *stage) settled(object client.Object) {
	s.t.Helper()
	within(s.t, object.GetName()+" to be as declared again", func(context.Context) (bool, string) {
		s.get(object)
		_, conditions := conditionsOf(object)
		return meta.FindStatusCondition(conditions, v1alpha1.ConditionDrifted) == nil, describe(object)
	})
}
