package scale

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/test/harness"
)

// patience is how long anything here may take.
const patience = 15 * time.Minute

// scene is a namespace and a virtual host, and a controller between them.
type scene struct {
	tb         testing.TB
	plane      *harness.ControlPlane
	client     client.WithWatch
	broker     *harness.RabbitMQ
	namespace  string
	host       string            // virtual
	requests   *harness.Recorder // at the broker
	controller *harness.Controller
	profiles   *profiles
}

var installed sync.Once

// newScene prepares everything and starts nothing.
func newScene(tb testing.TB) *scene {
	tb.Helper()
	plane := harness.SharedControlPlane(tb)
	installed.Do(func() { plane.InstallCRDs(tb, filepath.Join(harness.Root(tb), "config", "crd", "bases")) })
	s := &scene{tb: tb, plane: plane, client: newClient(tb, plane.Config), broker: harness.RabbitMQAt(tb, series())}
	s.namespace, s.host = plane.NewNamespace(tb), s.broker.NewVirtualHost(tb)
	s.requests = harness.NewRecorder(tb, s.broker.ManagementURL)
	s.controller = harness.NewController(tb, plane.LeastPrivilege(tb, s.namespace), s.namespace)
	s.profiles = newProfiles(tb, s.controller)
	return s
}

// connect creates the Secret and the connection, which drift checks at an
// interval.
func (s *scene) connect(interval time.Duration) {
	s.tb.Helper()
	for _, o := range connection(s.namespace, s.broker, s.requests.URL, s.host, interval) {
		if err := s.client.Create(s.tb.Context(), o); err != nil {
			s.tb.Fatal(err)
		}
	}
}

// limit takes the limit of a creation in a namespace of its own.
func (s *scene) limit(size size) time.Duration {
	s.tb.Helper()
	return limit(s.tb, s.client, workload(s.plane.NewNamespace(s.tb), size))
}
