package controllers

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// standing is what a status says of an object or a connection, the same three
// conditions for all kinds: Ready always, Reconciling or Stalled while true.
type standing struct {
	ready   metav1.ConditionStatus
	reason  string
	message string
	stalled bool
}

// standingOf reads a verdict. Drift that is only reported leaves an object
// Ready: its Drifted condition says the rest.
func standingOf(v engine.Verdict) standing {
	s := standing{ready: metav1.ConditionFalse, reason: v.Reason, message: v.Message, stalled: v.Stalled}
	switch {
	case v.Suspended:
		s.ready = metav1.ConditionUnknown
	case v.Ready:
		s.ready = metav1.ConditionTrue
	}
	if v.Ready && len(v.Warnings) > 0 {
		s.message += "; note: " + strings.Join(v.Warnings, "; ")
	}
	if len(v.Draining) > 0 {
		s.message += "; draining: " + strings.Join(v.Draining, "; ")
	}
	return s
}

// applyTo sets the conditions; times change only where a status does. The rules
// are those of kstatus: Ready=False alone means "in progress" for ever, so one
// of the other two stands beside it.
func (s standing) applyTo(conditions *[]metav1.Condition, generation int64, now time.Time) {
	set := func(kind string, status metav1.ConditionStatus) {
		meta.SetStatusCondition(conditions, metav1.Condition{
			Type: kind, Status: status, ObservedGeneration: generation,
			Reason: s.reason, Message: clip(s.message), LastTransitionTime: metav1.NewTime(now),
		})
	}
	set(v1alpha1.ConditionReady, s.ready)
	reconciling := s.ready == metav1.ConditionFalse && !s.stalled
	for kind, on := range map[string]bool{
		v1alpha1.ConditionReconciling: reconciling,
		v1alpha1.ConditionStalled:     s.ready == metav1.ConditionFalse && s.stalled,
	} {
		if on {
			set(kind, metav1.ConditionTrue)
		} else {
			meta.RemoveStatusCondition(conditions, kind)
		}
	}
	sortConditions(*conditions)
}

func sortConditions(conditions []metav1.Condition) {
	slices.SortFunc(conditions, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
}

// objectStatus is the status that a verdict makes of an object's present one.
func objectStatus(now time.Time, before v1alpha1.ObjectStatus, brokerName string, v engine.Verdict) v1alpha1.ObjectStatus {
	after := before.DeepCopy()
	after.ObservedGeneration = v.Owner.Generation
	after.BrokerName = brokerName
	if v.Owner.ReconcileAt != "" {
		after.LastHandledReconcileAt = v.Owner.ReconcileAt
	}
	if len(v.Drift) > 0 {
		meta.SetStatusCondition(&after.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionDrifted, Status: metav1.ConditionTrue, ObservedGeneration: v.Owner.Generation,
			Reason: v1alpha1.ReasonDriftReported, Message: clip(strings.Join(v.Drift, "; ")), LastTransitionTime: metav1.NewTime(now),
		})
	} else {
		meta.RemoveStatusCondition(&after.Conditions, v1alpha1.ConditionDrifted)
	}
	tellDeadLetters(&after.Conditions, v, now)
	standingOf(v).applyTo(&after.Conditions, v.Owner.Generation, now) // puts them in order
	if v.KeepOwns {
		return *after
	}
	tellPlan(after, v)
	after.Operations = operationsOf(v, before.Operations, now)
	after.Owns = nil
	for _, id := range v.Owns {
		if len(after.Owns) == v1alpha1.MaxOwns {
			break
		}
		after.Owns = append(after.Owns, id.String())
	}
	return *after
}

// operationsOf lists what is under way. When it began is known to the status
// alone.
func operationsOf(v engine.Verdict, before []v1alpha1.Operation, now time.Time) []v1alpha1.Operation {
	var out []v1alpha1.Operation
	for _, note := range v.Operations[:min(len(v.Operations), v1alpha1.MaxOperations)] {
		operation := v1alpha1.Operation{
			Object: clipTo(v1alpha1.MaxOperationText, note.ID.String()), Kind: string(note.Kind), Step: note.Step, Moved: note.Moved, Left: note.Left,
			StartedAt: metav1.NewTime(now.Truncate(time.Second)), Message: clipTo(v1alpha1.MaxOperationText, note.Message),
		}
		at := slices.IndexFunc(before, func(o v1alpha1.Operation) bool { return o.Object == operation.Object && o.Kind == operation.Kind })
		if at >= 0 {
			operation.StartedAt = before[at].StartedAt
		}
		out = append(out, operation)
	}
	return out
}

// tellDeadLetters says whether dead letters wait, and never how many: the status
// changes when the first comes and when the last is gone. A pass that has not
// asked leaves what was said, unless that was of another place, and so does a
// broker that is away.
func tellDeadLetters(conditions *[]metav1.Condition, v engine.Verdict, now time.Time) {
	const kind = v1alpha1.ConditionDeadLettersPresent
	if v.KeepOwns {
		if said := meta.FindStatusCondition(*conditions, kind); said != nil {
			said.ObservedGeneration = v.Owner.Generation
		}
		return
	}
	if v.DeadLetters.Where == (topology.ID{}) {
		meta.RemoveStatusCondition(conditions, kind)
		return
	}
	place := v.DeadLetters.Where.String()
	empty := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonEmpty, Message: place + " holds no message"}
	holds := metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonHoldsMessages, Message: place + " holds messages"}
	is := empty
	switch said := meta.FindStatusCondition(*conditions, kind); {
	case v.DeadLetters.Known && v.DeadLetters.Present:
		is = holds
	case v.DeadLetters.Known, said != nil && said.Message == clip(empty.Message):
	case said != nil && said.Message == clip(holds.Message):
		is = holds
	default:
		meta.RemoveStatusCondition(conditions, kind)
		return
	}
	is.Message, is.ObservedGeneration, is.LastTransitionTime = clip(is.Message), v.Owner.Generation, metav1.NewTime(now)
	meta.SetStatusCondition(conditions, is)
}

// clip keeps a message within what the API server accepts of a condition.
func clip(message string) string { return clipTo(32768, message) }

func clipTo(most int, message string) string {
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most-len("…")], "") + "…"
}
