package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// afterInterrupt is how long a replacement that is under way may take to come to
// its end once the command is interrupted: left where it is, messages would wait
// in its scaffolding.
const afterInterrupt = 2 * time.Minute

// verdict is what is known of one custom resource.
type verdict struct {
	engine.Verdict
	// final: time alone does not change it.
	final bool
}

// execution carries a plan out and tells how it goes.
type execution struct {
	out      paper
	verdicts map[string]verdict
	failures []string
	// told operations, so that each news of them is told once.
	told map[topology.ID]string
	made int
}

// run makes passes over a part until all in it is as declared, or waits for
// something else than time.
func (e *execution) run(ctx context.Context, p part) error {
	session := p.session()
	for ctx.Err() == nil {
		report, err := p.cluster.Edits(ctx, session)
		if report != nil {
			e.tell(report)
		}
		if err == nil {
			err = p.cluster.Advance(ctx, session)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		at, more := e.next(p)
		if !more {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(at)):
		}
	}
	e.finish(ctx, p)
	return nil
}

// next tells when there is something to do again; false if nothing but an edit,
// or somebody else, brings the part on.
func (e *execution) next(p part) (time.Time, bool) {
	edits, due := p.cluster.Next(p.key)
	if due && !edits.After(time.Now()) {
		return edits, true
	}
	if advance, underway := p.cluster.NextAdvance(p.key); underway {
		if due && edits.Before(advance) {
			return edits, true
		}
		return advance, true
	}
	return edits, due && slices.ContainsFunc(p.owners, func(owner topology.OwnerKey) bool { return !e.verdicts[owner.String()].final })
}

// finish brings replacements that are under way to their end after an interrupt.
func (e *execution) finish(ctx context.Context, p part) {
	if _, underway := p.cluster.NextAdvance(p.key); !underway || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return
	}
	e.out.printf("interrupted: what is being replaced comes to its end first, for %s at most. A second Ctrl-C ends at once\n", afterInterrupt)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterInterrupt)
	defer cancel()
	session := p.session()
	for last.Err() == nil {
		at, underway := p.cluster.NextAdvance(p.key)
		if !underway {
			break
		}
		select {
		case <-last.Done():
			return
		case <-time.After(time.Until(at)):
		}
		if err := p.cluster.Advance(last, session); err != nil {
			return
		}
	}
	if report, err := p.cluster.Edits(last, session); err == nil && report != nil { // bindings come back
		e.tell(report)
	}
}

// past is what was done, by verb.
var past = map[topology.Verb]string{topology.VerbCreate: "created", topology.VerbUpdate: "changed", topology.VerbDelete: "deleted"}

// tell prints what a pass did.
func (e *execution) tell(report *engine.Report) {
	outcomes := slices.Clone(report.Outcomes)
	slices.SortStableFunc(outcomes, func(a, b topology.Outcome) int { return a.Step.ID.Compare(b.Step.ID) })
	for _, outcome := range outcomes {
		if outcome.Err != nil {
			e.out.printf("%s %s\n", e.out.paint(cell{"failed  ", red}), outcome.Err)
			continue
		}
		e.made++
		e.out.printf("%s %s\n", e.out.paint(cell{fmt.Sprintf("%-8s", past[outcome.Step.Verb]), green}), outcome.Step.ID)
	}
	for _, v := range report.Verdicts {
		e.verdicts[v.Owner.String()] = verdict{v, isFinal(v)}
		for _, note := range v.Operations {
			e.tellOperation(note)
		}
	}
}

func (e *execution) tellOperation(note engine.OperationNote) {
	if e.told == nil {
		e.told = map[topology.ID]string{}
	}
	text := strings.TrimSpace(note.Step + " " + note.Message)
	if note.Step != "" && note.Message != "" {
		text = note.Step + ": " + note.Message
	}
	if text == "" || e.told[note.ID] == text {
		return
	}
	e.told[note.ID] = text
	e.out.printf("%s %s: %s\n", e.out.paint(cell{"underway", yellow}), note.ID, text)
}

// isFinal tells whether time alone does not change a verdict.
func isFinal(v engine.Verdict) bool {
	switch v.Reason {
	case string(plan.Blocked), string(plan.Unreadable), string(plan.RefNotPermitted):
		return true
	}
	return v.Ready || v.Stalled || v.Suspended
}

// conclude says what is not as declared, and why the command ends.
func (e *execution) conclude(ctx context.Context, r *rehearsal, limit time.Duration) error {
	var open []string
	ready := 0
	for _, p := range r.parts {
		for _, owner := range p.owners {
			v, judged := e.verdicts[owner.String()]
			switch {
			case !judged:
				open = append(open, owner.String()+": not looked at")
			case v.Ready, v.Suspended:
				ready++
			case ctx.Err() != nil && v.Reason == v1alpha1.ReasonConnectionUnavailable: // it was not read again
				open = append(open, owner.String()+": interrupted before it was seen to be as declared")
			default:
				open = append(open, fmt.Sprintf("%s: %s: %s", owner, v.Reason, v.Message))
			}
		}
	}
	e.out.printf("\n%s as declared, %s made or changed.\n", several(ready, "resource"), several(e.made, "object"))
	slices.Sort(open)
	if len(open) > 0 {
		e.out.printf("%s:\n", e.out.paint(cell{"Not as declared", red}))
		for _, line := range open {
			e.out.printf("  %s\n", line)
		}
	}
	for _, failure := range e.failures {
		e.out.printf("%s\n", failure)
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("not all is as declared within %s: the same command goes on from here, --timeout gives it more time", limit)
	case ctx.Err() != nil:
		return &interrupted{"what is listed above was done, and the same command goes on from here"}
	case len(open)+len(e.failures) > 0:
		return fmt.Errorf("%s not as declared", several(max(len(open), 1), "resource"))
	}
	return nil
}
