package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// declaration is a custom resource as it was last applied.
type declaration struct {
	object v1alpha1.Object
	event  event
}

// history is one of them while it is played.
type history struct {
	*stage
	troupe     *troupe
	name       string // of the connection; names of objects begin with it
	world      world
	connection v1alpha1.Connection
	declared   map[int]declaration // by slot
	// open is the event that has taken something away, left for how many events.
	open   event
	left   int
	asleep bool // the controller, killed by this history
	diary  []string
}

// world is a broker, and a second one, as a history uses them. It remembers what
// must come of it all.
type world interface {
	// connect makes the connection, and what it needs, to where it leads now.
	connect() (needs []client.Object, connection v1alpha1.Connection)
	// swap leads the connection to the other cluster.
	swap(connection v1alpha1.Connection)
	// moved notes that the other cluster is the one from now on.
	moved()
	// slots is the number of declarations.
	slots() int
	// build makes the declaration of a slot.
	build(slot int, e event) v1alpha1.Object
	// applied and departed note what is declared from now on, and what no longer.
	applied(slot int, object v1alpha1.Object)
	departed(slot int, object v1alpha1.Object)
	// probe makes a declaration that asks for nothing.
	probe() v1alpha1.Object
	// needs lists the slots that a declaration depends on.
	needs(object v1alpha1.Object) []int
	// hand is somebody else's change, fill messages that come, drain those of a
	// slot that go. They return what they did.
	hand(e event) string
	fill(slot int) string
	drain(slot int) string
	// unblock removes by hand what stands in the way of a declaration.
	unblock(slot int)
	// grant gives the controller the permissions that its messages ask for.
	grant()
	// judge tells what is not as it must be in the end.
	judge() []string
	// writes tells what the controller has written to the broker since it was
	// asked last, as far as that is known; sure is false if it is not.
	writes() (all []string, sure bool)
}

func (h *history) note(format string, arguments ...any) {
	h.diary = append(h.diary, fmt.Sprintf("%s "+format, append([]any{time.Now().Format("05.000")}, arguments...)...))
}

func (h *history) told() string { return strings.Join(h.diary, "\n") }

// happen has an event happen.
func (h *history) happen(e event) {
	sleep(h.t.Context(), e.Pause)
	slot := e.Slot % h.world.slots()
	switch e.What {
	case "declare":
		h.declare(slot, e)
	case "delete":
		if d, any := h.declared[slot]; any {
			h.undeclare(slot, d)
		}
	case "hand":
		h.note("by hand: %s", h.world.hand(e))
	case "fill":
		h.note("fill: %s", h.world.fill(slot))
	case "drain":
		h.note("drain: %s", h.world.drain(slot))
	case "settle":
		if h.left == 0 {
			h.barrier()
		}
	case "restart":
		if h.kill() {
			h.wake()
		}
	case "down", "away", "unplug":
		if h.left == 0 {
			h.begin(e)
			return
		}
	}
	if h.left > 0 {
		if h.left--; h.left == 0 {
			h.end()
		}
	}
}

func (h *history) declare(slot int, e event) {
	object := h.world.build(slot, e)
	object.SetNamespace(h.namespace)
	h.note("declare %s %s: %s", object.KindName(), object.GetName(), specOf(object))
	before, exists := h.declared[slot]
	if exists {
		h.get(before.object)
		h.replace(before.object, object)
	} else {
		h.create(object)
	}
	h.declared[slot] = declaration{object, e}
	h.world.applied(slot, object)
}

// replace gives a resource another spec.
func (h *history) replace(old, now v1alpha1.Object) {
	for {
		h.get(old)
		now.SetResourceVersion(old.GetResourceVersion())
		now.SetUID(old.GetUID())
		now.SetAnnotations(old.GetAnnotations())
		err := h.client.Update(h.t.Context(), now)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			h.t.Fatalf("edit %s: %v", now.GetName(), err)
		}
	}
}

func specOf(object v1alpha1.Object) string {
	all := map[string]any{}
	text, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return err.Error()
	}
	spec, _ := json.Marshal(all["spec"])
	return string(spec)
}

func (h *history) undeclare(slot int, d declaration) {
	h.get(d.object)
	h.note("delete %s %s (%s, %s)", d.object.KindName(), d.object.GetName(), d.object.GetPolicies().Deletion, describe(d.object))
	h.remove(d.object)
	delete(h.declared, slot)
	h.world.departed(slot, d.object)
}

// begin takes something away, for a number of events.
func (h *history) begin(e event) {
	switch e.What {
	case "down":
		if !h.kill() {
			return
		}
	case "unplug":
		h.note("the connection is deleted")
		h.remove(h.connection)
	case "away":
		h.lead()
		says(h.t, h.stalled(h.connection, v1alpha1.ReasonClusterChanged), v1alpha1.AnnotationAcceptCluster)
	}
	h.open, h.left = e, e.Span
}

