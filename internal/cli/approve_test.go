package cli

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// heldQueue waits for approval.
func heldQueue(change func(*v1alpha1.Queue)) *v1alpha1.Queue {
	q := &v1alpha1.Queue{ObjectMeta: metav1.ObjectMeta{Namespace: "orders", Name: "work", Generation: 3, ResourceVersion: "7"}}
	q.Status.Conditions = condition(metav1.ConditionFalse, v1alpha1.ReasonAwaitingApproval, "2 steps wait for approval")
	q.Status.Plan = &v1alpha1.Plan{Hash: "0123456789abcdef", Generation: 3, TotalSteps: 3, Steps: []v1alpha1.PlanStep{
		{Action: v1alpha1.PlanDelete, Object: "binding shop/x -> queue work key a", Risk: "what only this binding takes is not routed any more"},
		{Action: v1alpha1.PlanReplace, Object: "queue shop/work", Fields: []v1alpha1.PlanField{{Path: "type", Live: "classic", Declared: "quorum"}}},
	}}
	if change != nil {
		change(q)
	}
	return q
}

const heldPlan = `queue/work in namespace orders would be changed on the broker in 3 steps (plan 0123456789abcdef):

  delete binding shop/x -> queue work key a
      what only this binding takes is not routed any more
  replace queue shop/work
      type: classic -> quorum
  and 1 more

`

// approvals are the patches that were sent, with the subresource.
func (d *desk) approvals() []string {
	var out []string
	for _, action := range d.client.Actions() {
		if patch, ok := action.(clienttesting.PatchAction); ok {
			out = append(out, patch.GetNamespace()+"/"+patch.GetName()+"/"+patch.GetSubresource()+" "+string(patch.GetPatch()))
		}
	}
	return out
}

func (d *desk) approvalsAre(reason string, want ...string) {
	d.t.Helper()
	if got := d.approvals(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		d.t.Errorf("%s: %q was written, want %q", reason, got, want)
	}
}

func TestApprove(t *testing.T) {
	const written = `orders/work/status {"metadata":{"resourceVersion":"7"},"status":{"approvedPlan":"0123456789abcdef"}}`
	d := newDesk(t, heldQueue(nil))
	d.keys = "y\n"
	d.ends(ExitDeclined, "approve", "queue/work")
	d.shows("what it would do", heldPlan, "Approve it? Only yes goes on: not confirmed: nothing was done\n")
	d.approvalsAre("it was declined")
	d.ends(ExitFailed, "approve", "queue/work", "--hash", "fedcba9876543210", "--yes")
	d.shows("another plan", "", "warrener: the plan of queue/work is 0123456789abcdef, not fedcba9876543210: look at it again\n")
	d.approvalsAre("of another plan")

	d.keys = "yes\n"
	d.ends(ExitDone, "approve", "wq/work", "--timeout", "0")
	d.shows("approved", heldPlan+"Approved.\n", "Approve it? Only yes goes on: ")
	d.approvalsAre("one field, of the version that was read", written)
	d.ends(ExitDone, "approve", "queues.topology.warrener.dev/work")
	d.shows("once is enough", heldPlan+"It is approved already. 2 steps wait for approval\n", "")
	d.approvalsAre("nothing is written twice", written)
}

func TestApproveNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		change   func(*v1alpha1.Queue)
		args     []string
		code     int
		out, err string
	}{
		"NotHeld":   {func(q *v1alpha1.Queue) { q.Status.Plan = nil }, []string{"queue/work"}, ExitDone, "", "queue/work has no plan: nothing of it is held.\n"},
		"Forbidden": {func(q *v1alpha1.Queue) { q.Status.Plan.Hash = "" }, []string{"queue/work"}, ExitFailed, strings.Replace(heldPlan, "0123456789abcdef", "without a hash", 1), "warrener: no approval would let this go on: 2 steps wait for approval\n"},
		"Edited":    {func(q *v1alpha1.Queue) { q.Generation = 4 }, []string{"queue/work"}, ExitFailed, heldPlan, "warrener: queue/work has been edited since, and the controller has not looked at it yet: try again when it has\n"},
		"Missing":   {nil, []string{"topic/work"}, ExitFailed, "", "warrener: there is no topic/work in namespace orders: -n names another namespace\n"},
		"NoKind":    {nil, []string{"work"}, ExitFailed, "", "warrener: \"work\" names no object: write kind/name, such as queue/orders\n"},
		"Unknown":   {nil, []string{"pod/work"}, ExitFailed, "", "warrener: \"pod/work\" names no object: write kind/name, such as queue/orders\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, heldQueue(tc.change))
			d.ends(tc.code, append([]string{"approve", "--yes"}, tc.args...)...)
			d.shows(name, tc.out, tc.err)
			d.approvalsAre("nothing is approved")
		})
	}
}

