package engine

import (
	"context"
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// draft is a plan, and what it was made from.
type draft struct {
	*plan.Plan
	// claims of the owners that the plan is for, as it knew them.
	claims map[topology.OwnerKey]*topology.Claim
	// tries has the fingerprint of each step.
	tries map[topology.ID]string
	// advances has the fingerprint of each operation.
	advances map[topology.ID]string
	// depths as the snapshot of a sweep has them.
	depths map[topology.ID]topology.Depth
	// scope that it is about. declarers are the claims of all who declare any of that, if
	// something of it is to be deleted.
	scope     scope
	declarers []*topology.Claim
	// changes of the world until then.
	changes uint64
}

// observation reads what a plan needs, and no more.
type observation struct {
	cluster *Cluster
	session Session
	held    *stake
	report  *Report
	live    *topology.Snapshot
}

func (o *observation) plan(ctx context.Context, owners []topology.OwnerKey) (*draft, error) {
	c := o.cluster
	scope, covered := c.scopeWithin(o.held, owners)
	if !covered {
		return nil, errWidened
	}
	if o.live == nil {
		live, err := o.observe(ctx, topology.Selection{IDs: slices.Concat(scope.focus, scope.needs), Departing: scope.departing})
		if err != nil {
			return nil, err
		}
		o.live = live
	}
	if o.session.Succeeds {
		o.live = c.doubt(scope.focus, o.live)
	}
	for round := 0; ; round++ {
		p := c.compute(owners, scope, o.live, o.session.ClusterID)
		if p == nil {
			return nil, errWidened
		}
		if len(p.NeedUsage) == 0 || round == mostUsageRounds {
			return p, nil
		}
		used, err := o.observe(ctx, topology.Selection{Usage: p.NeedUsage})
		if err != nil {
			return nil, err
		}
		o.addUsage(used, p.NeedUsage)
	}
}

// scope is what a plan for some owners is about.
type scope struct {
	focus, needs []topology.ID
	// departing is the part of focus that nobody wants.
	departing []topology.ID
	// changes of the world until then.
	changes uint64
}

// scopeWithin is the scope of some owners of a stake, and whether it covers that
// still: for all of those that it was made for, only a change of the world makes it
// another one.
func (c *Cluster) scopeWithin(held *stake, owners []topology.OwnerKey) (scope, bool) {
	c.state.Lock()
	defer c.state.Unlock()
	if c.world.Changes() == held.scope.changes && slices.Equal(owners, held.owners) {
		return held.scope, true
	}
	now := c.scope(owners)
	return now, held.covers(now)
}

// scope is for callers that hold c.state.
func (c *Cluster) scope(owners []topology.OwnerKey) scope {
	focus := c.world.Focus(owners)
	departing := slices.DeleteFunc(slices.Clone(focus), c.world.IsWanted)
	return scope{focus: focus, needs: plan.Needs(c.world, focus), departing: departing, changes: c.world.Changes()}
}

// outdated tells whether the owners have come to want or have something else
// since a scope was made: a claim can be replaced at any moment, by the refreshing
// of a pass of another connection to this cluster above all. A plan for what was
// wanted before would delete the old and leave out the new, and of what nobody wanted too
// little has been read to compare it. The caller holds c.state.
func (c *Cluster) outdated(owners []topology.OwnerKey, s scope) bool {
	if c.world.Changes() == s.changes {
		return false
	}
	now := c.scope(owners)
	return !slices.Equal(now.focus, s.focus) || !slices.Equal(now.needs, s.needs) || slices.ContainsFunc(s.departing, c.world.IsWanted)
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

// compute plans, and keeps the notes about settling queues and failed objects. It
// returns nil if the scope is outdated.
func (c *Cluster) compute(owners []topology.OwnerKey, scope scope, live *topology.Snapshot, clusterID string) *draft {
	c.state.Lock()
	defer c.state.Unlock()
	if c.outdated(owners, scope) {
		return nil
	}
	focus := scope.focus
	now := c.clock()
	quiet := map[topology.ID]bool{}
	for _, id := range focus {
		if s, ok := c.settling[id]; ok && now.Sub(s.since) >= settleTime {
			quiet[id] = true
		}
	}
	p := &draft{
		Plan: plan.Compute(plan.Input{
			World: c.world, Live: live, Focus: focus, Quiet: quiet, ClusterID: clusterID, Held: plan.HeldOwners(c.world, c.departures),
		}),
		claims:   map[topology.OwnerKey]*topology.Claim{},
		tries:    map[topology.ID]string{},
		advances: map[topology.ID]string{},
		depths:   live.Depths,
		scope:    scope,
		changes:  c.world.Changes(),
	}
	for _, key := range owners {
		p.claims[key] = c.world.Claim(key)
	}
	if slices.ContainsFunc(p.Steps(), func(step topology.Step) bool { return step.Verb == topology.VerbDelete }) {
		p.declarers = c.declarers(scope)
	}
	for _, step := range p.Steps() {
		p.tries[step.ID] = fingerprint(c.world, step.Owners)
	}
	for _, operation := range p.Operations {
		p.advances[operation.ID()] = fingerprint(c.world, operation.Owners)
	}
	if len(p.NeedUsage) == 0 { // the last word
		c.keepNotes(focus, p, quiet)
	}
	return p
}

// isCurrent tells whether everybody declares what they did when a plan was made, of what
// it is about.
func (c *Cluster) isCurrent(p *draft) bool {
	c.state.Lock()
	defer c.state.Unlock()
	return c.world.Changes() == p.changes || slices.Equal(c.declarers(p.scope), p.declarers)
}

// declarers are the claims of all who declare an object of a scope. The caller holds
// c.state.
func (c *Cluster) declarers(s scope) []*topology.Claim {
	var out []*topology.Claim
	for _, ids := range [][]topology.ID{s.focus, s.needs} {
		for _, id := range ids {
			for _, owner := range c.world.Wanters(id) {
				out = append(out, c.world.Claim(owner))
			}
		}
	}
	return out
}

// keepNotes drops the notes about objects that are well, in use again or wanted
// again: what no plan has to do with any more is not looked at for their sake.
func (c *Cluster) keepNotes(focus []topology.ID, p *draft, quiet map[topology.ID]bool) {
	for _, id := range focus {
		_, step := p.tries[id]
		if !step {
			c.ledger.clear(id)
		}
		if _, underway := p.advances[id]; !underway {
			c.endOperation(id)
		}
		s, noted := c.settling[id]
		switch {
		case !noted:
		case !slices.Contains(p.Settling, id) && !(step && quiet[id]):
			delete(c.settling, id)
		case quiet[id]:
			s.over = true
			c.settling[id] = s
		}
	}
}
