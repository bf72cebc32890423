package rabbitmq

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// impatient gives writes between half a millisecond and a tenth of a second.
type impatient struct{}

func (impatient) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return http.DefaultTransport.RoundTrip(r)
	}
	most := 8_000
	if rand.IntN(2) == 0 {
		most = 100_000
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(500+rand.IntN(most))*time.Microsecond)
	answer, err := http.DefaultTransport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(r.Context(), cancel)
	return answer, nil
}

// However early the caller goes away, a binding that is listed leads somewhere,
// and to delete it leaves alone what has the same key.
func TestBindUncut(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		hurried := open(t, Options{Endpoint: server.ManagementURL, Username: server.User, Password: server.Password, Transport: impatient{}})
		apply(t, b, create(&topology.Exchange{VirtualHost: vh, Name: "events", Type: "topic", Durable: true}),
			create(&topology.Queue{VirtualHost: vh, Name: "work", Type: "classic", Durable: true}),
			create(&topology.Queue{VirtualHost: vh, Name: "audit", Type: "classic", Durable: true}))
		const keys = 30
		to := func(queue string, i int) *topology.Binding {
			return &topology.Binding{
				VirtualHost: vh, Source: "events", Destination: queue, DestinationType: topology.DestinationQueue, RoutingKey: fmt.Sprintf("key.%d", i),
				Arguments: topology.Arguments{"n": int64(i)},
			}
		}
		cut := 0
		for i := range keys {
			apply(t, b, create(to("audit", i)))
			if err := bindUncut(t.Context(), hurried, to("work", i)); err != nil {
				cut++
			}
		}
		t.Logf("%d of %d calls cut", cut, keys)
		if cut == 0 {
			t.Error("no call was cut")
		}
		channel := dial(t, server, vh)
		got := func() map[string]int {
			for i := range keys {
				if err := channel.PublishWithContext(t.Context(), "events", to("", i).RoutingKey, false, false, amqp.Publishing{}); err != nil {
					t.Fatalf("publish: %v", err)
				}
			}
			count := map[string]int{}
			for _, queue := range []string{"work", "audit"} {
				for {
					message, more, err := channel.Get(queue, true)
					if err != nil {
						t.Fatalf("get: %v", err)
					}
					if !more {
						break
					}
					count[queue+" "+message.RoutingKey]++
				}
			}
			return count
		}

		var listed []topology.Resource
		snapshot := observe(t, b, topology.Selection{All: true})
		for i := range keys {
			if live, presence := snapshot.Look(to("work", i).ID()); presence == topology.Present {
				listed = append(listed, live)
			}
		}
		t.Logf("%d are listed", len(listed))
		count := got()
		for _, binding := range listed {
			if key := binding.(*topology.Binding).RoutingKey; count["work "+key] != 1 {
				t.Errorf("%s is listed and leads nowhere", binding.ID())
			}
		}
		for _, binding := range listed {
			apply(t, b, topology.Step{Verb: topology.VerbDelete, ID: binding.ID(), Live: binding})
		}
		count = got()
		for i := range keys {
			if count["audit "+to("", i).RoutingKey] != 1 {
				t.Errorf("%s leads nowhere any more", to("audit", i).ID())
			}
		}
	})
}

// Who may not import binds as ever, and what is wrong is said as ever.
func TestBindUncutWithoutImport(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		user, password := server.NewUser(t, "policymaker,monitoring", vh)
		plain := connect(t, server, user, password)
		apply(t, b, create(&topology.Exchange{VirtualHost: vh, Name: "events", Type: "topic", Durable: true}),
			create(&topology.Queue{VirtualHost: vh, Name: "work", Type: "classic", Durable: true}))
		binding := &topology.Binding{VirtualHost: vh, Source: "events", Destination: "work", DestinationType: topology.DestinationQueue, RoutingKey: "a"}
		if err := bindUncut(t.Context(), plain, binding); err != nil {
			t.Fatalf("bind: %v", err)
		}
		if _, presence := observe(t, b, topology.Selection{IDs: []topology.ID{binding.ID()}}).Look(binding.ID()); presence != topology.Present {
			t.Error("it is not there")
		}
		for name, broker := range map[string]*Broker{"plain": plain, "administrator": b} {
			binding.Destination = "nothing"
			if err := bindUncut(t.Context(), broker, binding); !notFound(err) {
				t.Errorf("%s: %v; want not found", name, err)
			}
		}
	})
}

func TestLeavesHalves(t *testing.T) {
	for version, want := range map[string]bool{"3.10.8": false, "3.13.7": true, "4.0.5": true, "4.2.1": true, "4.3.6": false, "4.10.0": false, "5.0.0": false, "": true} {
		if got := leavesHalves(version); got != want {
			t.Errorf("%q: %v, want %v", version, got, want)
		}
	}
}

// However early the caller goes away, a queue that is listed takes messages.
func TestDeclareQueueUncut(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		hurried := open(t, Options{Endpoint: server.ManagementURL, Username: server.User, Password: server.Password, Transport: impatient{}})
		const each = 30
		cut := 0
		for _, kind := range []string{topology.QueueTypeQuorum, topology.QueueTypeStream} {
			for i := range each {
				want := &topology.Queue{VirtualHost: vh, Name: fmt.Sprintf("%s.%d", kind, i), Type: kind, Durable: true}
				if err := declareQueue(t.Context(), hurried, create(want)); err != nil {
					cut++
				}
			}
		}
		channel := dial(t, server, vh)
		if err := channel.Confirm(false); err != nil {
			t.Fatal(err)
		}
		// RabbitMQ goes on with them, and 3.10 may answer 500 to a listing meanwhile.
		var live *topology.Snapshot
		harness.Eventually(t, "the broker lists its queues", func() (could bool) {
			var err error
			live, err = b.Observe(t.Context(), topology.Selection{All: true})
			return err == nil
		})
		listed := 0
		for id := range live.Objects {
			if id.Kind != topology.KindQueue || id.Scope != vh {
				continue
			}
			listed++
			confirmation, err := channel.PublishWithDeferredConfirm("", id.Name, false, false, amqp.Publishing{DeliveryMode: amqp.Persistent})
			if err != nil {
				t.Fatalf("publish to %s: %v", id, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			if ok, err := confirmation.WaitContext(ctx); err != nil || !ok {
				t.Errorf("%s is listed, and takes no message: %v", id, err)
			}
			cancel()
		}
		t.Logf("%d of %d calls cut; %d queues are listed", cut, 2*each, listed)
		if cut == 0 || listed == 0 {
			t.Error("nothing was tried")
		}
	})
}
