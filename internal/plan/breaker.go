package plan

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Breaker stops what looks like a mistake made in bulk: a prune of the wrong
// folder, a namespace deleted in the wrong cluster.
//
//	resources gone within Window    outcome
//	────────────────────────────    ─────────────────────────────────────────────
//	at most the limit               each goes by its policy
//	more                            a window opens: all of them that are not off
//	                                the broker yet are held
//	any, while deletions over the   they join the window
//	same connection are held
//	held, and declared again        they own again, and are out of it
//	held, and allowed by the id     they go; once nothing is held the window is
//	                                closed, and the count begins anew
//
// The limit is the greater of Floor and one Share-th of what the cluster's
// resources were before. Counted are owners, not broker objects: a queue with
// ten retry tiers is one. Bindings do not count, because they hold no message
// and come back as they were; nor does what is retained. A window does not
// close by shrinking: whoever applies the resources again one by one must not
// lose the last fifty.
type Breaker struct {
	// Floor is the number of resources that may always go.
	Floor int
	// Share of all resources that may go: a quarter is 4.
	Share int
	// Window is the time over which is counted.
	Window time.Duration
	// Most held deletions get a place in the window; further ones are held
	// without one, and get it when those before them are through.
	Most int
}

// DefaultBreaker has the limits of every controller. 50 is more than people
// delete by hand in ten minutes, and a quarter more than a team among several
// takes away in an ordinary change. They are no flags: a limit that has to be
// raised before a change is an acknowledgement that nobody reads.
var DefaultBreaker = Breaker{Floor: 50, Share: 4, Window: 10 * time.Minute, Most: 4096}

// Allowance is a person's word that held deletions may go.
type Allowance struct {
	// Connection that says so. It speaks for what is reached over it.
	Connection topology.ConnectionKey
	// Window is an id as Departures.WindowID gives them.
	Window string
}

// Ended is a root owner that is gone, and whose broker objects nobody takes over.
type Ended struct {
	Weight     int
	Connection topology.ConnectionKey
}

// Ended lists the root owners that are gone while something of theirs is to be
// deleted: other than bindings, and not to be retained.
func (w *World) Ended() map[topology.OwnerKey]Ended {
	out := map[topology.OwnerKey]Ended{}
	for _, key := range w.Absent() {
		for _, id := range w.Holdings(key) {
			entry := w.inventory[id]
			policy, _ := w.endPolicy(entry)
			if id.Kind == topology.KindBinding || policy == topology.Retain {
				continue
			}
			if d := decideOwnership(w, id); d.kept || d.winner != nil {
				continue
			}
			e, known := out[key]
			if !known {
				e = Ended{Weight: 1, Connection: entry.Connection}
			}
			if id.Kind == topology.KindVirtualHost && policy == topology.Delete {
				e.Weight += w.livingIn(id.Name)
			}
			out[key] = e
		}
	}
	return out
}

// livingIn counts the root owners whose objects a virtual host would take along.
func (w *World) livingIn(virtualHost string) int {
	owners := map[topology.OwnerKey]struct{}{}
	for id, entry := range w.inventory {
		if id.Scope != virtualHost || id.Kind == topology.KindBinding {
			continue
		}
		for _, owner := range entry.Owners {
			if w.claims[owner] != nil {
				owners[owner] = struct{}{}
			}
		}
	}
	return len(owners)
}

// living counts the root owners that are there.
func (w *World) living() int {
	n := 0
	for owner, ids := range w.holdings {
		if w.claims[owner] == nil {
			continue
		}
		for _, id := range ids {
			if id.Kind != topology.KindBinding {
				n++
				break
			}
		}
	}
	return n
}

// HeldOwners lists the owners whose deletions must not go ahead: those that are
// held, and those that have not been judged.
func HeldOwners(w *World, d topology.Departures) map[topology.OwnerKey]bool {
	out := map[topology.OwnerKey]bool{}
	for owner := range w.Ended() {
		if known, judged := d.Find(owner); !judged || known.Held > 0 {
			out[owner] = true
		}
	}
	return out
}

// Judge decides which deletions are held from now on. News says that something
// is held, or may go, that did not before. Without a change before is returned
// as it is.
func (b Breaker) Judge(w *World, before topology.Departures, allow Allowance, now time.Time) (after topology.Departures, news bool) {
	ended := w.Ended()
	j := judgement{breaker: b, world: w, ended: ended, after: before, now: now.UTC().Truncate(time.Second)}
	j.keep(before.List)
	open := j.open()
	j.allow(allow)
	held, tripped := j.fresh(open)
	if tripped {
		held = append(held, j.lately(len(open) > 0)...)
	}
	j.hold(held)
	if !j.changed && !j.news {
		return before, false
	}
	j.after.List = slices.SortedFunc(maps.Values(j.list), func(x, y topology.Departure) int { return x.Owner.Compare(y.Owner) })
	return j.after, j.news
}

type judgement struct {
	breaker       Breaker
	world         *World
	ended         map[topology.OwnerKey]Ended
	after         topology.Departures
	list          map[topology.OwnerKey]topology.Departure
	now           time.Time
	changed, news bool
}

