package engine

import (
	"context"
	"errors"
	"time"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Limits of one pass, so that no pass keeps another waiting for long.
const (
	// SliceSize owners make one slice of a sweep: edits wait for one slice at
	// the most.
	SliceSize = 250
	// fewEdits owners at a time are what somebody waits for, and others give way to.
	fewEdits = 20
	// settleTime is how long a quorum queue must seem empty: two statistics
	// intervals of RabbitMQ (5 s each) and a margin.
	settleTime = 11 * time.Second
	// mostUsageRounds bounds how often a plan may ask for usage: a queue's
	// decides about its exchange's, and that about the virtual host's.
	mostUsageRounds = 4
)

// Session is a connection at work.
type Session struct {
	Connection topology.ConnectionKey
	Broker     Broker
	// ClusterID of the broker cluster behind it: what a person approves is approved
	// for that one.
	ClusterID string
	// Refresh brings the cluster's claims up to date with what is stored, past
	// every cache, as far as they could keep from ending what ends. It is called
	// before anything is deleted.
	Refresh func(ctx context.Context, what Ending) error
	// Verify fails if the broker that answers is not that of the inventory any
	// more. It is called before anything is written, to the broker or about it.
	Verify func(ctx context.Context) error
	// Succeeds: a process before this one may have been killed in the middle of its
	// calls, and what these may have left half done is looked for. Claims must have
	// what statuses say (Claim.Reported).
	Succeeds bool
	// Tell is called with the verdicts of a pass before its books are closed: somebody waits
	// for them, and what they say is so already. nil if nobody does.
	Tell func([]Verdict)
	// Courtesy has roll-outs and drift checks give way to a few edits; nil if they need not.
	Courtesy *topology.Courtesy
	// AllowDeletes is the id of the held deletions that may go; "" if nobody has
	// allowed any.
	AllowDeletes string
}

// Report is what a pass did.
type Report struct {
	Verdicts []Verdict
	// Outcomes of all steps that were tried.
	Outcomes []topology.Outcome
	// Corrected lists, per owner, what had been changed by somebody else and
	// was put right; consequences of another correction are not named again.
	Corrected map[topology.OwnerKey][]topology.ID
	Adopted   map[topology.OwnerKey][]topology.ID
	// Recreated tells, per owner, which topics somebody else deleted and
	// created again.
	Recreated map[topology.OwnerKey][]string
	// Ended lists what was decided about objects of owners that are gone.
	Ended []plan.Held
	// Held counts what is held, by reason.
	Held map[plan.Reason]int
	// ObserveTime was spent on reading the broker.
	ObserveTime time.Duration
}

// Edits runs a pass over what has become dirty or due. A nil report says that
// there was nothing to do. After an error the owners are dirty again.
func (c *Cluster) Edits(ctx context.Context, s Session) (*Report, error) {
	return c.EditsOf(ctx, s, Everything)
}

// EditsOf is Edits for a part of it. Passes for two parts may run at the same time.
func (c *Cluster) EditsOf(ctx context.Context, s Session, part Part) (*Report, error) {
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	c.heed(s)
	owners := c.takeDue(s.Connection, part)
	if len(owners) == 0 {
		return nil, nil
	}
	var report *Report
	var given time.Duration
	began := c.clock()
	err := c.exclusively(ctx, owners, func(held *stake) (err error) {
		ctx := ctx
		switch {
		case part == RolledOut:
			ctx = c.inBulk(ctx, s, held)
			defer func() { given += topology.Given(ctx) }()
		case part == Edited && len(owners) <= fewEdits:
			defer s.Courtesy.Edit()() // and not before: it may have waited for a roll-out
		}
		report, err = c.run(ctx, s, owners, held, nil)
		return err
	})
	if part == RolledOut {
		c.noteRollout(s.Connection, began, given)
	}
	if err != nil {
		c.Touch(owners...)
	}
	return report, err
}

// inBulk marks the context of a pass that nobody waits for, unless somebody waits for its stake.
func (c *Cluster) inBulk(ctx context.Context, s Session, held *stake) context.Context {
	return topology.InBulk(ctx, s.Courtesy, func() bool { return c.locks.awaited(held) })
}

// takeDue takes the dirty owners and those of failed or settling objects whose
// time has come.
func (c *Cluster) takeDue(connection topology.ConnectionKey, part Part) []topology.OwnerKey {
	c.state.Lock()
	defer c.state.Unlock()
	if part != RolledOut {
		c.wakeDue(connection)
	}
	return c.takeDirty(connection, part, MostEdits)
}

// wakeDue makes dirty whoever has to do with what is due. The caller holds c.state.
func (c *Cluster) wakeDue(connection topology.ConnectionKey) {
	now := c.clock()
	revisit := c.ledger.due(now, connection)
	for id, s := range c.settling {
		if !s.over && now.Sub(s.since) >= settleTime {
			revisit = append(revisit, id)
		}
	}
	for id, d := range c.draining {
		if !now.Before(d.due) {
			revisit = append(revisit, id)
		}
	}
	for _, id := range revisit {
		owners := c.concerned(id)
		if len(owners) == 0 {
			c.ledger.clear(id)
			delete(c.settling, id)
			delete(c.draining, id)
		}
		for _, key := range owners {
			if c.through(key, connection) {
				c.dirty.add(key)
			}
		}
	}
}

// Next tells when a pass of edits has something to do: now if anything is
// dirty, else when the first failed or settling object is due. False: never,
// until something changes.
func (c *Cluster) Next(connection topology.ConnectionKey) (time.Time, bool) {
	return c.NextOf(connection, Everything)
}

// NextOf is Next for a part of it.
func (c *Cluster) NextOf(connection topology.ConnectionKey, part Part) (time.Time, bool) {
	c.state.Lock()
	defer c.state.Unlock()
	if at, any := c.dueFrom(connection, part); any {
		return at, true
	}
	if part == RolledOut {
		return time.Time{}, false
	}
	var first time.Time
	found := false
	note := func(id topology.ID, due time.Time) {
		if (!found || due.Before(first)) && c.reaches(id, connection) {
			first, found = due, true
		}
	}
	for id, f := range c.ledger.entries {
		if f.connection == connection {
			note(id, f.due)
		}
	}
	for id, s := range c.settling {
		if !s.over {
			note(id, s.since.Add(settleTime))
		}
	}
	for id, d := range c.draining {
		note(id, d.due)
	}
	return first, found
}

// errWidened says that owners have come to have a stake in something else than
// what a pass holds: it begins again.
var errWidened = errors.New("the pass concerns something else than it did")

// exclusively runs f while nobody else decides about what owners want or have,
// or about what that needs.
func (c *Cluster) exclusively(ctx context.Context, owners []topology.OwnerKey, f func(held *stake) error) error {
	for again := false; ; again = true {
		held := c.stakeOf(owners)
		held.again = again
		release, err := c.locks.acquire(ctx, held)
		if err != nil {
			return err
		}
		err = f(held)
		release()
		if !errors.Is(err, errWidened) {
			return err
		}
	}
}

func (c *Cluster) stakeOf(owners []topology.OwnerKey) *stake {
	c.state.Lock()
	defer c.state.Unlock()
	scope := c.scope(owners)
	held := newStake(scope.focus, scope.needs)
	held.owners, held.scope = owners, scope
	return held
}

// run is one pass over some owners, whose stake the caller holds.
func (c *Cluster) run(ctx context.Context, s Session, owners []topology.OwnerKey, held *stake, live *topology.Snapshot) (*Report, error) {
	report := &Report{
		Corrected: map[topology.OwnerKey][]topology.ID{},
		Adopted:   map[topology.OwnerKey][]topology.ID{},
		Recreated: map[topology.OwnerKey][]string{},
		Held:      map[plan.Reason]int{},
	}
	c.state.Lock()
	epoch := c.epoch
	c.state.Unlock()
	p, asked, err := c.planned(ctx, s, owners, held, report, live)
	defer asked.end()
	if err != nil {
		return report, err
	}
	if s.Verify != nil && !p.Empty() {
		if err := s.Verify(ctx); err != nil {
			return report, err
		}
	}
	x := &execution{cluster: c, session: s, epoch: epoch, plan: p, report: report, failed: map[topology.ID]error{}, awaits: map[topology.ID]topology.ID{}, topicIDs: map[topology.ID]string{}, shown: map[topology.ID]topology.Resource{}}
	x.holdBack()
	if err := x.writeAhead(ctx); err != nil {
		return report, err // nothing was done, so there is nothing to tell
	}
	if err := x.permit(ctx, asked); err != nil {
		return report, err
	}
	err = x.run(ctx)
	storeClosed := x.closeBooks()
	c.conclude(owners, p, x, report)
	if s.Tell != nil {
		s.Tell(report.Verdicts)
	}
	if storeErr := storeClosed(ctx); err == nil {
		err = storeErr
	}
	return report, err
}
