package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// HeldDeletions are what the breaker holds.
type HeldDeletions struct {
	// Window is the id that allows them; "" if none are held.
	Window string
	// Owners are the resources whose deletion is held, the first one to go first.
	Owners []topology.OwnerKey
}

// HeldDeletions lists what is held of what is reached over a connection.
func (c *Cluster) HeldDeletions(connection topology.ConnectionKey) HeldDeletions {
	c.state.Lock()
	defer c.state.Unlock()
	var out HeldDeletions
	if len(c.departures.List) == 0 {
		return out
	}
	ended := c.world.Ended()
	var held []topology.Departure
	for _, d := range c.departures.List {
		if e, there := ended[d.Owner]; there && d.Held > 0 && e.Connection == connection {
			held = append(held, d)
		}
	}
	slices.SortFunc(held, func(a, b topology.Departure) int { return cmp.Compare(a.Held, b.Held) })
	for _, d := range held {
		out.Owners = append(out.Owners, d.Owner)
		out.Window = c.departures.WindowID()
	}
	return out
}

// allowance is what the connection of a session allows.
func (s Session) allowance() plan.Allowance {
	return plan.Allowance{Connection: s.Connection, Window: s.AllowDeletes}
}

// heed makes dirty whoever may go by the word of a session's connection.
func (c *Cluster) heed(s Session) {
	c.state.Lock()
	defer c.state.Unlock()
	covered := c.departures.Covered(s.AllowDeletes)
	for _, d := range c.departures.List {
		if d.Held > 0 && d.Held <= covered && c.through(d.Owner, s.Connection) {
			c.dirty.add(d.Owner)
		}
	}
}

// departs tells whether somebody has gone whom the breaker has not judged, or
// may go who might not before.
func (c *Cluster) departs(s Session) bool {
	c.state.Lock()
	defer c.state.Unlock()
	_, news := c.breaker.Judge(c.world, c.departures, s.allowance(), c.clock())
	return news
}

// judge brings up to date what is held; it tells whether that was news. The
// next write to the store takes it along, before anything is deleted.
func (c *Cluster) judge(s Session) bool {
	c.state.Lock()
	defer c.state.Unlock()
	after, news := c.breaker.Judge(c.world, c.departures, s.allowance(), c.clock())
	c.departures = after
	return news
}

// planned makes the plan of a pass. Before anything ends, what is stored of those
// concerned is looked at, past every cache, and what the breaker says: of whoever has gone
// since, before there is a plan; of what else the plan ends, after it. With any news the
// plan is made anew, and everybody is looked at if it ends something else. What is asked
// then still is to be answered before the plan is carried out, and to be ended.
func (c *Cluster) planned(ctx context.Context, s Session, owners []topology.OwnerKey, held *stake, report *Report, live *topology.Snapshot) (p *draft, asked *inquiry, err error) {
	planAnew := func() (*draft, error) {
		return (&observation{cluster: c, session: s, held: held, report: report, live: live}).plan(ctx, owners)
	}
	everybody := s.Refresh != nil && c.departs(s)
	if everybody {
		if err := s.Refresh(ctx, Ending{All: true}); err != nil {
			return nil, nil, err
		}
	}
	c.judge(s)
	p, err = planAnew()
	if err != nil || s.Refresh == nil || everybody {
		return p, nil, err
	}
	looked := c.ending(p.Plan)
	switch {
	case looked.none():
		return p, nil, nil
	case looked.isOfBindings() && !held.again:
		return p, inquire(ctx, s, looked), nil
	}
	if err := s.Refresh(ctx, looked); err != nil {
		return nil, nil, err
	}
	if news := c.judge(s); !news && !c.changedSince(p.changes) {
		return p, nil, nil
	}
	// From the start: what the owners want may be something else by now.
	p, err = planAnew()
	if err != nil || looked.covers(c.ending(p.Plan)) {
		return p, nil, err
	}
	if err := s.Refresh(ctx, Ending{All: true}); err != nil {
		return nil, nil, err
	}
	p, err = planAnew()
	return p, nil, err
}

func (c *Cluster) changedSince(changes uint64) bool {
	c.state.Lock()
	defer c.state.Unlock()
	return c.world.Changes() != changes
}

// stamp notes since when entries are left behind. The caller holds c.state.
func (c *Cluster) stamp(put []topology.Entry) []topology.Entry {
	out := slices.Clone(put)
	for i := range out {
		e := &out[i]
		switch {
		case e.LeftBehind == "":
			e.Since = time.Time{}
		case e.Since.IsZero():
			e.Since = c.clock().UTC().Truncate(time.Second)
		}
	}
	return out
}
