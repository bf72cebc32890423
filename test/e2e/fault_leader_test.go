package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// duel is a leader and a replica that waits. Each reaches the broker through a
// recorder of its own.
type duel struct {
	*works
	waiting *harness.Controller
	// leads and waits saw what either of the two asked the broker for.
	leads, waits *harness.Recorder
}

func newDuel(t *testing.T) *duel {
	t.Helper()
	w := newWorks(t, newStage(t, "--leader-elect"))
	d := &duel{works: w, leads: w.recorder, waits: harness.NewRecorder(t, w.broker.ManagementURL)}
	d.waiting = harness.NewController(t, w.kubeconfig, w.namespace, "--leader-elect")
	d.controller.Env, d.waiting.Env = []string{"HTTP_PROXY=" + d.leads.URL}, []string{"HTTP_PROXY=" + d.waits.URL}
	// A name that only the proxies know: to loopback nobody goes through a proxy.
	w.recorder = &harness.Recorder{URL: "http://rabbitmq.invalid:15672"}
	d.controller.Start(t)
	d.begin()
	d.waiting.Start(t) // Ready, and waits
	if seen := d.waits.Requests(time.Time{}); len(seen) > 0 {
		t.Fatalf("the replica that waits asked the broker for %v", seen)
	}
	return d
}

// many declares queues, so that the leader is in the middle of something.
func (d *duel) many(prefix string, n int) []client.Object {
	var out []client.Object
	for i := range n {
		out = append(out, queue(fmt.Sprintf("%s-%03d", prefix, i), "shop", v1alpha1.QueueTypeClassic))
	}
	d.create(out...)
	return out
}

// midway lets the leader make some of the queues and holds what it sends next,
// until released, when that is cut off without having reached the broker. Once
// the leader waits for answers and sends no more, held is closed: nothing is on
// its way then that is neither held nor answered.
func (d *duel) midway(prefix string, most int64) (held <-chan struct{}, release func()) {
	d.t.Helper()
	var made atomic.Int64
	holds, done := make(chan struct{}), make(chan struct{})
	const calm = 300 * time.Millisecond
	quiet := time.AfterFunc(time.Hour, sync.OnceFunc(func() { close(holds) }))
	d.t.Cleanup(func() { quiet.Stop() })
	d.leads.Disturb(func(target http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/"+prefix+"-") || made.Add(1) <= most {
				target.ServeHTTP(w, r)
				return
			}
			quiet.Reset(calm)
			<-done
			hangUp(w)
		})
	})
	release = sync.OnceFunc(func() { close(done) })
	d.t.Cleanup(release)
	return holds, release
}

// The leader is killed in the middle of its work: the replica that waited ends
// it, and does nothing twice.
func TestFaultsLeaderKilled(t *testing.T) {
	t.Parallel()
	d := newDuel(t)
	started := time.Now()
	held, release := d.midway("bulk", 20)
	bulk := d.many("bulk", 60)
	<-held
	d.change(1)
	d.controller.Kill()
	killed := time.Now()
	release()
	d.change(2)
	all := append([]client.Object{d.connection, d.edited}, append(bulk, d.fresh()...)...)
	d.ready(all...)
	within(t, "the queues of deleted resources to go", d.absent(d.broker, queuePath(d.virtualHost, "old-1")))
	t.Logf("the other replica was done %s after the leader's end", time.Since(killed))
	d.judgeBoth(started, bulk)
}

func (d *duel) fresh() []client.Object { return d.works.made }

// judgeBoth holds what both have written to what was asked for: nothing was
// made or deleted twice.
func (d *duel) judgeBoth(since time.Time, bulk []client.Object) {
	d.t.Helper()
	times := map[string]int{}
	for _, r := range harness.Calls(append(d.leads.Writes(since), d.waits.Writes(since)...)...) {
		path, _, _ := strings.Cut(strings.Replace(r.Path, url.PathEscape(d.virtualHost), "", 1), "?")
		if r.Status == 201 || r.Status == 204 && r.Method == "DELETE" {
			times[r.Method+" "+path]++
		} else if r.Status != 502 { // cut off by the kill; what became of it was seen later
			d.t.Errorf("a write for what was already right: %s %s %d", r.Method, path, r.Status)
		}
	}
	for what, n := range times {
		if most := 1 + strings.Count(what, "POST /api/bindings//e/orders/q/edited"); n > most {
			d.t.Errorf("%d times %s", n, what)
		}
	}
	for _, object := range bulk {
		if times["PUT /api/queues//"+object.GetName()] == 0 {
			d.t.Errorf("%s was made by nobody", object.GetName())
		}
	}
}

// The leader stands still in the middle of its work for so long that the other
// replica takes over, and then goes on: it must not touch the broker any more.
func TestFaultsLeaderPaused(t *testing.T) {
	t.Parallel()
	d := newDuel(t)
	held, release := d.midway("bulk", 20)
	bulk := d.many("bulk", 45) // fewer than the breaker holds back
	<-held
	d.controller.Pause()
	paused := time.Now()
	release()
	d.leads.Disturb(nil)
	d.change(1)
	d.ready(append([]client.Object{d.connection, d.edited}, append(bulk, d.fresh()...)...)...)
	t.Logf("the other replica was done %s after the leader stood still", time.Since(paused))

	// What the paused one was about to make is gone again by now.
	d.remove(bulk...)
	for _, object := range bulk {
		within(t, "the queues to go", d.absent(d.broker, queuePath(d.virtualHost, object.GetName())))
	}
	before := d.listing()
	woken := time.Now()
	d.controller.Resume()
	if !d.controller.Ended() {
		t.Error("the former leader did not end")
	}
	if late := d.leads.Writes(woken); len(late) > 0 {
		t.Errorf("the former leader sent %d writes after it was replaced: %v", len(late), late)
	}
	d.same("the former leader", before)
	d.change(2)
	d.ready(append(d.fresh(), d.edited)...)
}
