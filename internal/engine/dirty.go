package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Limits of a pass of edits, so that what changes meanwhile does not wait for long.
const (
	// MostEdits owners are taken up by one pass.
	MostEdits = 1000
	// fewestEdits are taken up however slow the broker is: what a pass costs at any
	// size is shared by them.
	fewestEdits = 100
	// fewestWrites tell something about the speed of a broker: of fewer, most of the
	// time is what a pass costs at any size.
	fewestWrites = 20
	// passTime is how long the writes of a pass are to take.
	passTime = 300 * time.Millisecond
)

// Part of what is dirty that a pass of edits takes up. Who edits an object waits for
// it; ten thousand that are rolled out at the same time are taken up beside it.
type Part int

// The parts.
const (
	Everything Part = iota
	// Edited is what has been on the broker and stays, and a roll-out that is small.
	Edited
	// RolledOut is a roll-out that is not: what has not been on the broker, or goes.
	RolledOut
)

// smallRollOut is one that edits take along.
const smallRollOut = 50

// dirty are the owners to be looked at by the edits, in the order in which they
// became so.
type dirty struct {
	since map[topology.OwnerKey]int
	last  int
}

func newDirty() *dirty { return &dirty{since: map[topology.OwnerKey]int{}} }

// add keeps the place of who is there already.
func (d *dirty) add(keys ...topology.OwnerKey) {
	for _, key := range keys {
		if _, there := d.since[key]; !there {
			d.last++
			d.since[key] = d.last
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
	since int
}

func (a turn) compare(b turn) int {
	return cmp.Or(after(a.bulk, b.bulk), after(a.early, b.early), cmp.Compare(a.since, b.since))
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
	var edited, bulk []turn
	for key := range c.dirty.since {
		if c.world.Claim(key) == nil && len(c.world.Holdings(key)) == 0 {
			c.dirty.remove(key) // nothing declared, nothing owned
			continue
		}
		if !c.through(key, connection) {
			continue
		}
		if t := c.turnOf(key); t.bulk {
			bulk = append(bulk, t)
		} else {
			edited = append(edited, t)
		}
	}
	small := len(bulk) <= smallRollOut
	switch {
	case part == RolledOut && small:
		return nil
	case part == RolledOut:
		return bulk
	case part == Edited && !small:
		return edited
	}
	return append(edited, bulk...)
}

// takeDirty removes up to most dirty owners of a connection from the set, edits
// before what is rolled out; a quarter is for who has waited longest, whatever
// there is of edits.
func (c *Cluster) takeDirty(connection topology.ConnectionKey, part Part, most int) []topology.OwnerKey {
	turns := c.turns(connection, part)
	slices.SortFunc(turns, turn.compare)
	if len(turns) > most {
		first := most - most/4
		slices.SortFunc(turns[first:], func(a, b turn) int { return cmp.Compare(a.since, b.since) })
		turns = turns[:most]
	}
	out := make([]topology.OwnerKey, 0, len(turns))
	for _, t := range turns {
		out = append(out, t.key)
		c.dirty.remove(t.key)
	}
	slices.SortFunc(out, topology.OwnerKey.Compare)
	return out
}

// pace is how many owners a pass of edits takes up.
type pace map[topology.ConnectionKey]int

func (p pace) most(connection topology.ConnectionKey) int {
	if n, known := p[connection]; known {
		return n
	}
	return MostEdits
}

// notePace learns from the writes of a pass how many owners the next ones take up.
func (c *Cluster) notePace(connection topology.ConnectionKey, writes int, took time.Duration) {
	if writes < fewestWrites || took <= 0 {
		return
	}
	c.state.Lock()
	defer c.state.Unlock()
	each := max(took/time.Duration(writes), 1)
	c.pace[connection] = min(max(int(passTime/each), fewestEdits), MostEdits)
}
