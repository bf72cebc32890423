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

func (x *execution) writeAhead(ctx context.Context) error {
	record := slices.DeleteFunc(slices.Clone(x.plan.Record), func(entry topology.Entry) bool {
		return x.fresh[entry.ID] && x.failed[entry.ID] != nil
	})
	return x.cluster.write(ctx, x.epoch, append(record, x.unchanged()...), nil)
}

// unchanged lists the entries of steps that change nothing on the books. They
// are written all the same: the compare-and-swap is the fence, for deletes
// above all.
func (x *execution) unchanged() []topology.Entry {
	c := x.cluster
	c.state.Lock()
	defer c.state.Unlock()
	recorded := map[topology.ID]bool{}
	for _, entry := range x.plan.Record {
		recorded[entry.ID] = true
	}
	var out []topology.Entry
	for _, step := range x.plan.Steps() {
		if entry, known := c.world.Entry(step.ID); known && !recorded[step.ID] && x.failed[step.ID] == nil {
			out = append(out, entry)
		}
	}
	return out
}

// write changes the stored inventory, then the one in memory. Others write at the same
// time: nobody else decides about what the caller holds.
func (c *Cluster) write(ctx context.Context, epoch int, put []topology.Entry, drop []topology.ID) error {
	c.state.Lock()
	put = c.stamp(put)
	c.state.Unlock()
	if err := c.book(ctx, epoch, put, drop); err != nil {
		return err
	}
	c.state.Lock()
	defer c.state.Unlock()
	c.remember(put, drop)
	return nil
}

// writeBehind changes the inventory in memory, and returns what changes the stored one:
// for what is so on the broker already, and is known to whoever plans from now on. If
// that fails, what is stored is read again.
func (c *Cluster) writeBehind(epoch int, put []topology.Entry, drop []topology.ID) (store func(context.Context) error) {
	c.state.Lock()
	defer c.state.Unlock()
	put = c.stamp(put)
	if epoch == c.epoch {
		c.remember(put, drop)
	}
	return func(ctx context.Context) error { return c.book(ctx, epoch, put, drop) }
}

// remember puts entries into the inventory in memory, and takes others out. The caller
// holds c.state.
func (c *Cluster) remember(put []topology.Entry, drop []topology.ID) {
	for _, entry := range put {
		c.tally.booked(c.setEntry(entry), entry)
	}
	for _, id := range drop {
		c.tally.booked(c.dropEntry(id), topology.Entry{})
	}
}

// book changes the stored inventory, and takes along the departures if they are to be stored.
func (c *Cluster) book(ctx context.Context, epoch int, put []topology.Entry, drop []topology.ID) error {
	departures, release := c.openBooks()
	defer release()
	if len(put) == 0 && len(drop) == 0 && departures == nil {
		return nil
	}
	c.state.Lock()
	current := c.epoch
	c.state.Unlock()
	if epoch != current {
		return ErrFenced // by a pass of this process that has loaded since
	}
	if err := c.store.Write(ctx, put, drop, departures); err != nil {
		c.Unload()
		return err
	}
	if departures != nil {
		c.state.Lock()
		defer c.state.Unlock()
		c.stored = *departures
	}
	return nil
}

// openBooks opens them for a write, and for nobody else if it is to store the departures,
// of which the latest must be the last.
func (c *Cluster) openBooks() (departures *topology.Departures, release func()) {
	latest := func() *topology.Departures {
		c.state.Lock()
		defer c.state.Unlock()
		if now := c.departures; !now.Equal(c.stored) {
			return &now
		}
		return nil
	}
	c.books.RLock()
	if latest() == nil {
		return nil, c.books.RUnlock
	}
	c.books.RUnlock()
	c.books.Lock()
	return latest(), c.books.Unlock
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

// closeBooks drops the entries of what is gone, of what was never made, and
// lets go of fields that are unset now: in memory at once, whatever happened, since
// what is known to be gone is dropped even if the broker went away after it.
func (x *execution) closeBooks() (store func(context.Context) error) {
	drop := slices.Clone(x.plan.Forget)
	for _, step := range x.done {
		if step.Verb == topology.VerbDelete {
			drop = append(drop, step.ID)
		}
	}
	drop = append(drop, x.neverMade()...)
	return x.cluster.writeBehind(x.epoch, x.identified(), drop)
}

// neverMade lists objects that this pass was to create and that were not sent to
// the broker, or that it definitely refused: whatever has that name is not ours.
// A create whose fate is unknown stays on the books.
func (x *execution) neverMade() []topology.ID {
	sent := map[topology.ID]error{}
	for _, outcome := range x.report.Outcomes {
		sent[outcome.Step.ID] = outcome.Err
	}
	x.cluster.state.Lock()
	defer x.cluster.state.Unlock()
	var out []topology.ID
	for _, step := range x.plan.Steps() {
		if _, booked := x.cluster.world.Entry(step.ID); !booked || step.Verb != topology.VerbCreate || step.Drift {
			continue
		}
		err, tried := sent[step.ID]
		// One that was on the books before and exists is one that did not show: it is ours.
		ours := !x.fresh[step.ID] && topology.ClassOf(err) == topology.ClassExists
		if !tried && x.fresh[step.ID] || tried && definite(err) && !ours {
			out = append(out, step.ID)
		}
	}
	return out
}

// definite failures leave no doubt that nothing was made.
func definite(err error) bool {
	if err == nil {
		return false
	}
	switch topology.ClassOf(err) {
	case topology.ClassRejected, topology.ClassUnsupported, topology.ClassAccessDenied, topology.ClassExists:
		return true
	}
	return false // a time-out counts as transient, and it may come after the write
}
