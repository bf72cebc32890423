package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// A broker that is down when objects are applied, and one that goes down later:
// the connection says so at once, and all is Ready soon after its return.
func TestOutageRabbitMQ(t *testing.T) {
	t.Parallel()
	broker := harness.PrivateRabbitMQ(t, "4.0", harness.RabbitMQOptions{})
	virtualHost := broker.NewVirtualHost(t)
	s := newStage(t)
	s.controller.Start(t)
	secret, connection := s.rabbit("shop", broker, virtualHost, "")
	s.create(secret)

	work := queue("work", "shop", v1alpha1.QueueTypeQuorum)
	work.Spec.DeadLetter = &v1alpha1.DeadLetter{}
	work.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"order.#"}}}
	early := []client.Object{exchange("orders", "shop", "topic"), work}
	late := []client.Object{queue("audit", "shop", v1alpha1.QueueTypeClassic), binding("audit", "shop", "orders", "audit", "#")}
	s.outage(t, outage{connection: connection, early: early, late: late, down: broker.Stop, up: broker.Start, says: "refused by 127.0.0.1:", lasts: 20 * time.Second})
}

func TestOutageKafka(t *testing.T) {
	t.Parallel()
	kafka := harness.PrivateKafka(t, harness.KafkaOptions{Proxied: true})
	outages := map[string]outage{
		"stopped": {down: func(t testing.TB) { kafka.Stop(t) }, up: kafka.Start, says: "closed the connection"},
		// Of these two the process notices nothing: only the way to it is cut.
		"refused":   {down: func(testing.TB) { kafka.Proxy.Refuse() }, up: func(testing.TB) { kafka.Proxy.Forward() }, says: "refused by 127.0.0.1:"},
		"swallowed": {down: func(testing.TB) { kafka.Proxy.Blackhole() }, up: func(testing.TB) { kafka.Proxy.Forward() }, says: "no answer"},
	}
	for _, name := range []string{"refused", "swallowed", "stopped"} {
		t.Run(name, func(t *testing.T) { // one after the other: they share the broker
			s := newStage(t)
			s.controller.Start(t)
			o, prefix := outages[name], kafka.NewTopicPrefix(t)
			o.connection = s.kafka("events", kafka.Bootstrap...)
			for i := range 10 {
				o.early = append(o.early, topic(fmt.Sprintf("%searly-%d", prefix, i), "events", 2))
			}
			o.late = []client.Object{topic(prefix+"late", "events", 1)}
			s.outage(t, o)
		})
	}
}

// graceOfObjects is how long a broker may be away before those are told that were Ready.
const graceOfObjects = time.Minute

type outage struct {
	connection  client.Object
	early, late []client.Object // applied in the first and in the second outage
	down, up    func(testing.TB)
	says        string // in the connection's message
	// lasts is how long the first outage goes on: attempts become rarer with
	// time, and not too rare.
	lasts time.Duration
}

func (s *stage) outage(t *testing.T, o outage) {
	t.Helper()
	o.down(t)
	s.create(o.connection)
	s.create(o.early...)
	says(t, s.reaches(o.connection, metav1.ConditionFalse, v1alpha1.ReasonConnectionUnavailable), o.says)
	s.reaches(o.early[0], metav1.ConditionFalse, v1alpha1.ReasonConnectionUnavailable)
	time.Sleep(o.lasts)
	o.up(t)
	s.ready(append([]client.Object{o.connection}, o.early...)...)

	o.down(t)
	began := time.Now()
	s.create(o.late...)
	says(t, s.reaches(o.connection, metav1.ConditionFalse, v1alpha1.ReasonConnectionUnavailable), o.says)
	s.reaches(o.late[0], metav1.ConditionFalse, v1alpha1.ReasonConnectionUnavailable)
	if took := time.Since(began); took >= graceOfObjects {
		t.Fatalf("what is new was told after %s, with those that were Ready: it has no grace period", took)
	}
	// A restart is no reason to rewrite ten thousand statuses twice.
	s.ready(o.early...)
	o.up(t)
	s.ready(append([]client.Object{o.connection}, append(o.early, o.late...)...)...)
	if told := s.eventsWith("Warning " + v1alpha1.ReasonConnectionUnavailable); len(told) != 1 && len(told) != 2 {
		t.Errorf("%d outages and these Warnings: %q", 2, told)
	}
}

// Of two replicas one works. When it is killed the other one goes on where it
// was.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.0")
	virtualHost := broker.NewVirtualHost(t)
	s := newStage(t, "--leader-elect")
	other := harness.NewController(t, s.kubeconfig, s.namespace, "--leader-elect")
	s.controller.Start(t)
	secret, connection := s.rabbit("shop", broker, virtualHost, "")
	first := exchange("first", "shop", "topic")
	s.create(secret, connection, first)
	s.ready(connection, first)
	other.Start(t) // Ready, and waits
	second := exchange("second", "shop", "topic")
	s.create(second)
	s.ready(second)
	time.Sleep(2 * interval)
	if n, _ := metric(t, other, "warrener_broker_requests_total"); n != 0 {
		t.Errorf("the replica that does not lead has sent %v requests to the broker", n)
	}
	holder := s.holder(t)

	s.controller.Kill()
	third := exchange("third", "shop", "topic")
	gone := exchange("second", "shop", "topic")
	gone.Namespace = s.namespace
	s.remove(gone)
	s.create(third)
	s.ready(third, first, connection)
	within(t, "the exchange to go whose resource went in between", s.absent(broker, exchangePath(virtualHost, "second")))
	if now := s.holder(t); now == holder {
		t.Errorf("the inventory is still held by %s", now)
	}
	if n, _ := metric(t, other, "warrener_broker_requests_total"); n == 0 {
		t.Error("the other replica leads and has sent no request")
	}
	if n, _ := metric(t, other, "warrener_drift_corrected_total"); n != 0 {
		t.Errorf("the new leader corrected %v objects that were right", n)
	}

	s.controller.Start(t) // the killed one comes back as the second
	fourth := exchange("fourth", "shop", "topic")
	s.create(fourth)
	s.ready(fourth)
	if n, _ := metric(t, s.controller, "warrener_broker_requests_total"); n != 0 {
		t.Errorf("the replica that came back works beside the leader: %v requests", n)
	}
}

// holder names the process that holds the inventory of the stage's broker.
func (s *stage) holder(t *testing.T) string {
	t.Helper()
	for _, inventory := range s.inventories(t) {
		return inventory.Holder
	}
	t.Fatal("no inventory")
	return ""
}

func (s *stage) inventories(t *testing.T) []v1alpha1.BrokerInventory {
	t.Helper()
	var list v1alpha1.BrokerInventoryList
	if err := s.client.List(t.Context(), &list, client.InNamespace(s.home)); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// entries lists what the inventory has, by broker object.
func (s *stage) entries(t *testing.T) map[string]topology.Entry {
	t.Helper()
	out := map[string]topology.Entry{}
	for _, inventory := range s.inventories(t) {
		for _, line := range inventory.Entries {
			var entry topology.Entry
			if err := entry.UnmarshalText([]byte(line)); err != nil {
				t.Fatalf("inventory: %v in %q", err, line)
			}
			out[entry.ID.String()] = entry
		}
	}
	return out
}

// absent holds when the management API answers 404.
func (s *stage) absent(broker *harness.RabbitMQ, path string) func(context.Context) (bool, string) {
	return func(context.Context) (bool, string) {
		return !find(s.t, broker, path, nil), path + " is there"
	}
}
