package scale

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// BenchmarkEdit measures single edits among many objects: when nothing else goes
// on, during drift checks of everything, and while others are being created;
// against edits among ten objects when nothing else goes on.
func BenchmarkEdit(b *testing.B) {
	for b.Loop() {
		s := newScene(b)
		limit := newSceneOn(b, s.broker).editsAmongTen(scaled(b, 200))
		limit.report(b)
		size := sizeOf(scaled(b, 10500))
		s.fill(size)
		for _, r := range []*row{
			s.editsQuiet(scaled(b, 200)), s.editsDuringSweeps(scaled(b, 200)), s.editsDuringCreation(scaled(b, 5000)),
			s.callsDuringCreation(scaled(b, 5000)), s.writesDuringCreation(scaled(b, 5000)),
		} {
			r.Objects = size.objects()
			r.limitedBy(limit.Figure, "the same among ten objects, with nothing else going on")
			r.report(b)
		}
	}
}

var sizeAmongTen = size{queues: 4, exchanges: 2, bindings: 4}

func (s *scene) editsAmongTen(n int) *row {
	s.tb.Helper()
	s.fill(sizeAmongTen)
	e := s.newEditor(s.someBindings())
	defer e.stop()
	r := latencyRow("edit-ten", "one edit among ten objects, apply to Ready, p99: nothing else going on", e.edit(n))
	r.Objects = 10
	return r
}

func (s *scene) editsQuiet(n int) *row {
	s.tb.Helper()
	e := s.newEditor(s.someBindings())
	defer e.stop()
	end := s.profiles.during(s.tb, "edit-quiet")
	defer end()
	start := time.Now()
	r := latencyRow("edit-quiet", "one edit among many objects: nothing else going on", e.edit(n))
	r.AimFigure = 500
	// The new key is bound, the old one is unbound, and both are read back.
	writes := len(s.requests.Writes(start))
	r.count("writes to the broker in each", (writes+n-1)/n)
	r.count("requests to the broker in each", (len(s.requests.Requests(start))+n-1)/n)
	if writes != 2*n {
		s.tb.Errorf("%d writes to the broker for %d edits of a binding", writes, n)
	}
	return r
}

func (s *scene) editsDuringSweeps(n int) *row {
	s.tb.Helper()
	e := s.newEditor(s.someBindings())
	defer e.stop()
	end := s.profiles.during(s.tb, "edit-sweep")
	defer end()
	stop, sweeps := make(chan struct{}), 0
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		for ; ; sweeps++ {
			select {
			case <-stop:
				return
			default:
				s.swept(s.askForSweep())
			}
		}
	})
	r := latencyRow("edit-sweep", "the same, during drift checks of everything", e.edit(n))
	close(stop)
	sweeping.Wait()
	r.AimRatio = 5
	r.count("drift checks", sweeps)
	if sweeps == 0 {
		s.tb.Error("no drift check went on")
	}
	return r
}

// editsDuringCreation edits until all others are Ready.
func (s *scene) editsDuringCreation(others int) *row {
	s.tb.Helper()
	e := s.newEditor(s.someBindings())
	defer e.stop()
	end := s.profiles.during(s.tb, "edit-create")
	defer end()
	var objects []v1alpha1.Object
	for _, o := range workload(s.namespace, sizeOf(others)) {
		o.SetName("other-" + o.GetName())
		if b, ok := o.(*v1alpha1.ExchangeBinding); ok {
			b.Spec.Source, b.Spec.Destination = "other-"+b.Spec.Source, "other-"+b.Spec.Destination
		}
		objects = append(objects, o)
	}
	seen := &readiness{prefix: "other-", want: len(objects)}
	seen.watch(s.tb, s.client, s.namespace)
	defer seen.stop()
	created := make(chan struct{})
	go func() {
		defer close(created)
		createAll(s.tb, s.client, objects)
	}()
	var all []time.Duration
	for !seen.all() {
		all = append(all, e.edit(1)...)
	}
	<-created
	r := latencyRow("edit-create", fmt.Sprintf("the same, while %d others are being created", len(objects)), all)
	r.AimRatio = 5
	return r
}

// callsDuringCreation is what no controller can do without of edits during a creation: the
// change, its event, the calls to the broker, and one status. Nobody else is there but
// those who create others, declare them on the broker, and give each a status. It has to
// come before what leaves the broker as it is.
func (s *scene) callsDuringCreation(others int) *row {
	s.tb.Helper()
	all := s.editsWithoutAController(sizeOf(others), true)
	return latencyRow("edit-calls", fmt.Sprintf("the change, its event, its calls to the broker and one status alone, without a controller, while %d others are created, imported and given a status", others), all)
}

// writesDuringCreation is the same without the broker.
func (s *scene) writesDuringCreation(others int) *row {
	s.tb.Helper()
	all := s.editsWithoutAController(sizeOf(others), false)
	return latencyRow("edit-writes", "the same without the calls to the broker", all)
}

// uploaded objects are in each upload: as many as a controller has in one.
const uploaded = 100

func (s *scene) editsWithoutAController(others size, onTheBroker bool) []time.Duration {
	s.tb.Helper()
	s.controller.Stop()
	e := s.newEditor(s.someBindings())
	defer e.stop()
	var creating sync.WaitGroup
	creating.Go(func() { measureLimit(s, others) })
	if onTheBroker {
		creating.Go(func() {
			host := s.broker.NewVirtualHost(s.tb)
			for some := range slices.Chunk(workload(s.namespace, others), uploaded) {
				s.broker.Must(s.tb, "POST", "/api/definitions/"+url.PathEscape(host), definitions(some), nil)
			}
		})
	}
	created := make(chan struct{})
	go func() {
		defer close(created)
		creating.Wait()
	}()
	var all []time.Duration
	for over := false; !over; {
		start := time.Now()
		old := e.next().DeepCopy()
		i := e.change()
		e.await(i, func(b *v1alpha1.ExchangeBinding) bool { return b.Generation >= e.bindings[i].Generation })
		if onTheBroker {
			s.rebind(old, e.bindings[i])
		}
		if err := patchStatus(s.tb.Context(), s.client, e.bindings[i]); err != nil {
			s.tb.Fatal(err)
		}
		e.ready(i)
		all = append(all, time.Since(start))
		select {
		case <-created:
			over = true
		default:
		}
	}
	return all
}

