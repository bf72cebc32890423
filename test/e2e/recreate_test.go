package e2e

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// A queue is to get dead letters, and later retries. Under Refuse the status
// says what is in the way and what can be done; under Recreate it waits until
// the queue is empty, and then happens by itself, with all bindings, those that
// somebody made by hand too.
func TestRecreate(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		q := queue("orders", "shop", v1alpha1.QueueTypeClassic)
		q.Spec.Bindings = []v1alpha1.BindingSource{{Source: "events", RoutingKeys: []string{"order.*"}}}
		audit := binding("audit", "shop", "events", "orders", "audit.#")
		s.create(exchange("events", "shop", "topic"), q, audit)
		s.ready(q, audit)
		s.broker.Must(t, "POST", bindingPath(s.virtualHost, "amq.headers", "orders"), map[string]any{"routing_key": "by.hand", "arguments": map[string]any{"x-match": "any", "n": 7}}, nil)
		bindings := func() []string {
			return slices.DeleteFunc(s.listing(), func(line string) bool {
				return !strings.HasPrefix(line, "binding") || !strings.Contains(line, `queue "orders" `) || strings.Contains(line, "redeliver")
			})
		}
		before := bindings()
		channel := amqpChannel(t, s.broker, s.virtualHost)
		publish(t, channel, "events", "order.new", "first")

		edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.DeadLetter = &v1alpha1.DeadLetter{} })
		says(t, s.stalled(q, v1alpha1.ReasonImmutableFieldChanged),
			"arguments.x-dead-letter-exchange: (unset) on the broker, \"orders.dlx\" declared", "updatePolicy is Refuse: set it back", "Recreate", "Migrate")

		edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.UpdatePolicy = v1alpha1.UpdateRecreate })
		within(t, "the status to say what is waited for", func(context.Context) (bool, string) {
			message := s.reaches(q, metav1.ConditionFalse, v1alpha1.ReasonImmutableFieldChanged)
			_, conditions := conditionsOf(q)
			waits := slices.ContainsFunc(conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionReconciling })
			return waits && strings.Contains(message, "it holds 1 message"), describe(q)
		})
		taken := receive(t, channel, "orders")
		if string(taken.Body) != "first" {
			t.Errorf("the message is %q", taken.Body)
		}
		must(t, taken.Ack(false))
		s.ready(q)
		if n, _ := metric(t, s.controller, "warrener_operations_ended_total", `kind="Recreate"`, `outcome="done"`); n != 1 {
			t.Errorf("the metric counts %g operations as done", n)
		}
		if n, _ := metric(t, s.controller, "warrener_operations"); n != 0 {
			t.Errorf("the metric counts %g operations as under way", n)
		}
		if diff := difference(before, bindings()); diff != "" {
			t.Errorf("bindings: %s", diff)
		}
		publish(t, channel, "events", "order.new", "second")
		must(t, receive(t, channel, "orders").Reject(false))
		if dead := receive(t, channel, "orders.dead"); string(dead.Body) != "second" {
			t.Errorf("the dead letter is %q", dead.Body)
		} else {
			must(t, dead.Ack(false))
		}

		edit(s.stage, q, func(q *v1alpha1.Queue) {
			q.Spec.Retry = &v1alpha1.Retry{Strategy: v1alpha1.RetryTiers, Delays: durations(200 * time.Millisecond)}
		})
		s.ready(q)
		if diff := difference(before, bindings()); diff != "" {
			t.Errorf("bindings: %s", diff)
		}
		publish(t, channel, "events", "order.new", "third")
		for range 2 {
			must(t, receive(t, channel, "orders").Reject(false))
		}
		if dead := receive(t, channel, "orders.dead"); string(dead.Body) != "third" {
			t.Errorf("the dead letter is %q", dead.Body)
		}
		for _, line := range s.listing() {
			if strings.Contains(line, "warrener.migrate") {
				t.Errorf("left behind: %s", line)
			}
		}
		if len(q.Status.Operations) > 0 {
			t.Errorf("status.operations: %+v", q.Status.Operations)
		}
	})
}

func difference(before, after []string) string {
	if slices.Equal(before, after) {
		return ""
	}
	return fmt.Sprintf("before %q, after %q", before, after)
}

// A quorum queue's counts lag, so it has to be quiet for a while, and whoever
// reads from it keeps it.
func TestRecreateQuorum(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		q := queue("orders", "shop", v1alpha1.QueueTypeQuorum)
		q.Spec.UpdatePolicy = v1alpha1.UpdateRecreate
		s.create(q)
		s.ready(q)
		channel := amqpChannel(t, s.broker, s.virtualHost)
		if _, err := channel.Consume("orders", "reader", true, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
		edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.Type = v1alpha1.QueueTypeClassic })
		within(t, "the status to tell of the consumer", func(context.Context) (bool, string) {
			message := s.reaches(q, metav1.ConditionFalse, v1alpha1.ReasonImmutableFieldChanged)
			return strings.Contains(message, "type: quorum on the broker, classic declared") && strings.Contains(message, "it has 1 consumer"), describe(q)
		})
		must(t, channel.Close())
		s.ready(q)
		var found brokerQueue
		if !find(t, s.broker, "/api/queues/"+url.PathEscape(s.virtualHost)+"/orders", &found) || found.Type != "classic" {
			t.Errorf("the queue is %+v", found)
		}
	})
}
