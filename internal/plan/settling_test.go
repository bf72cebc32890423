package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// A quorum queue's counts lag, so it is unbound, watched, and only then
// deleted.
func TestQuorumQueueSettles(t *testing.T) {
	q, dead, dlx := quorum("q", "x-dead-letter-exchange", "dlx"), quorum("dead"), exchange("dlx", "direct")
	feed, inner := bind("orders", "q", "k"), bind("dlx", "dead", "q")
	claim := cr("shop/q", wants(q), shares(dead, dlx, inner, feed))
	unbound := cr("shop/q", wants(q), shares(dead, dlx, inner))
	lagging := used{q.ID(): {Delayed: true}, dead.ID(): {Delayed: true}, dlx.ID(): {Bindings: ids(inner)}}
	caught := used{q.ID(): {Delayed: true, Messages: 1}, dead.ID(): {Delayed: true}, dlx.ID(): {Bindings: ids(inner)}}
	leftBehind := []string{
		"record binding shop/dlx -> queue dead key q of shop/q left behind: queue shop/q stays: it holds messages",
		"record exchange shop/dlx of shop/q left behind: queue shop/q stays: it holds messages",
		"record queue shop/dead of shop/q left behind: queue shop/q stays: it holds messages",
		"record queue shop/q of shop/q left behind: it holds messages",
		"held LeftBehind shop/q binding shop/dlx -> queue dead key q", "held LeftBehind shop/q exchange shop/dlx",
		"held LeftBehind shop/q queue shop/dead", "held LeftBehind shop/q queue shop/q",
	}
	waiting := []string{
		"held Deleting shop/q binding shop/dlx -> queue dead key q", "held Deleting shop/q exchange shop/dlx",
		"held Deleting shop/q queue shop/dead", "held Deleting shop/q queue shop/q",
	}
	settling := append([]string{"settle queue shop/dead", "settle queue shop/q"}, waiting...)
	phase := func(reason string, of *topology.Claim, usage used, quiet []topology.ID, want ...string) scenario {
		live := []topology.Resource{exchange("orders", "topic")}
		for _, w := range of.Want {
			live = append(live, w.Resource)
		}
		return scenario{reason: reason, departed: []*topology.Claim{of}, inventory: owned(of), live: live, usage: usage, quiet: quiet, want: want}
	}
	run(t, map[string]scenario{
		"Unbind": phase("what feeds the queue goes at once; its dead-letter wiring does not",
			claim, lagging, nil, append([]string{"delete if unused binding shop/orders -> queue q key k"}, settling...)...),
		"Watch": phase("nothing else happens while the counts may be old", unbound, lagging, nil, settling...),
		"OneIsQuiet": phase("a quiet queue waits for its companions, and stays in the list",
			unbound, lagging, ids(q), settling...),
		"Delete": phase("all are quiet: the claim goes", unbound, lagging, ids(q, dead),
			"delete if unused queue shop/q", "--", "delete if unused queue shop/dead", "--",
			"delete if unused binding shop/dlx -> queue dead key q", "--", "delete if unused exchange shop/dlx"),
		"Used":              phase("a message came to light: all stays, quiet or not", unbound, caught, ids(q, dead), leftBehind...),
		"UsedWhileSettling": phase("whatever its companions wait for", unbound, caught, nil, leftBehind...),
	})
}

