package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// decision says who has an object.
type decision struct {
	// winner decides how the object looks; nil if nobody wants it.
	winner *topology.Claim
	want   topology.Want
	// owners are the winner, those that want the same, and those that keep
	// their share because they cannot say what they want. Sorted.
	owners []topology.OwnerKey
	losers []Held
	// keeper has the object while it cannot say what it wants; sharers own it
	// too, or would, and have to take it as it is.
	keeper  topology.OwnerKey
	sharers []contender
	// entry of the inventory, if owned. kept: an invalid or suspended owner
	// has it, and it stays as it is.
	entry       topology.Entry
	owned, kept bool
}

// contender is a claim that wants an object.
type contender struct {
	wanter
	incumbent bool
}

func decideOwnership(w *World, id topology.ID) decision {
	entry, owned := w.inventory[id]
	d := decision{entry: entry, owned: owned}
	if wanters := w.wanters[id]; len(wanters) == 1 && len(entry.Owners) == 1 && wanters[0].key() == entry.Owners[0] && !wanters[0].mute() && !w.lostAnEnd(wanters[0]) {
		// Nearly all objects of a calm cluster: theirs alone, as it was.
		d.winner, d.want, d.owners = wanters[0].claim, wanters[0].want, entry.Owners
		return d
	}
	contenders, intruders := withoutIntruders(w, id, contendersFor(w, id, entry))
	d.losers = intruders
	incumbent := slices.ContainsFunc(contenders, func(c contender) bool { return c.incumbent })
	keepers, explicit := keepersOf(w, id, entry)
	var losers []Held
	switch {
	case len(keepers) > 0 && (explicit || !incumbent):
		d.kept, d.keeper = true, keepers[0]
		for _, c := range contenders {
			if c.incumbent || !explicit && c.want.Shareable {
				d.sharers = append(d.sharers, c)
			} else {
				d.losers = append(d.losers, lost(id, c.claim, keepers[0]))
			}
		}
		return d
	case len(keepers) > 0:
		// One bad owner does not keep the others from theirs.
		contenders, losers = sharers(id, keepers[0], contenders)
		d.owners = slices.Clone(keepers)
	case owned && !incumbent:
		contenders, losers = heirs(w, id, entry, contenders)
	case incumbent:
		contenders, losers = natives(w, id, entry, contenders)
	}
	d.losers = append(d.losers, losers...)
	if len(contenders) == 0 {
		return d
	}
	best := slices.MinFunc(contenders, compareContenders)
	d.winner, d.want = best.claim, best.want
	for _, c := range contenders {
		same := c.claim == best.claim || c.want.Shareable && equal(c.want.Resource, best.want.Resource)
		if same {
			d.owners = append(d.owners, c.claim.Owner.OwnerKey)
		} else {
			d.losers = append(d.losers, lost(id, c.claim, best.claim.Owner.OwnerKey))
		}
	}
	slices.SortFunc(d.owners, topology.OwnerKey.Compare)
	return d
}

// contendersFor lists the valid claims that want an object.
func contendersFor(w *World, id topology.ID, entry topology.Entry) []contender {
	wanters := w.wanters[id]
	out := make([]contender, 0, len(wanters))
	for _, wanter := range wanters {
		if wanter.mute() {
			continue
		}
		_, incumbent := slices.BinarySearchFunc(entry.Owners, wanter.key(), topology.OwnerKey.Compare)
		out = append(out, contender{wanter: wanter, incumbent: incumbent})
	}
	return out
}

// lostAnEnd tells whether a claim wants a binding, and one of its ends for
// itself, which another claim has.
func (w *World) lostAnEnd(c wanter) bool {
	_, _, lost := w.lostEnd(c)
	return lost
}

func (w *World) lostEnd(c wanter) (end topology.ID, winner topology.OwnerKey, lost bool) {
	binding, ok := c.want.Resource.(*topology.Binding)
	if !ok {
		return topology.ID{}, topology.OwnerKey{}, false
	}
	for _, end := range []topology.ID{binding.SourceID(), binding.DestinationID()} {
		wanters := w.wanters[end]
		at, wants := slices.BinarySearchFunc(wanters, c.key(), wanter.compare)
		// What is shared has as many wanters as there are queues, and each would ask.
		if !wants || wanters[at].want.Shareable || len(wanters) == 1 && w.nobodyElseHas(end, c.key()) {
			continue
		}
		for _, loser := range decideOwnership(w, end).losers {
			if loser.Owner == c.key() {
				return end, loser.Winner, true
			}
		}
	}
	return topology.ID{}, topology.OwnerKey{}, false
}

// nobodyElseHas tells whether an object is on record for nobody but one owner.
func (w *World) nobodyElseHas(id topology.ID, owner topology.OwnerKey) bool {
	return !slices.ContainsFunc(w.inventory[id].Owners, func(other topology.OwnerKey) bool { return other != owner })
}

// withoutIntruders sends away who lost the queue that a binding leads to, or its
// exchange: such a claim has no part in what leads there, also beside the one
// that has the queue, or else the binding would stay when that one drops it.
func withoutIntruders(w *World, id topology.ID, contenders []contender) (rest []contender, intruders []Held) {
	if id.Kind != topology.KindBinding {
		return contenders, nil
	}
	rest = contenders[:0]
	for _, c := range contenders {
		end, winner, lost := w.lostEnd(c.wanter)
		if !lost {
			rest = append(rest, c)
			continue
		}
		intruders = append(intruders, Held{
			Owner: c.key(), ID: id, Reason: Blocked, Missing: end,
			Message: fmt.Sprintf("%s waits for %s, which %s has", id, end, winner),
		})
	}
	return rest, intruders
}

