package engine

import (
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// How a roll-out gathers.
const (
	// rolloutPause without another object means that there are no more to come.
	rolloutPause = 50 * time.Millisecond
	// rolloutWait is the longest that the first one waits for the others, unless passes
	// take long.
	rolloutWait = 2 * time.Second
	// departurePause and departureWait are the same where all of them go. Nobody waits for that,
	// and each pass writes most of the books: of two thousand that were deleted one after the
	// other, five passes took a quarter of what their deletions take of the API server.
	departurePause = 250 * time.Millisecond
	departureWait  = 10 * time.Second
	// mostRestraint bounds by how much the length of one pass delays the next one.
	mostRestraint = 20 * time.Second
)

// rollout is the last pass of a connection that rolled something out. Thousands of
// objects come faster than they are dealt with, and a pass reads listings of all
// that is there, so that many short passes are most of the work: each waits twice as long
// as the one before has taken, and for the stragglers an eighth of that. Two thirds of the
// broker's time stay for others, until so many are waiting that a pass is full.
type rollout struct {
	took  time.Duration
	ended time.Time
	// full: the next one was found to be. It is so until some are taken, and need not be
	// counted again for each that comes.
	full bool
}

// noteRollout notes a pass that began at a time and has ended now. What it has given way to
// edits does not count: that was left to others already.
func (c *Cluster) noteRollout(connection topology.ConnectionKey, began time.Time, given time.Duration) {
	c.state.Lock()
	defer c.state.Unlock()
	now := c.clock()
	c.rollouts[connection] = rollout{took: max(now.Sub(began)-given, 0), ended: now}
}

// due tells when the next pass is to begin, for objects of which the first and the last
// became dirty at these times; departing: all of them go.
func (r rollout) due(first, last time.Time, departing bool) time.Time {
	pause, enough := rolloutPause, first.Add(rolloutWait)
	if departing {
		pause, enough = departurePause, first.Add(departureWait)
	}
	restraint := min(2*r.took, mostRestraint)
	if rest := r.ended.Add(restraint); first.Before(rest) {
		pause = max(pause, restraint/8)
		enough = later(enough, rest)
	}
	if all := last.Add(pause); all.Before(enough) {
		return all
	}
	return enough
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// recount has the next roll-out counted again: some have been taken.
func (c *Cluster) recount(connection topology.ConnectionKey) {
	if last, known := c.rollouts[connection]; known {
		last.full = false
		c.rollouts[connection] = last
	}
}

// gathered tells from when on a roll-out is as complete as it is worth to wait for. The
// caller holds c.state.
func (c *Cluster) gathered(connection topology.ConnectionKey) (time.Time, bool) {
	last := c.rollouts[connection]
	if last.full {
		return c.clock(), true
	}
	if len(c.dirty.rolledOut) >= MostEdits {
		n := 0
		for range c.turns(connection, RolledOut) {
			if n++; n == MostEdits {
				last.full = true
				c.rollouts[connection] = last
				return c.clock(), true
			}
		}
	}
	first, latest, any := c.span(connection)
	return last.due(first, latest, c.dirty.coming == 0), any
}
