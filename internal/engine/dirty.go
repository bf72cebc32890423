package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// MostEdits owners are taken up by one pass.
const MostEdits = 1000

// Part of what is dirty that a pass of edits takes up. Who edits an object waits for
// it; what is rolled out at the same time is taken up beside it.
type Part int

// The parts.
const (
	Everything Part = iota
	// Edited is what has been on the broker and stays.
	Edited
	// RolledOut is what has not been on the broker, or goes. It gathers, since a pass
	// costs much the same for one object and for a thousand.
	RolledOut
)

// How a roll-out gathers.
const (
	// rolloutPause without another object means that there are no more to come.
	rolloutPause = 50 * time.Millisecond
	// rolloutWait is the longest that the first one waits for the others.
	rolloutWait = 2 * time.Second
)

// dirty are the owners to be looked at by the edits, in the order in which they
// became so.
type dirty struct {
	since map[topology.OwnerKey]moment
	last  int
	clock Clock
}

// moment is when an owner became dirty.
type moment struct {
	turn int
	at   time.Time
}

func newDirty(clock Clock) *dirty { return &dirty{since: map[topology.OwnerKey]moment{}, clock: clock} }

// add keeps the place of who is there already.
func (d *dirty) add(keys ...topology.OwnerKey) {
	for _, key := range keys {
		if _, there := d.since[key]; !there {
			d.last++
			d.since[key] = moment{turn: d.last, at: d.clock()}
		}
	}
}

func (d *dirty) has(key topology.OwnerKey) bool {
	_, there := d.since[key]
	return there
}

func (d *dirty) remove(key topology.OwnerKey) { delete(d.since, key) }

// turn decides who comes first.
type turn struct {
	key topology.OwnerKey
	// bulk has not been on the broker before, or goes: a roll-out, mostly.
	bulk bool
	// early waits for others of the bulk: it would be told to be blocked by them, and
	// to be well a moment later.
	early bool
	since moment
}

func (a turn) compare(b turn) int {
	return cmp.Or(after(a.bulk, b.bulk), after(a.early, b.early), cmp.Compare(a.since.turn, b.since.turn))
}

func after(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// turnOf is for callers that hold c.state.
func (c *Cluster) turnOf(key topology.OwnerKey) turn {
	out := turn{key: key, since: c.dirty.since[key]}
	claim := c.world.Claim(key)
	out.bulk = claim == nil || len(c.world.Holdings(key)) == 0
	if claim != nil && out.bulk {
		out.early = slices.ContainsFunc(claim.Want, func(want topology.Want) bool {
			return slices.ContainsFunc(want.Resource.Needs(), func(need topology.ID) bool { return c.toBeMade(need, key) })
		})
	}
	return out
}

// toBeMade tells whether others declare an object that nobody has yet.
func (c *Cluster) toBeMade(id topology.ID, owner topology.OwnerKey) bool {
	_, owned := c.world.Entry(id)
	wanters := c.world.Wanters(id)
	return !owned && len(wanters) > 0 && !slices.Contains(wanters, owner)
}

// turns lists a part of the dirty owners of a connection, in no order.
func (c *Cluster) turns(connection topology.ConnectionKey, part Part) []turn {
	var out []turn
	for key := range c.dirty.since {
		if c.world.Claim(key) == nil && len(c.world.Holdings(key)) == 0 {
			c.dirty.remove(key) // nothing declared, nothing owned
			continue
		}
		if !c.through(key, connection) {
			continue
		}
		if t := c.turnOf(key); part == Everything || t.bulk == (part == RolledOut) {
			out = append(out, t)
		}
	}
	return out
}

// dueFrom tells from when on turns are to be taken; there is one at least.
func (c *Cluster) dueFrom(turns []turn, part Part) time.Time {
	if part != RolledOut || len(turns) >= MostEdits {
		return c.clock()
	}
	first, last := turns[0].since.at, turns[0].since.at
	for _, t := range turns {
		if t.since.at.Before(first) {
			first = t.since.at
		}
		if t.since.at.After(last) {
			last = t.since.at
		}
	}
	all, enough := last.Add(rolloutPause), first.Add(rolloutWait)
	if all.Before(enough) {
		return all
	}
	return enough
}

// takeDirty removes up to most dirty owners of a connection from the set: edits
// before what is rolled out, and what others wait for before these.
func (c *Cluster) takeDirty(connection topology.ConnectionKey, part Part, most int) []topology.OwnerKey {
	turns := c.turns(connection, part)
	if len(turns) == 0 || c.dueFrom(turns, part).After(c.clock()) {
		return nil
	}
	slices.SortFunc(turns, turn.compare)
	turns = turns[:min(len(turns), most)]
	out := make([]topology.OwnerKey, 0, len(turns))
	for _, t := range turns {
		out = append(out, t.key)
		c.dirty.remove(t.key)
	}
	slices.SortFunc(out, topology.OwnerKey.Compare)
	return out
}
