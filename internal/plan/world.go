package plan

import (
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// World is everything that is declared and owned on one broker cluster, with
// the indexes that a plan needs. It is plain data: whoever holds it changes it
// between plans, never during one.
type World struct {
	claims  map[topology.OwnerKey]*topology.Claim
	wanters map[topology.ID][]wanter // sorted by key
	// mute claims, invalid or suspended, do not say what they want.
	mute map[topology.OwnerKey]struct{}
	// gated claims need the approval of a person.
	gated map[topology.OwnerKey]struct{}
	// inventory and its reverse, sorted: most owners hold one or two objects, for which
	// a set would take ten times the room.
	inventory topology.Inventory
	holdings  map[topology.OwnerKey][]topology.ID
	// underway: objects with an operation.
	underway map[topology.ID]struct{}
	// wishes are what was last wanted of those that nobody wants any more.
	wishes map[topology.ID]topology.Resource
	// absent owners hold something and claim nothing: kept, since every plan asks,
	// and there are none on a calm cluster of any size.
	absent map[topology.OwnerKey]struct{}
	// departed owners whose end was witnessed.
	departed map[topology.OwnerKey]departed
	// changes of what is declared or owned.
	changes uint64
}

// departed is what is kept of an owner whose end was witnessed: which one it was, and its
// last word on what it had.
type departed struct {
	uid    string
	policy topology.Policy
}

// wanter is a claim's word about one object.
type wanter struct {
	claim *topology.Claim
	want  topology.Want
}

func (w wanter) key() topology.OwnerKey { return w.claim.Owner.OwnerKey }

// mute tells whether the claim does not say what it wants.
func (w wanter) mute() bool { return isMute(w.claim) }

func isMute(claim *topology.Claim) bool { return claim.Invalid != nil || claim.Suspended }

func (w wanter) compare(key topology.OwnerKey) int { return w.key().Compare(key) }

// NewWorld returns an empty world.
func NewWorld() *World {
	return &World{
		claims:    map[topology.OwnerKey]*topology.Claim{},
		wanters:   map[topology.ID][]wanter{},
		mute:      map[topology.OwnerKey]struct{}{},
		gated:     map[topology.OwnerKey]struct{}{},
		inventory: topology.Inventory{},
		holdings:  map[topology.OwnerKey][]topology.ID{},
		underway:  map[topology.ID]struct{}{},
		wishes:    map[topology.ID]topology.Resource{},
		departed:  map[topology.OwnerKey]departed{},
		absent:    map[topology.OwnerKey]struct{}{},
	}
}

// Changes counts how often what is declared or owned has changed: while it is
// the same, so is every Focus.
func (w *World) Changes() uint64 { return w.changes }

// SetClaim adds or replaces an owner's claim.
func (w *World) SetClaim(claim *topology.Claim) {
	w.changes++
	key := claim.Owner.OwnerKey
	w.unindex(key)
	w.claims[key] = claim
	delete(w.departed, key)
	delete(w.absent, key)
	if isMute(claim) {
		w.mute[key] = struct{}{}
	}
	if claim.Policy.Approval == topology.ApprovalRequired {
		w.gated[key] = struct{}{}
	}
	for _, want := range claim.Want {
		id := want.Resource.ID()
		if at, twice := slices.BinarySearchFunc(w.wanters[id], key, wanter.compare); !twice {
			w.wanters[id] = slices.Insert(w.wanters[id], at, wanter{claim: claim, want: want})
		}
	}
}

// declares tells whether the claim of an owner has an object in it.
func (w *World) declares(owner topology.OwnerKey, id topology.ID) bool {
	_, found := slices.BinarySearchFunc(w.wanters[id], owner, wanter.compare)
	return found
}

// RemoveClaim takes an owner out. Witnessed says that its end was seen happen,
// so that the policy of its last claim is the final one; otherwise a recorded
// Delete counts as DeleteIfUnused.
func (w *World) RemoveClaim(key topology.OwnerKey, witnessed bool) {
	claim, ok := w.claims[key]
	if !ok {
		return
	}
	w.changes++
	w.unindex(key)
	delete(w.claims, key)
	if len(w.holdings[key]) == 0 {
		return
	}
	w.absent[key] = struct{}{}
	if witnessed {
		w.departed[key] = departed{uid: claim.Owner.UID, policy: claim.Policy}
	}
}

func (w *World) unindex(key topology.OwnerKey) {
	old, ok := w.claims[key]
	if !ok {
		return
	}
	delete(w.mute, key)
	delete(w.gated, key)
	for _, want := range old.Want {
		id := want.Resource.ID()
		if old.Invalid == nil && w.isUnderway(id) {
			w.wishes[id] = want.Resource
		}
		at, found := slices.BinarySearchFunc(w.wanters[id], key, wanter.compare)
		switch {
		case !found: // named twice by this claim
		case len(w.wanters[id]) == 1:
			delete(w.wanters, id)
		default:
			w.wanters[id] = slices.Delete(w.wanters[id], at, at+1)
		}
	}
}

// SetEntry adds or replaces an inventory entry. What was witnessed of its
// owners stays known.
func (w *World) SetEntry(entry topology.Entry) {
	w.unhold(entry.ID)
	if !slices.IsSortedFunc(entry.Owners, topology.OwnerKey.Compare) {
		entry.Owners = slices.SortedFunc(slices.Values(entry.Owners), topology.OwnerKey.Compare)
	}
	w.inventory[entry.ID] = entry
	if entry.Operation != "" {
		w.underway[entry.ID] = struct{}{}
	} else {
		delete(w.wishes, entry.ID)
	}
	for _, owner := range entry.Owners {
		if w.claims[owner] == nil {
			w.absent[owner] = struct{}{}
		}
		held := w.holdings[owner]
		if at, there := slices.BinarySearchFunc(held, entry.ID, topology.ID.Compare); !there {
			w.holdings[owner] = slices.Insert(held, at, entry.ID)
		}
	}
}

// DropEntry removes an inventory entry. With the last thing that a departed
// owner held, what was witnessed of it is forgotten.
func (w *World) DropEntry(id topology.ID) {
	owners := w.inventory[id].Owners
	w.unhold(id)
	delete(w.wishes, id)
	for _, owner := range owners {
		if len(w.holdings[owner]) == 0 {
			delete(w.departed, owner)
		}
	}
}

func (w *World) unhold(id topology.ID) {
	w.changes++
	for _, owner := range w.inventory[id].Owners {
		held := w.holdings[owner]
		if at, there := slices.BinarySearchFunc(held, id, topology.ID.Compare); there {
			held = slices.Delete(held, at, at+1)
			w.holdings[owner] = held
		}
		if len(held) == 0 {
			delete(w.holdings, owner)
			delete(w.absent, owner)
		}
	}
	delete(w.inventory, id)
	delete(w.underway, id)
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

// ClaimCount is the number of owners that claim something.
func (w *World) ClaimCount() int { return len(w.claims) }

// Entry returns the inventory entry of an object.
func (w *World) Entry(id topology.ID) (topology.Entry, bool) {
	entry, ok := w.inventory[id]
	return entry, ok
}

// Has tells whether an object of a kind is declared or owned.
func (w *World) Has(kind topology.Kind) bool {
	for id := range w.wanters {
		if id.Kind == kind {
			return true
		}
	}
	for id := range w.inventory {
		if id.Kind == kind {
			return true
		}
	}
	return false
}

// Underway lists the objects with an operation on the books. Sorted.
func (w *World) Underway() []topology.ID { return topology.SortedIDs(w.underway) }

// Entries is the number of inventory entries.
func (w *World) Entries() int { return len(w.inventory) }

// EachEntry calls f for every inventory entry, in no order.
func (w *World) EachEntry(f func(topology.Entry)) {
	for _, entry := range w.inventory {
		f(entry)
	}
}

// IsWanted tells whether any claim names an object.
func (w *World) IsWanted(id topology.ID) bool { return len(w.wanters[id]) > 0 }

// Wanters lists the owners whose claims name an object, sorted.
func (w *World) Wanters(id topology.ID) []topology.OwnerKey {
	keys := make([]topology.OwnerKey, len(w.wanters[id]))
	for i, wanter := range w.wanters[id] {
		keys[i] = wanter.key()
	}
	return keys
}

// Holdings lists what an owner has in the inventory, sorted.
func (w *World) Holdings(key topology.OwnerKey) []topology.ID {
	return slices.Clone(w.holdings[key])
}

// Holds tells whether an owner has anything in the inventory.
func (w *World) Holds(key topology.OwnerKey) bool { return len(w.holdings[key]) > 0 }

// Absent lists owners that hold something in the inventory and claim nothing:
// their deletion is pending. Sorted.
func (w *World) Absent() []topology.OwnerKey {
	return slices.SortedFunc(maps.Keys(w.absent), topology.OwnerKey.Compare)
}

// Departed tells whether the end of an owner was seen happen: of this one, and not of
// another under the same name. It is known for as long as the owner holds something.
func (w *World) Departed(owner topology.Owner) bool {
	gone, witnessed := w.departed[owner.OwnerKey]
	return witnessed && gone.uid == owner.UID
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
		for _, id := range w.holdings[key] {
			add(id)
		}
	}
	return topology.SortedIDs(ids)
}
