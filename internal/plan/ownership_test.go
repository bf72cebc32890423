package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

func TestOwnership(t *testing.T) {
	direct, fanout := exchange("x", "direct"), exchange("x", "fanout")
	run(t, map[string]scenario{
		"One": {
			reason: "an object that one claim wants and nobody owns is its own",
			claims: []*topology.Claim{cr("shop/a", wants(direct))},
			want:   []string{"create exchange shop/x", "record exchange shop/x of shop/a"},
		},
		"OldestWins": {
			reason: "among those that do not own it the oldest wins, whatever its name",
			claims: []*topology.Claim{cr("shop/a", wants(direct), bornAfter(1)), cr("shop/b", wants(fanout))},
			want:   []string{"create exchange shop/x", "record exchange shop/x of shop/b", "held Conflict shop/a exchange shop/x won by shop/b"},
			says:   []string{"exchange shop/x is owned by Queue shop/b"},
		},
		"NameBreaksTheTie": {
			reason: "claims of one age are told apart by namespace and name",
			claims: []*topology.Claim{cr("shop/b", wants(direct)), cr("shop/a", wants(direct)), cr("audit/z", wants(direct))},
			want: []string{
				"create exchange shop/x", "record exchange shop/x of audit/z",
				"held Conflict shop/a exchange shop/x won by audit/z", "held Conflict shop/b exchange shop/x won by audit/z",
			},
		},
		"IncumbentBeatsOlder": {
			reason:    "who owns it keeps it, even from an older claim",
			claims:    []*topology.Claim{cr("shop/a", wants(fanout)), cr("shop/b", wants(direct), bornAfter(9))},
			inventory: owned(cr("shop/b", wants(direct))),
			live:      []topology.Resource{direct},
			want:      []string{"held Conflict shop/a exchange shop/x won by shop/b"},
		},
		"InvalidIncumbentKeeps": {
			reason:    "a broken edit does not lose what the owner has",
			claims:    []*topology.Claim{cr("shop/a", wants(fanout)), cr("shop/b", invalid)},
			inventory: owned(cr("shop/b", wants(direct))),
			live:      []topology.Resource{direct},
			want:      []string{"held Conflict shop/a exchange shop/x won by shop/b", "held InvalidSpec shop/b"},
		},
		"SuspendedIncumbentKeeps": {
			reason:    "a suspended owner's objects are left alone, even if they are missing",
			claims:    []*topology.Claim{cr("shop/a", wants(fanout)), cr("shop/b", wants(direct), suspended)},
			inventory: owned(cr("shop/b", wants(direct))),
			want:      []string{"held Conflict shop/a exchange shop/x won by shop/b", "held Suspended shop/b"},
		},
		"SuspendedAlone": {
			reason:    "even if nobody else wants them",
			claims:    []*topology.Claim{cr("shop/b", wants(direct), suspended)},
			inventory: owned(cr("shop/b", wants(direct))),
			want:      []string{"held Suspended shop/b"},
		},
		"InvalidClaimsNothingNew": {
			reason: "an invalid claim creates nothing and stands in nobody's way",
			claims: []*topology.Claim{cr("shop/a", wants(direct), invalid), cr("shop/b", wants(fanout), bornAfter(1))},
			want:   []string{"create exchange shop/x", "record exchange shop/x of shop/b", "held InvalidSpec shop/a"},
		},
		"IdenticalSharesCoOwn": {
			reason: "identical shareable wants are owned together; a different one conflicts",
			claims: []*topology.Claim{cr("shop/a", shares(direct)), cr("shop/b", shares(exchange("x", "direct"))), cr("shop/c", shares(fanout))},
			want:   []string{"create exchange shop/x", "record exchange shop/x of shop/a shop/b", "held Conflict shop/c exchange shop/x won by shop/a"},
		},
		"ExplicitOutranksDerived": {
			reason:    "an explicit claim decides, be it younger; an equal derived one shares, another conflicts",
			claims:    []*topology.Claim{cr("shop/a", shares(fanout)), cr("shop/b", shares(direct)), cr("shop/c", wants(direct), bornAfter(5))},
			inventory: owned(cr("shop/a", shares(fanout))),
			live:      []topology.Resource{direct},
			want:      []string{"record exchange shop/x of shop/b shop/c", "held Conflict shop/a exchange shop/x won by shop/c"},
		},
		"ExplicitOfAnotherNamespace": {
			reason:    "what another namespace has, derived or not, is not to be had by declaring it",
			claims:    []*topology.Claim{cr("shop/a", shares(direct)), cr("audit/x", wants(fanout))},
			inventory: owned(cr("shop/a", shares(direct))),
			live:      []topology.Resource{direct},
			want:      []string{"held Conflict audit/x exchange shop/x won by shop/a"},
		},
		"ExplicitBesideASharer": {
			reason:    "nor is it to be had by sharing it first",
			claims:    []*topology.Claim{cr("shop/a", shares(direct)), cr("audit/a", shares(direct)), cr("audit/x", wants(fanout))},
			inventory: owned(cr("shop/a", shares(direct)), cr("audit/a", shares(direct))),
			live:      []topology.Resource{direct},
			want:      []string{"held Conflict audit/x exchange shop/x won by shop/a"},
		},
		"SharerOfAnInvalidOwner": {
			reason:    "who shares what an invalid owner has takes it as it is, and owns it too where it is as declared",
			claims:    []*topology.Claim{cr("shop/a", invalid), cr("shop/b", shares(direct)), cr("shop/c", shares(fanout))},
			inventory: owned(cr("shop/a", shares(direct))),
			live:      []topology.Resource{direct},
			want: []string{
				"record exchange shop/x of shop/a shop/b",
				"held InvalidSpec shop/a", "held DependencyNotReady shop/c exchange shop/x",
			},
		},
		"InvalidShareholderDoesNotBlockOthers": {
			reason:    "one bad owner of a shared object keeps its share, and the object is still looked after",
			claims:    []*topology.Claim{cr("shop/a", invalid), cr("shop/b", shares(direct)), cr("shop/c", shares(direct)), cr("shop/d", wants(fanout))},
			inventory: owned(cr("shop/a", shares(direct)), cr("shop/b", shares(direct))),
			want: []string{
				"create exchange shop/x", "record exchange shop/x of shop/a shop/b shop/c",
				"held InvalidSpec shop/a", "held Conflict shop/d exchange shop/x won by shop/a",
			},
		},
		"SuspendedExplicitOwnerStopsSharers": {
			reason:    "who owns an object outright and is suspended decides that it is left alone; whoever shares it is told",
			claims:    []*topology.Claim{cr("shop/a", wants(direct), suspended), cr("shop/b", shares(direct))},
			inventory: owned(cr("shop/a", wants(direct)), cr("shop/b", shares(direct))),
			want:      []string{"held Suspended shop/a", "held DependencyNotReady shop/b exchange shop/x"},
			says:      []string{"stays so while Queue shop/a, which owns it, is invalid or suspended"},
		},
	})
}