// compareContenders orders by who decides about the object.
func compareContenders(a, b contender) int {
	return cmp.Or(
		falseFirst(a.want.Shareable, b.want.Shareable),
		falseFirst(!a.incumbent, !b.incumbent),
		a.claim.Owner.Created.Compare(b.claim.Owner.Created),
		a.claim.Owner.OwnerKey.Compare(b.claim.Owner.OwnerKey),
	)
}

// keepersOf finds the owners that cannot say what they want, and so keep what
// they have. Explicit tells whether one of them is known to own the object
// outright, and not to share it.
func keepersOf(w *World, id topology.ID, entry topology.Entry) (keepers []topology.OwnerKey, explicit bool) {
	if len(w.mute) == 0 {
		return nil, false
	}
	for _, key := range entry.Owners {
		if _, mute := w.mute[key]; !mute {
			continue
		}
		keepers = append(keepers, key)
		if at, wants := slices.BinarySearchFunc(w.wanters[id], key, wanter.compare); wants {
			explicit = explicit || !w.wanters[id][at].want.Shareable
		}
	}
	return keepers, explicit
}

// sharers sorts out who may own an object together with a keeper: whoever does
// already, and whoever would share it.
func sharers(id topology.ID, keeper topology.OwnerKey, contenders []contender) (sharers []contender, losers []Held) {
	for _, c := range contenders {
		if c.incumbent || c.want.Shareable {
			sharers = append(sharers, c)
		} else {
			losers = append(losers, lost(id, c.claim, keeper))
		}
	}
	return sharers, losers
}

// natives sorts out who may decide about an object that has owners: an explicit
// claim outranks derived ones, but only those of its own namespace. Another
// team's dead-letter exchange is not to be had by naming it, nor by sharing it
// first.
func natives(w *World, id topology.ID, entry topology.Entry, contenders []contender) (natives []contender, losers []Held) {
	for _, c := range contenders {
		if c.incumbent || c.want.Shareable {
			natives = append(natives, c)
		} else if stranger, any := w.strangerTo(c.claim.Owner, entry); any {
			losers = append(losers, lost(id, c.claim, stranger))
		} else {
			natives = append(natives, c)
		}
	}
	return natives, losers
}

// strangerTo finds an owner of an entry that is there and from which this one
// may not take over.
func (w *World) strangerTo(heir topology.Owner, entry topology.Entry) (stranger topology.OwnerKey, any bool) {
	for _, owner := range entry.Owners {
		if w.claims[owner] != nil && !w.mayInherit(heir, owner, entry) {
			return owner, true
		}
	}
	return topology.OwnerKey{}, false
}

// inherits tells whether an owner may take over from one of those of an entry:
// of the same namespace, or named by it.
func (w *World) inherits(heir topology.Owner, entry topology.Entry) bool {
	return slices.ContainsFunc(entry.Owners, func(former topology.OwnerKey) bool { return w.mayInherit(heir, former, entry) })
}

func (w *World) mayInherit(heir topology.Owner, former topology.OwnerKey, entry topology.Entry) bool {
	return former.Namespace == heir.Namespace || w.handOver(former, entry) == heir.Namespace+"/"+heir.Name
}

// heirs sorts out who may take over what no owner wants any more: claims of
// the same namespace, the one that an owner named, and whoever shares.
func heirs(w *World, id topology.ID, entry topology.Entry, contenders []contender) (heirs []contender, losers []Held) {
	for _, c := range contenders {
		owner := c.claim.Owner
		if c.want.Shareable || len(entry.Owners) == 0 || w.inherits(owner, entry) {
			heirs = append(heirs, c)
			continue
		}
		former := entry.Owners[0]
		fate := "is gone"
		if w.claims[former] != nil {
			fate = "declares it no longer"
		}
		losers = append(losers, Held{
			Owner: owner.OwnerKey, ID: id, Reason: Conflict, Winner: former,
			Message: fmt.Sprintf("%s belonged to %s, which %s, and it is still on the broker: let that resource declare it again and give it up once the object is unused, or delete the object by hand", id, former, fate),
		})
	}
	return heirs, losers
}

// handOver is the owner, as namespace/name, that a former owner of an entry
// named as its heir: by its last word if that was heard, else by the record.
func (w *World) handOver(former topology.OwnerKey, entry topology.Entry) string {
	if claim := w.claims[former]; claim != nil {
		return claim.Policy.HandOverTo
	}
	if last, witnessed := w.departed[former]; witnessed {
		return last.policy.HandOverTo
	}
	return entry.HandOverTo
}

func lost(id topology.ID, loser *topology.Claim, winner topology.OwnerKey) Held {
	return Held{
		Owner: loser.Owner.OwnerKey, ID: id, Reason: Conflict, Winner: winner,
		Message: fmt.Sprintf("%s is owned by %s: delete one of the two, or give this one another name", id, winner),
	}
}

// equal tells whether two wanted objects are the same in both directions.
func equal(a, b topology.Resource) bool {
	return a == b || len(a.Diff(b)) == 0 && len(b.Diff(a)) == 0
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}
