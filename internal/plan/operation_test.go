package plan_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// inHand marks the entry of an object.
func inHand(kind topology.OperationKind, r topology.Resource, entries []topology.Entry) []topology.Entry {
	for i := range entries {
		if entries[i].ID == r.ID() {
			entries[i].Operation = kind
		}
	}
	return entries
}

func TestMigrate(t *testing.T) {
	classic, target := queue("q"), quorum("q")
	x, in := exchange("x", "topic"), bind("x", "q", "k")
	migrates := updating(topology.UpdateMigrate)
	was := cr("shop/q", wants(classic), shares(in))
	other := cr("audit/b", shares(in))
	migrating := func(claims ...*topology.Claim) []topology.Entry {
		return inHand(topology.OperationMigrate, classic, owned(claims...))
	}
	run(t, map[string]scenario{
		"Begins": {
			reason: "what no step can change becomes an operation, on the books before it begins",
			claims: []*topology.Claim{cr("shop/q", migrates, wants(target), shares(in))}, inventory: owned(was), live: []topology.Resource{x, classic, in},
			want: []string{"Migrate queue shop/q from classic {} to quorum {}", "record queue shop/q of shop/q in Migrate"},
		},
		"Refuse": {
			reason: "nothing begins without the policy",
			claims: []*topology.Claim{cr("shop/q", wants(target), shares(in))}, inventory: owned(was), live: []topology.Resource{x, classic, in},
			want: []string{"held ImmutableFieldChanged shop/q queue shop/q"},
		},
		"HandMade": {
			reason: "driftPolicy: Report comes first: what was changed by hand is shown, not replaced",
			claims: []*topology.Claim{cr("shop/q", migrates, settled, reportsDrift, wants(target))}, inventory: owned(cr("shop/q", wants(classic))), live: []topology.Resource{classic},
			want: []string{"held Drifted shop/q queue shop/q"},
		},
		"WaitsForNeeds": {
			reason:    "it does not begin before what it needs can be there",
			claims:    []*topology.Claim{cr("shop/q", migrates, wants(&topology.Queue{VirtualHost: "shop", Name: "q", Type: "quorum", Durable: true, After: ids(exchange("dlx", "direct"))}))},
			inventory: owned(cr("shop/q", wants(classic))), live: []topology.Resource{classic},
			want: []string{"held DependencyNotReady shop/q queue shop/q"},
		},
		"WithItsDeadLetters": {
			reason:    "what it needs is made by the steps before it; what it needs no longer stays until it is done",
			claims:    []*topology.Claim{cr("shop/q", migrates, wants(&topology.Queue{VirtualHost: "shop", Name: "q", Type: "quorum", Durable: true, After: ids(exchange("new", "direct"))}), shares(exchange("new", "direct")))},
			inventory: owned(cr("shop/q", wants(classic), shares(exchange("old", "direct")))), live: []topology.Resource{classic, exchange("old", "direct")},
			usage: used{exchange("old", "direct").ID(): {}},
			want: []string{
				"create exchange shop/new", "Migrate queue shop/q from classic {} to quorum {}",
				"record exchange shop/new of shop/q", "record queue shop/q of shop/q in Migrate", "held Deleting shop/q exchange shop/old",
			},
		},
		"GoesOn": {
			reason: "bindings to its queue are led elsewhere, and nobody's step touches them",
			claims: []*topology.Claim{cr("shop/q", migrates, settled, wants(target), shares(in, bind("x", "q", "l"))), other}, inventory: migrating(was, other), live: []topology.Resource{x, classic},
			want: []string{
				"Migrate queue shop/q from classic {} to quorum {}",
				"held Migrating audit/b binding shop/x -> queue q key k", "held Migrating shop/q binding shop/x -> queue q key k", "held Migrating shop/q binding shop/x -> queue q key l",
			},
		},
		"Gone": {
			reason: "in the middle of it the queue is not there, and neither missing nor to be created by a step",
			claims: []*topology.Claim{cr("shop/q", migrates, wants(target), shares(in)), other}, inventory: migrating(was, other), live: []topology.Resource{x},
			want: []string{
				"Migrate queue shop/q from nothing to quorum {}",
				"held Migrating audit/b binding shop/x -> queue q key k", "held Migrating shop/q binding shop/x -> queue q key k",
			},
		},
		"SetBack": {
			reason: "a spec that is set back ends the operation; it does not forget it",
			claims: []*topology.Claim{cr("shop/q", wants(classic), shares(in))}, inventory: migrating(was), live: []topology.Resource{x, classic},
			want: []string{"Migrate queue shop/q from classic {} to classic {}", "held Migrating shop/q binding shop/x -> queue q key k"},
		},
		"OwnerGone": {
			reason:   "an operation without an owner ends with what is there; until then nothing goes, not even under Delete or Retain",
			departed: []*topology.Claim{cr("shop/q", migrates, deletion(topology.Delete), wants(target), shares(x, in))}, inventory: migrating(cr("shop/q", wants(classic), shares(x, in))), live: []topology.Resource{x, classic},
			want: []string{
				"Migrate queue shop/q from classic {} to classic {}",
				"held Deleting shop/q binding shop/x -> queue q key k", "held Deleting shop/q exchange shop/x", "held Deleting shop/q queue shop/q",
			},
			says: []string{"a Migrate of it is brought to its end first"},
		},
		"Retained": {
			reason:   "nor is it forgotten under Retain: what the operation has in hand is nowhere else",
			departed: []*topology.Claim{cr("shop/q", migrates, deletion(topology.Retain), wants(target))}, inventory: migrating(cr("shop/q", wants(classic))),
			want: []string{"Migrate queue shop/q from nothing to quorum {}", "held Deleting shop/q queue shop/q"},
		},
		"NobodyKnows": {
			reason:    "neither queue is there and nobody knows what was wanted: one that loses nothing takes in what was moved",
			inventory: migrating(cr("shop/q", wants(target))),
			want:      []string{"Migrate queue shop/q from nothing to classic {}", "held Deleting shop/q queue shop/q"},
		},
		"Suspended": {
			reason: "a suspended owner's operation stands still, and what it moved stays moved",
			claims: []*topology.Claim{cr("shop/q", migrates, suspended, wants(target)), other}, inventory: migrating(cr("shop/q", wants(classic)), other), live: []topology.Resource{x, classic},
			want: []string{"held Migrating audit/b binding shop/x -> queue q key k", "held Suspended shop/q"},
		},
		"NeedGone": {
			reason:    "what has begun does not wait in the middle for what somebody deletes under it",
			claims:    []*topology.Claim{cr("shop/q", migrates, wants(&topology.Queue{VirtualHost: "shop", Name: "q", Type: "quorum", Durable: true, After: ids(exchange("dlx", "direct"))}))},
			inventory: migrating(cr("shop/q", wants(classic))),
			want:      []string{"Migrate queue shop/q from nothing to quorum {}"},
		},
		"Unreadable": {
			reason: "nobody knows how far it is",
			claims: []*topology.Claim{cr("shop/q", migrates, wants(target))}, inventory: migrating(cr("shop/q", wants(classic))), unread: map[topology.ID]error{classic.ID(): errors.New("no permission")},
			want: []string{"held AccessDenied shop/q queue shop/q"},
		},
	})
}

