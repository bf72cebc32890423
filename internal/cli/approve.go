package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

type approveFlags struct {
	answerFlags
	hash string
}

func (a *app) approve() *cobra.Command {
	var f approveFlags
	command := &cobra.Command{
		Use:   "approve KIND/NAME",
		Short: "Approve the plan of an object that waits for approval",
		Long: "Approve what an object with approval: Required waits with: steps that replace a broker object, delete one,\n" +
			"or end the order of a topic's keys. It shows the plan of status.plan and asks. The approval is good for\n" +
			"this plan alone: after another edit, or a change on the broker, there is another one. It takes the right to\n" +
			"patch the status of the object: the ClusterRole warrener-approver.",
		Example: "  " + a.verb("approve queue/orders -n shop"),
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			c, err := a.connect(a)
			if err != nil {
				return err
			}
			word, name, ok := strings.Cut(args[0], "/")
			kind, known := kindNamed(word)
			if !ok || !known || name == "" {
				return fmt.Errorf("%q names no object: write kind/name, such as queue/orders", args[0])
			}
			return a.approvePlan(command.Context(), approval{
				title: kind.words[0] + "/" + name, name: name, namespace: c.namespace, empty: kind.empty,
				client: c.client.Resource(kind.resource).Namespace(c.namespace),
			}, f)
		},
	}
	f.add(command)
	command.Flags().StringVar(&f.hash, "hash", "", "approve only if this is the hash of the plan")
	return command
}

// approval is an object whose plan is to be approved.
type approval struct {
	title, name, namespace string
	client                 dynamic.ResourceInterface
	empty                  func() v1alpha1.Object
}

// read gets the object as it is now.
func (p approval) read(ctx context.Context) (v1alpha1.Object, error) {
	item, err := p.client.Get(ctx, p.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no %s in namespace %s: -n names another namespace", p.title, p.namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s in namespace %s: %w", p.title, p.namespace, err)
	}
	object := p.empty()
	return object, runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, object)
}

// write puts a hash into status.approvedPlan of the version that was read, and
// nothing else.
func (p approval) write(ctx context.Context, object v1alpha1.Object, hash string) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": object.GetResourceVersion()},
		"status":   map[string]any{"approvedPlan": hash},
	})
	if err != nil {
		return err
	}
	_, err = p.client.Patch(ctx, p.name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "warrener"}, "status")
	return err
}

func (a *app) approvePlan(ctx context.Context, p approval, f approveFlags) error {
	object, err := p.read(ctx)
	if err != nil {
		return err
	}
	status := object.GetStatus()
	shown := status.Plan
	switch {
	case shown == nil:
		fmt.Fprintf(a.Err, "%s has no plan: nothing of it is held.\n", p.title)
		return nil
	case f.hash != "" && shown.Hash != f.hash:
		return fmt.Errorf("the plan of %s is %s, not %s: look at it again", p.title, orNone(shown.Hash), f.hash)
	}
	page := a.page()
	page.plan(p, *shown)
	switch {
	case shown.Generation != object.GetGeneration():
		return fmt.Errorf("%s has been edited since, and the controller has not looked at it yet: try again when it has", p.title)
	case shown.Hash == "":
		return fmt.Errorf("no approval would let this go on: %s", readyMessage(status))
	case shown.Hash == status.ApprovedPlan:
		page.printf("It is approved already. %s\n", readyMessage(status))
		return nil
	}
	if err := a.confirm(ctx, f.yes, "Approve it?"); err != nil {
		return err
	}
	if err := a.writeApproval(ctx, p, object, shown.Hash); err != nil {
		return err
	}
	if f.limit == 0 {
		page.printf("Approved.\n")
		return nil
	}
	return a.awaitPlan(ctx, p, page, shown.Hash, f.limit)
}

// writeApproval approves the plan that was shown. Somebody else may have written
// the status since: then it is tried again, as long as the plan is the same.
func (a *app) writeApproval(ctx context.Context, p approval, object v1alpha1.Object, hash string) error {
	for {
		err := p.write(ctx, object, hash)
		switch {
		case err == nil:
			return nil
		case apierrors.IsForbidden(err):
			return fmt.Errorf("approve %s: %w: it takes the ClusterRole warrener-approver in namespace %s", p.title, err, p.namespace)
		case !apierrors.IsConflict(err):
			return fmt.Errorf("approve %s: %w", p.title, err)
		}
		if object, err = p.read(ctx); err != nil {
			return err
		}
		if now := object.GetStatus().Plan; now == nil || now.Hash != hash || now.Generation != object.GetGeneration() {
			return fmt.Errorf("the plan of %s has changed since it was shown, and is not approved: look at it again", p.title)
		}
	}
}

// awaitPlan waits for what the controller makes of an approval.
func (a *app) awaitPlan(ctx context.Context, p approval, page paper, hash string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		object, err := p.read(ctx)
		if err != nil {
			return err
		}
		status := object.GetStatus()
		ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
		switch {
		case status.Plan == nil:
			page.printf("Approved, and done.\n")
			return nil
		case status.Plan.Hash != hash:
			return fmt.Errorf("the plan has changed meanwhile, and the approval counts for nothing: look at it again")
		case ready != nil && ready.Reason != v1alpha1.ReasonAwaitingApproval:
			page.printf("Approved, and under way: %s\n", ready.Message)
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("the controller has not answered within %s. The approval is written, and is heeded when it does: see that it runs, and that the connection works", limit)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// colourOfAction draws the eye to what cannot be taken back.
var colourOfAction = map[v1alpha1.PlanAction]colour{
	v1alpha1.PlanChange: yellow, v1alpha1.PlanReplace: red, v1alpha1.PlanDelete: red, v1alpha1.PlanForbidden: bold,
}

// plan prints the plan of a status.
func (p paper) plan(of approval, shown v1alpha1.Plan) {
	p.printf("%s in namespace %s would be changed on the broker in %s (plan %s):\n\n",
		of.title, of.namespace, several(int(shown.TotalSteps), "step"), orNone(shown.Hash))
	for _, step := range shown.Steps {
		p.printf("  %s %s\n", p.paint(cell{strings.ToLower(string(step.Action)), colourOfAction[step.Action]}), step.Object)
		for _, field := range step.Fields {
			p.printf("      %s: %s -> %s\n", field.Path, field.Live, field.Declared)
		}
		if step.Risk != "" {
			p.printf("      %s\n", step.Risk)
		}
	}
	if rest := int(shown.TotalSteps) - len(shown.Steps); rest > 0 {
		p.printf("  and %d more\n", rest)
	}
	p.printf("\n")
}

func orNone(hash string) string {
	if hash == "" {
		return "without a hash"
	}
	return hash
}

func readyMessage(status *v1alpha1.ObjectStatus) string {
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Message
	}
	return "its status has no condition Ready yet"
}
