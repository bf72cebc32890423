package e2e

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// The declarations of a history on RabbitMQ. Two of them are of one queue.
const (
	slotTopicExchange = iota
	slotFanout
	slotClassic
	slotQuorum
	slotTwin
	slotOtherTwin
	slotBinding
	slotFeed   // of one exchange by the other
	slotSide   // a second virtual host
	slotInside // an exchange in it
	rabbitSlots
)

const (
	pairedSlots   = slotTwin + slotOtherTwin
	queueOfTwins  = "twin"
	foreignObject = "foreign"
)

// site is one of the two brokers of a history.
type site struct {
	broker   *harness.RabbitMQ
	recorder *harness.Recorder
}

// bounds are what is known of the number of messages in a queue: at least low,
// which must not be lost, and at most high.
type bounds struct{ low, high int }

// atRisk are the bounds where any of the messages may go.
func (b bounds) atRisk() bounds { return bounds{0, b.high} }

func allAtRisk(messages map[string]bounds) map[string]bounds {
	out := map[string]bounds{}
	for name, known := range messages {
		out[name] = known.atRisk()
	}
	return out
}

// origin is where a line of a listing comes from.
type origin struct {
	slot     int
	resource topology.Resource
}

type rabbitWorld struct {
	h           *history
	here, there site
	virtualHost string
	side        string
	// seen has every line that was ever declared. retained ones may stay for
	// ever, kept ones have to; byHand ones may be there.
	seen                   map[string]origin
	retained, kept, byHand map[string]bool
	// spared slots were under Retain at some time: a controller that was killed
	// may not know of anything later.
	spared   map[int]bool
	foreign  []string
	messages map[string]bounds
	// elsewhere are those of the cluster that was left.
	elsewhere map[string]bounds
	since     time.Time
	// left is the site that was left for good, as it was then.
	left   *site
	frozen []string
	hands  int
}

// opening is held while a history makes its virtual hosts: a broker takes long
// to make several at a time.
var opening sync.Mutex

func newRabbitWorld(h *history, here, there *harness.RabbitMQ) world {
	opening.Lock()
	defer opening.Unlock()
	w := &rabbitWorld{
		h: h, seen: map[string]origin{}, messages: map[string]bounds{},
		retained: map[string]bool{}, kept: map[string]bool{}, byHand: map[string]bool{}, spared: map[int]bool{},
		here:        site{here, harness.NewRecorder(h.t, here.ManagementURL)},
		there:       site{there, harness.NewRecorder(h.t, there.ManagementURL)},
		virtualHost: here.NewVirtualHost(h.t),
	}
	w.side = w.virtualHost + "-side"
	there.Must(h.t, "PUT", "/api/vhosts/"+w.virtualHost, map[string]any{}, nil)
	h.t.Cleanup(func() {
		for _, broker := range []*harness.RabbitMQ{here, there} {
			for _, name := range []string{w.virtualHost, w.side} {
				broker.Do(detached{h.t}, "DELETE", "/api/vhosts/"+name, nil)
			}
		}
	})
	for _, broker := range []*harness.RabbitMQ{here, there} {
		broker.Must(h.t, "PUT", exchangePath(w.virtualHost, foreignObject), map[string]any{"type": "topic", "durable": true}, nil)
		broker.Must(h.t, "PUT", queuePath(w.virtualHost, foreignObject), map[string]any{"durable": true, "arguments": map[string]any{"x-queue-type": "classic"}}, nil)
		broker.Must(h.t, "POST", bindingPath(w.virtualHost, foreignObject, foreignObject), map[string]any{"routing_key": "theirs"}, nil)
	}
	w.foreign = w.lines(w.here)
	return w
}

func (w *rabbitWorld) connect() ([]client.Object, v1alpha1.Connection) {
	secret, connection := w.h.rabbit(w.h.name, w.here.broker, w.virtualHost, w.here.recorder.URL)
	return []client.Object{secret}, connection
}

func (w *rabbitWorld) swap(c v1alpha1.Connection) {
	spec := &c.(*v1alpha1.RabbitMQConnection).Spec
	if spec.Endpoint == w.here.recorder.URL {
		spec.Endpoint = w.there.recorder.URL
	} else {
		spec.Endpoint = w.here.recorder.URL
	}
}

func (w *rabbitWorld) moved() {
	old := w.here
	w.left, w.frozen = &old, still(w.h, func() []string { return w.lines(old) })
	w.here, w.there = w.there, w.here
	clear(w.retained)
	clear(w.kept)
	for _, line := range w.lines(w.here) {
		if _, known := w.seen[line]; known {
			w.retained[line] = true // it was left for good before, and nobody's since
		}
	}
	clear(w.byHand)
	w.messages, w.elsewhere = allAtRisk(w.elsewhere), w.messages
}

