package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// kindReport counts the resources of a kind.
type kindReport struct {
	Kind        string `json:"kind"`
	Total       int    `json:"total"`
	Ready       int    `json:"ready"`
	Suspended   int    `json:"suspended"`
	Drifted     int    `json:"drifted"`
	DeadLetters int    `json:"deadLetters"`
}

// objectReport is a resource that is not simply as declared.
type objectReport struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Ready     string `json:"ready"`
	Reason    string `json:"reason"`
	// Message of the condition Ready; empty if it is True.
	Message string `json:"message,omitempty"`
	// Drifted and DeadLetters are the messages of those conditions while True.
	Drifted     string `json:"drifted,omitempty"`
	DeadLetters string `json:"deadLetters,omitempty"`
	// Approval is what it waits for a person to approve; nil if nothing.
	Approval *approvalReport `json:"approval,omitempty"`
}

// approvalReport is a plan that waits for approval.
type approvalReport struct {
	Hash       string `json:"hash"`
	TotalSteps int32  `json:"totalSteps"`
	// Since is when the resource stopped to be Ready; nil if it is not known.
	Since *metav1.Time `json:"since,omitempty"`
	steps []v1alpha1.PlanStep
}

func approvalOf(status *v1alpha1.ObjectStatus, ready *metav1.Condition) *approvalReport {
	plan := status.Plan
	if plan == nil || plan.Hash == "" || plan.Hash == status.ApprovedPlan {
		return nil
	}
	out := &approvalReport{Hash: plan.Hash, TotalSteps: plan.TotalSteps, steps: plan.Steps}
	if ready.Reason == v1alpha1.ReasonAwaitingApproval && !ready.LastTransitionTime.IsZero() {
		out.Since = &ready.LastTransitionTime
	}
	return out
}

func (r objectReport) title() string { return r.Kind + " " + r.Namespace + "/" + r.Name }

// waits tells whether it needs a person. One that is suspended has had one.
func (r objectReport) waits() bool {
	return r.Ready != string(metav1.ConditionTrue) && r.Reason != v1alpha1.ReasonSuspended || r.Approval != nil || r.Drifted != "" || r.DeadLetters != ""
}

func reportOfObject(o v1alpha1.Object) objectReport {
	conditions := o.GetStatus().Conditions
	out := objectReport{
		Kind: o.KindName(), Namespace: o.GetNamespace(), Name: o.GetName(),
		Ready: string(metav1.ConditionUnknown), Reason: "NotSeen", Message: "no controller has looked at this state of it yet",
	}
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil && o.GetStatus().ObservedGeneration == o.GetGeneration() {
		out.Ready, out.Reason, out.Message = string(ready.Status), ready.Reason, ready.Message
		if ready.Status == metav1.ConditionTrue {
			out.Message = ""
		}
		out.Approval = approvalOf(o.GetStatus(), ready)
	}
	told := func(condition string) string {
		if c := meta.FindStatusCondition(conditions, condition); c != nil && c.Status == metav1.ConditionTrue {
			return c.Message
		}
		return ""
	}
	out.Drifted, out.DeadLetters = told(v1alpha1.ConditionDrifted), told(v1alpha1.ConditionDeadLettersPresent)
	return out
}

// survey counts resources by kind, and picks those that need a person.
func survey(all []v1alpha1.Object) (kinds []kindReport, waiting []objectReport) {
	kinds, waiting = []kindReport{}, []objectReport{}
	for _, o := range all {
		at := slices.IndexFunc(kinds, func(k kindReport) bool { return k.Kind == o.KindName() })
		if at < 0 {
			at = len(kinds)
			kinds = append(kinds, kindReport{Kind: o.KindName()})
		}
		k, r := &kinds[at], reportOfObject(o)
		k.Total++
		for counter, holds := range map[*int]bool{
			&k.Ready: r.Ready == string(metav1.ConditionTrue), &k.Suspended: r.Reason == v1alpha1.ReasonSuspended,
			&k.Drifted: r.Drifted != "", &k.DeadLetters: r.DeadLetters != "",
		} {
			if holds {
				*counter++
			}
		}
		if r.waits() {
			waiting = append(waiting, r)
		}
	}
	slices.SortStableFunc(waiting, func(a, b objectReport) int { return strings.Compare(a.Namespace, b.Namespace) })
	return kinds, waiting
}

