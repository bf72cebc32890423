package rabbitmq

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// hasty gives calls that write bindings a few milliseconds, while it is on.
type hasty struct {
	on  atomic.Bool
	cut atomic.Int64
}

func (c *hasty) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet || !c.on.Load() || !strings.Contains(r.URL.Path, "/bindings/") {
		return http.DefaultTransport.RoundTrip(r)
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(500+rand.IntN(7500))*time.Microsecond)
	answer, err := http.DefaultTransport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		c.cut.Add(1)
		return nil, err
	}
	context.AfterFunc(r.Context(), cancel)
	return answer, nil
}

// converge does what passes do: it makes the bindings that differ from what is
// wanted, and deletes those that are there and not wanted.
func converge(t *testing.T, b *Broker, wanted, unwanted []*topology.Binding) (steps int) {
	t.Helper()
	var ids []topology.ID
	for _, binding := range append(wanted[:len(wanted):len(wanted)], unwanted...) {
		ids = append(ids, binding.ID())
	}
	snapshot := observe(t, b, topology.Selection{IDs: ids})
	var wave []topology.Step
	for _, binding := range wanted {
		live, presence := snapshot.Look(binding.ID())
		switch {
		case presence == topology.Absent:
			wave = append(wave, create(binding))
		case len(binding.Diff(live)) > 0:
			wave = append(wave, topology.Step{Verb: topology.VerbUpdate, ID: binding.ID(), Want: binding, Live: live})
		}
	}
	for _, binding := range unwanted {
		if live, presence := snapshot.Look(binding.ID()); presence == topology.Present {
			wave = append(wave, topology.Step{Verb: topology.VerbDelete, ID: binding.ID(), Live: live})
		}
	}
	b.Apply(t.Context(), wave) // who failed is seen in the next round
	return len(wave)
}

// A call about a binding that was cut off is not sent again by itself: the answer to
// the second would hide what the first has left.
func TestCallsAboutBindingsAreNotRepeated(t *testing.T) {
	binding := &topology.Binding{VirtualHost: "v", Source: "x", Destination: "q", DestinationType: topology.DestinationQueue, RoutingKey: "k", PropertiesKeys: []string{"k"}}
	for name, step := range map[string]topology.Step{
		"declared": create(binding), "deleted": {Verb: topology.VerbDelete, ID: binding.ID(), Live: binding},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			b := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet { // after which the connection is kept
					answer(http.StatusOK, "application/json", `{"rabbitmq_version":"4.3.0"}`)(w, r)
					return
				}
				if sent.Add(1) > 1 {
					w.WriteHeader(http.StatusNoContent)
					return
				}
				reset(w, r)
			})
			if _, err := b.version(b.call(t.Context(), "read")); err != nil {
				t.Fatal(err)
			}
			wantError(t, attempt(t, b, step), topology.ClassTransient, testPassword, "connection closed")
			if n := sent.Load(); n != 1 {
				t.Errorf("the call was sent %d times", n)
			}
			if _, uncertain := b.uncertain.of(binding.ID()); !uncertain {
				t.Error("what became of it is taken to be known")
			}
		})
	}
}

// RabbitMQ 4.0 leaves a binding of a topic exchange half made, or half deleted,
// when the client goes away while it writes it. What the listing says then is not
// believed: in the end every binding leads where it should, and none else does.
func TestBindingsWhoseCallsWereCut(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, _ *Broker, vh string) {
		cut := &hasty{}
		b := open(t, Options{Endpoint: server.ManagementURL, Username: server.User, Password: server.Password, Transport: cut})
		apply(t, b, create(&topology.Exchange{VirtualHost: vh, Name: "events", Type: "topic", Durable: true}),
			create(&topology.Queue{VirtualHost: vh, Name: "work", Type: "classic", Durable: true}))
		var bindings []*topology.Binding
		for i := range 60 {
			bindings = append(bindings, &topology.Binding{
				VirtualHost: vh, Source: "events", Destination: "work", DestinationType: topology.DestinationQueue, RoutingKey: fmt.Sprintf("key.%d", i),
			})
		}
		stays, goes := bindings[:30], bindings[30:]
		settle := func(wanted, unwanted []*topology.Binding) {
			t.Helper()
			cut.on.Store(true)
			converge(t, b, wanted, unwanted)
			cut.on.Store(false)
			time.Sleep(100 * time.Millisecond) // what the broker still has in hand comes to its end
			for range 10 {
				if converge(t, b, wanted, unwanted) == 0 {
					return
				}
			}
			t.Fatal("not settled after 10 rounds")
		}
		settle(bindings, nil)
		settle(stays, goes)
		t.Logf("%d calls cut", cut.cut.Load())
		if cut.cut.Load() == 0 {
			t.Error("no call was cut")
		}
		if left := b.uncertain.all(); len(left) > 0 {
			t.Errorf("still uncertain: %v", left)
		}

		channel := dial(t, server, vh)
		back := channel.NotifyReturn(make(chan amqp.Return, len(bindings)))
		for _, binding := range bindings {
			if err := channel.PublishWithContext(t.Context(), "events", binding.RoutingKey, true, false, amqp.Publishing{}); err != nil {
				t.Fatalf("publish: %v", err)
			}
		}
		if _, err := channel.QueueDeclarePassive("work", true, false, false, false, nil); err != nil {
			t.Fatalf("the queue: %v", err)
		}
		returned := map[string]bool{}
		for len(back) > 0 {
			returned[(<-back).RoutingKey] = true
		}
		for i, binding := range bindings {
			if wanted := i < len(stays); returned[binding.RoutingKey] == wanted {
				t.Errorf("%s is to lead to the queue: %t, and does: %t", binding.RoutingKey, wanted, !returned[binding.RoutingKey])
			}
		}
	})
}
