package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Limits of one pass, so that no pass keeps another waiting for long.
const (
	// MostEdits owners are taken up by one pass of edits: at the speed of a
	// broker's management API about a second of work.
	MostEdits = 1000
	// SliceSize owners make one slice of a sweep: edits wait for one slice at
	// the most.
	SliceSize = 250
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
	// Refresh brings the cluster's claims up to date with what is stored, past
	// every cache. It is called before anything is deleted because its owner
	// is gone.
	Refresh func(ctx context.Context) error
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
	c.passes.Lock()
	defer c.passes.Unlock()
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	owners := c.takeDue(s.Connection)
	if len(owners) == 0 {
		return nil, nil
	}
	report, err := c.run(ctx, s, owners, nil)
	if err != nil {
		c.Touch(owners...)
	}
	return report, err
}

// takeDue takes the dirty owners and those of failed or settling objects whose
// time has come.
func (c *Cluster) takeDue(connection topology.ConnectionKey) []topology.OwnerKey {
	c.state.Lock()
	defer c.state.Unlock()
	now := c.clock()
	revisit := c.ledger.due(now)
	for id, since := range c.settling {
		if now.Sub(since) >= settleTime {
			revisit = append(revisit, id)
		}
	}
	for _, id := range revisit {
		entry, _ := c.world.Entry(id)
		owners := slices.Concat(entry.Owners, c.world.Wanters(id))
		if len(owners) == 0 {
			c.ledger.clear(id)
			delete(c.settling, id)
		}
		for _, key := range owners {
			c.dirty[key] = struct{}{}
		}
	}
	return c.takeDirty(connection, MostEdits)
}

// Next tells when a pass of edits has something to do: now if anything is
// dirty, else when the first failed or settling object is due. False: never,
// until something changes.
func (c *Cluster) Next(connection topology.ConnectionKey) (time.Time, bool) {
	c.state.Lock()
	defer c.state.Unlock()
	for key := range c.dirty {
		if c.through(key, connection) {
			return c.clock(), true
		}
	}
	first, any := c.ledger.next()
	for _, since := range c.settling {
		if due := since.Add(settleTime); !any || due.Before(first) {
			first, any = due, true
		}
	}
	return first, any
}

// Sweep is a drift check of everything on a connection, in slices.
type Sweep struct {
	cluster *Cluster
	session Session
	live    *topology.Snapshot
	taken   time.Time
	took    time.Duration
	rest    []topology.OwnerKey
}

// BeginSweep reads the whole broker once.
func (c *Cluster) BeginSweep(ctx context.Context, s Session) (*Sweep, error) {
	c.passes.Lock()
	err := c.load(ctx)
	c.passes.Unlock()
	if err != nil {
		return nil, err
	}
	taken := c.clock()
	live, err := s.Broker.Observe(ctx, topology.Selection{All: true})
	if err != nil {
		return nil, err
	}
	c.forgetWritten(taken)
	return &Sweep{
		cluster: c, session: s, live: live, taken: taken,
		took: c.clock().Sub(taken), rest: c.Owners(s.Connection),
	}, nil
}

// Done tells whether no slice is left.
func (s *Sweep) Done() bool { return len(s.rest) == 0 }

// Slice checks the next owners. What changed since the broker was read is left
// to the edits.
func (s *Sweep) Slice(ctx context.Context) (*Report, error) {
	c := s.cluster
	c.passes.Lock()
	defer c.passes.Unlock()
	n := min(SliceSize, len(s.rest))
	slice := s.rest[:n]
	s.rest = s.rest[n:]
	owners := c.stillAsRead(slice, s.taken)
	if len(owners) == 0 {
		return &Report{}, nil
	}
	report, err := c.run(ctx, s.session, owners, s.live)
	if report != nil {
		report.ObserveTime += s.took
		s.took = 0
	}
	return report, err
}

// stillAsRead drops owners that are dirty, or whose objects this process has
// written since the snapshot was taken.
func (c *Cluster) stillAsRead(owners []topology.OwnerKey, taken time.Time) []topology.OwnerKey {
	c.state.Lock()
	defer c.state.Unlock()
	var out []topology.OwnerKey
	for _, key := range owners {
		if _, dirty := c.dirty[key]; dirty {
			continue
		}
		if len(c.written) > 0 && slices.ContainsFunc(c.world.Focus([]topology.OwnerKey{key}), func(id topology.ID) bool {
			return !c.written[id].Before(taken) && !c.written[id].IsZero()
		}) {
			continue
		}
		out = append(out, key)
	}
	return out
}

