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
	// owners are the winner and those that want the same, sorted.
	owners []topology.OwnerKey
	losers []Held
	// owned: the inventory has the object. kept: an invalid or suspended owner
	// has it, and it stays as it is.
	owned, kept bool
}

// contender is a claim that wants an object.
type contender struct {
	claim     *topology.Claim
	want      topology.Want
	incumbent bool
}

func decideOwnership(w *World, id topology.ID) decision {
	entry, owned := w.inventory[id]
	d := decision{owned: owned}
	contenders := contendersFor(w, id, entry)
	keeper := keeperOf(w, entry)
	if keeper != nil {
		d.kept = true
		for _, c := range contenders {
			if !c.incumbent {
				d.losers = append(d.losers, lost(id, c.claim, keeper.Owner.OwnerKey))
			}
		}
		return d
	}
	if owned && !slices.ContainsFunc(contenders, func(c contender) bool { return c.incumbent }) && !anyAlive(w, entry.Owners) {
		contenders, d.losers = heirs(id, entry, contenders)
	}
	if len(contenders) == 0 {
		return d
	}
	best := contenders[0]
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

// contendersFor lists the valid claims that want an object, the best first.
func contendersFor(w *World, id topology.ID, entry topology.Entry) []contender {
	var out []contender
	for _, key := range w.wanters[id] {
		claim := w.claims[key]
		if claim.Invalid != nil || claim.Suspended {
			continue
		}
		out = append(out, contender{
			claim:     claim,
			want:      wantOf(claim, id),
			incumbent: slices.Contains(entry.Owners, key),
		})
	}
	slices.SortFunc(out, func(a, b contender) int {
		return cmp.Or(
			falseFirst(a.want.Shareable, b.want.Shareable),
			falseFirst(!a.incumbent, !b.incumbent),
			a.claim.Owner.Created.Compare(b.claim.Owner.Created),
			a.claim.Owner.OwnerKey.Compare(b.claim.Owner.OwnerKey),
		)
	})
	return out
}

// keeperOf finds an owner that cannot say what it wants, and so keeps what it
// has.
func keeperOf(w *World, entry topology.Entry) *topology.Claim {
	for _, key := range entry.Owners {
		if claim := w.claims[key]; claim != nil && (claim.Invalid != nil || claim.Suspended) {
			return claim
		}
	}
	return nil
}

func anyAlive(w *World, owners []topology.OwnerKey) bool {
	return slices.ContainsFunc(owners, func(key topology.OwnerKey) bool { return w.claims[key] != nil })
}

// heirs sorts out who may take over what a departed owner held: claims of the
// same namespace, the one that the owner named, and whoever shares.
func heirs(id topology.ID, entry topology.Entry, contenders []contender) (heirs []contender, losers []Held) {
	for _, c := range contenders {
		owner := c.claim.Owner
		sameNamespace := slices.ContainsFunc(entry.Owners, func(k topology.OwnerKey) bool { return k.Namespace == owner.Namespace })
		named := entry.HandOverTo != "" && entry.HandOverTo == owner.Namespace+"/"+owner.Name
		if sameNamespace || named || c.want.Shareable || len(entry.Owners) == 0 {
			heirs = append(heirs, c)
			continue
		}
		losers = append(losers, Held{
			Owner: owner.OwnerKey, ID: id, Reason: Conflict, Winner: entry.Owners[0],
			Message: fmt.Sprintf("%s belonged to %s, which is gone, and it is still on the broker: apply that resource again and delete it once the object is unused, or delete the object by hand", id, entry.Owners[0]),
		})
	}
	return heirs, losers
}

func lost(id topology.ID, loser *topology.Claim, winner topology.OwnerKey) Held {
	return Held{
		Owner: loser.Owner.OwnerKey, ID: id, Reason: Conflict, Winner: winner,
		Message: fmt.Sprintf("%s is owned by %s: delete one of the two, or give this one another name", id, winner),
	}
}

// equal tells whether two wanted objects are the same in both directions.
func equal(a, b topology.Resource) bool {
	return len(a.Diff(b)) == 0 && len(b.Diff(a)) == 0
}

func wantOf(claim *topology.Claim, id topology.ID) topology.Want {
	for _, want := range claim.Want {
		if want.Resource.ID() == id {
			return want
		}
	}
	return topology.Want{}
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
