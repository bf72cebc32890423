package engine

import (
	"context"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Forgetting says whose broker objects are to be struck off the inventory.
type Forgetting struct {
	// All that is left behind.
	All bool
	// Names of former owners, `Queue shop/orders`, or of objects of theirs,
	// `queue shop/orders`; of what is left behind or held.
	Names []string
}

// Forget strikes what former owners held over a connection off the inventory.
// It stays on the broker and is nobody's from then on. A former owner is
// forgotten whole: what was deleted because the rest of its claim is not known
// any more would be missed by that rest; and not before an operation on what it
// held has come to its end, since nobody else knows of the messages that it has
// put aside. The names that nothing was found for are returned as unknown.
func (c *Cluster) Forget(ctx context.Context, s Session, what Forgetting) (forgotten []topology.Entry, unknown []string, err error) {
	release, err := c.locks.acquire(ctx, &stake{all: true})
	if err != nil {
		return nil, nil, err
	}
	defer release()
	if err := c.load(ctx); err != nil {
		return nil, nil, err
	}
	if s.Refresh != nil {
		if err := s.Refresh(ctx, Ending{All: true}); err != nil {
			return nil, nil, err
		}
	}
	owners, unknown := c.chosen(s.Connection, what)
	put, drop := []topology.Entry{}, []topology.ID{}
	c.state.Lock()
	epoch := c.epoch
	c.world.EachEntry(func(e topology.Entry) {
		rest := slices.DeleteFunc(slices.Clone(e.Owners), func(owner topology.OwnerKey) bool { return slices.Contains(owners, owner) })
		switch {
		case len(rest) == len(e.Owners):
		case len(rest) > 0: // somebody else's, too
			e.Owners = rest
			put = append(put, e)
		default:
			drop = append(drop, e.ID)
			forgotten = append(forgotten, e)
		}
	})
	c.state.Unlock()
	slices.SortFunc(put, func(a, b topology.Entry) int { return a.ID.Compare(b.ID) })
	slices.SortFunc(drop, topology.ID.Compare)
	slices.SortFunc(forgotten, func(a, b topology.Entry) int { return a.ID.Compare(b.ID) })
	return forgotten, unknown, c.write(ctx, epoch, put, drop)
}

// chosen lists the former owners that are meant.
func (c *Cluster) chosen(connection topology.ConnectionKey, what Forgetting) (owners []topology.OwnerKey, unknown []string) {
	c.state.Lock()
	defer c.state.Unlock()
	found := map[string]bool{}
	for _, owner := range c.world.Absent() {
		if !c.through(owner, connection) || c.isOperatedOn(owner) {
			continue
		}
		departure, _ := c.departures.Find(owner)
		chosen := false
		for _, id := range c.world.Holdings(owner) {
			entry, _ := c.world.Entry(id)
			if entry.LeftBehind == "" && departure.Held == 0 {
				continue
			}
			chosen = chosen || what.All && entry.LeftBehind != ""
			for _, name := range []string{owner.String(), id.String()} {
				if slices.Contains(what.Names, name) {
					found[name], chosen = true, true
				}
			}
		}
		if chosen {
			owners = append(owners, owner)
		}
	}
	for _, name := range what.Names {
		if !found[name] {
			unknown = append(unknown, name)
		}
	}
	return owners, unknown
}

// isOperatedOn tells whether an operation is under way on something that a former
// owner holds and that nobody else does. The caller holds c.state.
func (c *Cluster) isOperatedOn(owner topology.OwnerKey) bool {
	return slices.ContainsFunc(c.world.Holdings(owner), func(id topology.ID) bool {
		entry, _ := c.world.Entry(id)
		return entry.Operation != "" && c.isOrphan(topology.Operation{Owners: entry.Owners})
	})
}
