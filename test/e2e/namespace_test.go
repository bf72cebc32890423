package e2e

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// A namespace with connection, Secret and objects, deleted in one go: it does
// not hang, what was unused goes, and what holds messages stays, with all that
// belongs to it, and is reported where the namespace's end does not take it
// along.
//
// Not beside other tests: how soon a namespace is gone depends on how many go at
// that time.
func TestNamespaceDeleted(t *testing.T) {
	for _, broker := range harness.SomeRabbitMQ(t) {
		t.Run(broker.Version, func(t *testing.T) {
			t.Parallel()
			s := newStageApart(t)
			s.controller.Start(t)
			virtualHost := broker.NewVirtualHost(t)
			secret, connection := s.rabbit("shop", broker, virtualHost, "")
			kafka := harness.SharedKafka(t)
			prefix := kafka.NewTopicPrefix(t)
			objects := []client.Object{secret, connection, s.kafka("events", kafka.Bootstrap...)}
			for i := range 12 {
				q := queue(fmt.Sprintf("q%02d", i), "shop", v1alpha1.QueueTypeClassic)
				q.Spec.DeadLetter = &v1alpha1.DeadLetter{}
				objects = append(objects,
					exchange(fmt.Sprintf("x%02d", i), "shop", "topic"), q,
					binding(fmt.Sprintf("b%02d", i), "shop", fmt.Sprintf("x%02d", i), q.Name, "#"))
			}
			objects = append(objects,
				queue("quorum", "shop", v1alpha1.QueueTypeQuorum),
				topic(prefix+"unused", "events", 1), topic(prefix+"used", "events", 1))
			s.create(objects...)
			s.ready(objects[1:]...)
			publish(t, amqpChannel(t, broker, virtualHost), "", "q03", "precious")
			produce(t, kafka, prefix+"used")

			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
			s.remove(namespace)
			within(t, "the namespace to be gone", func(ctx context.Context) (bool, string) {
				err := s.client.Get(ctx, types.NamespacedName{Name: s.namespace}, namespace)
				return apierrors.IsNotFound(err), fmt.Sprintf("%v %v", namespace.Status.Phase, namespace.Status.Conditions)
			})

			// A quorum queue's counts lag: it takes two of the broker's
			// statistics intervals to know that it is empty.
			precious := []string{"q03", "q03.dead"}
			within(t, "only the queue with a message to be left", func(context.Context) (bool, string) {
				names := queueNames(t, broker, virtualHost)
				return strings.Join(names, " ") == strings.Join(precious, " "), fmt.Sprint(names)
			})
			if !find(t, broker, exchangePath(virtualHost, "q03.dlx"), nil) {
				t.Error("the dead-letter exchange of the queue that stays is gone")
			}
			for i := range 12 {
				if name := fmt.Sprintf("x%02d", i); find(t, broker, exchangePath(virtualHost, name), nil) {
					t.Errorf("exchange %s is left and was unused", name)
				}
			}
			topics, err := kafka.Admin(t).ListTopics(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if topics.Has(prefix+"unused") || !topics.Has(prefix+"used") {
				t.Errorf("unused topic left: %t, used topic kept: %t", topics.Has(prefix+"unused"), topics.Has(prefix+"used"))
			}

			kept := []topology.ID{
				topology.QueueID(virtualHost, "q03"), topology.QueueID(virtualHost, "q03.dead"),
				topology.ExchangeID(virtualHost, "q03.dlx"), topology.TopicID(prefix + "used"),
			}
			s.reportedLeft(t, kept)
		})
	}
}

// reportedLeft checks the places that outlive a namespace: the inventory, the
// events beside it, and the metrics.
func (s *stage) reportedLeft(t *testing.T, kept []topology.ID) {
	t.Helper()
	within(t, "the inventory to hold what stays and nothing more", func(context.Context) (bool, string) {
		entries := s.entries(t)
		for _, id := range kept {
			if entries[id.String()].LeftBehind == "" {
				return false, fmt.Sprintf("%s: %+v", id, entries[id.String()])
			}
		}
		for id, entry := range entries {
			if entry.LeftBehind == "" {
				return false, fmt.Sprintf("%s is neither gone nor left behind: %+v", id, entry)
			}
		}
		return true, ""
	})
	var told []string
	within(t, "an event about each object left behind", func(context.Context) (bool, string) {
		told = s.eventsIn(s.home)
		text := strings.Join(told, "\n")
		for _, id := range kept {
			if !strings.Contains(text, id.String()) {
				return false, text
			}
		}
		return true, ""
	})
	for _, e := range told {
		if strings.Contains(e, v1alpha1.ReasonLeftBehind) && !strings.HasPrefix(e, corev1.EventTypeWarning) {
			t.Errorf("no Warning: %s", e)
		}
	}
	if n, _ := metric(t, s.controller, "warrener_left_behind"); int(n) < len(kept) {
		t.Errorf("warrener_left_behind is %v, and %d objects at least are", n, len(kept))
	}
}

func queueNames(t *testing.T, broker *harness.RabbitMQ, virtualHost string) []string {
	t.Helper()
	var all []brokerQueue
	broker.Must(t, "GET", "/api/queues/"+url.PathEscape(virtualHost)+"?columns=name", nil, &all)
	names := make([]string, 0, len(all))
	for _, q := range all {
		names = append(names, q.Name)
	}
	slices.Sort(names)
	return names
}

// produce writes one record.
func produce(t *testing.T, kafka *harness.Kafka, name string) {
	t.Helper()
	if err := kafka.Client(t).ProduceSync(t.Context(), &kgo.Record{Topic: name, Value: []byte("precious")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// An object in a namespace that is not watched is left alone, and so is what
// was made for one when its namespace is not watched any more.
func TestWatchNamespaces(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.0")
	virtualHost := broker.NewVirtualHost(t)
	s := newStageApart(t)
	other := s.plane.NewNamespace(t)
	both := harness.NewController(t, s.kubeconfig, s.home, "--watch-namespaces", s.namespace+","+other)
	secret, connection := s.rabbit("shop", broker, virtualHost, "")
	connection.Spec.AllowedNamespaces = v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
	here, there := exchange("here", "shop", "topic"), s.elsewhere(other, exchange("there", "shop", "topic"))
	also := s.elsewhere(other, exchange("also", "shop", "topic"))
	goes := exchange("goes", "shop", "topic")
	s.create(secret, connection, here, there, also, goes)

	s.controller.Start(t)
	s.ready(connection, here, goes)
	time.Sleep(2 * interval)
	s.unseen(t, there)
	if find(t, broker, exchangePath(virtualHost, "there"), nil) {
		t.Fatal("an object of a namespace that is not watched was made")
	}

	s.controller.Stop()
	both.Start(t)
	s.ready(connection, here, there, also)
	both.Stop()

	// While nobody looks, one resource goes where the next controller looks and
	// one where it does not: only the first one's object may go.
	s.remove(goes, also)
	s.controller.Start(t)
	within(t, "what is not wanted any more to go", s.absent(broker, exchangePath(virtualHost, "goes")))
	time.Sleep(2 * interval)
	for _, name := range []string{"here", "there", "also"} {
		if !find(t, broker, exchangePath(virtualHost, name), nil) {
			t.Errorf("exchange %s is gone: it is not known whether its resource is", name)
		}
	}
	if entry := s.entries(t)[topology.ExchangeID(virtualHost, "there").String()]; len(entry.Owners) != 1 || entry.LeftBehind != "" {
		t.Errorf("the inventory of what is not watched changed: %+v", entry)
	}

	s.controller.Stop()
	both.Start(t) // watched again: what had waited is done
	within(t, "what was deleted unwatched to go", s.absent(broker, exchangePath(virtualHost, "also")))
	s.ready(connection, here, there)
}

// elsewhere puts an exchange into another namespace than its connection's.
func (s *stage) elsewhere(namespace string, object *v1alpha1.Exchange) *v1alpha1.Exchange {
	object.Namespace = namespace
	object.Spec.ConnectionRef.Namespace = s.namespace
	return object
}

// unseen fails the test if the controller has written the status of an object.
func (s *stage) unseen(t *testing.T, object client.Object) {
	t.Helper()
	s.get(object)
	if observed, conditions := conditionsOf(object); observed != -1 || len(conditions) > 0 {
		t.Errorf("it was looked at: %s", describe(object))
	}
}

// Which namespaces a connection admits, and that an edit of it is the cure.
func TestAllowedNamespaces(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.0")
	virtualHost := broker.NewVirtualHost(t)
	s := newStageApart(t)
	other := s.plane.NewNamespace(t)
	controller := harness.NewController(t, s.kubeconfig, s.home, "--watch-namespaces", s.namespace+","+other)
	controller.Start(t)
	secret, connection := s.rabbit("shop", broker, virtualHost, "")
	recorder := harness.NewRecorder(t, broker.ManagementURL)
	connection.Spec.Endpoint = recorder.URL
	here, guest := exchange("here", "shop", "topic"), s.elsewhere(other, exchange("guest", "shop", "topic"))
	s.create(secret, connection, here, guest)
	s.ready(connection, here)
	message := s.reaches(guest, metav1.ConditionFalse, v1alpha1.ReasonRefNotPermitted)
	says(t, message, other, "allowedNamespaces")
	if find(t, broker, exchangePath(virtualHost, "guest"), nil) {
		t.Fatal("it was made although it is not admitted")
	}

	allow := func(from v1alpha1.NamespacesFrom, selector *metav1.LabelSelector) {
		edit(s, connection, func(c *v1alpha1.RabbitMQConnection) {
			c.Spec.AllowedNamespaces = v1alpha1.AllowedNamespaces{From: from, Selector: selector}
		})
	}
	allow(v1alpha1.NamespacesFromAll, nil)
	s.ready(connection, here, guest)

	teams := &metav1.LabelSelector{MatchLabels: map[string]string{"warrener-test": "guest"}}
	allow(v1alpha1.NamespacesFromSelector, teams)
	s.reaches(guest, metav1.ConditionFalse, v1alpha1.ReasonRefNotPermitted)
	if !find(t, broker, exchangePath(virtualHost, "guest"), nil) {
		t.Error("the exchange of an owner that is not admitted any more was deleted: messages could have been lost for an edit elsewhere")
	}
	label := func(labels map[string]string) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other}}
		edit(s, namespace, func(n *corev1.Namespace) {
			delete(n.Labels, "warrener-test")
			for key, value := range labels {
				n.Labels[key] = value
			}
		})
	}
	label(teams.MatchLabels) // no edit of anything that is watched: the next sweep sees it
	s.ready(guest)

	// A selector costs nothing while nothing changes.
	time.Sleep(interval)
	start := time.Now()
	reads, _ := metric(t, controller, "rest_client_requests_total", `method="GET"`)
	time.Sleep(4*interval + interval/2)
	sweeps := countRequests(recorder, start, "/api/overview")
	if n := len(recorder.Requests(start)); n > 10*sweeps {
		t.Errorf("%d requests to the broker in %d idle sweeps", n, sweeps)
	}
	after, _ := metric(t, controller, "rest_client_requests_total", `method="GET"`)
	if n := int(after - reads); n > 3*(sweeps+1) { // Secret and namespace each, and a watch that is renewed
		t.Errorf("%d reads of the API server in %d idle sweeps", n, sweeps)
	}

	label(nil)
	s.reaches(guest, metav1.ConditionFalse, v1alpha1.ReasonRefNotPermitted)
	allow(v1alpha1.NamespacesFromSame, nil)
	s.reaches(guest, metav1.ConditionFalse, v1alpha1.ReasonRefNotPermitted)
	allow(v1alpha1.NamespacesFromAll, nil)
	s.ready(connection, here, guest)
}

// countRequests counts those whose path begins with a prefix.
func countRequests(recorder *harness.Recorder, since time.Time, prefix string) int {
	n := 0
	for _, request := range recorder.Requests(since) {
		if strings.HasPrefix(request.Path, prefix) {
			n++
		}
	}
	return n
}
