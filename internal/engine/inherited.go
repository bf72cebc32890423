package engine

import (
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// A process that is killed leaves its last calls where they are, and on RabbitMQ
// 4.0 a binding of a topic exchange half made or half deleted: listed and leading
// nowhere, or leading and not listed. Which ones these can be is on record without
// a write for that purpose. A binding is on the books before it is made, and in its
// owner's status after the pass; and it leaves the books after it was deleted. Where
// bindings are declared by imports, which RabbitMQ follows to their end, the books
// say so (Entry.Whole), and one that is listed is not touched: to delete what is half
// made can end another binding with the same key.

// inherit notes the bindings that are on the books when a process starts. The
// caller holds c.state.
func (c *Cluster) inherit(inventory topology.Inventory) {
	for id := range inventory {
		if id.Kind == topology.KindBinding {
			c.inherited[id] = unjudged
		}
	}
}

// inheritance is what is thought of a binding that a former process made, or was
// to make.
type inheritance int

const (
	unjudged inheritance = iota
	// doubted until this process has made or deleted it.
	doubted
)

// doubt shows inherited bindings as uncertain that may be half made or half
// deleted.
func (c *Cluster) doubt(focus []topology.ID, live *topology.Snapshot) *topology.Snapshot {
	c.state.Lock()
	defer c.state.Unlock()
	if len(c.inherited) == 0 {
		return live
	}
	shown := live
	for _, id := range focus {
		if _, inherited := c.inherited[id]; !inherited {
			continue
		}
		if _, presence := live.Look(id); presence == topology.Unknown {
			continue // for a pass that can see it
		}
		binding := c.halfDone(id, live)
		if binding == nil {
			delete(c.inherited, id)
			continue
		}
		c.inherited[id] = doubted
		if shown == live {
			one := *live // a sweep's snapshot is shared by its slices
			one.Objects = maps.Clone(live.Objects)
			shown = &one
		}
		shown.Objects[id] = binding
	}
	return shown
}

// halfDone returns a binding as uncertain, or nil if it is not. One that is listed
// and not wanted, or wanted and not listed, is deleted or made like any other.
func (c *Cluster) halfDone(id topology.ID, live *topology.Snapshot) *topology.Binding {
	entry, booked := c.world.Entry(id)
	found, listed := live.Objects[id].(*topology.Binding)
	wanted := c.world.IsWanted(id)
	switch {
	case !booked, wanted != listed:
		return nil
	case wanted && c.inherited[id] == unjudged && (entry.Whole || slices.ContainsFunc(entry.Owners, func(owner topology.OwnerKey) bool { return c.isReported(owner, id) })):
		return nil
	}
	if !listed {
		var err error
		if found, err = topology.BindingOf(id); err != nil {
			return nil
		}
	}
	for _, end := range []topology.ID{found.SourceID(), found.DestinationID()} {
		if _, presence := live.Look(end); presence == topology.Absent {
			return nil // it went with that
		}
	}
	if source, ok := live.Objects[found.SourceID()].(*topology.Exchange); ok && topology.BindsWhole(source.Type) {
		return nil
	}
	out := *found
	out.Uncertain = true
	return &out
}

// isReported tells whether a pass that made an object, or found it made, has come
// to its end.
func (c *Cluster) isReported(owner topology.OwnerKey, id topology.ID) bool {
	claim := c.world.Claim(owner)
	return claim != nil && (claim.ReportedInPart || slices.Contains(claim.Reported, id.String()))
}