// Somebody else writes the status at the same time.
func TestApproveInARace(t *testing.T) {
	conflict := apierrors.NewConflict(objectKinds[2].resource.GroupResource(), "work", nil)
	race := func(d *desk, meanwhile func(*v1alpha1.Queue)) {
		first := true
		d.client.PrependReactor("patch", "queues", func(clienttesting.Action) (bool, runtime.Object, error) {
			if !first {
				return false, nil, nil
			}
			first = false
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(heldQueue(meanwhile))
			if err != nil {
				d.t.Fatal(err)
			}
			item := &unstructured.Unstructured{Object: content}
			item.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.KindQueue))
			if err := d.client.Tracker().Update(objectKinds[2].resource, item, "orders"); err != nil {
				d.t.Fatal(err)
			}
			return true, nil, conflict
		})
	}
	same := newDesk(t, heldQueue(nil))
	race(same, func(q *v1alpha1.Queue) { q.ResourceVersion = "8" })
	same.ends(ExitDone, "approve", "queue/work", "--yes", "--timeout", "0")
	if got := same.approvals(); len(got) != 2 || !strings.Contains(got[1], `"resourceVersion":"8"`) {
		t.Errorf("the same plan is approved in its new version: %q", got)
	}
	another := newDesk(t, heldQueue(nil))
	race(another, func(q *v1alpha1.Queue) { q.Status.Plan.Hash = "fedcba9876543210" })
	another.ends(ExitFailed, "approve", "queue/work", "--yes")
	another.shows("another plan is not what was shown", heldPlan, "warrener: the plan of queue/work has changed since it was shown, and is not approved: look at it again\n")
	if got := another.approvals(); len(got) != 1 {
		t.Errorf("it was tried again: %q", got)
	}
}

func TestApproveWaits(t *testing.T) {
	answers := func(change func(*v1alpha1.Queue)) *desk {
		d := newDesk(t, heldQueue(nil))
		d.client.PrependReactor("patch", "queues", func(clienttesting.Action) (bool, runtime.Object, error) {
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(heldQueue(change))
			if err != nil {
				t.Fatal(err)
			}
			item := &unstructured.Unstructured{Object: content}
			item.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.KindQueue))
			return true, item, d.client.Tracker().Update(objectKinds[2].resource, item, "orders")
		})
		return d
	}
	done := answers(func(q *v1alpha1.Queue) { q.Status.Plan = nil })
	done.ends(ExitDone, "approve", "queue/work", "--yes")
	done.shows("done", heldPlan+"Approved, and done.\n", "")
	underWay := answers(func(q *v1alpha1.Queue) {
		q.Status.Conditions = condition(metav1.ConditionFalse, v1alpha1.ReasonMigrating, "it drains")
	})
	underWay.ends(ExitDone, "approve", "queue/work", "--yes")
	underWay.shows("under way", heldPlan+"Approved, and under way: it drains\n", "")
	changed := answers(func(q *v1alpha1.Queue) { q.Status.Plan.Hash = "fedcba9876543210" })
	changed.ends(ExitFailed, "approve", "queue/work", "--yes")
	changed.shows("overtaken", heldPlan, "warrener: the plan has changed meanwhile, and the approval counts for nothing: look at it again\n")
	nobody := answers(nil)
	nobody.ends(ExitFailed, "approve", "queue/work", "--yes", "--timeout", "1ms")
	if !strings.Contains(nobody.err.String(), "has not answered within 1ms") {
		t.Errorf("it does not say that nobody answers: %s", nobody.err.String())
	}
}

// Every kind can be named as kubectl names it.
func TestKindNamed(t *testing.T) {
	for i, object := range v1alpha1.NewObjects() {
		kind, ok := kindNamed(object.KindName())
		if !ok || kind.empty().KindName() != object.KindName() || kind.resource != objectKinds[i].resource || kind.resource.Resource != strings.ToLower(object.KindName())+"s" {
			t.Errorf("%s is %+v", object.KindName(), kind)
		}
	}
}
