package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// What exists already is taken over if it is as declared, and refused if it is
// not: with the differing fields, and without a write.
func TestAdoption(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		s.declareExchange("orders", "fanout")
		s.declareExchange("never", "direct")
		s.declareExchange("always", "direct")
		s.declareExchange("always-topic", "direct")
		s.declareQueue("work", v1alpha1.QueueTypeClassic, map[string]any{"x-message-ttl": 60000, "x-max-length": 10})
		s.declareQueue("same", v1alpha1.QueueTypeQuorum, map[string]any{"x-message-ttl": 60000})
		s.declareQueue("kind", v1alpha1.QueueTypeClassic, nil)
		s.broker.Must(t, "POST", bindingPath(s.virtualHost, "always", "same"), map[string]any{"routing_key": "k"}, nil)
		before := s.listing()

		orders := exchange("orders", "shop", "topic")
		work := queue("work", "shop", v1alpha1.QueueTypeClassic)
		work.Spec.MessageTTL = &metav1.Duration{Duration: time.Second}
		kind := queue("kind", "shop", v1alpha1.QueueTypeQuorum)
		same := queue("same", "shop", v1alpha1.QueueTypeQuorum)
		same.Spec.MessageTTL = &metav1.Duration{Duration: time.Minute}
		same.Spec.Bindings = []v1alpha1.BindingSource{{Source: "always", RoutingKeys: []string{"k"}}}
		never := exchange("never", "shop", "direct")
		never.Spec.AdoptionPolicy = v1alpha1.AdoptNever
		always := exchange("always", "shop", "direct")
		always.Spec.AdoptionPolicy = v1alpha1.AdoptAlways
		replaced := exchange("always-topic", "shop", "topic")
		replaced.Spec.AdoptionPolicy = v1alpha1.AdoptAlways
		s.create(orders, work, kind, same, never, always, replaced)

		s.ready(same, always)
		refused := func(object client.Object, parts ...string) {
			t.Helper()
			says(t, s.stalled(object, v1alpha1.ReasonAdoptionRefused), parts...)
		}
		refused(orders, "exchange "+s.virtualHost+"/orders exists already", "type: fanout on the broker, topic declared", "adoptionPolicy: Always")
		refused(work, "x-message-ttl: 60000 on the broker, 1000 declared", "x-max-length: 10 on the broker, (unset) declared")
		refused(kind, "type: classic on the broker, quorum declared")
		refused(never, "adoptionPolicy is Never")
		// Always changes what can be changed in place, and a type cannot.
		says(t, s.stalled(replaced, v1alpha1.ReasonImmutableFieldChanged), "type: direct on the broker, topic declared")
		s.same("adopting and refusing", before)
		if writes := s.writes(time.Time{}); len(writes) > 0 {
			t.Errorf("adopting and refusing wrote %q", writes)
		}
		s.arrives(2, "Normal Adopted")

		// Declared as they are, or permitted, they are taken over.
		edit(s.stage, work, func(q *v1alpha1.Queue) {
			most := int64(10)
			q.Spec.MessageTTL, q.Spec.MaxLength = &metav1.Duration{Duration: time.Minute}, &most
		})
		edit(s.stage, orders, func(e *v1alpha1.Exchange) { e.Spec.Type = "fanout" })
		edit(s.stage, never, func(e *v1alpha1.Exchange) { e.Spec.AdoptionPolicy = v1alpha1.AdoptIfIdentical })
		s.ready(work, orders, never)
		s.same("adopting", before)

		// What was refused is nobody's: its deletion concerns the broker not.
		s.remove(kind, replaced)
		s.idle(1)
		s.same("deleting what was refused", before)
	})
}

