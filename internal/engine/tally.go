package engine

import (
	"cmp"
	"maps"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Outcomes of operations.
const (
	// OutcomeDone: the broker holds what was wanted by then.
	OutcomeDone = "done"
	// OutcomeInUse: a queue that was to be unused was not, and stays as it was.
	OutcomeInUse = "in-use"
	// OutcomeDropped: nobody asks for it any more, and nothing of it is to be
	// brought to its end: the topic is gone, say.
	OutcomeDropped = "dropped"
)

// Underway is an operation that is on the books.
type Underway struct {
	ID         topology.ID
	Kind       topology.OperationKind
	Connection topology.ConnectionKey
	// Step that it was last seen at; empty before the first look.
	Step string
	// Since is when this process came to know of it, Moved when it last saw it get
	// on: another step, or other counts.
	Since, Moved time.Time
}

// OperationKey is what operations are counted by. Outcome is empty for counts of
// what they moved.
type OperationKey struct {
	Connection topology.ConnectionKey
	Kind       topology.OperationKind
	Outcome    string
}

// watch is what metrics tell of an operation. Statuses are told less often.
type watch struct {
	since, moved time.Time
	last         topology.Progress
	// resumed: what it had moved before this process is not counted.
	resumed bool
}

// see notes how far an operation has come; moved is what it has moved since it was
// last seen.
func (w *watch) see(progress topology.Progress, now time.Time) (moved int64) {
	last := w.last
	if last.Step == progress.Step || progress.Done {
		moved = max(progress.Moved-last.Moved, 0)
	} else {
		moved = progress.Moved // counts begin anew with a step
	}
	if w.resumed {
		w.resumed, moved = false, 0
	}
	if last.Step != progress.Step || last.Moved != progress.Moved || last.Left != progress.Left {
		w.moved = now
	}
	w.last = progress
	return moved
}

// tally counts operations, and watches those that are on the books.
type tally struct {
	counts  map[OperationKey]int64
	watches map[topology.ID]*watch
	// closing has the outcome of an operation that is being struck from the books.
	closing map[topology.ID]string
}

func newTally() tally {
	return tally{counts: map[OperationKey]int64{}, watches: map[topology.ID]*watch{}, closing: map[topology.ID]string{}}
}

// begin watches an operation from now on. Resumed says that it was under way
// before this process.
func (t *tally) begin(id topology.ID, now time.Time, resumed bool) {
	if t.watches[id] == nil {
		t.watches[id] = &watch{since: now, moved: now, resumed: resumed}
	}
}

// booked notes that an entry has taken the place of another: with the name of an
// operation goes the operation.
func (t *tally) booked(was, is topology.Entry) {
	if was.Operation == "" || was.Operation == is.Operation {
		return
	}
	outcome := cmp.Or(t.closing[was.ID], OutcomeDropped)
	t.counts[OperationKey{was.Connection, was.Operation, outcome}]++
	delete(t.watches, was.ID)
	delete(t.closing, was.ID)
}

// count notes what an Advance did.
func (c *Cluster) count(a advance, progress topology.Progress) {
	c.state.Lock()
	defer c.state.Unlock()
	w := c.tally.watches[a.ID()]
	if w == nil {
		return // struck from the books meanwhile
	}
	if moved := w.see(progress, c.clock()); moved > 0 {
		c.tally.counts[OperationKey{Connection: a.Connection, Kind: a.Kind}] += moved
	}
}

// Operations lists what is under way on the cluster by the books: also what
// nothing can carry on with because its connection is gone.
func (c *Cluster) Operations() []Underway {
	c.state.Lock()
	defer c.state.Unlock()
	var out []Underway
	for _, id := range c.world.Underway() {
		if w := c.tally.watches[id]; w != nil { // else it is being noted in this moment
			entry, _ := c.world.Entry(id)
			out = append(out, Underway{
				ID: id, Kind: entry.Operation, Connection: entry.Connection, Step: w.last.Step, Since: w.since, Moved: w.moved,
			})
		}
	}
	return out
}

// OperationCounts counts, since the process began, the operations that ended and
// what they moved.
func (c *Cluster) OperationCounts() map[OperationKey]int64 {
	c.state.Lock()
	defer c.state.Unlock()
	return maps.Clone(c.tally.counts)
}
