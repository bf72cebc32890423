package controllers

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// mostHeldNames is how many resources a message names; the status names more.
const mostHeldNames = 5

// heldInto fills in what the breaker holds, and the condition that says so.
func (s *session) heldInto(status *v1alpha1.ConnectionStatus, held engine.HeldDeletions, generation int64, now time.Time) {
	deletionsHeld.WithLabelValues(s.key.String()).Set(float64(len(held.Owners)))
	if len(held.Owners) == 0 {
		status.HeldDeletions = nil
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionDeletionHeld)
		return
	}
	status.HeldDeletions = &v1alpha1.HeldDeletions{Window: held.Window, Count: int32(len(held.Owners))}
	for _, owner := range held.Owners[:min(len(held.Owners), v1alpha1.MaxHeldDeletions)] {
		status.HeldDeletions.Owners = append(status.HeldDeletions.Owners, owner.String())
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionDeletionHeld, Status: metav1.ConditionTrue, ObservedGeneration: generation,
		Reason: v1alpha1.ReasonDeletionHeld, Message: clip(heldMessage(s.key, held)), LastTransitionTime: metav1.NewTime(now),
	})
	sortConditions(status.Conditions)
}

// heldMessage says what is held and both ways out.
func heldMessage(key topology.ConnectionKey, held engine.HeldDeletions) string {
	names := make([]string, 0, mostHeldNames+1)
	for i, owner := range held.Owners {
		if i == mostHeldNames {
			names = append(names, fmt.Sprintf("and %d more", len(held.Owners)-mostHeldNames))
			break
		}
		names = append(names, owner.String())
	}
	what := "1 resource is"
	if n := len(held.Owners); n > 1 {
		what = fmt.Sprintf("%d resources are", n)
	}
	return fmt.Sprintf("%s gone, and what they declared stays on the broker until somebody decides, because unusually many went at once: %s. "+
		"To keep it, apply them again. To delete it: %s", what, strings.Join(names, ", "), allowCommand(key, held.Window))
}

// allowCommand is what a person types to let held deletions go.
func allowCommand(key topology.ConnectionKey, window string) string {
	return fmt.Sprintf("kubectl annotate --overwrite -n %s %s/%s %s=%s",
		key.Namespace, strings.ToLower(key.Kind), key.Name, v1alpha1.AnnotationAllowDeletes, window)
}

// announceHeld warns when a window opens, once, and tells when it is decided.
func announceHeld(r recorder, about runtime.Object, key topology.ConnectionKey, before, after v1alpha1.ConnectionStatus) {
	was, is := before.HeldDeletions, after.HeldDeletions
	switch {
	case is != nil && (was == nil || windowName(was.Window) != windowName(is.Window)):
		record(r, about, corev1.EventTypeWarning, v1alpha1.ReasonDeletionHeld, "Delete", fmt.Sprintf(
			"unusually many resources were deleted at once: the broker keeps what they declared until somebody decides. "+
				"status.heldDeletions of %s names them. To keep it, apply the resources again. To delete what is held now (window %s): %s",
			key, is.Window, allowCommand(key, is.Window)))
	case is == nil && was != nil:
		record(r, about, corev1.EventTypeNormal, v1alpha1.ReasonDeletionHeld, "Delete",
			fmt.Sprintf("nothing is held any more of window %s: it was allowed, forgotten or applied again", was.Window))
	}
}

// windowName is a window's id without what it covers.
func windowName(id string) string {
	if i := strings.LastIndexByte(id, '-'); i > 0 {
		return id[:i]
	}
	return id
}