// forgetWritten drops notes that no living snapshot can be older than.
func (c *Cluster) forgetWritten(taken time.Time) {
	c.state.Lock()
	defer c.state.Unlock()
	maps.DeleteFunc(c.written, func(_ topology.ID, at time.Time) bool { return at.Before(taken) })
}

// run is one pass over some owners. The caller holds c.passes.
func (c *Cluster) run(ctx context.Context, s Session, owners []topology.OwnerKey, live *topology.Snapshot) (*Report, error) {
	report := &Report{
		Corrected: map[topology.OwnerKey][]topology.ID{},
		Adopted:   map[topology.OwnerKey][]topology.ID{},
		Held:      map[plan.Reason]int{},
	}
	p, err := (&observation{cluster: c, session: s, report: report, live: live}).plan(ctx, owners)
	if err != nil {
		return report, err
	}
	if s.Refresh != nil && endsSomething(p) {
		if err := s.Refresh(ctx); err != nil {
			return report, err
		}
		// From the start: what the owners want may be something else by now.
		if p, err = (&observation{cluster: c, session: s, report: report, live: live}).plan(ctx, owners); err != nil {
			return report, err
		}
	}
	x := &execution{cluster: c, session: s, plan: p, report: report, failed: map[topology.ID]error{}}
	err = x.run(ctx)
	c.conclude(owners, p, x, report)
	return report, err
}

// endsSomething tells whether the plan takes away what a departed owner had.
func endsSomething(p *plan.Plan) bool {
	if len(p.Forget) > 0 {
		return true
	}
	return slices.ContainsFunc(p.Steps(), func(s topology.Step) bool { return s.Verb == topology.VerbDelete })
}

// observation reads what a plan needs, and no more.
type observation struct {
	cluster *Cluster
	session Session
	report  *Report
	live    *topology.Snapshot
}

func (o *observation) plan(ctx context.Context, owners []topology.OwnerKey) (*plan.Plan, error) {
	c := o.cluster
	c.state.Lock()
	focus := c.world.Focus(owners)
	needs := plan.Needs(c.world, focus)
	c.state.Unlock()
	if o.live == nil {
		live, err := o.observe(ctx, topology.Selection{IDs: slices.Concat(focus, needs)})
		if err != nil {
			return nil, err
		}
		o.live = live
	}
	for round := 0; ; round++ {
		p := c.compute(focus, o.live)
		if len(p.NeedUsage) == 0 || round == mostUsageRounds {
			return p, nil
		}
		used, err := o.observe(ctx, topology.Selection{IDs: p.NeedUsage, Usage: p.NeedUsage})
		if err != nil {
			return nil, err
		}
		o.addUsage(used, p.NeedUsage)
	}
}

// addUsage works on a copy: a sweep's snapshot is shared by its slices, and
// usage must be fresh in each of them.
func (o *observation) addUsage(used *topology.Snapshot, asked []topology.ID) {
	merged := *o.live
	merged.Usage = maps.Clone(o.live.Usage)
	if merged.Usage == nil {
		merged.Usage = map[topology.ID]topology.Usage{}
	}
	for _, id := range asked {
		usage, known := used.Usage[id]
		if !known {
			usage = topology.Usage{Unknown: true}
		}
		merged.Usage[id] = usage
	}
	o.live = &merged
}

func (o *observation) observe(ctx context.Context, sel topology.Selection) (*topology.Snapshot, error) {
	start := o.cluster.clock()
	live, err := o.session.Broker.Observe(ctx, sel)
	o.report.ObserveTime += o.cluster.clock().Sub(start)
	return live, err
}

// compute plans, and keeps the notes about settling queues.
func (c *Cluster) compute(focus []topology.ID, live *topology.Snapshot) *plan.Plan {
	c.state.Lock()
	defer c.state.Unlock()
	now := c.clock()
	quiet := map[topology.ID]bool{}
	for _, id := range focus {
		if since, ok := c.settling[id]; ok && now.Sub(since) >= settleTime {
			quiet[id] = true
		}
	}
	p := plan.Compute(plan.Input{World: c.world, Live: live, Focus: focus, Quiet: quiet})
	if len(p.NeedUsage) > 0 {
		return p // not the last word
	}
	for _, id := range focus {
		if _, settled := quiet[id]; !settled && !slices.Contains(p.Settling, id) {
			delete(c.settling, id) // it is in use again, or wanted again
		}
	}
	return p
}
