package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

const (
	// An edit over a connection that works takes slowdown times what it took before
	// the faults at most, or leastUnhurt: to wait for one that does not work would take
	// the deadlines of several requests.
	leastUnhurt = 20 * time.Second
	slowdown    = 8
)

// fault is what is wrong between the controller and one broker.
type fault struct {
	name    string
	toxics  []harness.Toxic
	disturb func(target http.Handler) http.Handler
	// says is what the connection's status tells of it; empty if the connection
	// can still work.
	says string
}

func rabbitFaults() []fault {
	var requests atomic.Int64
	refuse := func(w http.ResponseWriter) { http.Error(w, "something broke", http.StatusInternalServerError) }
	return []fault{
		{name: "latency", toxics: []harness.Toxic{{Type: "latency", Attributes: map[string]int{"latency": 300, "jitter": 200}}}},
		{name: "narrow", toxics: []harness.Toxic{{Type: "bandwidth", Downstream: true, Attributes: map[string]int{"rate": 1}}}},
		{name: "reset", toxics: []harness.Toxic{{Type: "reset_peer"}}, says: "connection closed"},
		{name: "cut", toxics: []harness.Toxic{{Type: "limit_data", Downstream: true, Attributes: map[string]int{"bytes": 150}}}, says: "connection closed"},
		{name: "half-open", toxics: []harness.Toxic{{Type: "timeout"}}, says: "no answer from"},
		{name: "deaf", toxics: []harness.Toxic{{Type: "timeout", Downstream: true}}, says: "no answer from"},
		{name: "errors", says: "answered 500", disturb: func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { refuse(w) })
		}},
		{name: "every-fourth", disturb: func(target http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1)%4 == 0 {
					refuse(w)
					return
				}
				target.ServeHTTP(w, r)
			})
		}},
		{name: "slow-body", disturb: slowBodies, says: "no answer from"},
		// The write is done, and its answer is an error or none at all.
		{name: "wrong-answer", disturb: afterWrites(refuse)},
		{name: "no-answer", disturb: afterWrites(hangUp)},
	}
}

// slowBodies sends the head at once and the body a byte at a time.
func slowBodies(target http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		target.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		for _, b := range answer.Body.Bytes() {
			if _, err := w.Write([]byte{b}); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(250 * time.Millisecond):
			}
		}
	})
}

// afterWrites lets writes through and answers something else.
func afterWrites(answer func(http.ResponseWriter)) func(http.Handler) http.Handler {
	return func(target http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				target.ServeHTTP(w, r)
				return
			}
			target.ServeHTTP(httptest.NewRecorder(), r)
			answer(w)
		})
	}
}

// hangUp resets the connection.
func hangUp(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = connection.(*net.TCPConn).SetLinger(0)
	_ = connection.Close()
}

// patient is a connection with a fault, and what is declared over it.
type patient struct {
	fault
	virtualHost string
	wire        *harness.Wire
	recorder    *harness.Recorder
	connection  *v1alpha1.RabbitMQConnection
	objects     []client.Object // that live
}

