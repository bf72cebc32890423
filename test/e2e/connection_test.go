package e2e

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// While a connection is suspended nothing is read or written through it; what
// was declared, changed and deleted meanwhile is done when it is not any more.
func TestConnectionSuspended(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.RabbitMQAt(t, "4.0"))
	stays, goes := exchange("stays", "shop", "topic"), exchange("goes", "shop", "topic")
	s.create(stays, goes)
	s.ready(stays, goes)

	suspend(s, true)
	s.reaches(s.connection, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)
	start := time.Now()
	fresh := exchange("fresh", "shop", "topic")
	s.create(fresh)
	s.remove(goes)
	s.reaches(fresh, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)
	s.broker.Must(t, "DELETE", exchangePath(s.virtualHost, "stays"), nil, nil)
	time.Sleep(2 * interval)
	if requests := s.recorder.Requests(start); len(requests) > 0 {
		t.Errorf("%d requests through a suspended connection, the first %+v", len(requests), requests[0])
	}
	s.reaches(stays, metav1.ConditionUnknown, v1alpha1.ReasonSuspended) // nobody looks at it

	suspend(s, false)
	s.ready(s.connection, fresh, stays)
	within(t, "what was deleted meanwhile to go", s.absent(s.broker, exchangePath(s.virtualHost, "goes")))
	within(t, "what was lost meanwhile to be back", s.present(exchangePath(s.virtualHost, "stays")))
}

func suspend(s *scene, yes bool) {
	s.t.Helper()
	edit(s.stage, s.connection, func(c *v1alpha1.RabbitMQConnection) { c.Spec.Suspend = yes })
}

// present holds when the management API finds something.
func (s *scene) present(path string) func(context.Context) (bool, string) {
	return func(context.Context) (bool, string) {
		return find(s.t, s.broker, path, nil), path + " is missing"
	}
}

// A connection that comes to lead to another cluster, behind the same address
// or by an edit: nothing is written there, deletions least of all, until a
// person says that it is meant.
func TestClusterChanged(t *testing.T) {
	t.Parallel()
	blue, green := harness.RabbitMQAt(t, "4.0"), harness.RabbitMQAt(t, "4.3")
	cases := map[string]struct {
		reason   string
		interval time.Duration
		// deletesFirst: the first thing that is to be done is a deletion.
		deletesFirst bool
		change       func(s *stage, proxy *harness.Proxy, connection *v1alpha1.RabbitMQConnection)
	}{
		"address moved": {
			reason: "the next sweep finds out", interval: interval,
			change: func(_ *stage, proxy *harness.Proxy, _ *v1alpha1.RabbitMQConnection) { moveTo(proxy, green) },
		},
		"address moved between two sweeps": {
			reason: "the next edit finds out, before it writes", interval: time.Hour, deletesFirst: true,
			change: func(_ *stage, proxy *harness.Proxy, _ *v1alpha1.RabbitMQConnection) { moveTo(proxy, green) },
		},
		"endpoint edited": {
			reason: "an endpoint may be edited by mistake", interval: time.Hour,
			change: func(s *stage, _ *harness.Proxy, connection *v1alpha1.RabbitMQConnection) {
				edit(s, connection, func(c *v1alpha1.RabbitMQConnection) { c.Spec.Endpoint = green.ManagementURL })
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.controller.Start(t)
			// One name on both, so that nothing but the cluster tells them apart.
			virtualHost := blue.NewVirtualHost(t)
			green.Must(t, "PUT", "/api/vhosts/"+virtualHost, map[string]any{}, nil)
			t.Cleanup(func() { green.Must(detached{t}, "DELETE", "/api/vhosts/"+virtualHost, nil, nil) })
			proxy := harness.NewProxy(t, hostOf(blue))
			secret, connection := s.rabbit("shop", blue, virtualHost, "http://"+proxy.Addr())
			connection.Spec.Interval = &metav1.Duration{Duration: c.interval}
			stays, goes := exchange("stays", "shop", "topic"), exchange("goes", "shop", "topic")
			s.create(secret, connection, stays, goes)
			s.ready(connection, stays, goes)
			green.Must(t, "PUT", exchangePath(virtualHost, "goes"), map[string]any{"type": "topic", "durable": true}, nil)
			before := connection.Status.ClusterID

			c.change(s, proxy, connection)
			if c.deletesFirst {
				s.remove(goes)
			}
			fresh := exchange("fresh", "shop", "topic")
			s.create(fresh)
			message := s.stalled(connection, v1alpha1.ReasonClusterChanged)
			s.remove(goes)
			says(t, message, before, v1alpha1.AnnotationAcceptCluster)
			time.Sleep(2 * interval)
			if s.get(connection); connection.Status.ClusterID != before {
				t.Error("the status names the new cluster before it is accepted")
			}
			want := listing(t, green, virtualHost)
			if len(want) != 1 || !strings.Contains(want[0], `"goes"`) {
				t.Fatalf("%s: the other cluster was written to: %q", c.reason, want)
			}

			// The message quotes the annotation as it is to be written.
			_, rest, _ := strings.Cut(message, v1alpha1.AnnotationAcceptCluster+": ")
			id, _, _ := strings.Cut(rest, " ")
			edit(s, connection, func(c *v1alpha1.RabbitMQConnection) {
				c.Annotations = map[string]string{v1alpha1.AnnotationAcceptCluster: id}
			})
			s.ready(connection, stays, fresh)
			if connection.Status.ClusterID != id {
				t.Errorf("the status names cluster %s, not %s", connection.Status.ClusterID, id)
			}
			for _, name := range []string{"stays", "fresh", "goes"} {
				// What nobody here has made is not deleted, whatever it is called.
				if !find(t, green, exchangePath(virtualHost, name), nil) {
					t.Errorf("exchange %s is not on the new cluster", name)
				}
			}
			for _, name := range []string{"stays", "goes"} {
				if !find(t, blue, exchangePath(virtualHost, name), nil) {
					t.Errorf("exchange %s was deleted from the old cluster", name)
				}
			}
			s.inventoryOnlyOf(t, id, topology.ExchangeID(virtualHost, "stays"), topology.ExchangeID(virtualHost, "fresh"))
		})
	}
}