// A virtual host can be changed in place, which needs consent if it is not
// Warrener's.
func TestAdoptVirtualHost(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		path := "/api/vhosts/" + s.virtualHost
		s.broker.Must(t, "PUT", path, map[string]any{"description": "by hand"}, nil)
		declared := &v1alpha1.VirtualHost{
			ObjectMeta: metav1.ObjectMeta{Name: "shop"},
			Spec:       v1alpha1.VirtualHostSpec{ConnectionRef: ref("shop"), Name: s.virtualHost, Description: "declared"},
		}
		s.create(declared)
		says(t, s.stalled(declared, v1alpha1.ReasonAdoptionRefused), `description: "by hand" on the broker, "declared" declared`)
		description := func() string {
			var found struct{ Description string }
			s.broker.Must(t, "GET", path, nil, &found)
			return found.Description
		}
		if got := description(); got != "by hand" {
			t.Errorf("a refused virtual host has the description %q", got)
		}
		edit(s.stage, declared, func(v *v1alpha1.VirtualHost) { v.Spec.AdoptionPolicy = v1alpha1.AdoptAlways })
		s.ready(declared)
		if got := description(); got != "declared" {
			t.Errorf("an adopted virtual host has the description %q", got)
		}
	})
}

// Fifty queues name one dead-letter exchange and one dead queue: all own them,
// and they go with the last.
func TestSharedDeadLetters(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		const queues = 50
		shared := "all.dlx"
		var all []*v1alpha1.Queue
		for i := range queues {
			q := queue(fmt.Sprintf("q%02d", i), "shop", v1alpha1.QueueTypeClassic)
			q.Spec.DeadLetter = &v1alpha1.DeadLetter{Exchange: &shared, Queue: "all.dead"}
			all = append(all, q)
			s.create(q)
		}
		for _, q := range all {
			s.ready(q)
			if !slices.Contains(q.Status.Owns, "exchange "+s.virtualHost+"/all.dlx") {
				t.Fatalf("%s does not own the dead-letter exchange: %q", q.Name, q.Status.Owns)
			}
		}
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(queues, func(i, j int) { all[i], all[j] = all[j], all[i] })
		wanted := func(left []*v1alpha1.Queue) []string {
			var out []string
			for _, q := range left {
				out = append(out,
					fmt.Sprintf(`binding "all.dlx" -> queue "all.dead" key %q {}`, q.Name),
					fmt.Sprintf(`queue %q durable=true auto_delete=false {"x-dead-letter-exchange":"all.dlx","x-dead-letter-routing-key":%q,"x-queue-type":"classic"}`, q.Name, q.Name))
			}
			if len(left) > 0 {
				out = append(out, `direct exchange "all.dlx" durable=true auto_delete=false {}`, `queue "all.dead" durable=true auto_delete=false {"x-queue-type":"classic"}`)
			}
			slices.Sort(out)
			return out
		}
		for _, batch := range []int{10, 1, 14, 20, 4, 1} {
			for _, q := range all[:batch] {
				s.remove(q)
			}
			all = all[batch:]
			s.shows(wanted(all))
		}
		s.nothingOwned()
	})
}

