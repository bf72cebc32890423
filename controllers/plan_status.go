package controllers

import (
	"encoding/json"
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// tellPlan writes down what is held. An approved plan stays as it was approved
// until it is done: what is left of it is approved by it. An approval of any
// other plan has had its time, and is taken away, so that it cannot meet the same
// plan again by chance.
func tellPlan(status *v1alpha1.ObjectStatus, v engine.Verdict) {
	approved := status.Plan != nil && status.ApprovedPlan != "" && status.Plan.Hash == status.ApprovedPlan
	switch {
	case approved && v.Proposal != nil && v.Proposal.Approved, approved && v.Proposal == nil && replaces(v.Operations):
		return
	case v.Proposal == nil:
		status.Plan = nil
	default:
		status.Plan = planOf(v.Proposal)
	}
	if status.Plan == nil || status.Plan.Hash != status.ApprovedPlan {
		status.ApprovedPlan = ""
	}
}

// replaces tells whether something is being replaced: should that prove to be
// impossible, the plan is what it was.
func replaces(operations []engine.OperationNote) bool {
	return slices.ContainsFunc(operations, func(o engine.OperationNote) bool { return o.Kind != topology.OperationReassign })
}

// planOf renders a proposal within the bounds of a status.
func planOf(p *plan.Proposal) *v1alpha1.Plan {
	out := &v1alpha1.Plan{
		Hash: p.Hash, Generation: p.Owner.Generation, TotalSteps: int32(len(p.Steps)), // a claim has some thousand objects at most
		Covers: p.Covers[:min(len(p.Covers), v1alpha1.MaxPlanCovers)],
	}
	for _, step := range p.Steps[:min(len(p.Steps), v1alpha1.MaxPlanSteps)] {
		out.Steps = append(out.Steps, planStepOf(step))
		if text, err := json.Marshal(out); err != nil || len(text) > v1alpha1.MaxPlanBytes {
			out.Steps = out.Steps[:len(out.Steps)-1]
			break
		}
	}
	return out
}

func planStepOf(step plan.ProposedStep) v1alpha1.PlanStep {
	text := func(s string) string { return clipTo(v1alpha1.MaxPlanText, s) }
	out := v1alpha1.PlanStep{Action: v1alpha1.PlanAction(step.Action), Object: text(step.ID.String()), Risk: text(step.Risk)}
	for _, c := range step.Changes[:min(len(step.Changes), v1alpha1.MaxPlanFields)] {
		out.Fields = append(out.Fields, v1alpha1.PlanField{Path: text(c.Path), Live: text(c.From), Declared: text(c.To)})
	}
	return out
}