// inventoryOnlyOf checks that the inventory holds these objects, on one cluster.
func (s *stage) inventoryOnlyOf(t *testing.T, clusterID string, want ...topology.ID) {
	t.Helper()
	held := 0
	for _, inventory := range s.inventories(t) {
		if inventory.ClusterID != clusterID && len(inventory.Entries) > 0 {
			t.Errorf("the inventory of the cluster that was left holds %q", inventory.Entries)
		}
		held += len(inventory.Entries)
	}
	entries := s.entries(t)
	for _, id := range want {
		if _, ok := entries[id.String()]; !ok {
			t.Errorf("%s is not in the inventory", id)
		}
	}
	if held != len(want) {
		t.Errorf("the inventory holds %d objects, not %d", held, len(want))
	}
}

func hostOf(broker *harness.RabbitMQ) string {
	at, err := url.Parse(broker.ManagementURL)
	if err != nil {
		panic(err)
	}
	return at.Host
}

func moveTo(proxy *harness.Proxy, broker *harness.RabbitMQ) {
	proxy.SetTarget(hostOf(broker))
	proxy.CloseConnections()
}

// detached is a test whose context is over, for what its cleanup has to do.
type detached struct{ *testing.T }

// Context implements testing.TB.
func (detached) Context() context.Context { return context.Background() }

// The same for Kafka, whose clusters have ids of their own.
func TestClusterChangedKafka(t *testing.T) {
	t.Parallel()
	one, three := harness.SharedKafka(t), harness.SharedKafka3(t)
	s := newStage(t)
	s.controller.Start(t)
	connection := s.kafka("events", one.Bootstrap...)
	three.NewTopicPrefix(t) // deletes there what this test makes
	prefix := one.NewTopicPrefix(t)
	first, second := topic(prefix+"first", "events", 1), topic(prefix+"second", "events", 1)
	s.create(connection, first)
	s.ready(connection, first)
	before := connection.Status.ClusterID

	edit(s, connection, func(c *v1alpha1.KafkaConnection) { c.Spec.BootstrapServers = three.Bootstrap })
	s.create(second)
	says(t, s.stalled(connection, v1alpha1.ReasonClusterChanged), before)
	s.reaches(second, metav1.ConditionFalse, v1alpha1.ReasonClusterChanged)
	topics, err := three.Admin(t).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if topics.Has(first.Spec.Name) || topics.Has(second.Spec.Name) {
		t.Error("topics were made on a cluster that nobody has accepted")
	}

	// Back to where it was: no annotation is needed for that.
	edit(s, connection, func(c *v1alpha1.KafkaConnection) { c.Spec.BootstrapServers = one.Bootstrap })
	s.ready([]client.Object{connection, first, second}...)
}
