package engine

import (
	"context"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// writeAhead puts on the books what the broker is asked for next, so that nothing is made
// there that nobody knows to be ours, whenever this process ends.
func (x *execution) writeAhead(ctx context.Context) error {
	record := slices.DeleteFunc(slices.Clone(x.plan.Record), func(entry topology.Entry) bool {
		return x.fresh[entry.ID] && x.failed[entry.ID] != nil
	})
	return x.cluster.write(ctx, x.epoch, append(record, x.unchanged()...), nil)
}

// unchanged lists the entries of steps that change nothing on the books. They
// are written all the same: the compare-and-swap is the fence, for deletes
// above all.
func (x *execution) unchanged() []topology.Entry {
	c := x.cluster
	c.state.Lock()
	defer c.state.Unlock()
	recorded := map[topology.ID]bool{}
	for _, entry := range x.plan.Record {
		recorded[entry.ID] = true
	}
	var out []topology.Entry
	for _, step := range x.plan.Steps() {
		if entry, known := c.world.Entry(step.ID); known && !recorded[step.ID] && x.failed[step.ID] == nil {
			out = append(out, entry)
		}
	}
	return out
}

// closeBooks drops the entries of what is gone, of what was never made, and
// lets go of fields that are unset now: in memory at once, whatever happened, since
// what is known to be gone is dropped even if the broker went away after it.
func (x *execution) closeBooks() (store func(context.Context) error) {
	drop := slices.Clone(x.plan.Forget)
	for _, step := range x.done {
		if step.Verb == topology.VerbDelete {
			drop = append(drop, step.ID)
		}
	}
	drop = append(drop, x.neverMade()...)
	return x.cluster.writeBehind(x.epoch, x.identified(), drop)
}

// neverMade lists objects that this pass was to create and that were not sent to
// the broker, or that it definitely refused: whatever has that name is not ours.
// A create whose fate is unknown stays on the books.
func (x *execution) neverMade() []topology.ID {
	sent := map[topology.ID]error{}
	for _, outcome := range x.report.Outcomes {
		sent[outcome.Step.ID] = outcome.Err
	}
	x.cluster.state.Lock()
	defer x.cluster.state.Unlock()
	var out []topology.ID
	for _, step := range x.plan.Steps() {
		if _, booked := x.cluster.world.Entry(step.ID); !booked || step.Verb != topology.VerbCreate || step.Drift {
			continue
		}
		err, tried := sent[step.ID]
		// One that was on the books before and exists is one that did not show: it is ours.
		ours := !x.fresh[step.ID] && topology.ClassOf(err) == topology.ClassExists
		if !tried && x.fresh[step.ID] || tried && definite(err) && !ours {
			out = append(out, step.ID)
		}
	}
	return out
}

// definite failures leave no doubt that nothing was made.
func definite(err error) bool {
	if err == nil {
		return false
	}
	switch topology.ClassOf(err) {
	case topology.ClassRejected, topology.ClassUnsupported, topology.ClassAccessDenied, topology.ClassExists:
		return true
	}
	return false // a time-out counts as transient, and it may come after the write
}

// newOnTheBooks lists what is there, and was not before this pass.
func (x *execution) newOnTheBooks() []topology.ID {
	x.cluster.state.Lock()
	defer x.cluster.state.Unlock()
	var out []topology.ID
	for id := range x.fresh {
		if _, there := x.cluster.world.Entry(id); there {
			out = append(out, id)
		}
	}
	return out
}

// write changes the stored inventory, then the one in memory. Others write at the same
// time: nobody else decides about what the caller holds.
func (c *Cluster) write(ctx context.Context, epoch int, put []topology.Entry, drop []topology.ID) error {
	c.state.Lock()
	put = c.stamp(put)
	c.state.Unlock()
	if err := c.book(ctx, epoch, put, drop); err != nil {
		return err
	}
	c.state.Lock()
	defer c.state.Unlock()
	c.remember(put, drop)
	return nil
}

// writeBehind changes the inventory in memory, and returns what changes the stored one:
// for what is so on the broker already, and is known to whoever plans from now on. If
// that fails, what is stored is read again.
func (c *Cluster) writeBehind(epoch int, put []topology.Entry, drop []topology.ID) (store func(context.Context) error) {
	c.state.Lock()
	defer c.state.Unlock()
	put = c.stamp(put)
	if epoch == c.epoch {
		c.remember(put, drop)
	}
	return func(ctx context.Context) error { return c.book(ctx, epoch, put, drop) }
}

// remember puts entries into the inventory in memory, and takes others out. The caller
// holds c.state.
func (c *Cluster) remember(put []topology.Entry, drop []topology.ID) {
	for _, entry := range put {
		c.tally.booked(c.setEntry(entry), entry)
	}
	for _, id := range drop {
		c.tally.booked(c.dropEntry(id), topology.Entry{})
	}
}

// book changes the stored inventory, and takes along the departures if they are to be stored.
func (c *Cluster) book(ctx context.Context, epoch int, put []topology.Entry, drop []topology.ID) error {
	any := len(put)+len(drop) > 0
	if any {
		topology.GiveWay(ctx) // and not with the books open, for which an edit may wait
	}
	departures, release := c.openBooks()
	defer release()
	if !any && departures == nil {
		return nil
	}
	c.state.Lock()
	current := c.epoch
	c.state.Unlock()
	if epoch != current {
		return ErrFenced // by a pass of this process that has loaded since
	}
	if err := c.store.Write(ctx, put, drop, departures); err != nil {
		c.Unload()
		return err
	}
	if departures != nil {
		c.state.Lock()
		defer c.state.Unlock()
		c.stored = *departures
	}
	return nil
}

// openBooks opens them for a write, and for nobody else if it is to store the departures,
// of which the latest must be the last.
func (c *Cluster) openBooks() (departures *topology.Departures, release func()) {
	latest := func() *topology.Departures {
		c.state.Lock()
		defer c.state.Unlock()
		if now := c.departures; !now.Equal(c.stored) {
			return &now
		}
		return nil
	}
	c.books.RLock()
	if latest() == nil {
		return nil, c.books.RUnlock
	}
	c.books.RUnlock()
	c.books.Lock()
	return latest(), c.books.Unlock
}