func (w *rabbitWorld) slots() int { return rabbitSlots }

// build makes the declaration of a slot. What a broker cannot change is the same
// each time.
func (w *rabbitWorld) build(slot int, e event) v1alpha1.Object {
	name, c, key := w.h.name+"-", w.h.name, fmt.Sprintf("key-%d", e.Variant%3)
	from := func(source string) []v1alpha1.BindingSource {
		if e.Variant%4 == 0 {
			return nil
		}
		return []v1alpha1.BindingSource{{Source: source, RoutingKeys: []string{key, "always"}}}
	}
	deletion := []v1alpha1.DeletionPolicy{v1alpha1.DeleteIfUnused, v1alpha1.DeleteAlways, v1alpha1.Retain}[e.Deletion]
	policies := v1alpha1.Policies{
		AdoptionPolicy: []v1alpha1.AdoptionPolicy{v1alpha1.AdoptIfIdentical, v1alpha1.AdoptAlways, v1alpha1.AdoptNever}[e.Adoption],
		DriftPolicy:    []v1alpha1.DriftPolicy{v1alpha1.DriftCorrect, v1alpha1.DriftReport}[e.Drift],
		Suspend:        e.Suspend,
	}
	exchangeOf := func(broker string, kind v1alpha1.ExchangeType) *v1alpha1.Exchange {
		x := exchange(name+broker, c, kind)
		x.Spec.Name, x.Spec.DeletionPolicy, x.Spec.Policies = broker, deletion, policies
		return x
	}
	queueOf := func(resource, broker string, kind v1alpha1.QueueType) *v1alpha1.Queue {
		q := queue(name+resource, c, kind)
		q.Spec.Name, q.Spec.Bindings, q.Spec.DeletionPolicy, q.Spec.Policies = broker, from("orders"), deletion, policies
		return q
	}
	switch slot {
	case slotTopicExchange:
		return exchangeOf("orders", "topic")
	case slotFanout:
		x := exchangeOf("audit", "fanout")
		x.Spec.Bindings = from("orders")
		return x
	case slotClassic:
		q := queueOf("work", "work", v1alpha1.QueueTypeClassic)
		q.Spec.DeadLetter = &v1alpha1.DeadLetter{}
		return q
	case slotQuorum:
		q := queueOf("retried", "retried", v1alpha1.QueueTypeQuorum)
		q.Spec.DeadLetter = &v1alpha1.DeadLetter{}
		q.Spec.Retry = &v1alpha1.Retry{Strategy: v1alpha1.RetryTiers, Delays: durations(time.Second, time.Minute)}
		return q
	case slotTwin, slotOtherTwin:
		q := queueOf(fmt.Sprintf("twin-%d", slot), queueOfTwins, v1alpha1.QueueTypeClassic)
		if len(q.Spec.Bindings) > 0 { // each its own, to tell whose the queue is
			q.Spec.Bindings[0].RoutingKeys[1] = q.Name
		}
		return q
	case slotBinding, slotFeed:
		b := binding(name+"binding", c, "orders", "work", key, "binding")
		if slot == slotFeed {
			b.Name, b.Spec.Destination, b.Spec.DestinationType = name+"feed", "audit", v1alpha1.DestinationExchange
		}
		b.Spec.DeletionPolicy, b.Spec.Policies = deletion, policies
		return b
	case slotSide:
		v := &v1alpha1.VirtualHost{Spec: v1alpha1.VirtualHostSpec{ConnectionRef: ref(c), Name: w.side, Description: key}}
		v.Name = name + "side"
		v.Spec.DeletionPolicy, v.Spec.Policies = deletion, policies
		return v
	default:
		x := exchangeOf("inside", "direct")
		x.Spec.VirtualHost = w.side
		return x
	}
}

func (w *rabbitWorld) probe() v1alpha1.Object {
	x := exchange(w.h.name+"-probe", w.h.name, "direct")
	x.Spec.Suspend = true
	return x
}

func (w *rabbitWorld) needs(object v1alpha1.Object) (slots []int) {
	bound := func(all []v1alpha1.BindingSource) []int {
		if len(all) > 0 {
			return []int{slotTopicExchange}
		}
		return nil
	}
	switch o := object.(type) {
	case *v1alpha1.Queue:
		return bound(o.Spec.Bindings)
	case *v1alpha1.Exchange:
		if o.Spec.VirtualHost != "" {
			return []int{slotSide}
		}
		return bound(o.Spec.Bindings)
	case *v1alpha1.ExchangeBinding:
		if o.Spec.DestinationType == v1alpha1.DestinationExchange {
			return []int{slotTopicExchange, slotFanout}
		}
		return []int{slotTopicExchange, slotClassic}
	}
	return nil
}

