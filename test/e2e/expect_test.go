package e2e

import (
	"context"
	"fmt"
	"strings"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// conditionsOf reads the status of any of the kinds.
func conditionsOf(object client.Object) (observed int64, conditions []metav1.Condition) {
	switch o := object.(type) {
	case v1alpha1.Object:
		return o.GetStatus().ObservedGeneration, o.GetStatus().Conditions
	case v1alpha1.Connection:
		return o.GetStatus().ObservedGeneration, o.GetStatus().Conditions
	}
	panic(fmt.Sprintf("%T has no conditions", object))
}

// describe renders a status in one line.
func describe(object client.Object) string {
	observed, conditions := conditionsOf(object)
	var parts []string
	for _, c := range conditions {
		parts = append(parts, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return fmt.Sprintf("%T %s generation %d observed %d [%s]", object, object.GetName(), object.GetGeneration(), observed, strings.Join(parts, " | "))
}

// sound tells what breaks the rules of kstatus; "" if nothing does. Every
// status that a test looks at is held to them.
func sound(object client.Object) string {
	observed, conditions := conditionsOf(object)
	if observed == -1 {
		return ""
	}
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	stalled := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled)
	reconciling := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReconciling)
	switch {
	case ready == nil:
		return "no Ready condition"
	case stalled && reconciling:
		return "both Stalled and Reconciling"
	case ready.Status == metav1.ConditionFalse && !stalled && !reconciling:
		return "Ready=False with neither Stalled nor Reconciling"
	case ready.Status == metav1.ConditionTrue && (stalled || reconciling):
		return "Ready=True beside Stalled or Reconciling"
	}
	for _, c := range conditions {
		if c.ObservedGeneration != observed {
			return fmt.Sprintf("%s speaks of generation %d, the status of %d", c.Type, c.ObservedGeneration, observed)
		}
	}
	return ""
}

// ready waits until the latest generation of every object is Ready.
func (s *stage) ready(objects ...client.Object) {
	s.t.Helper()
	for _, object := range objects {
		s.reaches(object, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	}
}

// stalled waits until the latest generation of an object is Stalled for a
// reason, and returns the message.
func (s *stage) stalled(object client.Object, reason string) string {
	s.t.Helper()
	message := s.reaches(object, metav1.ConditionFalse, reason)
	if _, conditions := conditionsOf(object); !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled) {
		s.t.Fatalf("not Stalled: %s", describe(object))
	}
	return message
}

// reaches waits for a value of Ready at the latest generation, and returns its
// message.
func (s *stage) reaches(object client.Object, status metav1.ConditionStatus, reason string) string {
	s.t.Helper()
	var message string
	within(s.t, fmt.Sprintf("%s to be Ready=%s %s", object.GetName(), status, reason), func(ctx context.Context) (bool, string) {
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, err.Error()
		}
		if broken := sound(object); broken != "" {
			s.t.Fatalf("%s: %s", broken, describe(object))
		}
		observed, conditions := conditionsOf(object)
		is := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
		if is == nil || observed != object.GetGeneration() || is.Status != status || is.Reason != reason {
			return false, describe(object)
		}
		message = is.Message
		return true, ""
	})
	return message
}

// events lists "Type Reason object: note" of the namespace, with " x2" and more
// where the API server holds a series of them: the note is the first one's then.
func (s *stage) events() []string {
	s.t.Helper()
	return s.eventsIn(s.namespace)
}

func (s *stage) eventsIn(namespace string) []string {
	s.t.Helper()
	var list eventsv1.EventList
	if err := s.client.List(s.t.Context(), &list, client.InNamespace(namespace)); err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, e := range list.Items {
		line := fmt.Sprintf("%s %s %s/%s: %s", e.Type, e.Reason, e.Regarding.Kind, e.Regarding.Name, e.Note)
		if e.Series != nil {
			line += fmt.Sprintf(" x%d", e.Series.Count)
		}
		out = append(out, line)
	}
	return out
}

// eventsWith lists the events that begin with a type and reason.
func (s *stage) eventsWith(prefix string) []string {
	s.t.Helper()
	var out []string
	for _, e := range s.events() {
		if strings.HasPrefix(e, prefix) {
			out = append(out, e)
		}
	}
	return out
}
