package engine

import (
	"slices"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Ending is what a plan takes away: a claim that would keep it may only not be
// known yet.
type Ending struct {
	// All: whoever declares anything can have to do with it.
	All bool
	// Objects that are deleted.
	Objects []topology.ID
	// Owners of these that are gone.
	Owners []topology.OwnerKey
}

func (e Ending) none() bool { return !e.All && len(e.Objects) == 0 }

// covers tells whether another one takes away nothing beside what this one does.
func (e Ending) covers(other Ending) bool {
	if e.All || other.none() {
		return true
	}
	return !other.All &&
		!slices.ContainsFunc(other.Objects, func(id topology.ID) bool { return !slices.Contains(e.Objects, id) }) &&
		!slices.ContainsFunc(other.Owners, func(key topology.OwnerKey) bool { return !slices.Contains(e.Owners, key) })
}

// isOfBindings tells whether these are all that ends, and whose owners are there: whether they
// do depends on who declares them, and on nothing else.
func (e Ending) isOfBindings() bool {
	return !e.All && len(e.Owners) == 0 &&
		!slices.ContainsFunc(e.Objects, func(id topology.ID) bool { return id.Kind != topology.KindBinding })
}

// ending tells what a plan takes away. It is everything if the plan ends an operation
// of a departed owner, or takes a name from the books.
func (c *Cluster) ending(p *plan.Plan) Ending {
	c.state.Lock()
	defer c.state.Unlock()
	var out Ending
	for _, step := range p.Steps() {
		if step.Verb != topology.VerbDelete {
			continue
		}
		out.Objects = append(out.Objects, step.ID)
		entry, _ := c.world.Entry(step.ID)
		for _, owner := range entry.Owners {
			if c.world.Claim(owner) == nil && !slices.Contains(out.Owners, owner) {
				out.Owners = append(out.Owners, owner)
			}
		}
	}
	out.All = len(p.Forget) > 0 || slices.ContainsFunc(p.Operations, c.isOrphan) ||
		slices.ContainsFunc(p.Record, func(entry topology.Entry) bool {
			old, _ := c.world.Entry(entry.ID)
			return slices.ContainsFunc(old.Owners, func(owner topology.OwnerKey) bool {
				return c.world.Claim(owner) == nil && !slices.Contains(entry.Owners, owner)
			})
		})
	return out
}