func TestHandOver(t *testing.T) {
	orders := queue("orders")
	gone := cr("shop/old", wants(orders))
	conflict := "held Conflict audit/new queue shop/orders won by shop/old"
	holds := used{orders.ID(): {Messages: 1}}
	leftBehind := []string{"record queue shop/orders of shop/old left behind: it holds messages", conflict, "held LeftBehind shop/old queue shop/orders"}
	run(t, map[string]scenario{
		"SameNamespace": {
			reason:    "a claim of the same namespace takes over, and the broker is not touched",
			claims:    []*topology.Claim{cr("shop/new", wants(orders))},
			departed:  []*topology.Claim{gone},
			inventory: owned(gone), live: []topology.Resource{orders},
			want: []string{"record queue shop/orders of shop/new"},
		},
		"OtherNamespace": {
			reason:    "another namespace does not get at what was left",
			claims:    []*topology.Claim{cr("audit/new", wants(orders))},
			departed:  []*topology.Claim{gone},
			inventory: owned(gone), live: []topology.Resource{orders}, usage: holds,
			want: leftBehind,
			says: []string{"which is gone"},
		},
		"OtherNamespaceNamed": {
			reason:    "unless the former owner named it",
			claims:    []*topology.Claim{cr("audit/new", wants(orders))},
			inventory: owned(cr("shop/old", wants(orders), handOver("audit/new"))), live: []topology.Resource{orders},
			want: []string{"record queue shop/orders of audit/new"},
		},
		"NamedLast": {
			reason:    "the last word that was heard of the former owner counts, recorded or not",
			claims:    []*topology.Claim{cr("audit/new", wants(orders))},
			departed:  []*topology.Claim{cr("shop/old", wants(orders), handOver("audit/new"))},
			inventory: owned(gone), live: []topology.Resource{orders},
			want: []string{"record queue shop/orders of audit/new"},
		},
		"NamedAnother": {
			reason:    "to hand over to one is not to hand over to all",
			claims:    []*topology.Claim{cr("audit/new", wants(orders))},
			inventory: owned(cr("shop/old", wants(orders), handOver("audit/other"))), live: []topology.Resource{orders}, usage: holds,
			want: leftBehind,
		},
		"DroppedByTheLiving": {
			reason:    "what a living owner declares no longer is not another namespace's for the taking either",
			claims:    []*topology.Claim{cr("audit/new", wants(orders)), cr("shop/old")},
			inventory: owned(gone), live: []topology.Resource{orders}, usage: holds,
			want: leftBehind,
			says: []string{"which declares it no longer"},
		},
		"LeftBehindIsTakenBack": {
			reason: "the owner applied again has its own back, without the note",
			claims: []*topology.Claim{gone},
			inventory: []topology.Entry{{
				ID: orders.ID(), Owners: []topology.OwnerKey{key("shop/old")}, Connection: broker,
				Deletion: topology.DeleteIfUnused, LeftBehind: "it holds messages",
			}},
			live: []topology.Resource{orders},
			want: []string{"record queue shop/orders of shop/old"},
		},
	})
}