// end gives it back.
func (h *history) end() {
	h.left = 0
	switch h.open.What {
	case "down":
		h.wake()
	case "unplug":
		h.plug()
	case "away":
		if h.open.Variant%3 > 0 {
			h.lead()
			h.ready(h.connection)
			return
		}
		// What is under way to the old cluster ends; a status in the same lane
		// tells that it has.
		probe := h.world.probe()
		h.create(probe)
		h.reaches(probe, metav1.ConditionFalse, v1alpha1.ReasonClusterChanged)
		h.remove(probe)
		h.world.moved()
		message := h.stalled(h.connection, v1alpha1.ReasonClusterChanged)
		_, rest, _ := strings.Cut(message, v1alpha1.AnnotationAcceptCluster+": ")
		id, _, _ := strings.Cut(rest, " ")
		h.note("cluster %s is accepted", id)
		edit(h.stage, client.Object(h.connection), func(c client.Object) {
			c.SetAnnotations(map[string]string{v1alpha1.AnnotationAcceptCluster: id})
		})
		h.ready(h.connection)
	}
}

// lead edits the connection to lead to the other cluster.
func (h *history) lead() {
	edit(h.stage, client.Object(h.connection), func(client.Object) { h.world.swap(h.connection) })
	h.note("the connection is led to %s", specOfConnection(h.connection))
}

func specOfConnection(c v1alpha1.Connection) string {
	switch c := c.(type) {
	case *v1alpha1.RabbitMQConnection:
		return c.Spec.Endpoint
	case *v1alpha1.KafkaConnection:
		return strings.Join(c.Spec.BootstrapServers, ",")
	}
	return ""
}

// plug makes the connection.
func (h *history) plug() {
	needs, connection := h.world.connect()
	for _, object := range needs {
		object.SetNamespace(h.namespace)
		if err := h.client.Create(h.t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
			h.t.Fatal(err)
		}
	}
	h.connection = connection
	h.note("the connection is made")
	h.create(connection)
	h.ready(connection)
}

// kill kills the controller, unless another history has just done so.
func (h *history) kill() bool {
	if !h.troupe.killing.TryLock() {
		return false
	}
	h.note("the controller is killed")
	h.asleep = true
	h.troupe.kills++
	h.controller.Kill()
	return true
}

// wake starts the controller that this history has killed.
func (h *history) wake() {
	if !h.asleep {
		return
	}
	h.asleep = false
	defer h.troupe.killing.Unlock()
	h.controller.Start(h.troupe.t)
	h.note("the controller is started")
}

// barrier waits until everything has been looked at after this moment.
func (h *history) barrier() {
	h.t.Helper()
	stamp := time.Now().Format(time.RFC3339Nano)
	objects := []client.Object{h.connection}
	for _, slot := range slices.Sorted(maps.Keys(h.declared)) {
		objects = append(objects, h.declared[slot].object)
	}
	for _, object := range objects {
		h.stamp(object, stamp)
	}
	h.note("reconcile-at")
	for _, object := range objects {
		h.answers(object, stamp)
	}
	h.note("reconcile-at is answered")
}

func (h *history) stamp(object client.Object, stamp string) {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationReconcileAt, stamp)
	target := object.DeepCopyObject().(client.Object)
	must(h.t, h.client.Patch(h.t.Context(), target, client.RawPatch(types.MergePatchType, []byte(patch))))
}

func (h *history) answers(object client.Object, stamp string) {
	h.t.Helper()
	within(h.t, object.GetName()+" to answer reconcile-at", func(context.Context) (bool, string) {
		h.get(object)
		if broken := sound(object); broken != "" {
			h.t.Fatalf("%s: %s", broken, describe(object))
		}
		answered := ""
		switch o := object.(type) {
		case v1alpha1.Object:
			answered = o.GetStatus().LastHandledReconcileAt
		case v1alpha1.Connection:
			answered = o.GetStatus().LastHandledReconcileAt
		}
		return answered == stamp, describe(object)
	})
}

// readiness tells whether a resource is Ready as it is declared now, and whether
// it is Drifted.
func readiness(object v1alpha1.Object) (ready bool, drift string, reason string) {
	observed, conditions := conditionsOf(object)
	if observed != object.GetGeneration() {
		return false, "", "not looked at"
	}
	if drifted := meta.FindStatusCondition(conditions, v1alpha1.ConditionDrifted); drifted != nil {
		drift = drifted.Message
	}
	is := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if is == nil {
		return false, drift, "no condition Ready"
	}
	return is.Status == metav1.ConditionTrue, drift, is.Reason
}
