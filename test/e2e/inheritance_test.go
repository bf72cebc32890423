package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// Two namespaces, each with a connection of its own to one broker: they are seen
// to compete, the first one keeps what it has, and it goes over only where its
// owner says so, with the messages in it.
func TestTwoNamespacesOneBroker(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.0")
	virtualHost := broker.NewVirtualHost(t)
	s := newStageApart(t)
	guest := *s
	guest.namespace = s.plane.NewNamespace(t)
	s.grantSecrets(guest.namespace)
	controller := harness.NewController(t, s.kubeconfig, s.home, "--watch-namespaces", s.namespace+","+guest.namespace)
	controller.Start(t)
	recorder := harness.NewRecorder(t, broker.ManagementURL)
	for _, side := range []*stage{s, &guest} {
		secret, connection := side.rabbit("shop", broker, virtualHost, recorder.URL)
		side.create(secret, connection)
		side.ready(connection)
	}
	declare := func(in *stage) *v1alpha1.Queue {
		q := queue("work", "shop", v1alpha1.QueueTypeClassic)
		q.Namespace = in.namespace
		q.Spec.DeadLetter = &v1alpha1.DeadLetter{}
		return q
	}
	mine, theirs, dead := declare(s), declare(&guest), queue("work.dead", "shop", v1alpha1.QueueTypeClassic)
	dead.Namespace = guest.namespace
	s.create(mine)
	s.ready(mine)
	publish(t, amqpChannel(t, broker, virtualHost), "", "work", "one", "two", "three")
	before, start := listing(t, broker, virtualHost), time.Now()
	owner := "Queue " + s.namespace + "/work"

	guest.create(theirs, dead)
	says(t, guest.stalled(theirs, v1alpha1.ReasonConflict), "queue "+virtualHost+"/work", owner)
	// Not even an explicit resource takes what another namespace's queue implies.
	says(t, guest.stalled(dead, v1alpha1.ReasonConflict), "queue "+virtualHost+"/work.dead", owner)
	time.Sleep(2 * interval)
	s.ready(mine)
	guest.remove(dead)

	// It is not taken over because its owner is gone, either.
	s.remove(mine)
	says(t, guest.stalled(theirs, v1alpha1.ReasonConflict), "queue "+virtualHost+"/work")
	time.Sleep(2 * interval)
	mine = declare(s)
	mine.Annotations = map[string]string{v1alpha1.AnnotationHandOverTo: guest.namespace + "/work"}
	s.create(mine)
	s.ready(mine)
	guest.stalled(theirs, v1alpha1.ReasonConflict)
	s.remove(mine)
	guest.ready(theirs)
	if got := ready(t, amqpChannel(t, broker, virtualHost), "work"); got != 3 {
		t.Errorf("the queue held 3 messages and holds %d", got)
	}
	if after := listing(t, broker, virtualHost); !slices.Equal(before, after) {
		t.Errorf("handing over changed the broker from %q to %q", before, after)
	}
	if writes := recorder.Writes(start); len(writes) > 0 {
		t.Errorf("handing over wrote %v", writes)
	}
}

// Retain on all kinds: the end of the resources is nothing to the broker, which
// keeps everything, and nobody owns it any more.
func TestRetain(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		side := s.virtualHost + "-side"
		t.Cleanup(func() { s.broker.Do(detached{t}, "DELETE", "/api/vhosts/"+side, nil) })
		host := &v1alpha1.VirtualHost{Spec: v1alpha1.VirtualHostSpec{ConnectionRef: ref("shop"), Name: side}} // Retain is its default
		host.Name = "side"
		orders, audit := exchange("orders", "shop", "topic"), exchange("audit", "shop", "fanout")
		work := queue("work", "shop", v1alpha1.QueueTypeQuorum)
		work.Spec.DeadLetter = &v1alpha1.DeadLetter{}
		work.Spec.Retry = &v1alpha1.Retry{Strategy: v1alpha1.RetryTiers, Delays: durations(time.Second)}
		work.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"a"}}}
		wired := binding("wired", "shop", "orders", "work", "b")
		orders.Spec.DeletionPolicy, audit.Spec.DeletionPolicy = v1alpha1.Retain, v1alpha1.Retain
		work.Spec.DeletionPolicy, wired.Spec.DeletionPolicy = v1alpha1.Retain, v1alpha1.Retain
		all := []client.Object{host, orders, audit, work, wired}
		s.create(all...)
		s.ready(all...)
		before, start := s.listing(), time.Now()

		s.remove(all...)
		s.nothingOwned()
		s.idle(1)
		s.same("the end of what retains", before)
		if writes := s.writes(start); len(writes) > 0 {
			t.Errorf("the end of what retains wrote %q", writes)
		}
		if !find(t, s.broker, "/api/vhosts/"+side, nil) {
			t.Error("the virtual host is gone")
		}
		s.get(s.connection)
		if n := s.connection.Status.LeftBehindCount; n != 0 {
			t.Errorf("what was retained on purpose counts as left behind: %d", n)
		}
	})
}

// A virtual host that is to go whatever it holds does not take along what other
// resources declare in it.
func TestInhabitedVirtualHostStays(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.RabbitMQAt(t, "4.0"))
	side := s.virtualHost + "-side"
	t.Cleanup(func() { s.broker.Do(detached{t}, "DELETE", "/api/vhosts/"+side, nil) })
	host := &v1alpha1.VirtualHost{Spec: v1alpha1.VirtualHostSpec{ConnectionRef: ref("shop"), Name: side, DeletionPolicy: v1alpha1.DeleteAlways}}
	host.Name = "side"
	work := queue("work", "shop", v1alpha1.QueueTypeClassic)
	work.Spec.VirtualHost = side
	s.create(host, work)
	s.ready(host, work)
	publish(t, amqpChannel(t, s.broker, side), "", "work", "precious")

	s.remove(host)
	within(t, "the virtual host to be left behind", s.leavesBehind("vhost "+side))
	s.get(s.connection)
	says(t, fmt.Sprint(s.connection.Status.LeftBehind), "queue "+side+"/work is declared in it")
	s.idle(1)
	if got := ready(t, amqpChannel(t, s.broker, side), "work"); got != 1 {
		t.Errorf("the queue held 1 message and holds %d", got)
	}
	s.ready(work)

	edit(s.stage, work, func(q *v1alpha1.Queue) { q.Spec.DeletionPolicy = v1alpha1.DeleteAlways })
	s.ready(work)
	s.remove(work)
	within(t, "the virtual host to go with the last of its objects", s.absent(s.broker, "/api/vhosts/"+side))
}

// leavesBehind holds when the connection lists these objects as left behind, and
// no others, with no deletion pending.
func (s *scene) leavesBehind(objects ...string) func(context.Context) (bool, string) {
	return func(context.Context) (bool, string) {
		s.get(s.connection)
		var found []string
		for _, entry := range s.connection.Status.LeftBehind {
			found = append(found, entry.Object)
		}
		slices.Sort(found)
		return slices.Equal(found, slices.Sorted(slices.Values(objects))) && s.connection.Status.PendingDeletions == 0,
			fmt.Sprintf("%d pending, left behind %s", s.connection.Status.PendingDeletions, strings.Join(found, ", "))
	}
}