// Fifty queues share one dead-letter exchange; whoever goes last deletes it.
func TestLastOwnerDeletes(t *testing.T) {
	shared := exchange("dlx", "direct")
	world := plan.NewWorld()
	live := &topology.Snapshot{Objects: objects(), Usage: used{shared.ID(): {}}}
	step := func() []string {
		p := plan.Compute(plan.Input{World: world, Live: live, Focus: ids(shared)})
		for _, e := range p.Record {
			world.SetEntry(e)
		}
		return render(&plan.Plan{Waves: p.Waves, Held: p.Held})
	}
	const n = 50
	for i := range n {
		world.SetClaim(cr(fmt.Sprintf("shop/q%d", i), shares(exchange("dlx", "direct"))))
	}
	if diff := cmp.Diff([]string{"create exchange shop/dlx"}, step()); diff != "" {
		t.Fatalf("first plan (-want +got):\n%s", diff)
	}
	live.Objects[shared.ID()] = shared
	for i, q := range rand.Perm(n) {
		world.RemoveClaim(key(fmt.Sprintf("shop/q%d", q)), true)
		var want []string
		if i == n-1 {
			want = []string{"delete if unused exchange shop/dlx"}
		}
		if diff := cmp.Diff(want, step()); diff != "" {
			t.Fatalf("after %d of %d owners have gone (-want +got):\n%s", i+1, n, diff)
		}
		entry, _ := world.Entry(shared.ID())
		if i < n-1 && (len(entry.Owners) != n-1-i || slices.Contains(entry.Owners, key(fmt.Sprintf("shop/q%d", q)))) {
			t.Fatalf("after %d have gone, the owners are %v", i+1, entry.Owners)
		}
	}
}