func TestReassign(t *testing.T) {
	was, is := &replicated{"t", 1, "a"}, &replicated{"t", 3, "b"}
	moving := inHand(topology.OperationReassign, was, owned(cr("shop/t", wants(was))))
	run(t, map[string]scenario{
		"Begins": {
			reason: "what can be changed in place is, next to it",
			claims: []*topology.Claim{cr("shop/t", wants(is))}, inventory: owned(cr("shop/t", wants(was))), live: []topology.Resource{was},
			want: []string{"update topic t config", "Reassign topic t from 1 to 3", "record topic t of shop/t in Reassign"},
		},
		"GoesOn": {
			reason: "the replicas are there already, and what the operation has to tidy up is not known here",
			claims: []*topology.Claim{cr("shop/t", wants(is))}, inventory: moving, live: []topology.Resource{&replicated{"t", 3, "a"}},
			want: []string{"update topic t config", "Reassign topic t from 3 to 3"},
		},
		"TopicGone": {
			reason: "the replicas of a topic that is gone are nowhere",
			claims: []*topology.Claim{cr("shop/t", wants(is))}, inventory: moving,
			want: []string{"create topic t", "record topic t of shop/t"},
		},
		"BothGone": {
			reason: "and there is nothing to end", inventory: moving, want: []string{"forget topic t"},
		},
		"OwnerGone": {
			reason: "it is ended before the topic goes", inventory: moving, live: []topology.Resource{is},
			want: []string{"Reassign topic t from 3 to 3", "held Deleting shop/t topic t"},
		},
	})
}

func TestOperationsAreNoEmptyPlan(t *testing.T) {
	p := &plan.Plan{Operations: []topology.Operation{{Kind: topology.OperationMigrate, Want: queue("q")}}}
	if p.Empty() {
		t.Error("a plan with an operation has something to do")
	}
}

// Deleting a binding and beginning an operation on its queue must not go on at
// the same time: the operation would bring back what the books know no longer.
func TestEndedBindingsNeedTheirQueue(t *testing.T) {
	in := bind("x", "q", "k")
	w := plan.NewWorld()
	for _, entry := range owned(cr("audit/b", wants(in))) {
		w.SetEntry(entry)
	}
	if got := plan.Needs(w, w.Focus(w.Absent())); !slices.Equal(got, ids(queue("q"))) {
		t.Errorf("needs %v", got)
	}
}

// Who is there carries on with what a connection began that is there no longer.
func TestEndingOperationsGoOnOverALivingConnection(t *testing.T) {
	was := inHand(topology.OperationMigrate, queue("q"), owned(cr("shop/q", wants(queue("q")))))
	now := cr("shop/q", wants(queue("another")))
	now.Connection = topology.ConnectionKey{Kind: broker.Kind, Namespace: "shop", Name: "new"}
	s := scenario{claims: []*topology.Claim{now}, inventory: was, live: []topology.Resource{queue("q"), queue("another")}}
	p := plan.Compute(s.input())
	if len(p.Operations) != 1 || p.Operations[0].Connection != now.Connection {
		t.Errorf("operations %+v", p.Operations)
	}
}
