package e2e

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// The API server is killed, hangs, and cannot be watched: work goes on where it
// was, and nothing is done twice.
func TestFaultsAPIServer(t *testing.T) {
	t.Parallel()
	plane := harness.PrivateControlPlane(t)
	faults := []struct {
		name       string
		begin, end func(t *testing.T, way *harness.Proxy)
		// hidden: only the controller is cut off, and others still write.
		hidden bool
		lasts  time.Duration
	}{
		{
			name:  "killed",
			begin: func(t *testing.T, _ *harness.Proxy) { plane.StopAPIServer(t) },
			end:   func(t *testing.T, _ *harness.Proxy) { plane.StartAPIServer(t) },
		},
		{
			name: "etcd paused", lasts: 10 * time.Second,
			begin: func(t *testing.T, _ *harness.Proxy) { plane.PauseEtcd(t) },
			end:   func(t *testing.T, _ *harness.Proxy) { plane.ResumeEtcd(t) },
		},
		{
			name: "watches cut", hidden: true,
			begin: func(_ *testing.T, way *harness.Proxy) { way.CloseConnections() },
			end:   func(_ *testing.T, way *harness.Proxy) { way.CloseConnections() },
		},
		{
			name: "unreachable", hidden: true, lasts: 5 * time.Second,
			begin: func(_ *testing.T, way *harness.Proxy) { way.Refuse() },
			end:   func(_ *testing.T, way *harness.Proxy) { way.Forward() },
		},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) { // one after the other: they share the control plane
			w := newWorks(t, newStageOn(t, plane))
			server, err := url.Parse(plane.Config.Host)
			if err != nil {
				t.Fatal(err)
			}
			way := harness.NewProxy(t, server.Host)
			w.detour("https://" + way.Addr())
			w.controller.StartKept(t)
			w.begin()

			// Right before it, so that some of it is seen and some is not.
			started := time.Now()
			w.change(1)
			f.begin(t, way)
			if f.hidden {
				w.change(2)
			}
			time.Sleep(f.lasts)
			f.end(t, way)
			ended := time.Now()
			if !f.hidden {
				w.change(2)
			}
			w.done(2)
			t.Logf("as declared %s after it, which took %s", time.Since(ended), ended.Sub(started))
			w.judge(2, started)
			if told := w.eventsWith("Warning " + v1alpha1.ReasonConnectionUnavailable); len(told) > 0 {
				t.Errorf("the broker was there all the time: %q", told)
			}
		})
	}
}

// works are rounds of a queue that is deleted, one that is edited and one that
// is made, beside an exchange and a queue that are nobody's.
type works struct {
	*scene
	edited *v1alpha1.Queue
	old    []client.Object
	made   []client.Object
}

// newWorks prepares a scene whose controller is not started yet.
func newWorks(t *testing.T, s *stage) *works {
	t.Helper()
	broker := harness.RabbitMQAt(t, "4.0")
	return &works{scene: &scene{
		stage: s, broker: broker, virtualHost: broker.NewVirtualHost(t), recorder: harness.NewRecorder(t, broker.ManagementURL),
	}}
}

// detour has the controller reach the API server under another address.
func (w *works) detour(server string) {
	w.t.Helper()
	user, groups := harness.ServiceAccountUser(w.home, "warrener-controller-"+w.home)
	config := w.plane.UserConfig(w.t, user, groups...)
	config.Host = server
	w.controller = harness.NewController(w.t, harness.WriteKubeconfig(w.t, config), w.namespace, "--leader-elect")
}

func (w *works) begin() {
	w.t.Helper()
	w.declareExchange("orders", "topic")
	w.declareQueue("foreign", v1alpha1.QueueTypeClassic, nil)
	secret, connection := w.rabbit("shop", w.broker, w.virtualHost, w.recorder.URL)
	w.connection = connection
	w.create(secret, connection)
	w.edited = w.keyed("edited", 0)
	for round := range 3 {
		w.old = append(w.old, w.keyed(fmt.Sprintf("old-%d", round), 0))
	}
	w.create(append([]client.Object{w.edited}, w.old...)...)
	w.ready(append([]client.Object{connection, w.edited}, w.old...)...)
}

func (w *works) keyed(name string, round int) *v1alpha1.Queue {
	q := queue(name, "shop", v1alpha1.QueueTypeClassic)
	q.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{fmt.Sprintf("round.%d", round)}}}
	return q
}

// change is one round.
func (w *works) change(round int) {
	w.t.Helper()
	w.remove(w.old[round-1])
	edit(w.stage, w.edited, func(q *v1alpha1.Queue) { q.Spec.Bindings[0].RoutingKeys[0] = fmt.Sprintf("round.%d", round) })
	made := w.keyed(fmt.Sprintf("made-%d", round), round)
	w.create(made)
	w.made = append(w.made, made)
}

// done waits until all is as declared after so many rounds.
func (w *works) done(rounds int) {
	w.t.Helper()
	queueLine := func(name string) string {
		return fmt.Sprintf(`queue %q durable=true auto_delete=false {"x-queue-type":"classic"}`, name)
	}
	bindingLine := func(name string, round int) string {
		return fmt.Sprintf(`binding "orders" -> queue %q key "round.%d" {}`, name, round)
	}
	wanted := []string{bindingLine("edited", rounds)}
	for round := 1; round <= rounds; round++ {
		wanted = append(wanted, bindingLine(fmt.Sprintf("made-%d", round), round))
	}
	for i := rounds; i < len(w.old); i++ {
		wanted = append(wanted, bindingLine(w.old[i].GetName(), 0))
	}
	wanted = append(wanted, queueLine("edited"), queueLine("foreign"))
	for round := 1; round <= rounds; round++ {
		wanted = append(wanted, queueLine(fmt.Sprintf("made-%d", round)))
	}
	for i := rounds; i < len(w.old); i++ {
		wanted = append(wanted, queueLine(w.old[i].GetName()))
	}
	wanted = append(wanted, `topic exchange "orders" durable=true auto_delete=false {}`)
	w.shows(wanted)
	w.ready(append([]client.Object{w.connection, w.edited}, w.made...)...)
}

// judge holds the writes since a moment to what so many rounds ask for: each
// queue is made or deleted once, and its binding as often as its key changed.
func (w *works) judge(rounds int, since time.Time) {
	w.t.Helper()
	writes := w.writes(since)
	count := func(prefix string) (n int) {
		for _, write := range writes {
			if strings.HasPrefix(write, prefix) {
				n++
			}
		}
		return n
	}
	if got, most := len(writes), rounds*6; got > most { // unbind, delete; put, bind; bind, unbind
		w.t.Errorf("%d writes, and %d are needed at most: %q", got, most, writes)
	}
	for round := 1; round <= rounds; round++ {
		made, gone := w.made[round-1].GetName(), w.old[round-1].GetName()
		for _, prefix := range []string{"PUT /api/queues/" + made + " ", "DELETE /api/queues/" + gone + "?"} {
			if n := count(prefix); n != 1 {
				w.t.Errorf("%d times %q: %q", n, prefix, writes)
			}
		}
	}
	w.idle(1)
	within(w.t, "nothing pending", func(context.Context) (bool, string) {
		w.get(w.connection)
		s := w.connection.Status
		return s.PendingDeletions == 0 && s.LeftBehindCount == 0, fmt.Sprintf("%d pending, %v", s.PendingDeletions, s.LeftBehind)
	})
}