// claim is what a resource asks of the broker. Which objects that are is the
// business of other tests.
func (w *rabbitWorld) claim(object v1alpha1.Object) map[string]topology.Resource {
	claim := compile.Claim(object, compile.ConnectionDefaults{VirtualHost: w.virtualHost, Version: w.h.connection.GetStatus().Version})
	if claim.Invalid != nil {
		w.h.t.Fatalf("%s: %v", object.GetName(), claim.Invalid)
	}
	out := map[string]topology.Resource{}
	for _, want := range claim.Want {
		out[w.render(want.Resource)] = want.Resource
	}
	return out
}

func (w *rabbitWorld) applied(slot int, object v1alpha1.Object) {
	w.spared[slot] = w.spared[slot] || object.GetPolicies().Deletion == v1alpha1.Retain
	for line, resource := range w.claim(object) {
		w.seen[line] = origin{slot, resource}
		delete(w.kept, line)
	}
}

func (w *rabbitWorld) departed(slot int, object v1alpha1.Object) {
	ready, drift, _ := readiness(object)
	if w.spared[slot] && object.GetStatus().ObservedGeneration < object.GetGeneration() {
		w.mayStay(slot)
	}
	delete(w.spared, slot)
	twin, paired := w.h.declared[pairedSlots-slot]
	if (slot == slotTwin || slot == slotOtherTwin) && paired {
		if object.GetPolicies().Deletion == v1alpha1.DeleteAlways && twin.event.Suspend {
			w.atRisk(queueOfTwins)
		}
		w.retain(slot, object)
		return // the other one takes the queue over, with what is in it
	}
	switch object.GetPolicies().Deletion {
	case v1alpha1.Retain:
		w.retain(slot, object)
		for line, resource := range w.claim(object) {
			if ready && drift == "" && resource.ID().Kind != topology.KindBinding && w.has(line) {
				w.kept[line] = true
			}
		}
	case v1alpha1.DeleteAlways:
		for _, resource := range w.claim(object) {
			w.atRisk(resource.ID().Name)
		}
		if slot == slotSide {
			w.forgetSide()
		}
	}
}

// retain notes that what a resource has declared, now or before, may stay.
func (w *rabbitWorld) retain(slot int, object v1alpha1.Object) {
	if object.GetPolicies().Deletion == v1alpha1.Retain {
		w.mayStay(slot)
	}
}

func (w *rabbitWorld) mayStay(slot int) {
	for line, from := range w.seen {
		if from.slot == slot || declaredQueues()[slot] == queueOfTwins && declaredQueues()[from.slot] == queueOfTwins {
			w.retained[line] = true
		}
	}
}

func (w *rabbitWorld) atRisk(queue string) {
	w.messages[queue] = w.messages[queue].atRisk()
}

// forgetSide notes that the second virtual host may go, with all that is in it.
func (w *rabbitWorld) forgetSide() {
	for line := range w.kept {
		if strings.Contains(line, w.side) {
			delete(w.kept, line)
		}
	}
}

func (w *rabbitWorld) channel(at site) *amqp.Channel {
	return amqpChannel(w.h.t, at.broker, w.virtualHost)
}

func (w *rabbitWorld) has(line string) bool { return slices.Contains(w.lines(w.here), line) }

// lines lists what there is at a site, one line an object, sorted.
func (w *rabbitWorld) lines(at site) []string {
	out := listing(w.h.t, at.broker, w.virtualHost)
	var host struct{ Description string }
	if find(w.h.t, at.broker, "/api/vhosts/"+url.PathEscape(w.side), &host) {
		out = append(out, w.renderHost(host.Description))
		for _, line := range listing(w.h.t, at.broker, w.side) {
			out = append(out, w.side+": "+line)
		}
	}
	slices.Sort(out)
	return out
}

func (w *rabbitWorld) renderHost(description string) string {
	return fmt.Sprintf("virtual host %q %q", w.side, description)
}

func (w *rabbitWorld) writes() (all []string, sure bool) {
	since := w.since
	w.since = time.Now()
	for _, request := range w.here.recorder.Writes(since) {
		all = append(all, fmt.Sprintf("%s %s %d", request.Method, request.Path, request.Status))
	}
	return all, true
}

// declaredQueues are the queues that messages come to.
func declaredQueues() map[int]string {
	return map[int]string{slotClassic: "work", slotQuorum: "retried", slotTwin: queueOfTwins, slotOtherTwin: queueOfTwins}
}

func sortedQueues() []string {
	return slices.Compact(slices.Sorted(maps.Values(declaredQueues())))
}
