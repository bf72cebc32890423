package engine

import (
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// DeadLetters says whether dead letters wait where an owner's dead letters end.
type DeadLetters struct {
	// Where they end; zero if the owner has no such place of Warrener's making.
	Where topology.ID
	// Known is true after a sweep: other passes do not ask.
	Known bool
	// Present is true while a message is there. How many is volatile, and not
	// for a status.
	Present bool
}

// depthsToRead lists the queues owned through a connection, and where dead
// letters end: of other topics nobody asks, at two requests a broker.
func (c *Cluster) depthsToRead(connection topology.ConnectionKey) []topology.ID {
	c.state.Lock()
	defer c.state.Unlock()
	var out []topology.ID
	for _, key := range c.world.Claims() {
		claim := c.world.Claim(key)
		if claim.Connection != connection || claim.DeadLetters == (topology.ID{}) {
			continue
		}
		if _, owned := c.world.Entry(claim.DeadLetters); owned {
			out = append(out, claim.DeadLetters)
		}
	}
	c.world.EachEntry(func(e topology.Entry) {
		if e.ID.Kind == topology.KindQueue && e.Connection == connection {
			out = append(out, e.ID)
		}
	})
	slices.SortFunc(out, topology.ID.Compare)
	return slices.Compact(out)
}

// deadLettersOf reads the depths of a sweep for one owner.
func deadLettersOf(claim *topology.Claim, depths map[topology.ID]topology.Depth) DeadLetters {
	out := DeadLetters{Where: claim.DeadLetters}
	if depth, read := depths[claim.DeadLetters]; read && depth.Messages != topology.UnknownCount {
		out.Known, out.Present = true, depth.Messages > 0
	}
	return out
}
