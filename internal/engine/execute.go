package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// execution carries a plan out.
type execution struct {
	cluster *Cluster
	session Session
	// epoch of the inventory that the plan was made from.
	epoch  int
	plan   *draft
	report *Report
	// failed steps by object, those that had to wait for their turn included.
	failed map[topology.ID]error
	// awaits names the failed step that another one had to wait for.
	awaits map[topology.ID]topology.ID
	// fresh entries were not on the books before this pass.
	fresh map[topology.ID]bool
	// topicIDs of created topics, as they were read back.
	topicIDs map[topology.ID]string
	// done: the broker accepted it, and it has not been read back yet, or, of what is in
	// shown, been compared.
	done  []topology.Step
	shown map[topology.ID]topology.Resource
}

// run applies the waves and reads back. An error is about the connection, never about
// one object.
func (x *execution) run(ctx context.Context) error {
	x.validate(ctx)
	applyErr := x.applyWaves(ctx)
	verifyErr := x.readBack(ctx)
	if applyErr != nil {
		return applyErr
	}
	return verifyErr
}

// holdBack finds the steps whose turn has not come, and those that need them.
// It is decided before anything is written ahead, and once: what is not tried
// must not come onto the books, since whatever gets that name is not ours.
func (x *execution) holdBack() {
	c := x.cluster
	c.state.Lock()
	defer c.state.Unlock()
	now := c.clock()
	for _, step := range x.plan.Steps() {
		if step.Connection != x.session.Connection {
			x.leaveToOthers(step)
		} else if err := c.ledger.holds(step.ID, x.plan.tries[step.ID], now); err != nil {
			x.failed[step.ID] = err
		} else if err := x.waits(step); err != nil {
			x.failed[step.ID] = err
		}
	}
	x.holdSiblings()
	x.fresh = map[topology.ID]bool{}
	for _, entry := range x.plan.Record {
		if _, known := c.world.Entry(entry.ID); !known {
			x.fresh[entry.ID] = true
		}
	}
}

// leaveToOthers leaves a step to the connection that it is made over: what one
// user may do on a broker, another may not. Whoever is there is woken, unless a
// failure has given it a turn of its own, and wakes the owners here when it is
// done. The caller holds c.state.
func (x *execution) leaveToOthers(step topology.Step) {
	c := x.cluster
	x.failed[step.ID] = &topology.Error{
		Class: topology.ClassPending, Object: step.ID, Operation: string(step.Verb),
		Reason: fmt.Sprintf("it is left to %s, over which another owner has it", step.Connection),
	}
	paced := c.ledger.holds(step.ID, x.plan.tries[step.ID], c.clock()) != nil
	for _, owner := range c.concerned(step.ID) {
		switch {
		case !c.through(owner, step.Connection):
			c.waitFor(plan.Held{Reason: plan.Blocked, Owner: owner, Missing: step.ID})
		case !paced:
			c.dirty.add(owner)
		}
	}
}

// applyWaves stops when a whole wave fails to reach the broker: what follows
// would too.
func (x *execution) applyWaves(ctx context.Context) error {
	for _, wave := range x.plan.Waves {
		ready := x.ready(wave)
		if len(ready) == 0 {
			continue
		}
		outcomes := x.session.Broker.Apply(ctx, ready)
		err := connectionError(outcomes)
		x.note(outcomes, err == nil)
		if err != nil {
			x.giveUp(err)
			return err
		}
	}
	return nil
}

// giveUp says of the steps that were not tried that they will not be.
func (x *execution) giveUp(because error) {
	tried := map[topology.ID]bool{}
	for _, outcome := range x.report.Outcomes {
		tried[outcome.Step.ID] = true
	}
	reason := because.Error()
	if known, ok := errors.AsType[*topology.Error](because); ok {
		reason = known.Reason
	}
	for _, step := range x.plan.Steps() {
		if !tried[step.ID] && x.failed[step.ID] == nil {
			x.failed[step.ID] = &topology.Error{
				Class: topology.ClassOf(because), Object: step.ID, Operation: string(step.Verb),
				Reason: "not tried: " + reason,
			}
		}
	}
}

// ready picks the steps of a wave that are not held back and whose requirements
// are met.
func (x *execution) ready(wave []topology.Step) []topology.Step {
	var out []topology.Step
	for _, step := range wave {
		if x.failed[step.ID] != nil {
			continue
		}
		if err := x.waits(step); err != nil {
			x.failed[step.ID] = err
			continue
		}
		out = append(out, step)
	}
	return out
}