// Two resources declare one queue: the first has it, the second is told who.
// With the first gone the second has it, and the queue notices nothing.
func TestHandOver(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		s.create(exchange("orders", "shop", "topic"))
		declare := func(name, broker string, kind v1alpha1.QueueType) *v1alpha1.Queue {
			q := queue(name, "shop", kind)
			q.Spec.Name = broker
			q.Spec.DeadLetter = &v1alpha1.DeadLetter{}
			q.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{broker}}}
			return q
		}
		kinds := []v1alpha1.QueueType{v1alpha1.QueueTypeClassic, v1alpha1.QueueTypeQuorum, v1alpha1.QueueTypeStream}
		var winners, losers []*v1alpha1.Queue
		for _, kind := range kinds {
			name := "work." + string(kind)
			winner, loser := declare("a-winner-"+string(kind), name, kind), declare("z-loser-"+string(kind), name, kind)
			if kind == v1alpha1.QueueTypeStream {
				winner.Spec.DeadLetter, loser.Spec.DeadLetter = nil, nil
			}
			winners, losers = append(winners, winner), append(losers, loser)
			s.create(winner)
			s.ready(winner)
			alone := s.listing()
			loser.Spec.Bindings = append(loser.Spec.Bindings, v1alpha1.BindingSource{Source: "orders", RoutingKeys: []string{"loser"}})
			s.create(loser)
			says(t, s.stalled(loser, v1alpha1.ReasonConflict),
				"queue "+s.virtualHost+"/"+name+" is owned by Queue "+s.namespace+"/"+winner.Name)
			s.same("losing", alone) // above all, nothing more leads into the winner's queue
			edit(s.stage, loser, func(q *v1alpha1.Queue) { q.Spec.Bindings = q.Spec.Bindings[:1] })
		}
		channel := amqpChannel(t, s.broker, s.virtualHost)
		for _, kind := range kinds {
			publish(t, channel, "orders", "work."+string(kind), "one", "two", "three")
		}
		before, start := s.listing(), time.Now()
		for i, kind := range kinds {
			s.remove(winners[i])
			s.ready(losers[i])
			name := "work." + string(kind)
			if kind == v1alpha1.QueueTypeStream {
				if got := firstOf(t, channel, name); got != "one" {
					t.Errorf("%s begins with %q", name, got)
				}
			} else if got := ready(t, channel, name); got != 3 {
				t.Errorf("%s held 3 messages and holds %d", name, got)
			}
		}
		s.idle(2)
		s.same("handing over", before)
		if writes := s.writes(start); len(writes) > 0 {
			t.Errorf("handing over wrote %q", writes)
		}
		s.get(s.connection)
		if s.connection.Status.LeftBehindCount != 0 {
			t.Errorf("left behind: %v", s.connection.Status.LeftBehind)
		}
	})
}

// An old resource is edited to claim what a younger one owns: the incumbent
// keeps it, as it is.
func TestIncumbentKeeps(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		dlx, ten, twenty := "old.dlx", int64(10), int64(20)
		old := queue("old", "shop", v1alpha1.QueueTypeClassic)
		old.Spec.DeadLetter = &v1alpha1.DeadLetter{Exchange: &dlx, Queue: "old.dead", MaxLength: &twenty}
		s.create(old)
		s.ready(old)
		young := queue("young", "shop", v1alpha1.QueueTypeClassic)
		young.Spec.DeadLetter = &v1alpha1.DeadLetter{MaxLength: &ten}
		explicit := queue("explicit", "shop", v1alpha1.QueueTypeClassic)
		s.create(young, explicit)
		s.ready(young, explicit)
		before := s.listing()

		for _, c := range []struct{ claimed, owner string }{{"young.dead", "young"}, {"explicit", "explicit"}} {
			edit(s.stage, old, func(q *v1alpha1.Queue) { q.Spec.DeadLetter.Queue = c.claimed })
			says(t, s.stalled(old, v1alpha1.ReasonConflict),
				"queue "+s.virtualHost+"/"+c.claimed+" is owned by Queue "+s.namespace+"/"+c.owner)
			s.idle(1)
			s.ready(young, explicit)
			s.same("a claim that was lost", before) // above all, nothing is bound to the incumbent's queue
		}
		// Taken back, it is as if nothing had been.
		edit(s.stage, old, func(q *v1alpha1.Queue) { q.Spec.DeadLetter.Queue = "old.dead" })
		s.ready(old, young, explicit)
		s.shows(before)
	})
}

// nothingOwned waits until the inventory is empty.
func (s *stage) nothingOwned() {
	s.t.Helper()
	within(s.t, "the inventory to be empty", func(context.Context) (bool, string) {
		left := s.inventory()
		return len(left) == 0, fmt.Sprintf("%q", left)
	})
}

// inventory lists what the controller of this stage has on its books, one line
// an entry.
func (s *stage) inventory() []string {
	s.t.Helper()
	var list v1alpha1.BrokerInventoryList
	if err := s.client.List(context.Background(), &list, client.InNamespace(s.namespace)); err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, shard := range list.Items {
		for _, line := range shard.Entries {
			var entry topology.Entry
			if err := entry.UnmarshalText([]byte(line)); err != nil {
				s.t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %s %s", entry.ID.Kind, entry.ID.Scope, entry.ID.Name))
		}
	}
	slices.Sort(out)
	return out
}
