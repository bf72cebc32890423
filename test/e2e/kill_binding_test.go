package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
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
//
// To put right one that is half made ends another one with the same key. So none
// may be half made where another queue has the keys too, as long as Warrener's user
// is an administrator.
func TestKilledInTheMiddleOfABinding(t *testing.T) {
	t.Run("KeysOfTheirOwn", func(t *testing.T) { killInBindings(t, "policymaker", false) })
	t.Run("SharedKeys", func(t *testing.T) { killInBindings(t, "administrator", true) })
}

func killInBindings(t *testing.T, tags string, shared bool) {
	t.Parallel()
	const resources, keys = 2, 20
	most := 2 * resources * keys // writes for an edit of all
	if shared {
		most = 1 + resources*keys // all that are new in one
	}
	rounds := 2
	if harness.Long() {
		rounds = 30
	}
	broker := harness.RabbitMQAt(t, "4.0")
	virtualHost := broker.NewVirtualHost(t)
	as := *broker
	as.User, as.Password = broker.NewUser(t, tags, virtualHost)
	s := newSceneIn(t, &as, virtualHost)
	events, queues := exchange("events", "shop", "topic"), []string{"work", "audit"}
	s.create(events, queue("work", "shop", v1alpha1.QueueTypeClassic), queue("audit", "shop", v1alpha1.QueueTypeClassic))
	s.ready(events)
	keysOf := func(round int, of ...int) (out []string) {
		for _, resource := range of {
			for i := range keys {
				out = append(out, fmt.Sprintf("key.%d.%d.%d", resource, round, i))
			}
		}
		return out
	}
	channel := amqpChannel(t, s.broker, virtualHost)
	others := map[string]bool{} // keys that lead to the other queue as well
	share := func(round int) {
		for _, key := range keysOf(round, 0, 1) {
			if shared {
				must(t, channel.QueueBind("audit", key, "events", false, nil))
				others[key] = true
			}
		}
	}
	share(0)
	var bindings []client.Object
	for i := range resources {
		bindings = append(bindings, binding(fmt.Sprintf("b%d", i), "shop", "events", "work", keysOf(0, i)...))
	}
	s.create(bindings...)
	s.ready(bindings...)
	for round := 1; round <= rounds; round++ {
		share(round)
		start, writes := time.Now(), s.seeWrites()
		for i, object := range bindings {
			edit(s.stage, object.(*v1alpha1.ExchangeBinding), func(b *v1alpha1.ExchangeBinding) { b.Spec.RoutingKeys = keysOf(round, i) })
		}
		<-writes // new ones are made, and then old ones deleted
		if round%2 == 0 {
			s.killAfter(start, rand.IntN(most))
		} else {
			time.Sleep(time.Duration(rand.IntN(30_000)) * time.Microsecond)
			s.controller.Kill()
		}
		killed := time.Since(start)
		s.controller.Start(t)
		s.ready(bindings...)
		within(t, "the books to be closed", func(context.Context) (bool, string) {
			booked := len(s.inventory())
			return booked == resources*keys+1+len(queues), fmt.Sprintf("%d entries", booked)
		})
		var cut []string
		for _, w := range s.recorder.Writes(start) {
			if w.Status == http.StatusBadGateway {
				cut = append(cut, fmt.Sprintf("%s of %d", w.Method, len(harness.Calls(w))))
			}
		}
		t.Logf("round %d: killed after %s in %v, whole again after %s", round, killed.Round(time.Millisecond), cut, time.Since(start).Round(time.Millisecond))
		now, old := keysOf(round, 0, 1), keysOf(round-1, 0, 1)
		published := append(slices.Collect(maps.Keys(others)), slices.DeleteFunc(append(slices.Clone(now), old...), func(key string) bool { return others[key] })...)
		arrived := s.routed(channel, "events", published, queues...)
		for _, key := range now {
			if !arrived["work "+key] {
				t.Errorf("round %d: %s is declared, and leads nowhere", round, key)
			}
		}
		for _, key := range old {
			if arrived["work "+key] {
				t.Errorf("round %d: %s is declared no longer, and leads somewhere", round, key)
			}
		}
		for key := range others {
			if !arrived["audit "+key] {
				t.Errorf("round %d: %s leads to the other queue no longer", round, key)
				delete(others, key) // told once
			}
		}
	}
}

// seeWrites tells when a write to the broker has come as far as the recorder, from
// now on.
func (s *scene) seeWrites() <-chan struct{} {
	seen := make(chan struct{}, 1)
	s.recorder.Disturb(func(target http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				select {
				case seen <- struct{}{}:
				default:
				}
			}
			target.ServeHTTP(w, r)
		})
	})
	return seen
}

// routed publishes to an exchange and tells which keys came to which of some
// queues: "queue key".
func (s *scene) routed(channel *amqp.Channel, exchange string, keys []string, queues ...string) map[string]bool {
	s.t.Helper()
	for _, key := range keys {
		confirmation, err := channel.PublishWithDeferredConfirmWithContext(s.t.Context(), exchange, key, false, false, amqp.Publishing{})
		must(s.t, err)
		_, err = confirmation.WaitContext(s.t.Context()) // it is in its queues then
		must(s.t, err)
	}
	arrived := map[string]bool{}
	for _, queue := range queues {
		for {
			message, more, err := channel.Get(queue, true)
			must(s.t, err)
			if !more {
				break
			}
			arrived[queue+" "+message.RoutingKey] = true
		}
	}
	return arrived
}
