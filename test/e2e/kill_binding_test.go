package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// RabbitMQ 4.0 leaves a binding of a topic exchange half made or half deleted when
// who asks for it is killed in the middle of the call: the listing shows it, and it
// leads nowhere, or the reverse. The next process makes sure of it: what is declared
// routes, and what was declared before does not.
func TestKilledInTheMiddleOfABinding(t *testing.T) {
	const resources, keys = 2, 20
	rounds := 2
	if harness.Long() {
		rounds = 30
	}
	onBrokers(t, []*harness.RabbitMQ{harness.RabbitMQAt(t, "4.0")}, func(t *testing.T, s *scene) {
		s.create(exchange("events", "shop", "topic"), queue("work", "shop", v1alpha1.QueueTypeClassic))
		keysOf := func(resource, round int) (out []string) {
			for i := range keys {
				out = append(out, fmt.Sprintf("key.%d.%d.%d", resource, round, i))
			}
			return out
		}
		var bindings []client.Object
		for i := range resources {
			bindings = append(bindings, binding(fmt.Sprintf("b%d", i), "shop", "events", "work", keysOf(i, 0)...))
		}
		s.create(bindings...)
		s.ready(bindings...)
		for round := 1; round <= rounds; round++ {
			start := time.Now()
			for i, object := range bindings {
				edit(s.stage, object.(*v1alpha1.ExchangeBinding), func(b *v1alpha1.ExchangeBinding) { b.Spec.RoutingKeys = keysOf(i, round) })
			}
			s.killAfter(start, rand.IntN(2*resources*keys)) // new ones are made, then old ones deleted
			killed := time.Since(start)
			s.controller.Start(t)
			s.ready(bindings...)
			within(t, "the books to be closed", func(context.Context) (bool, string) {
				booked := len(s.inventory())
				return booked == resources*keys+2, fmt.Sprintf("%d entries", booked)
			})
			t.Logf("round %d: killed after %s, whole again after %s", round, killed.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
			var old, now []string
			for i := range resources {
				old, now = append(old, keysOf(i, round-1)...), append(now, keysOf(i, round)...)
			}
			lead := s.leading("events", append(now, old...))
			for _, key := range now {
				if !lead[key] {
					t.Errorf("round %d: %s is declared, and leads nowhere", round, key)
				}
			}
			for _, key := range old {
				if lead[key] {
					t.Errorf("round %d: %s is declared no longer, and leads somewhere", round, key)
				}
			}
		}
	})
}

// leading tells which keys lead from an exchange to a queue.
func (s *scene) leading(exchange string, keys []string) map[string]bool {
	s.t.Helper()
	channel := amqpChannel(s.t, s.broker, s.virtualHost)
	back := channel.NotifyReturn(make(chan amqp.Return, len(keys)))
	lead := map[string]bool{}
	for _, key := range keys {
		confirmation, err := channel.PublishWithDeferredConfirmWithContext(s.t.Context(), exchange, key, true, false, amqp.Publishing{})
		must(s.t, err)
		_, err = confirmation.WaitContext(s.t.Context()) // what is returned comes before
		must(s.t, err)
		lead[key] = true
	}
	for len(back) > 0 {
		delete(lead, (<-back).RoutingKey)
	}
	return lead
}
