package plan

import (
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// World is everything that is declared and owned on one broker cluster, with
// the indexes that a plan needs. It is plain data: whoever holds it changes it
// between plans, never during one.
type World struct {
	claims  map[topology.OwnerKey]*topology.Claim
	wanters map[topology.ID][]topology.OwnerKey
	// inventory and its reverse.
	inventory topology.Inventory
	holdings  map[topology.OwnerKey]map[topology.ID]struct{}
	// departed owners whose end was witnessed, with the policy they had then.
	departed map[topology.OwnerKey]topology.Policy
}

// NewWorld returns an empty world.
func NewWorld() *World {
	return &World{
		claims:    map[topology.OwnerKey]*topology.Claim{},
		wanters:   map[topology.ID][]topology.OwnerKey{},
		inventory: topology.Inventory{},
		holdings:  map[topology.OwnerKey]map[topology.ID]struct{}{},
		departed:  map[topology.OwnerKey]topology.Policy{},
	}
}

// SetClaim adds or replaces an owner's claim.
func (w *World) SetClaim(claim *topology.Claim) {
	key := claim.Owner.OwnerKey
	w.unindex(key)
	w.claims[key] = claim
	delete(w.departed, key)
	for _, want := range claim.Want {
		id := want.Resource.ID()
		if !slices.Contains(w.wanters[id], key) {
			w.wanters[id] = append(w.wanters[id], key)
		}
	}
}

// RemoveClaim takes an owner out. Witnessed says that its end was seen happen,
// so that the policy of its last claim is the final one; otherwise a recorded
// Delete counts as DeleteIfUnused.
func (w *World) RemoveClaim(key topology.OwnerKey, witnessed bool) {
	claim, ok := w.claims[key]
	if !ok {
		return
	}
	w.unindex(key)
	delete(w.claims, key)
	if witnessed {
		w.departed[key] = claim.Policy
	}
}

func (w *World) unindex(key topology.OwnerKey) {
	old, ok := w.claims[key]
	if !ok {
		return
	}
	for _, want := range old.Want {
		id := want.Resource.ID()
		rest := slices.DeleteFunc(w.wanters[id], func(k topology.OwnerKey) bool { return k == key })
		if len(rest) == 0 {
			delete(w.wanters, id)
		} else {
			w.wanters[id] = rest
		}
	}
}

// SetEntry adds or replaces an inventory entry.
func (w *World) SetEntry(entry topology.Entry) {
	w.DropEntry(entry.ID)
	w.inventory[entry.ID] = entry
	for _, owner := range entry.Owners {
		if w.holdings[owner] == nil {
			w.holdings[owner] = map[topology.ID]struct{}{}
		}
		w.holdings[owner][entry.ID] = struct{}{}
	}
}

// DropEntry removes an inventory entry.
func (w *World) DropEntry(id topology.ID) {
	entry, ok := w.inventory[id]
	if !ok {
		return
	}
	delete(w.inventory, id)
	for _, owner := range entry.Owners {
		delete(w.holdings[owner], id)
		if len(w.holdings[owner]) == 0 {
			delete(w.holdings, owner)
			if _, alive := w.claims[owner]; !alive {
				delete(w.departed, owner)
			}
		}
	}
}

// Claim returns an owner's claim, or nil.
func (w *World) Claim(key topology.OwnerKey) *topology.Claim { return w.claims[key] }

// Claims lists the owners that claim something, sorted.
func (w *World) Claims() []topology.OwnerKey {
	keys := make([]topology.OwnerKey, 0, len(w.claims))
	for key := range w.claims {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, topology.OwnerKey.Compare)
	return keys
}

// Entry returns the inventory entry of an object.
func (w *World) Entry(id topology.ID) (topology.Entry, bool) {
	entry, ok := w.inventory[id]
	return entry, ok
}

// Entries is the number of inventory entries.
func (w *World) Entries() int { return len(w.inventory) }

// EachEntry calls f for every inventory entry, in no order.
func (w *World) EachEntry(f func(topology.Entry)) {
	for _, entry := range w.inventory {
		f(entry)
	}
}

// Wanters lists the owners whose claims name an object.
func (w *World) Wanters(id topology.ID) []topology.OwnerKey { return w.wanters[id] }

// Holdings lists what an owner has in the inventory, sorted.
func (w *World) Holdings(key topology.OwnerKey) []topology.ID {
	ids := make([]topology.ID, 0, len(w.holdings[key]))
	for id := range w.holdings[key] {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, topology.ID.Compare)
	return ids
}

// Absent lists owners that hold something in the inventory and claim nothing:
// their deletion is pending. Sorted.
func (w *World) Absent() []topology.OwnerKey {
	var keys []topology.OwnerKey
	for key := range w.holdings {
		if _, alive := w.claims[key]; !alive {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, topology.OwnerKey.Compare)
	return keys
}

// Focus lists the objects that owners want or hold, together with whatever
// must be decided in the same breath: everything else that the former owners
// of those objects held. Sorted.
func (w *World) Focus(owners []topology.OwnerKey) []topology.ID {
	ids := map[topology.ID]struct{}{}
	seen := map[topology.OwnerKey]struct{}{}
	queue := slices.Clone(owners)
	for len(queue) > 0 {
		key := queue[0]
		queue = queue[1:]
		if _, done := seen[key]; done {
			continue
		}
		seen[key] = struct{}{}
		add := func(id topology.ID) {
			if _, done := ids[id]; done {
				return
			}
			ids[id] = struct{}{}
			for _, holder := range w.inventory[id].Owners {
				if _, alive := w.claims[holder]; !alive {
					queue = append(queue, holder)
				}
			}
		}
		if claim := w.claims[key]; claim != nil {
			for _, want := range claim.Want {
				add(want.Resource.ID())
			}
		}
		for id := range w.holdings[key] {
			add(id)
		}
	}
	return sortedIDs(ids)
}

func sortedIDs(set map[topology.ID]struct{}) []topology.ID {
	out := make([]topology.ID, 0, len(set))
	for id := range set {
		out = append(out, id)
	}
	slices.SortFunc(out, topology.ID.Compare)
	return out
}
