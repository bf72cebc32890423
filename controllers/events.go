package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// recorder writes Kubernetes events: on transitions and on every destructive
// act, never per pass.
type recorder interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// mostNote is the limit of the API server for the note of an event.
const mostNote = 1024

func record(r recorder, about runtime.Object, kind, reason, action, note string) {
	recordFor(r, about, nil, kind, reason, action, note)
}

// recordFor is record on behalf of another object. Events that differ in their
// note alone become a series with the note of the first: what is to be read
// one by one needs somebody that it is for.
func recordFor(r recorder, about, behalf runtime.Object, kind, reason, action, note string) {
	if len(note) > mostNote {
		note = strings.ToValidUTF8(note[:mostNote-len("…")], "") + "…"
	}
	r.Eventf(about, behalf, kind, reason, action, "%s", note)
}

// reference names a custom resource that may be gone.
func reference(owner topology.OwnerKey) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: owner.Kind, Namespace: owner.Namespace, Name: owner.Name,
	}
}

// announce tells what a status change means for people. Waiting for something
// in the ordinary course of things is no Warning.
func announce(r recorder, about runtime.Object, before, after []metav1.Condition) {
	was, is := meta.FindStatusCondition(before, v1alpha1.ConditionReady), meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	if is == nil || was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	switch {
	case is.Status == metav1.ConditionTrue && (was == nil || was.Status != metav1.ConditionFalse || !troubled(before)):
		// It came about as declared, as most do: the status says so.
	case is.Status == metav1.ConditionTrue:
		record(r, about, corev1.EventTypeNormal, is.Reason, "Reconcile", is.Message)
	case meta.IsStatusConditionTrue(after, v1alpha1.ConditionStalled), alarming[is.Reason]:
		record(r, about, corev1.EventTypeWarning, is.Reason, "Reconcile", is.Message)
	case is.Reason == v1alpha1.ReasonMigrating: // a queue is deleted on the way
		record(r, about, corev1.EventTypeNormal, is.Reason, "Migrate", is.Message)
	default:
		// Progressing, waiting for a dependency: the status says it, and it
		// passes.
	}
}

// troubled tells whether conditions were worth an event, so that their end is.
func troubled(conditions []metav1.Condition) bool {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	return meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled) || ready != nil && (alarming[ready.Reason] || ready.Reason == v1alpha1.ReasonMigrating)
}

// alarming reasons are worth a Warning although the object itself is not at
// fault.
var alarming = map[string]bool{
	v1alpha1.ReasonAuthenticationFailed:  true,
	v1alpha1.ReasonAccessDenied:          true,
	v1alpha1.ReasonConnectionUnavailable: true,
	v1alpha1.ReasonRefNotPermitted:       true,
	v1alpha1.ReasonClusterChanged:        true,
}

// announceObject is announce for objects. That their connection is away is the
// connection's event, not theirs.
func announceObject(r recorder, object v1alpha1.Object, before, after v1alpha1.ObjectStatus) {
	announceContract(r, object, before, after)
	if is := meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionReady); is != nil {
		switch is.Reason {
		case v1alpha1.ReasonConnectionUnavailable, v1alpha1.ReasonAuthenticationFailed:
			return
		}
	}
	announce(r, object, before.Conditions, after.Conditions)
}

// announceContract warns of a contract that cannot be written: Ready says nothing
// of it.
func announceContract(r recorder, object v1alpha1.Object, before, after v1alpha1.ObjectStatus) {
	const kind = v1alpha1.ConditionContractPublished
	was, is := meta.FindStatusCondition(before.Conditions, kind), meta.FindStatusCondition(after.Conditions, kind)
	if is == nil || is.Status != metav1.ConditionFalse || is.Reason == v1alpha1.ReasonProgressing || was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	record(r, object, corev1.EventTypeWarning, is.Reason, "Publish", is.Message)
}

