package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// conditionLines renders conditions, as kubectl would.
func conditionLines(conditions []metav1.Condition) []string {
	var out []string
	for _, c := range conditions {
		out = append(out, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return out
}

func TestObjectStatus(t *testing.T) {
	about := topology.Owner{OwnerKey: owner("q"), Generation: 3}
	for name, c := range map[string]struct {
		reason  string
		verdict engine.Verdict
		want    []string
	}{
		"Ready": {
			reason:  "Current to kstatus",
			verdict: engine.Verdict{Ready: true, Reason: "Succeeded", Message: "as declared"},
			want:    []string{"Ready=True Succeeded: as declared"},
		},
		"Warned": {
			reason:  "a likely mistake is said and stops nothing",
			verdict: engine.Verdict{Ready: true, Reason: "Succeeded", Message: "as declared", Warnings: []string{"x-foo is unknown", "y"}},
			want:    []string{"Ready=True Succeeded: as declared; note: x-foo is unknown; y"},
		},
		"Draining": {
			reason:  "what drains is said beside everything else, and stops nothing",
			verdict: engine.Verdict{Ready: true, Reason: "Succeeded", Message: "as declared", Warnings: []string{"w"}, Draining: []string{"q.old: 3 messages", "q.older: 1 message"}},
			want:    []string{"Ready=True Succeeded: as declared; note: w; draining: q.old: 3 messages; q.older: 1 message"},
		},
		"Waiting": {
			reason:  "InProgress: it is not this object's fault",
			verdict: engine.Verdict{Reason: "DependencyNotReady", Message: "waits", Warnings: []string{"x-foo is unknown"}},
			want:    []string{"Ready=False DependencyNotReady: waits", "Reconciling=True DependencyNotReady: waits"},
		},
		"Stalled": {
			reason:  "Failed: only an edit helps",
			verdict: engine.Verdict{Stalled: true, Reason: "Conflict", Message: "owned by another"},
			want:    []string{"Ready=False Conflict: owned by another", "Stalled=True Conflict: owned by another"},
		},
		"Suspended": {
			reason:  "neither in progress nor failed",
			verdict: engine.Verdict{Suspended: true, Reason: "Suspended", Message: "suspended"},
			want:    []string{"Ready=Unknown Suspended: suspended"},
		},
		"Drifted": {
			reason:  "reported drift leaves an object Ready",
			verdict: engine.Verdict{Ready: true, Reason: "Succeeded", Message: "as declared", Drift: []string{"one", "two"}},
			want:    []string{"Drifted=True DriftReported: one; two", "Ready=True Succeeded: as declared"},
		},
	} {
		// Whatever the status was before.
		for _, before := range []v1alpha1.ObjectStatus{
			{}, {ObservedGeneration: -1},
			objectStatus(noon, v1alpha1.ObjectStatus{}, "q", engine.Verdict{Stalled: true, Reason: "InvalidSpec", Message: "m", Drift: []string{"d"}}),
			objectStatus(noon, v1alpha1.ObjectStatus{}, "q", engine.Verdict{Reason: "Progressing", Message: "m"}),
		} {
			t.Run(name, func(t *testing.T) {
				c.verdict.Owner = about
				after := objectStatus(noon.Add(time.Hour), before, "q", c.verdict)
				check(t, c.reason, c.want, conditionLines(after.Conditions))
				check(t, "of the generation that was compiled", int64(3), after.ObservedGeneration)
				for _, condition := range after.Conditions {
					check(t, "so is every condition", int64(3), condition.ObservedGeneration)
				}
				check(t, "the same verdict an hour later changes nothing", after, objectStatus(noon.Add(2*time.Hour), after, "q", c.verdict))
			})
		}
	}
}

func TestTransitionTimes(t *testing.T) {
	before := objectStatus(noon, v1alpha1.ObjectStatus{}, "q", engine.Verdict{Reason: "Progressing", Message: "m"})
	after := objectStatus(noon.Add(time.Hour), before, "q", engine.Verdict{Stalled: true, Reason: "Conflict", Message: "n"})
	check(t, "Ready is False as before", noon, meta.FindStatusCondition(after.Conditions, "Ready").LastTransitionTime.UTC())
	check(t, "Stalled is new", noon.Add(time.Hour), meta.FindStatusCondition(after.Conditions, "Stalled").LastTransitionTime.UTC())
}

func TestOwns(t *testing.T) {
	var ids []topology.ID
	for range v1alpha1.MaxOwns + 5 {
		ids = append(ids, topology.TopicID("t"))
	}
	before := v1alpha1.ObjectStatus{Owns: []string{"queue shop/old"}, LastHandledReconcileAt: "then"}
	after := objectStatus(noon, before, "q", engine.Verdict{Owns: ids, Owner: topology.Owner{ReconcileAt: "now"}})
	check(t, "cut at what the schema admits", v1alpha1.MaxOwns, len(after.Owns))
	check(t, "the request is answered", "now", after.LastHandledReconcileAt)
	after = objectStatus(noon, before, "q", engine.Verdict{Owns: ids, KeepOwns: true})
	check(t, "what is not known is not touched", before.Owns, after.Owns)
	check(t, "no request, no answer", "then", after.LastHandledReconcileAt)
}

func TestClip(t *testing.T) {
	for _, message := range []string{"short", strings.Repeat("x", 32768), strings.Repeat("x", 40000), strings.Repeat("é", 20000), "x" + strings.Repeat("é", 20000)} {
		got := clip(message)
		if len(got) > 32768 || !utf8.ValidString(got) || len(message) <= 32768 && got != message || len(message) > 32768 && !strings.HasSuffix(got, "…") {
			t.Errorf("a message of %d bytes becomes one of %d that ends in %q", len(message), len(got), got[len(got)-4:])
		}
	}
}

// Operations are told while they are under way; when one began, the status
// alone remembers.
func TestOperationsInStatus(t *testing.T) {
	migrating := func(step string, left int64) engine.Verdict {
		return engine.Verdict{
			Owner: topology.Owner{OwnerKey: owner("q"), Generation: 2}, Reason: "Migrating", Message: "under way",
			Operations: []engine.OperationNote{{
				ID: topology.QueueID("shop", "q"), Kind: topology.OperationMigrate,
				Progress: topology.Progress{Step: step, Moved: 3, Left: left, Message: "waits"},
			}},
		}
	}
	tell := func(status v1alpha1.ObjectStatus) (out []string) {
		for _, o := range status.Operations {
			out = append(out, fmt.Sprintf("%s %s %s moved %d left %d since %s: %s", o.Kind, o.Object, o.Step, o.Moved, o.Left, o.StartedAt.Sub(noon), o.Message))
		}
		return out
	}
	begun := objectStatus(noon, v1alpha1.ObjectStatus{}, "q", migrating("Draining", 7))
	check(t, "it begins now", []string{"Migrate queue shop/q Draining moved 3 left 7 since 0s: waits"}, tell(begun))
	later := objectStatus(noon.Add(time.Minute), begun, "q", migrating("Returning", 2))
	check(t, "it began then", []string{"Migrate queue shop/q Returning moved 3 left 2 since 0s: waits"}, tell(later))
	away := objectStatus(noon, later, "q", engine.Verdict{Reason: "ConnectionUnavailable", KeepOwns: true})
	check(t, "the broker is away: it is still under way", tell(later), tell(away))
	check(t, "it is done", []string(nil), tell(objectStatus(noon, later, "q", engine.Verdict{Ready: true, Reason: "Succeeded"})))
	many := migrating("Draining", 1)
	for i := range 30 {
		note := many.Operations[0]
		note.ID.Name = fmt.Sprint(i)
		many.Operations = append(many.Operations, note)
	}
	check(t, "no more than the schema takes", v1alpha1.MaxOperations, len(objectStatus(noon, later, "q", many).Operations))
}