// Everything that can be wrong with the way to a broker, each on a connection of
// its own, all at once, in one controller.
func TestFaultsRabbitMQ(t *testing.T) {
	t.Parallel()
	w := newWard(t, harness.RabbitMQAt(t, "4.0"))
	for _, p := range w.patients {
		for _, name := range []string{"edited", "deleted", "changed-mind"} {
			p.objects = append(p.objects, w.declare(p.name, name, p.virtualHost))
		}
		w.broker.Must(t, "PUT", queuePath(p.virtualHost, "foreign"), map[string]any{"durable": true, "arguments": map[string]any{}}, nil)
	}
	sound, elsewhere := w.declare("sound", "sound", w.patients[0].virtualHost), w.declare("elsewhere", "elsewhere", w.elsewhereHost)
	for _, p := range w.patients {
		s := append([]client.Object{p.connection}, p.objects...)
		w.ready(s...)
	}
	w.ready(sound, elsewhere)
	baseline := w.took(sound, elsewhere)
	w.unhurt = max(leastUnhurt, slowdown*baseline)

	for _, p := range w.patients {
		p.wire.Poison(t, p.toxics...)
		if p.disturb != nil {
			p.recorder.Disturb(p.disturb)
		}
	}
	begin := time.Now()
	for _, p := range w.patients {
		edited, deleted, changed := p.objects[0].(*v1alpha1.Queue), p.objects[1], p.objects[2].(*v1alpha1.Queue)
		w.next(edited)
		w.next(changed)
		w.remove(deleted, changed)
		p.objects = []client.Object{edited, w.declare(p.name, "made", p.virtualHost)}
	}
	// Through the sound connection, in the virtual hosts of the others too.
	var neighbours []*v1alpha1.Queue
	for _, p := range w.patients {
		declared := time.Now()
		q := w.declare("sound", "neighbour-"+p.name, p.virtualHost)
		neighbours = append(neighbours, q)
		w.readySince(declared, q)
	}
	t.Logf("edits over sound connections took %s before, %s during the faults; %d queues in the same virtual hosts %s",
		baseline, w.took(sound, elsewhere), len(neighbours), time.Since(begin))
	w.observe(time.Until(begin.Add(6*time.Second)), nil)
	for _, p := range w.patients {
		w.next(p.objects[0].(*v1alpha1.Queue))
		p.objects = append(p.objects, w.declare(p.name, "late", p.virtualHost))
		if p.says != "" {
			says(t, w.reaches(p.connection, metav1.ConditionFalse, v1alpha1.ReasonConnectionUnavailable), p.says)
		}
	}
	w.took(sound, elsewhere)
	w.observe(time.Until(begin.Add(14*time.Second)), nil)
	for _, p := range w.patients {
		t.Logf("%s: %d writes arrived during the fault; %s", p.name, len(p.recorder.Writes(begin)), describe(p.connection))
	}

	cure := time.Now()
	t.Cleanup(func() {
		for _, p := range w.patients {
			for _, r := range p.recorder.Writes(begin) {
				if t.Failed() {
					t.Logf("%s: %s %s %s %d", p.name, r.Time.Format("05.000"), r.Method, r.Path, r.Status)
				}
			}
		}
	})
	for _, p := range w.patients {
		p.recorder.Disturb(nil)
		p.wire.Cure(t)
	}
	w.observe(harness.Patience, w.healthy)
	t.Logf("all was well %s after the faults", time.Since(cure))
	for _, p := range w.patients {
		if writes := len(p.recorder.Writes(begin)); writes > mostWrites {
			t.Errorf("%s: %d writes for ten", p.name, writes)
		}
	}
	for _, event := range w.events() {
		if strings.Contains(event, v1alpha1.ReasonAdoptionRefused) || strings.Contains(event, v1alpha1.ReasonConflict) {
			t.Errorf("not its own any more: %s", event)
		}
	}
	settled := time.Now()
	time.Sleep(interval + interval/2)
	for _, p := range w.patients {
		if writes := p.recorder.Writes(settled); len(writes) > 0 {
			t.Errorf("%s: nothing was to be done, and there were the writes %v", p.name, writes)
		}
	}
}

// mostWrites is a handful of attempts on each of the ten writes that a patient
// asks for, each repeated by net/http when the connection breaks under it.
const mostWrites = 150

// ward is a stage with many patients and two sound connections: to the same
// broker and to another one.
type ward struct {
	*stage
	broker        *harness.RabbitMQ
	patients      []*patient
	elsewhereHost string

	hosts map[string]*harness.RabbitMQ
	// unhurt is how soon an edit over a sound connection has to be done, once it is
	// known how long one takes without faults.
	unhurt time.Duration
}

func newWard(t *testing.T, broker *harness.RabbitMQ) *ward {
	t.Helper()
	w := &ward{stage: newStage(t), broker: broker, hosts: map[string]*harness.RabbitMQ{}}
	w.controller.Start(t)
	other := harness.RabbitMQAt(t, "4.3")
	w.elsewhereHost = other.NewVirtualHost(t)
	w.hosts[w.elsewhereHost] = other
	soundSecret, sound := w.rabbit("sound", broker, "/", "")
	elseSecret, elsewhere := w.rabbit("elsewhere", other, w.elsewhereHost, "")
	w.create(soundSecret, sound, elseSecret, elsewhere)
	for _, f := range rabbitFaults() {
		p := &patient{fault: f, virtualHost: broker.NewVirtualHost(t), recorder: harness.NewRecorder(t, broker.ManagementURL)}
		w.hosts[p.virtualHost] = broker
		target, err := url.Parse(p.recorder.URL)
		if err != nil {
			t.Fatal(err)
		}
		p.wire = harness.NewWire(t, "127.0.0.1:0", target.Host)
		broker.Must(t, "PUT", exchangePath(p.virtualHost, "orders"), map[string]any{"type": "topic", "durable": true, "arguments": map[string]any{}}, nil)
		secret, connection := w.rabbit(f.name, broker, p.virtualHost, "http://"+p.wire.Addr())
		p.connection = connection
		w.create(secret, connection)
		w.patients = append(w.patients, p)
	}
	other.Must(t, "PUT", exchangePath(w.elsewhereHost, "orders"), map[string]any{"type": "topic", "durable": true, "arguments": map[string]any{}}, nil)
	return w
}

// declare creates a queue with a binding whose key has the generation.
func (w *ward) declare(connection, name, virtualHost string) *v1alpha1.Queue {
	w.t.Helper()
	q := queue(connection+"-"+name, connection, v1alpha1.QueueTypeClassic)
	q.Spec.Name, q.Spec.VirtualHost = name, virtualHost
	q.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{generationKey(1)}}}
	w.create(q)

	return q
}

func generationKey(generation int64) string { return fmt.Sprintf("generation.%d", generation) }