// waits tells which failure keeps a step from running; nil if none does.
func (x *execution) waits(step topology.Step) error {
	need, err := x.firstFailed(step.Requires)
	if err == nil {
		return nil
	}
	x.awaits[step.ID] = need
	return &topology.Error{
		Class: topology.ClassPending, Object: step.ID, Operation: string(step.Verb),
		Reason: fmt.Sprintf("waits for %s, which failed: %v", need, err),
	}
}

func (x *execution) firstFailed(ids []topology.ID) (topology.ID, error) {
	for _, id := range ids {
		if err := x.failed[id]; err != nil {
			return id, err
		}
	}
	return topology.ID{}, nil
}

// note takes down how steps went. The way to the broker failing for all of them
// is not the objects' failure: it paces the connection, and not the ledger.
func (x *execution) note(outcomes []topology.Outcome, reached bool) {
	c := x.cluster
	x.report.Outcomes = append(x.report.Outcomes, outcomes...)
	c.state.Lock()
	defer c.state.Unlock()
	now := c.clock()
	for _, outcome := range outcomes {
		id := outcome.Step.ID
		// Written even if it failed: a time-out may have come after the write.
		c.written[id] = now
		switch {
		case outcome.Err == nil:
			x.done = append(x.done, outcome.Step)
			if outcome.Shown != nil {
				x.shown[id] = outcome.Shown
			}
		case reached:
			x.fail(outcome.Step, outcome.Err)
		default:
			x.failed[id] = outcome.Err
		}
	}
}

// fail notes a failed step; the caller holds c.state.
func (x *execution) fail(step topology.Step, err error) {
	x.failed[step.ID] = err
	x.cluster.ledger.fail(step.ID, x.plan.tries[step.ID], step.Connection, err, x.cluster.clock())
}

// connectionError tells whether a wave failed as a whole, for want of a broker.
func connectionError(outcomes []topology.Outcome) error {
	for _, outcome := range outcomes {
		switch topology.ClassOf(outcome.Err) {
		case topology.ClassTransport, topology.ClassAuthentication:
		default: // accepted, too
			return nil
		}
	}
	if len(outcomes) == 0 {
		return nil
	}
	return outcomes[0].Err
}

// readBack compares what was done with what the broker has now.
func (x *execution) readBack(ctx context.Context) error {
	if len(x.done) == 0 {
		return nil
	}
	live, err := x.effects(ctx)
	if err != nil {
		for _, step := range x.done {
			x.failed[step.ID] = err
		}
		x.done = nil
		return err
	}
	c := x.cluster
	c.state.Lock()
	defer c.state.Unlock()
	confirmed := x.done[:0]
	for _, step := range x.done {
		if err := compare(step, live); err != nil {
			x.fail(step, err)
			continue
		}
		confirmed = append(confirmed, step)
		c.ledger.clear(step.ID)
		delete(c.inherited, step.ID)
	}
	x.done = confirmed
	x.noteTopicIDs(live)
	return nil
}

// effects are the objects of what was done, as the broker has them now: those that it has
// not shown yet are read.
func (x *execution) effects(ctx context.Context) (*topology.Snapshot, error) {
	ids := make([]topology.ID, 0, len(x.done))
	for _, step := range x.done {
		if x.shown[step.ID] == nil {
			ids = append(ids, step.ID)
		}
	}
	live := &topology.Snapshot{Objects: map[topology.ID]topology.Resource{}}
	if len(ids) > 0 {
		read, err := x.session.Broker.Observe(ctx, topology.Selection{IDs: ids})
		if err != nil {
			return nil, err
		}
		live = read
	}
	maps.Copy(live.Objects, x.shown)
	return live, nil
}

// compare tells in which way a step has not had its effect; nil if it has.
func compare(step topology.Step, live *topology.Snapshot) error {
	found, presence := live.Look(step.ID)
	failure := func(class topology.Class, reason string) error {
		return &topology.Error{Class: class, Object: step.ID, Operation: string(step.Verb), Reason: reason}
	}
	switch {
	case presence == topology.Unknown:
		return failure(topology.ClassAccessDenied, fmt.Sprintf("cannot be read back: %v", live.UnreadReason(step.ID)))
	case step.Verb == topology.VerbDelete && presence == topology.Present:
		return failure(topology.ClassPending, "the broker accepted the deletion and has not finished it")
	case step.Verb == topology.VerbDelete:
		return nil
	case presence == topology.Absent:
		return failure(topology.ClassPending, "the broker accepted it and does not show it yet")
	}
	changes := slices.DeleteFunc(step.Want.Diff(found), func(c topology.Change) bool {
		return c.Mode == topology.Gradual // an operation's business, which runs beside the step
	})
	if len(changes) > 0 {
		return failure(topology.ClassPending, "the broker accepted it, and what it shows differs: "+topology.DescribeChanges(changes))
	}
	return nil
}
