package scale

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

const (
	// patience is how long anything here may take.
	patience = 15 * time.Minute
	// seldom is the interval of a connection that is to do nothing by itself.
	seldom = time.Hour
)

// scene is a namespace and a virtual host, and a controller between them.
type scene struct {
	tb        testing.TB
	plane     *harness.ControlPlane
	client    client.WithWatch
	namespace string

	broker   *harness.RabbitMQ
	host     string            // virtual
	requests *harness.Recorder // of the broker
	endpoint string            // what the connection reaches

	kubeconfig string            // of the controller
	calls      *harness.Recorder // of the API server by the controller; nil unless recordCalls was called
	controller *harness.Controller
	profiles   *profiles
	sweeps     int // that were asked for
}

var installed sync.Once

// newScene prepares everything and starts nothing. A benchmark has a broker of
// its own, so that nobody else's work and objects count.
func newScene(tb testing.TB) *scene {
	tb.Helper()
	if _, measured := tb.(*testing.B); measured {
		return newSceneOn(tb, harness.PrivateRabbitMQ(tb, series(), harness.RabbitMQOptions{}))
	}
	return newSceneOn(tb, harness.RabbitMQAt(tb, series()))
}

// newSceneOn prepares a scene on a broker of another one.
func newSceneOn(tb testing.TB, broker *harness.RabbitMQ) *scene {
	tb.Helper()
	plane := harness.SharedControlPlane(tb)
	installed.Do(func() { plane.InstallCRDs(tb, filepath.Join(harness.Root(tb), "config", "crd", "bases")) })
	s := &scene{tb: tb, plane: plane, client: harness.NewClient(tb, plane.Config), broker: broker}
	s.namespace, s.host = plane.NewNamespace(tb), s.broker.NewVirtualHost(tb)
	s.requests = harness.NewRecorder(tb, s.broker.ManagementURL)
	s.endpoint = s.requests.URL
	s.kubeconfig = plane.LeastPrivilege(tb, s.namespace)
	return s
}

// recordCalls has the controller's requests to the API server noted, which makes
// each a little slower: for what is counted, not for what is timed.
func (s *scene) recordCalls() {
	s.tb.Helper()
	s.calls, s.kubeconfig = harness.NewAPIRecorder(s.tb, s.kubeconfig)
}

// start starts the controller, for the first time or again, and returns how
// long it took until its caches were synced.
func (s *scene) start() time.Duration {
	s.tb.Helper()
	if s.controller == nil {
		s.controller = harness.NewController(s.tb, s.kubeconfig, s.namespace)
		s.profiles = newProfiles(s.tb, s.controller)
	}
	begun := time.Now()
	s.controller.Start(s.tb)
	return time.Since(begun)
}

func (s *scene) create(objects ...client.Object) {
	s.tb.Helper()
	for _, o := range objects {
		if err := s.client.Create(s.tb.Context(), o); err != nil {
			s.tb.Fatal(err)
		}
	}
}

// connect creates the Secret and the connection, which drift checks at an
// interval.
func (s *scene) connect(interval time.Duration) {
	s.tb.Helper()
	s.create(connection(s.namespace, s.broker, s.endpoint, s.host, interval)...)
}

// fill has the controller work and everything be Ready, with a connection that
// then does nothing by itself.
func (s *scene) fill(size size) {
	s.tb.Helper()
	s.start()
	s.connect(seldom)
	objects := workload(s.namespace, size)
	seen := watchReady(s.tb, s.client, s.namespace, len(objects))
	defer seen.stop()
	createAll(s.tb, s.client, objects)
	seen.wait(s.tb, patience)
	s.settle(time.Second)
}

// settle waits until the controller does nothing: no request to the broker, and
// next to no CPU time, for so long. It returns when that began.
func (s *scene) settle(quiet time.Duration) time.Time {
	s.tb.Helper()
	const idle = 50 * time.Millisecond // of CPU time: what a runtime does for itself
	began, cpu := time.Now(), s.controller.CPU(s.tb)
	for deadline := began.Add(patience); time.Since(began) < quiet; {
		if time.Now().After(deadline) {
			s.tb.Fatal("the controller does not come to rest")
		}
		time.Sleep(50 * time.Millisecond)
		if now := s.controller.CPU(s.tb); now-cpu > idle || s.requests.Pending() > 0 || len(s.requests.Requests(began)) > 0 {
			began, cpu = time.Now(), now
		}
	}
	return began
}

// checkEvery changes the interval of the connection.
func (s *scene) checkEvery(interval time.Duration) {
	s.tb.Helper()
	s.patchConnection(fmt.Sprintf(`{"spec":{"interval":%q}}`, interval))
	s.until("a drift check at the new interval", func() bool {
		var c v1alpha1.RabbitMQConnection
		s.get("broker", &c)
		return isConnectionReady(&c)
	})
}

// askForSweep asks for a drift check now, and returns what the connection will
// say when it has been.
func (s *scene) askForSweep() string {
	s.tb.Helper()
	s.sweeps++
	mark := strconv.Itoa(s.sweeps)
	s.patchConnection(fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationReconcileAt, mark))
	return mark
}

// swept waits until a drift check that was asked for has been.
func (s *scene) swept(mark string) {
	s.tb.Helper()
	s.until("a drift check", func() bool {
		var c v1alpha1.RabbitMQConnection
		s.get("broker", &c)
		return c.Status.LastHandledReconcileAt == mark
	})
}

func (s *scene) patchConnection(patch string) {
	s.tb.Helper()
	c := &v1alpha1.RabbitMQConnection{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "broker"}}
	if err := s.client.Patch(s.tb.Context(), c, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *scene) get(name string, into client.Object) {
	s.tb.Helper()
	if err := s.client.Get(s.tb.Context(), types.NamespacedName{Namespace: s.namespace, Name: name}, into); err != nil {
		s.tb.Fatal(err)
	}
}

// until waits for a condition.
func (s *scene) until(what string, is func() bool) {
	s.tb.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.tb.Fatalf("%s: not after %s", what, patience)
		}
	}
}

// isSweepStart recognises one of the requests with which a drift check reads the
// broker: edits in one virtual host list only that.
func isSweepStart(r harness.Request) bool {
	return strings.HasPrefix(r.Path, "/api/exchanges?") && r.Status == http.StatusOK
}

// aboutLeases is what the election of a leader would cost whatever there is.
func aboutLeases(r harness.Request) bool { return strings.Contains(r.Path, "/leases") }

func isWatch(r harness.Request) bool { return strings.Contains(r.Path, "watch=true") }

// isProbe recognises the request that begins a drift check, and each pass that
// writes.
func isProbe(r harness.Request) bool { return strings.HasPrefix(r.Path, "/api/overview") }