// next edits a queue: its key is that of the new generation.
func (w *ward) next(q *v1alpha1.Queue) {
	w.t.Helper()
	edit(w.stage, q, func(q *v1alpha1.Queue) { q.Spec.Bindings[0].RoutingKeys[0] = generationKey(q.Generation + 1) })
}

// took edits queues and returns how long it took until all were Ready.
func (w *ward) took(queues ...*v1alpha1.Queue) time.Duration {
	w.t.Helper()
	begin := time.Now()
	for _, q := range queues {
		w.next(q)
	}
	for _, q := range queues {
		w.readySince(begin, q)
	}
	return time.Since(begin)
}

// readySince holds an edit to the time that it may take.
func (w *ward) readySince(begin time.Time, q *v1alpha1.Queue) {
	w.t.Helper()
	w.ready(q)
	if took := time.Since(begin); w.unhurt > 0 && took > w.unhurt {
		w.t.Errorf("%s, whose connection works, was Ready after %s, and %s is the most", q.Name, took, w.unhurt)
	}
}

// observe compares what statuses say with what the brokers have, for a time, or
// until done says so, which it must within that time.
func (w *ward) observe(limit time.Duration, done func() (bool, string)) {
	w.t.Helper()
	observe(w.t, limit, w.truthful, done)
}

func observe(t *testing.T, limit time.Duration, truthful func(), done func() (bool, string)) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(200 * time.Millisecond) {
		truthful()
		state := ""
		if done != nil {
			var ok bool
			if ok, state = done(); ok {
				return
			}
		}
		if time.Now().After(end) {
			if done != nil {
				t.Fatalf("not within %s: %s", limit, state)
			}
			return
		}
	}
}

// truthful fails the test if a status says Ready of a generation that the broker
// has not got.
func (w *ward) truthful() {
	w.t.Helper()
	var list v1alpha1.QueueList
	if err := w.client.List(w.t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	keys := map[string][]string{} // after the statuses: what the broker had then, it has now, or something later
	for host, broker := range w.hosts {
		var found []struct {
			Destination string `json:"destination"`
			RoutingKey  string `json:"routing_key"`
		}
		broker.Must(w.t, "GET", "/api/bindings/"+url.PathEscape(host)+"?columns=destination,routing_key", nil, &found)
		for _, b := range found {
			keys[host+" "+b.Destination] = append(keys[host+" "+b.Destination], b.RoutingKey)
		}
	}
	for i := range list.Items {
		q := &list.Items[i]
		if broken := sound(q); broken != "" {
			w.t.Errorf("%s: %s", broken, describe(q))
		}
		observed, conditions := conditionsOf(q)
		if !saysReady(conditions) {
			continue
		}
		has := keys[q.Spec.VirtualHost+" "+q.Spec.Name]
		if slices.ContainsFunc(has, func(key string) bool {
			var generation int64
			_, err := fmt.Sscanf(key, "generation.%d", &generation)
			return err == nil && generation >= observed
		}) {
			continue
		}
		var now v1alpha1.Queue
		if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(q), &now); err == nil && now.UID == q.UID {
			w.t.Errorf("%s: the broker has %q, and the status says: %s", time.Now().Format("05.000"), has, describe(q))
		}
	}
}

func saysReady(conditions []metav1.Condition) bool {
	return slices.ContainsFunc(conditions, func(c metav1.Condition) bool {
		return c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionTrue
	})
}

// healthy tells whether all patients are Ready and their virtual hosts hold
// what is declared, what is foreign, and nothing else.
func (w *ward) healthy() (bool, string) {
	for _, p := range w.patients {
		for _, object := range append([]client.Object{p.connection}, p.objects...) {
			w.get(object)
			observed, conditions := conditionsOf(object)
			if observed != object.GetGeneration() || !saysReady(conditions) {
				return false, describe(object)
			}
		}
		if diff := cmp.Diff(w.wanted(p), listing(w.t, w.broker, p.virtualHost)); diff != "" {
			return false, p.name + " (-wanted +found)\n" + diff
		}
	}
	return true, ""
}

func (w *ward) wanted(p *patient) []string {
	out := []string{
		`topic exchange "orders" durable=true auto_delete=false {}`,
		`queue "foreign" durable=true auto_delete=false {"x-queue-type":"classic"}`,
	}
	for _, q := range w.declared(p.virtualHost) {
		out = append(out,
			fmt.Sprintf(`queue %q durable=true auto_delete=false {"x-queue-type":"classic"}`, q.Spec.Name),
			fmt.Sprintf(`binding "orders" -> queue %q key %q {}`, q.Spec.Name, q.Spec.Bindings[0].RoutingKeys[0]))
	}
	slices.Sort(out)
	return out
}

func (w *ward) declared(virtualHost string) []v1alpha1.Queue {
	var list v1alpha1.QueueList
	if err := w.client.List(context.Background(), &list, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(q v1alpha1.Queue) bool { return q.Spec.VirtualHost != virtualHost })
}