// rebind has the broker bind by the new routing key, and no longer by the old one, and
// reads back what is bound then.
func (s *scene) rebind(old, now *v1alpha1.ExchangeBinding) {
	path := s.pathOf(now)
	s.broker.Must(s.tb, "POST", path, map[string]any{"routing_key": now.Spec.RoutingKeys[0]}, nil)
	s.broker.Must(s.tb, "DELETE", path+"/"+url.PathEscape(old.Spec.RoutingKeys[0]), nil, nil)
	s.broker.Must(s.tb, "GET", path, nil, nil)
}

// pathOf is where the bindings of an exchange to a queue are.
func (s *scene) pathOf(b *v1alpha1.ExchangeBinding) string {
	return fmt.Sprintf("/api/bindings/%s/e/%s/q/%s", url.PathEscape(cmp.Or(b.Spec.VirtualHost, s.host)), b.Spec.Source, b.Spec.Destination)
}

// editor changes the routing key of some bindings, one after the other.
type editor struct {
	s        *scene
	bindings []*v1alpha1.ExchangeBinding
	events   []<-chan *v1alpha1.ExchangeBinding // of each
	edits    int
	stop     func() // ends the watching
}

// someBindings are up to ten of those that a scene was filled with.
func (s *scene) someBindings() []*v1alpha1.ExchangeBinding {
	s.tb.Helper()
	var list v1alpha1.ExchangeBindingList
	if err := s.client.List(s.tb.Context(), &list, client.InNamespace(s.namespace)); err != nil {
		s.tb.Fatal(err)
	}
	var out []*v1alpha1.ExchangeBinding
	for i := range list.Items[:min(len(list.Items), 10)] {
		out = append(out, &list.Items[i])
	}
	return out
}

func (s *scene) newEditor(bindings []*v1alpha1.ExchangeBinding) *editor {
	s.tb.Helper()
	ctx, stop := context.WithCancel(s.tb.Context())
	e := &editor{s: s, bindings: bindings, stop: stop}
	for _, binding := range bindings {
		events := make(chan *v1alpha1.ExchangeBinding, 100)
		follow(ctx, s.tb, s.client, &v1alpha1.ExchangeBindingList{}, s.namespace, binding.Name, func(_ watch.EventType, o client.Object) {
			events <- o.(*v1alpha1.ExchangeBinding)
		})
		e.events = append(e.events, events)
	}
	return e
}

// edit makes n edits and returns how long each took from apply to Ready. Each
// must have reached the broker by then.
func (e *editor) edit(n int) []time.Duration {
	e.s.tb.Helper()
	var out []time.Duration
	for range n {
		start := time.Now()
		i := e.change()
		e.ready(i)
		out = append(out, time.Since(start))
		binding := e.bindings[i]
		path := e.s.pathOf(binding)
		if !slices.ContainsFunc(harness.Calls(e.s.requests.Writes(start)...), func(r harness.Request) bool { return r.Method == "POST" && r.Path == path }) {
			e.s.tb.Errorf("%s is Ready, and nothing was sent to %s", binding.Name, path)
		}
	}
	return out
}

// next is the binding that is edited next.
func (e *editor) next() *v1alpha1.ExchangeBinding { return e.bindings[e.edits%len(e.bindings)] }

// change makes the next edit, and returns of which binding it is.
func (e *editor) change() (i int) {
	e.s.tb.Helper()
	i = e.edits % len(e.bindings)
	e.edits++
	patch := fmt.Sprintf(`{"spec":{"routingKeys":["edited.%d.%d"]}}`, time.Now().UnixNano(), e.edits)
	if err := e.s.client.Patch(e.s.tb.Context(), e.bindings[i], client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		e.s.tb.Fatal(err)
	}
	return i
}

func (e *editor) ready(i int) {
	e.s.tb.Helper()
	generation := e.bindings[i].Generation
	e.await(i, func(b *v1alpha1.ExchangeBinding) bool { return b.Status.ObservedGeneration >= generation && isReady(b) })
}

// await waits for an event on a binding that says so.
func (e *editor) await(i int, says func(*v1alpha1.ExchangeBinding) bool) {
	e.s.tb.Helper()
	deadline := time.After(patience)
	for {
		select {
		case b := <-e.events[i]:
			if says(b) {
				return
			}
		case <-deadline:
			e.s.tb.Fatalf("%s: no such event after %s", e.bindings[i].Name, patience)
		}
	}
}

// latencyRow has the 99th percentile as its figure.
func latencyRow(id, workload string, all []time.Duration) *row {
	slices.Sort(all)
	r := &row{ID: id, Workload: workload, Figure: milliseconds(percentile(all, 99)), Unit: "ms"}
	r.more("p50", milliseconds(percentile(all, 50)), "ms")
	r.more("edits", float64(len(all)), "")
	for _, one := range all {
		r.Latencies = append(r.Latencies, milliseconds(one))
	}
	return r
}

// percentile of sorted values: the smallest that so many percent do not exceed.
func percentile(sorted []time.Duration, percent int) time.Duration {
	return sorted[max((len(sorted)*percent+99)/100-1, 0)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