// An edit makes before it breaks.
func TestEdits(t *testing.T) {
	x, q, before, after := exchange("x", "topic"), queue("q"), bind("x", "q", "old"), bind("x", "q", "new")
	elsewhere := bind("nowhere", "q", "new")
	was := owned(cr("shop/q", wants(q), shares(before)), cr("shop/x", wants(x)))
	ownsX := cr("shop/x", wants(x))
	live := []topology.Resource{x, q, before}
	dead, dlx := queue("q.dead"), exchange("q.dlx", "direct")
	run(t, map[string]scenario{
		"ChangedKey": {
			reason: "the new binding stands before the old one goes",
			claims: []*topology.Claim{cr("shop/q", wants(q), shares(after)), ownsX}, inventory: was, live: live,
			want: []string{
				"create binding shop/x -> queue q key new", "--", "delete binding shop/x -> queue q key old",
				"record binding shop/x -> queue q key new of shop/q",
			},
		},
		"ChangedKeyBlocked": {
			reason: "the old binding stays while the new one cannot be",
			claims: []*topology.Claim{cr("shop/q", wants(q), shares(elsewhere)), ownsX}, inventory: was, live: live,
			want: []string{
				"held DependencyNotReady shop/q binding shop/nowhere -> queue q key new", "held Deleting shop/q binding shop/x -> queue q key old",
			},
			says: []string{"it goes once the rest of the change is made (binding shop/nowhere -> queue q key new waits for exchange shop/nowhere"},
		},
		"BlockedBindingKeepsItsExchange": {
			reason: "what such a binding hangs on waits with it",
			claims: []*topology.Claim{cr("shop/q", wants(q), shares(elsewhere))}, inventory: was, live: live,
			usage: used{x.ID(): {Bindings: ids(before)}},
			want: []string{
				"held DependencyNotReady shop/q binding shop/nowhere -> queue q key new", "held Deleting shop/q binding shop/x -> queue q key old",
				"held Deleting shop/x exchange shop/x",
			},
		},
		"DroppedBinding": {
			reason:    "taking a binding out is an edit: it goes even under Retain",
			claims:    []*topology.Claim{cr("shop/q", wants(q), deletion(topology.Retain)), ownsX},
			inventory: owned(cr("shop/q", wants(q), shares(before), deletion(topology.Retain)), cr("shop/x", wants(x))), live: live,
			want: []string{"delete binding shop/x -> queue q key old"},
		},
		"DriftIsNoReasonToWait": {
			reason:    "what is reported and left as it is keeps no binding",
			claims:    []*topology.Claim{cr("shop/q", wants(q), settled, reportsDrift), ownsX},
			inventory: was, live: []topology.Resource{x, before},
			want: []string{"delete binding shop/x -> queue q key old", "held Drifted shop/q queue shop/q"},
		},
		"DroppedDeadLetters": {
			reason:    "taking deadLetter out deletes no message, not even under Delete: it is left behind while the claim lives",
			claims:    []*topology.Claim{cr("shop/q", wants(q), deletion(topology.Delete))},
			inventory: owned(cr("shop/q", wants(q), shares(dead, dlx), deletion(topology.Delete))), live: []topology.Resource{q, dead, dlx},
			usage: used{dead.ID(): {Messages: 2}, dlx.ID(): {}},
			want: []string{
				"delete if unused exchange shop/q.dlx",
				"record queue shop/q.dead of shop/q Delete left behind: it holds messages", "held LeftBehind shop/q queue shop/q.dead",
			},
		},
	})
}

func TestMakeBeforeBreakRequires(t *testing.T) {
	x, q, before, after := exchange("x", "topic"), queue("q"), bind("x", "q", "old"), bind("x", "q", "new")
	in := scenario{
		claims:    []*topology.Claim{cr("shop/q", wants(q), shares(after)), cr("shop/x", wants(x))},
		inventory: owned(cr("shop/q", wants(q), shares(before)), cr("shop/x", wants(x))),
		live:      []topology.Resource{x, q, before},
	}.input()
	want := map[string][]topology.ID{"create " + after.ID().String(): nil, "delete " + before.ID().String(): ids(after)}
	if diff := cmp.Diff(want, requires(plan.Compute(in))); diff != "" {
		t.Errorf("the delete requires the create (-want +got):\n%s", diff)
	}
}

func TestFocusNamedTwice(t *testing.T) {
	q := queue("q")
	claim := cr("shop/q", wants(q))
	in := scenario{inventory: owned(claim), live: []topology.Resource{q}, unread: map[topology.ID]error{}}.input()
	in.Focus = ids(q, q)
	if diff := cmp.Diff([]string{"usage? queue shop/q", "held Deleting shop/q queue shop/q"}, render(plan.Compute(in))); diff != "" {
		t.Errorf("an object named twice is decided once (-want +got):\n%s", diff)
	}
	in.World.SetClaim(cr("shop/q", wants(q), adoption(topology.AdoptNever)))
	in.World.DropEntry(q.ID())
	if diff := cmp.Diff([]string{"held AdoptionRefused shop/q queue shop/q"}, render(plan.Compute(in))); diff != "" {
		t.Errorf("and held once (-want +got):\n%s", diff)
	}
}

// Writing an entry again must not lose what was witnessed of its owner.
func TestWitnessOutlivesItsEntry(t *testing.T) {
	q := queue("q")
	claim := cr("shop/q", wants(q), deletion(topology.Delete))
	in := scenario{departed: []*topology.Claim{claim}, inventory: owned(claim), live: []topology.Resource{q}, usage: used{q.ID(): {Messages: 1}}}.input()
	entry, _ := in.World.Entry(q.ID())
	in.World.SetEntry(entry)
	if diff := cmp.Diff([]string{"delete queue shop/q"}, render(plan.Compute(in))); diff != "" {
		t.Errorf("a witnessed Delete deletes, after the entry was written again (-want +got):\n%s", diff)
	}
	in.World.DropEntry(q.ID())
	in.World.SetEntry(entry)
	if got := plan.Compute(in).Waves; got != nil {
		t.Errorf("a witness is forgotten with the last thing that its owner held; got steps %v", got)
	}
}