// keep takes over what still matters: what is to be deleted still, and what
// counts although it is gone from the broker.
func (j *judgement) keep(before []topology.Departure) {
	j.list = map[topology.OwnerKey]topology.Departure{}
	for _, d := range before {
		_, ended := j.ended[d.Owner]
		switch {
		case ended, j.world.claims[d.Owner] == nil && j.counts(d):
			j.list[d.Owner] = d
		case d.Held > 0 || d.Allowed || j.world.claims[d.Owner] != nil:
			j.changed = true
		default: // too old to count: not worth a write of its own
		}
	}
}

// counts tells whether a departure counts towards the limit.
func (j *judgement) counts(d topology.Departure) bool {
	return d.Held == 0 && !d.Allowed && j.now.Sub(d.Seen) < j.breaker.Window
}

// open lists the connections over which deletions are held. What is held over
// one that is gone must not hold everybody else's for ever.
func (j *judgement) open() map[topology.ConnectionKey]bool {
	out := map[topology.ConnectionKey]bool{}
	for owner, d := range j.list {
		if d.Held > 0 {
			out[j.ended[owner].Connection] = true
		}
	}
	return out
}

// allow lets go what a person has acknowledged.
func (j *judgement) allow(allow Allowance) {
	covered := j.after.Covered(allow.Window)
	if covered == 0 {
		return
	}
	released := false
	for owner, d := range j.list {
		if d.Held > 0 && d.Held <= covered && j.ended[owner].Connection == allow.Connection {
			d.Held, d.Allowed = 0, true
			j.list[owner] = d
			released = true
		}
	}
	if !released {
		return
	}
	j.news = true
	if len(j.open()) > 0 {
		return
	}
	for owner, d := range j.list { // the count begins anew
		if _, ended := j.ended[owner]; ended {
			d.Allowed = true
			j.list[owner] = d
		} else {
			delete(j.list, owner)
		}
	}
}

// fresh lists who went since: those that are held, because others are over the
// same connection or because they are too many, which trips the breaker. The
// others go.
func (j *judgement) fresh(open map[topology.ConnectionKey]bool) (held []topology.Departure, tripped bool) {
	var rest []topology.Departure
	for owner, e := range j.ended {
		if _, known := j.list[owner]; known {
			continue
		}
		d := topology.Departure{Owner: owner, Seen: j.now, Weight: e.Weight}
		if open[e.Connection] {
			held = append(held, d)
		} else {
			rest = append(rest, d)
		}
	}
	if len(rest) > 0 && j.tooMuch(rest) {
		return append(held, rest...), true
	}
	for _, d := range rest {
		j.news = true
		j.list[d.Owner] = d
	}
	return held, false
}

// lately lists what went in the last minutes and is not off the broker yet. It
// opens a window if none is open.
func (j *judgement) lately(open bool) []topology.Departure {
	if !open {
		j.after.Last, j.after.Opened = 0, later(j.now, j.after.Opened)
	}
	var out []topology.Departure
	for owner, d := range j.list {
		if _, there := j.ended[owner]; there && j.counts(d) {
			out = append(out, d)
			delete(j.list, owner)
		}
	}
	return out
}

// hold gives deletions a place in the window, as long as there are any.
func (j *judgement) hold(fresh []topology.Departure) {
	slices.SortFunc(fresh, func(x, y topology.Departure) int {
		return cmp.Or(x.Seen.Compare(y.Seen), x.Owner.Compare(y.Owner))
	})
	places := j.breaker.Most
	for _, d := range j.list {
		if d.Held > 0 {
			places--
		}
	}
	for _, d := range fresh[:max(0, min(places, len(fresh)))] {
		j.after.Last++
		d.Held = j.after.Last
		j.list[d.Owner] = d
		j.news = true
	}
}

// tooMuch tells whether these departures and those of the last minutes exceed
// the limit.
func (j *judgement) tooMuch(fresh []topology.Departure) bool {
	weight, gone := 0, 0
	for _, d := range fresh {
		weight += d.Weight
		gone++
	}
	for _, d := range j.list {
		if j.counts(d) {
			weight += d.Weight
			gone++
		}
	}
	return weight > max(j.breaker.Floor, (j.world.living()+gone)/j.breaker.Share)
}

// later makes no two windows one: their names have seconds in them.
func later(now, last time.Time) time.Time {
	if !now.After(last) {
		return last.Add(time.Second)
	}
	return now
}

// holdEndings holds everything that a held owner had, and the virtual hosts that
// would take it along.
func (b *builder) holdEndings(ids []topology.ID, endings map[topology.ID]*ending, around surroundings) {
	if len(b.in.Held) == 0 {
		return
	}
	for _, id := range ids {
		e := endings[id]
		if slices.ContainsFunc(e.entry.Owners, func(owner topology.OwnerKey) bool { return b.in.Held[owner] }) {
			e.raise(heldBack, "unusually many resources went at once, and its deletion waits until somebody allows it")
		}
	}
	for _, id := range ids {
		if id.Kind != topology.KindVirtualHost {
			continue
		}
		if slices.ContainsFunc(around.inside[id.Name], func(inner topology.ID) bool { return endings[inner].standing == heldBack }) {
			endings[id].raise(waits, "the deletion of what is in it is held")
		}
	}
}
