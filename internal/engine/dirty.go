package engine

import (
	"cmp"
	"iter"
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

// dirty are the owners to be looked at by the edits, in the order in which they
// became so. Those to be rolled out are kept apart from the others: tens of thousands of
// them must not be gone through for each that is edited. Its user tells it of all
// changes that make one of them one of the others.
type dirty struct {
	edited, rolledOut map[topology.OwnerKey]moment
	// order has those to be rolled out by their turns: each that comes asks for the first and the
	// last of them. Who is among them no more may be in it still.
	order []queued
	// coming counts those to be rolled out that have not been on the broker; the others go.
	coming int
	kindOf func(topology.OwnerKey) kind
	last   int
	clock  Clock
}

// kind of a dirty owner.
type kind int

const (
	// edited has been on the broker, and stays.
	edited kind = iota
	// coming has not been on the broker.
	coming
	// going is nobody's wish any more.
	going
)

// queued is a place in the order.
type queued struct {
	key  topology.OwnerKey
	turn int
}

// moment is when an owner became dirty.
type moment struct {
	turn int
	at   time.Time
	kind kind
}

func newDirty(clock Clock, kindOf func(topology.OwnerKey) kind) *dirty {
	return &dirty{edited: map[topology.OwnerKey]moment{}, rolledOut: map[topology.OwnerKey]moment{}, kindOf: kindOf, clock: clock}
}

// add keeps the place of who is there already.
func (d *dirty) add(keys ...topology.OwnerKey) {
	for _, key := range keys {
		if d.has(key) {
			d.sort(key)
			continue
		}
		d.last++
		d.put(key, moment{turn: d.last, at: d.clock()})
	}
}

func (d *dirty) put(key topology.OwnerKey, since moment) {
	since.kind = d.kindOf(key)
	if since.kind == edited {
		d.edited[key] = since
		return
	}
	d.rolledOut[key] = since
	d.count(since.kind, +1)
	at, _ := slices.BinarySearchFunc(d.order, since.turn, func(q queued, turn int) int { return cmp.Compare(q.turn, turn) })
	d.order = slices.Insert(d.order, at, queued{key: key, turn: since.turn})
}

// waits tells whether a place in the order is still taken.
func (d *dirty) waits(q queued) bool { return d.rolledOut[q.key].turn == q.turn }

func (d *dirty) count(of kind, by int) {
	if of == coming {
		d.coming += by
	}
}

// sort moves those that are dirty to where they belong now.
func (d *dirty) sort(keys ...topology.OwnerKey) {
	for _, key := range keys {
		since, there := d.since(key)
		switch now := d.kindOf(key); {
		case !there || since.kind == now:
		case since.kind != edited && now != edited: // it keeps its place in the order
			d.count(since.kind, -1)
			d.count(now, +1)
			since.kind = now
			d.rolledOut[key] = since
		default:
			d.remove(key)
			d.put(key, since)
		}
	}
}

func (d *dirty) since(key topology.OwnerKey) (moment, bool) {
	if since, there := d.edited[key]; there {
		return since, true
	}
	since, there := d.rolledOut[key]
	return since, there
}

func (d *dirty) has(key topology.OwnerKey) bool {
	_, there := d.since(key)
	return there
}

func (d *dirty) remove(key topology.OwnerKey) {
	if since, there := d.rolledOut[key]; there {
		d.count(since.kind, -1)
	}
	delete(d.edited, key)
	delete(d.rolledOut, key)
	const few = 100 // are not worth to be tidied up
	if len(d.order) > 2*len(d.rolledOut)+few {
		d.order = slices.DeleteFunc(d.order, func(q queued) bool { return !d.waits(q) })
	}
}

func (d *dirty) len() int { return len(d.edited) + len(d.rolledOut) }

// of lists a part.
func (d *dirty) of(part Part) []map[topology.OwnerKey]moment {
	switch part {
	case Edited:
		return []map[topology.OwnerKey]moment{d.edited}
	case RolledOut:
		return []map[topology.OwnerKey]moment{d.rolledOut}
	}
	return []map[topology.OwnerKey]moment{d.edited, d.rolledOut}
}

// kindOf tells what is to be done about an owner. The caller holds c.state.
func (c *Cluster) kindOf(key topology.OwnerKey) kind {
	switch {
	case c.world.Claim(key) == nil:
		return going
	case !c.world.Holds(key):
		return coming
	}
	return edited
}

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

// turns are those of a part of the dirty owners of a connection, in no order; who is
// early is not among what they tell. The caller holds c.state.
func (c *Cluster) turns(connection topology.ConnectionKey, part Part) iter.Seq[turn] {
	return func(yield func(turn) bool) {
		for _, owners := range c.dirty.of(part) {
			for key, since := range owners {
				if c.world.Claim(key) == nil && !c.world.Holds(key) {
					c.dirty.remove(key) // nothing declared, and what was owned has gone
					continue
				}
				if c.through(key, connection) && !yield(turn{key: key, bulk: since.kind != edited, since: since}) {
					return
				}
			}
		}
	}
}

// span tells since when the first and the last of those of a connection that are to be rolled
// out wait. The caller holds c.state.
func (c *Cluster) span(connection topology.ConnectionKey) (first, last time.Time, any bool) {
	waits := func(q queued) bool { return c.dirty.waits(q) && c.through(q.key, connection) }
	at := slices.IndexFunc(c.dirty.order, waits)
	if at < 0 {
		return time.Time{}, time.Time{}, false
	}
	first = c.dirty.rolledOut[c.dirty.order[at].key].at
	to := len(c.dirty.order) - 1
	for !waits(c.dirty.order[to]) {
		to--
	}
	return first, c.dirty.rolledOut[c.dirty.order[to].key].at, true
}

// dueFrom tells from when on the dirty owners of a part are to be taken; false: there
// are none. The caller holds c.state.
func (c *Cluster) dueFrom(connection topology.ConnectionKey, part Part) (time.Time, bool) {
	if part == RolledOut {
		return c.gathered(connection)
	}
	for range c.turns(connection, part) {
		return c.clock(), true
	}
	return time.Time{}, false
}

// takeDirty removes up to most dirty owners of a connection from the set: edits
// before what is rolled out, and what others wait for before these.
func (c *Cluster) takeDirty(connection topology.ConnectionKey, part Part, most int) []topology.OwnerKey {
	if at, any := c.dueFrom(connection, part); !any || at.After(c.clock()) {
		return nil
	}
	turns := slices.Collect(c.turns(connection, part))
	if part != Edited {
		c.recount(connection)
	}
	if len(turns) > most {
		for i, t := range turns {
			turns[i].early = t.bulk && c.waitsForOthers(t.key)
		}
		slices.SortFunc(turns, turn.compare)
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

// waitsForOthers tells whether an owner needs what others have yet to make.
func (c *Cluster) waitsForOthers(key topology.OwnerKey) bool {
	claim := c.world.Claim(key)
	return claim != nil && slices.ContainsFunc(claim.Want, func(want topology.Want) bool {
		return slices.ContainsFunc(want.Resource.Needs(), func(need topology.ID) bool { return c.toBeMade(need, key) })
	})
}

// toBeMade tells whether others declare an object that nobody has yet.
func (c *Cluster) toBeMade(id topology.ID, owner topology.OwnerKey) bool {
	_, owned := c.world.Entry(id)
	wanters := c.world.Wanters(id)
	return !owned && len(wanters) > 0 && !slices.Contains(wanters, owner)
}