// mostTold is how many resources of a sort are told of one by one: a screen's
// worth.
const mostTold = 20

func tellKinds(p paper, kinds []kindReport) {
	var rows [][]cell
	for _, k := range kinds {
		rows = append(rows, []cell{
			{k.Kind, plain}, {strconv.Itoa(k.Total), plain}, {strconv.Itoa(k.Ready), plain},
			count(k.Total-k.Ready-k.Suspended, red), count(k.Suspended, plain), count(k.Drifted, yellow), count(k.DeadLetters, yellow),
		})
	}
	if len(rows) > 0 {
		p.printf("\n")
		p.table([]string{"RESOURCE", "TOTAL", "READY", "NOT READY", "SUSPENDED", "DRIFTED", "DEAD LETTERS"}, rows)
	}
}

// mostStepsTold is how many steps of a plan are told of: approve shows them all.
const mostStepsTold = 3

// tellApprovals says what waits for a person's approval, since when, and what
// answers it.
func (a *app) tellApprovals(p paper, waiting []objectReport) {
	told := 0
	for _, r := range waiting {
		if r.Approval == nil {
			continue
		}
		if told++; told > mostTold {
			continue
		}
		words := "waits for approval"
		if r.Approval.Since != nil {
			words = fmt.Sprintf("has waited %s for approval", age(&r.Approval.Since.Time, time.Now()))
		}
		p.printf("\n%s\n", p.paint(cell{fmt.Sprintf("%s %s: %s (plan %s)", r.title(), words, several(int(r.Approval.TotalSteps), "step"), r.Approval.Hash), yellow}))
		shown := r.Approval.steps[:min(len(r.Approval.steps), mostStepsTold)]
		for _, step := range shown {
			p.printf("  %s %s\n", strings.ToLower(string(step.Action)), step.Object)
		}
		if rest := int(r.Approval.TotalSteps) - len(shown); rest > 0 {
			p.printf("  and %d more\n", rest)
		}
		p.printf("  to look at it, and approve   %s\n", a.verb("approve", strings.ToLower(r.Kind)+"/"+r.Name, "-n", r.Namespace))
		p.printf("  to leave it as it is         set the spec back\n")
	}
	if told > mostTold {
		p.printf("\n%s for approval: -o json lists them all\n", several(told-mostTold, "more resource")+" wait")
	}
}

// tellObjects says of resources what is wrong, sort by sort.
func (a *app) tellObjects(p paper, waiting []objectReport) {
	a.tellApprovals(p, waiting)
	for _, sort := range []struct {
		words string
		says  func(objectReport) (text string, c colour)
	}{
		{"is not ready", func(r objectReport) (string, colour) {
			if r.Approval != nil && r.Reason == v1alpha1.ReasonAwaitingApproval { // told before
				return "", plain
			}
			return r.Message, readyColour(r.Ready)
		}},
		{"has drifted, and is reported only", func(r objectReport) (string, colour) { return r.Drifted, yellow }},
		{"has dead letters", func(r objectReport) (string, colour) { return r.DeadLetters, yellow }},
	} {
		told := 0
		for _, r := range waiting {
			text, c := sort.says(r)
			if text == "" {
				continue
			}
			if told++; told > mostTold {
				continue
			}
			words := sort.words
			if r.Message == text {
				words += ": " + r.Reason
			}
			p.printf("\n%s\n  %s\n", p.paint(cell{r.title() + " " + words, c}), text)
		}
		if told > mostTold {
			p.printf("\n%s, and so on: -o json lists them all\n", several(told-mostTold, "more resource")+" "+strings.Replace(sort.words, "is not", "are not", 1))
		}
	}
}
