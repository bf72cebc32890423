package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Sweep is a drift check of everything on a connection, in slices. It is to be ended.
type Sweep struct {
	cluster *Cluster
	session Session
	live    *topology.Snapshot
	taken   time.Time
	took    time.Duration
	rest    []topology.OwnerKey
	// policies were read too.
	policies bool
	// relieved were to be looked at by the edits, and have not been by this sweep.
	relieved map[topology.OwnerKey]struct{}
}

// BeginSweep reads the whole broker once.
func (c *Cluster) BeginSweep(ctx context.Context, s Session) (*Sweep, error) {
	return c.beginSweep(ctx, s, false)
}

// BeginFirstSweep is BeginSweep for a connection that has begun to work, where
// everything is to be looked at anew: the sweep relieves the edits of who is on the
// broker and stays, so that the broker is not read by them, too. These are dirty again
// if it ends before it has come to them.
func (c *Cluster) BeginFirstSweep(ctx context.Context, s Session) (*Sweep, error) {
	return c.beginSweep(ctx, s, true)
}

func (c *Cluster) beginSweep(ctx context.Context, s Session, first bool) (*Sweep, error) {
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	sweep := &Sweep{cluster: c, session: s, policies: c.hasPolicies(), taken: c.startSweep(s.Connection)}
	if first {
		sweep.relieved = c.relieve(s.Connection)
	}
	var err error
	sweep.live, err = s.Broker.Observe(ctx, topology.Selection{All: true, Policies: sweep.policies, Depths: c.depthsToRead(s.Connection)})
	if err != nil {
		sweep.End()
		return nil, err
	}
	sweep.took, sweep.rest = c.clock().Sub(sweep.taken), c.Owners(s.Connection)
	return sweep, nil
}

// relieve takes who is on the broker and stays from what the edits are to look at.
func (c *Cluster) relieve(connection topology.ConnectionKey) map[topology.OwnerKey]struct{} {
	c.state.Lock()
	defer c.state.Unlock()
	out := map[topology.OwnerKey]struct{}{}
	for t := range c.turns(connection, Edited) {
		out[t.key] = struct{}{}
		c.dirty.remove(t.key)
	}
	return out
}

// End ends a sweep, done or not.
func (s *Sweep) End() {
	s.cluster.endSweep(s.session.Connection, s.taken)
	s.cluster.Touch(slices.Collect(maps.Keys(s.relieved))...)
	s.rest, s.relieved = nil, nil
}

// Depths are what the queues that Warrener owns, and the topics for dead
// letters, held when the broker was read; as far as it told.
func (s *Sweep) Depths() map[topology.ID]topology.Depth { return s.live.Depths }

// Done tells whether no slice is left.
func (s *Sweep) Done() bool { return len(s.rest) == 0 }

// Slice checks the next owners. What changed since the broker was read is left
// to the edits, and what is put right gives way to them.
func (s *Sweep) Slice(ctx context.Context) (*Report, error) {
	c := s.cluster
	n := min(SliceSize, len(s.rest))
	slice := s.rest[:n]
	s.rest = s.rest[n:]
	report := &Report{}
	err := c.exclusively(ctx, slice, func(held *stake) (err error) {
		owners := c.stillAsRead(slice, s.taken, s.policies)
		if len(owners) == 0 {
			return nil
		}
		report, err = c.run(c.inBulk(ctx, s.session, held), s.session, owners, held, s.live)
		report.ObserveTime += s.took
		s.took = 0
		return err
	})
	if err == nil {
		for _, key := range slice {
			delete(s.relieved, key)
		}
	}
	return report, err
}

// stillAsRead drops owners that are dirty, and makes dirty and drops those of
// whose objects, or of what these need, this process has written any since the
// snapshot was taken, and those that have come to have a policy since, where none
// was read.
func (c *Cluster) stillAsRead(owners []topology.OwnerKey, taken time.Time, policies bool) []topology.OwnerKey {
	c.state.Lock()
	defer c.state.Unlock()
	var out []topology.OwnerKey
	for _, key := range owners {
		if c.dirty.has(key) {
			continue
		}
		if c.writtenSince(key, taken) || !policies && slices.ContainsFunc(c.world.Focus([]topology.OwnerKey{key}), isPolicy) {
			c.dirty.add(key)
			continue
		}
		out = append(out, key)
	}
	return out
}

// hasPolicies tells whether anybody declares or owns a policy, so that they have
// to be read.
func (c *Cluster) hasPolicies() bool {
	c.state.Lock()
	defer c.state.Unlock()
	return c.world.Has(topology.KindPolicy)
}

func isPolicy(id topology.ID) bool { return id.Kind == topology.KindPolicy }

func (c *Cluster) writtenSince(key topology.OwnerKey, taken time.Time) bool {
	if len(c.written) == 0 {
		return false
	}
	focus := c.world.Focus([]topology.OwnerKey{key})
	return slices.ContainsFunc(slices.Concat(focus, plan.Needs(c.world, focus)), func(id topology.ID) bool {
		at, written := c.written[id]
		return written && !at.Before(taken)
	})
}

// startSweep notes the time of a snapshot to be taken, and drops the notes that
// no living snapshot is older than.
func (c *Cluster) startSweep(connection topology.ConnectionKey) time.Time {
	c.state.Lock()
	defer c.state.Unlock()
	now := c.clock()
	c.sweeps[connection] = now
	oldest := slices.MinFunc(slices.Collect(maps.Values(c.sweeps)), time.Time.Compare)
	maps.DeleteFunc(c.written, func(_ topology.ID, at time.Time) bool { return at.Before(oldest) })
	return now
}

func (c *Cluster) endSweep(connection topology.ConnectionKey, taken time.Time) {
	c.state.Lock()
	defer c.state.Unlock()
	if c.sweeps[connection].Equal(taken) { // and not a later one
		delete(c.sweeps, connection)
	}
}