// announceReport tells what a pass did that people did not ask for in so many
// words.
func (r *Registry) announceReport(connection runtime.Object, report *engine.Report) {
	r.announceDone(connection, v1alpha1.ReasonDriftCorrected, "Correct", "changed by somebody else and put right", report.Corrected)
	r.announceDone(connection, v1alpha1.ReasonAdopted, "Adopt", "existed already and is managed from now on", report.Adopted)
	for owner, texts := range report.Recreated {
		if object := r.cached(owner); object != nil {
			record(r.events, object, corev1.EventTypeWarning, v1alpha1.ReasonRecreated, "Observe", strings.Join(texts, "; "))
		}
	}
	if connection == nil {
		return
	}
	deleted := map[topology.OwnerKey][]topology.ID{}
	for _, outcome := range report.Outcomes {
		step := outcome.Step
		if step.Verb == topology.VerbDelete && outcome.Err == nil && len(step.Owners) > 0 {
			deleted[step.Owners[0]] = append(deleted[step.Owners[0]], step.ID)
		}
	}
	announceOnBehalf(r.events, connection, v1alpha1.ReasonDeleted, "Delete", "deleted for ", deleted)
}

// announceDone tells owners what was done with what is theirs; the connection on their behalf
// where they are many.
func (r *Registry) announceDone(connection runtime.Object, reason, action, what string, done map[topology.OwnerKey][]topology.ID) {
	if connection != nil && areMany(done) {
		announceOnBehalf(r.events, connection, reason, action, what+": ", done)
		return
	}
	for owner, ids := range done {
		if object := r.cached(owner); object != nil {
			record(r.events, object, corev1.EventTypeNormal, reason, action, what+": "+engine.Describe(ids))
		}
	}
}

// announceOnBehalf tells on a connection what was done for owners.
func announceOnBehalf(r recorder, connection runtime.Object, reason, action, lead string, done map[topology.OwnerKey][]topology.ID) {
	for _, told := range notes(lead, done) {
		recordFor(r, connection, reference(told.first), corev1.EventTypeNormal, reason, action, told.text)
	}
}

// note tells what was done for some owners, of which it names the first as the one that it
// is for.
type note struct {
	first topology.OwnerKey
	text  string
}

// areMany: more than may go without a person's word are told of together.
func areMany(done map[topology.OwnerKey][]topology.ID) bool {
	return len(done) > plan.DefaultBreaker.Floor
}

// notes gives each owner a note, unless they are many: then each note names as many as fit. That
// is a fifteenth of the writes to the API server, and more than a thousand events at once would
// be dropped on the way there.
func notes(lead string, done map[topology.OwnerKey][]topology.ID) []note {
	together := areMany(done)
	var out []note
	for _, owner := range slices.SortedFunc(maps.Keys(done), topology.OwnerKey.Compare) {
		text := fmt.Sprintf("%s: %s", owner, engine.Describe(done[owner]))
		if last := len(out) - 1; together && last >= 0 && len(out[last].text)+len("; ")+len(text) <= mostNote {
			out[last].text += "; " + text
			continue
		}
		out = append(out, note{first: owner, text: lead + text})
	}
	return out
}

// announceLeftBehind warns of broker objects that stay although their custom
// resource is gone, once when they come to stay: one Warning a resource.
func announceLeftBehind(r recorder, about runtime.Object, before, after v1alpha1.ConnectionStatus) {
	type stay struct{ object, owner, reason string }
	known := map[stay]bool{}
	for _, entry := range before.LeftBehind {
		known[stay{entry.Object, entry.Owner, entry.Reason}] = true
	}
	stays := map[string][]string{}
	for _, entry := range after.LeftBehind {
		if !known[stay{entry.Object, entry.Owner, entry.Reason}] {
			stays[entry.Owner] = append(stays[entry.Owner], entry.Object+" ("+entry.Reason+")")
		}
	}
	for owner, objects := range stays {
		recordFor(r, about, referenceTo(owner), corev1.EventTypeWarning, v1alpha1.ReasonLeftBehind, "Delete",
			fmt.Sprintf("of %s stays on the broker: %s", owner, strings.Join(objects, "; ")))
	}
}

// referenceTo is reference for the text of an OwnerKey.
func referenceTo(owner string) *corev1.ObjectReference {
	kind, rest, _ := strings.Cut(owner, " ")
	namespace, name, _ := strings.Cut(rest, "/")
	return reference(topology.OwnerKey{Kind: kind, Namespace: namespace, Name: name})
}
