package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	// advanceTimeout bounds one Advance. No pass waits for it.
	advanceTimeout = 30 * time.Second
	// advancesAtOnce is how many operations of a connection are carried on with
	// at the same time.
	advancesAtOnce = 4
	// shortestWait between two Advances of an operation, whatever it asks for.
	shortestWait = 100 * time.Millisecond
)

// OperationNote is what statuses say of an operation.
type OperationNote struct {
	ID   topology.ID
	Kind topology.OperationKind
	// Progress as of the last time that it was told; zero before the first
	// Advance.
	topology.Progress
}

// operation is an operation under way, between passes.
type operation struct {
	topology.Operation
	// try is the fingerprint of what is tried: another one is tried at once.
	try string
	due time.Time
	// stop ends the Advance that is running; nil if none is. It still runs for
	// a moment after that, and over says that nothing comes after it.
	stop context.CancelFunc
	over bool
	news news[topology.Progress]
}

// isOrphan tells whether an operation has lost all its owners. The caller holds
// c.state.
func (c *Cluster) isOrphan(o topology.Operation) bool {
	return !slices.ContainsFunc(o.Owners, func(owner topology.OwnerKey) bool { return c.world.Claim(owner) != nil })
}

// noteOperations keeps the operations of a plan to be carried on with, and tells
// their owners about them. The caller holds c.state.
func (c *Cluster) noteOperations(p *draft, x *execution, problems map[topology.OwnerKey][]problem) map[topology.OwnerKey][]OperationNote {
	out := map[topology.OwnerKey][]OperationNote{}
	for _, wanted := range p.Operations {
		id := wanted.ID()
		o := c.operations[id]
		if o == nil {
			if need, err := x.firstFailed(wanted.Want.Needs()); err != nil {
				c.explain(problems, wanted.Owners, problemOfError(&topology.Error{
					Class: topology.ClassPending, Object: id, Reason: fmt.Sprintf("waits for %s, which failed: %v", need, err),
				}))
				continue
			}
			o = &operation{due: c.clock()}
			c.operations[id] = o
			c.tally.begin(id, c.clock(), false)
		}
		if try := p.advances[id]; o.try != try {
			o.try, o.due = try, c.clock()
		}
		o.Operation, o.over = wanted, false
		c.explain(problems, wanted.Owners, c.problemOfOperation(o))
		for _, owner := range wanted.Owners {
			out[owner] = append(out[owner], OperationNote{ID: id, Kind: o.Kind, Progress: o.news.told})
		}
	}
	return out
}

// operates tells whether something is held because of an operation on behalf of
// the same owner.
func operates(p *plan.Plan, held plan.Held) bool {
	return held.Reason == plan.Migrating && slices.ContainsFunc(p.Operations, func(o topology.Operation) bool {
		return o.ID() == held.Missing && slices.Contains(o.Owners, held.Owner)
	})
}

func (c *Cluster) explain(problems map[topology.OwnerKey][]problem, owners []topology.OwnerKey, p problem) {
	for _, owner := range owners {
		problems[owner] = append(problems[owner], p)
	}
}

// problemOfOperation is what keeps the owners from being ready: the last
// failure, or that it takes its time.
func (c *Cluster) problemOfOperation(o *operation) problem {
	if f := c.setbacks.entries[o.ID()]; f != nil && f.fingerprint == o.try {
		return problemOfError(f.err)
	}
	p := problem{reason: ReasonProgressing, message: o.news.told.Message, weight: 2}
	if o.Kind != topology.OperationReassign {
		p.reason = string(plan.Migrating)
	}
	if p.message == "" {
		p.message = fmt.Sprintf("%s: %s begins", o.ID(), o.Kind)
	}
	return p
}

// endOperation forgets an operation that no plan asks for any more. The caller
// holds c.state.
func (c *Cluster) endOperation(id topology.ID) {
	c.setbacks.clear(id)
	if o := c.operations[id]; o != nil && o.stop != nil {
		o.over = true
		o.stop()
		return
	}
	delete(c.operations, id)
}

