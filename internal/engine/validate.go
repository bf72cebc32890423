package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Validator is a Broker that can be asked what it would answer.
type Validator interface {
	// Validate is Apply without any effect. What cannot be asked has no error.
	Validate(ctx context.Context, wave []topology.Step) []topology.Outcome
}

// validate has the broker judge what could be made by half, before the first
// write: the creates and updates of owners that have several of them, and
// updates in several parts. Where one is refused, nothing of its owners is made.
// The rest has nothing to gain from being asked twice.
func (x *execution) validate(ctx context.Context) {
	validator, able := x.session.Broker.(Validator)
	if !able {
		return
	}
	doubtful := x.divisible()
	if len(doubtful) == 0 {
		return
	}
	outcomes := slices.DeleteFunc(validator.Validate(ctx, doubtful), func(o topology.Outcome) bool { return !refusal(o.Err) })
	if len(outcomes) == 0 {
		return
	}
	x.report.Outcomes = append(x.report.Outcomes, outcomes...)
	x.cluster.state.Lock()
	defer x.cluster.state.Unlock()
	for _, outcome := range outcomes {
		x.fail(outcome.Step, outcome.Err)
	}
	x.holdSiblings()
}

// divisible lists what could be made by half.
func (x *execution) divisible() []topology.Step {
	count := map[topology.OwnerKey]int{}
	var makes []topology.Step
	for _, step := range x.plan.Steps() {
		if step.Verb == topology.VerbDelete || x.failed[step.ID] != nil {
			continue
		}
		makes = append(makes, step)
		for _, owner := range step.Owners {
			count[owner]++
		}
	}
	return slices.DeleteFunc(makes, func(step topology.Step) bool {
		alone := !slices.ContainsFunc(step.Owners, func(owner topology.OwnerKey) bool { return count[owner] > 1 })
		return alone && len(step.Changes) < 2
	})
}

// holdSiblings holds the creates and updates of owners of which something is
// refused, in this pass or an earlier one, unless they have an owner who has
// nothing to do with that. What undoes somebody else's change is not held. The
// caller holds c.state.
func (x *execution) holdSiblings() {
	if _, able := x.session.Broker.(Validator); !able {
		return
	}
	refused := map[topology.OwnerKey]topology.ID{}
	for _, step := range x.plan.Steps() {
		if step.Verb != topology.VerbDelete && refusal(x.failed[step.ID]) {
			for _, owner := range step.Owners {
				refused[owner] = step.ID
			}
		}
	}
	for _, step := range x.plan.Steps() {
		if step.Verb == topology.VerbDelete || step.Drift || x.failed[step.ID] != nil || len(step.Owners) == 0 {
			continue
		}
		if slices.ContainsFunc(step.Owners, func(owner topology.OwnerKey) bool { _, is := refused[owner]; return !is }) {
			continue
		}
		because := refused[step.Owners[0]]
		x.awaits[step.ID] = because
		x.failed[step.ID] = &topology.Error{
			Class: topology.ClassPending, Object: step.ID, Operation: string(step.Verb),
			Reason: fmt.Sprintf("waits for %s, which is refused: of one resource all is made or nothing", because),
		}
	}
}

// refusal tells errors that no second try cures.
func refusal(err error) bool {
	classified, ok := errors.AsType[*topology.Error](err)
	return ok && (classified.Class == topology.ClassRejected || classified.Class == topology.ClassUnsupported)
}