// NextAdvance tells when an operation of a connection is to be carried on with.
func (c *Cluster) NextAdvance(connection topology.ConnectionKey) (time.Time, bool) {
	c.state.Lock()
	defer c.state.Unlock()
	var first time.Time
	found := false
	for id, o := range c.operations {
		if due := c.dueOf(id, o); c.isReady(id, o, connection) && (!found || due.Before(first)) {
			first, found = due, true
		}
	}
	return first, found
}

// isReady tells whether nothing but time keeps an operation from being carried
// on with. What has changed since the plan is for the next pass to decide about.
func (c *Cluster) isReady(id topology.ID, o *operation, connection topology.ConnectionKey) bool {
	entry, _ := c.world.Entry(id)
	return o.stop == nil && o.Connection == connection && entry.Operation == o.Kind && fingerprint(c.world, o.Owners) == o.try
}

func (c *Cluster) dueOf(id topology.ID, o *operation) time.Time {
	if f := c.setbacks.entries[id]; f != nil && f.fingerprint == o.try {
		return f.due
	}
	return o.due
}

// Advance carries on with the operations of a connection that are due, as far
// as each comes, and returns when all have come to a halt. Passes go on
// meanwhile: they leave alone what an operation has in hand. Owners to whom
// there is something to tell are dirty afterwards. An error is about the
// connection or the store.
func (c *Cluster) Advance(ctx context.Context, s Session) error {
	due, err := c.beginAdvance(ctx, s)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	failures := make([]error, len(due))
	slots := make(chan struct{}, advancesAtOnce)
	for i, a := range due {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			failures[i] = c.advance(ctx, s, a)
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

// advance is one Advance to be.
type advance struct {
	topology.Operation
	noted   *operation
	try     string
	running context.Context //nolint:containedctx // it is what noted.stop ends
}

// beginAdvance takes what is due, and makes sure that this process may write:
// the entries are written for the sake of the fence.
func (c *Cluster) beginAdvance(ctx context.Context, s Session) ([]advance, error) {
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	due, _ := c.dueOperations(s.Connection)
	if len(due) == 0 {
		return nil, nil
	}
	if s.Verify != nil {
		if err := s.Verify(ctx); err != nil {
			return nil, err
		}
	}
	held := newStake(idsOf(due), nil)
	release, err := c.locks.acquire(ctx, held)
	if err != nil {
		return nil, err
	}
	defer release()
	due, epoch := c.dueOperations(s.Connection)
	due = slices.DeleteFunc(due, func(o *operation) bool { // come since; its turn is the next
		_, ours := held.decides[o.ID()]
		return !ours
	})
	if err := c.write(ctx, epoch, c.entriesOf(due), nil); err != nil {
		return nil, err
	}
	c.state.Lock()
	defer c.state.Unlock()
	var out []advance
	for _, o := range due {
		running, stop := context.WithTimeout(ctx, advanceTimeout)
		o.stop = stop
		out = append(out, advance{Operation: o.Operation, noted: o, try: o.try, running: running})
	}
	return out, nil
}

func (c *Cluster) entriesOf(operations []*operation) []topology.Entry {
	c.state.Lock()
	defer c.state.Unlock()
	out := make([]topology.Entry, 0, len(operations))
	for _, o := range operations {
		entry, _ := c.world.Entry(o.ID())
		out = append(out, entry)
	}
	return out
}

func idsOf(operations []*operation) []topology.ID {
	out := make([]topology.ID, 0, len(operations))
	for _, o := range operations {
		out = append(out, o.ID())
	}
	return out
}

// dueOperations lists those whose turn has come, by the inventory of this epoch.
func (c *Cluster) dueOperations(connection topology.ConnectionKey) (due []*operation, epoch int) {
	c.state.Lock()
	defer c.state.Unlock()
	now := c.clock()
	var out []*operation
	for id, o := range c.operations {
		if c.isReady(id, o, connection) && !now.Before(c.dueOf(id, o)) {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *operation) int { return a.ID().Compare(b.ID()) })
	return out, c.epoch
}

func (c *Cluster) advance(ctx context.Context, s Session, a advance) error {
	var progress topology.Progress
	err := error(&topology.Error{
		Class: topology.ClassUnsupported, Object: a.ID(), Operation: string(a.Kind), Reason: "nothing on this connection can carry it out",
	})
	if operator, able := s.Broker.(topology.Operator); able {
		progress, err = operator.Advance(a.running, a.Operation)
	}
	return c.takeDown(ctx, a, progress, err)
}

// takeDown notes how an Advance went. Its failure is the object's business.
func (c *Cluster) takeDown(ctx context.Context, a advance, progress topology.Progress, failure error) error {
	calledOff := c.halt(a)
	if failure == nil {
		c.count(a, progress)
	}
	switch {
	case calledOff || ctx.Err() != nil:
	case failure == nil && progress.Done:
		return c.closeOperation(ctx, a, OutcomeDone)
	case topology.ClassOf(failure) == topology.ClassInUse:
		return c.closeOperation(ctx, a, OutcomeInUse)
	default:
		c.noteAdvance(a, progress, failure)
	}
	return nil //nolint:nilerr // it is in the ledger
}

// halt notes that an Advance has come back, and tells whether it was called off.
func (c *Cluster) halt(a advance) (calledOff bool) {
	c.state.Lock()
	defer c.state.Unlock()
	calledOff = errors.Is(a.running.Err(), context.Canceled)
	a.noted.stop()
	a.noted.stop = nil
	c.written[a.ID()] = c.clock()
	if a.noted.over {
		delete(c.operations, a.ID())
	}
	return calledOff
}

// noteAdvance takes down how far an operation came.
func (c *Cluster) noteAdvance(a advance, progress topology.Progress, err error) {
	c.state.Lock()
	defer c.state.Unlock()
	now := c.clock()
	tell := true
	if err != nil {
		c.setbacks.fail(a.ID(), a.try, a.Connection, err, now)
	} else {
		recovered := c.setbacks.entries[a.ID()] != nil
		c.setbacks.clear(a.ID())
		a.noted.due = now.Add(max(progress.After, shortestWait))
		progress.After = 0 // the same word at another pace is no news
		tell = a.noted.news.tell(progress, now) || recovered
	}
	if tell {
		c.dirty.add(a.Owners...)
	}
}

// closeOperation strikes an operation from the books that is done, or has found
// that it cannot be. What waited for its end is looked at, and the owners are
// judged by what is there.
func (c *Cluster) closeOperation(ctx context.Context, a advance, outcome string) error {
	release, err := c.locks.acquire(ctx, newStake([]topology.ID{a.ID()}, nil))
	if err != nil {
		return err
	}
	defer release()
	if err := c.load(ctx); err != nil {
		return err
	}
	c.state.Lock()
	epoch := c.epoch
	c.state.Unlock()
	if entry := c.entriesOf([]*operation{a.noted})[0]; entry.Operation == a.Kind {
		entry.Operation = ""
		c.state.Lock()
		c.tally.closing[a.ID()] = outcome
		c.state.Unlock()
		if err := c.write(ctx, epoch, []topology.Entry{entry}, nil); err != nil {
			return err // it is found to be done once more
		}
	}
	c.state.Lock()
	defer c.state.Unlock()
	c.endOperation(a.ID())
	c.wakeAfter(a.ID())
	return nil
}

// wakeAfter makes dirty whoever has to do with an object that was in hand. The
// caller holds c.state.
func (c *Cluster) wakeAfter(id topology.ID) {
	c.dirty.add(c.concerned(id)...)
	for owner := range c.waiting[id] {
		c.dirty.add(owner)
	}
	delete(c.waiting, id)
	c.wakeScopes(map[string]bool{id.Scope: true})
	c.world.EachEntry(func(e topology.Entry) {
		if _, destination, err := topology.BindingEnds(e.ID); err == nil && destination == id {
			c.dirty.add(e.Owners...)
		}
	})
}
