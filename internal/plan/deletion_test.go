package plan_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

func TestDeletionPolicies(t *testing.T) {
	q := queue("q")
	a := cr("shop/a", wants(q))
	deletes := cr("shop/a", wants(q), deletion(topology.Delete))
	retains := cr("shop/a", wants(q), deletion(topology.Retain))
	gone := func(was, last *topology.Claim, usage used, want ...string) scenario {
		s := scenario{reason: "the end of an owner leads to what its policy says", inventory: owned(was), live: []topology.Resource{q}, usage: usage, want: want}
		if last != nil {
			s.departed = []*topology.Claim{last}
		}
		return s
	}
	empty, full := used{q.ID(): {}}, used{q.ID(): {Messages: 7}}
	leftBehind := []string{"record queue shop/q of shop/a left behind: it holds messages", "held LeftBehind shop/a queue shop/q"}
	cases := map[string]scenario{
		"Unused":             gone(a, a, empty, "delete if unused queue shop/q"),
		"Messages":           gone(a, a, full, leftBehind...),
		"Consumers":          gone(a, a, used{q.ID(): {Consumers: 1}}, "record queue shop/q of shop/a left behind: it has consumers", "held LeftBehind shop/a queue shop/q"),
		"BrokerDoesNotTell":  gone(a, a, used{q.ID(): {Unknown: true}}, "record queue shop/q of shop/a left behind: the broker does not tell whether it is in use; deletionPolicy: Delete would delete it all the same", "held LeftBehind shop/a queue shop/q"),
		"NotAsked":           gone(a, a, nil, "usage? queue shop/q", "held Deleting shop/a queue shop/q"),
		"Retain":             gone(retains, retains, full, "forget queue shop/q"),
		"RetainUnseen":       gone(retains, nil, full, "forget queue shop/q"),
		"DeleteWitnessed":    gone(deletes, deletes, full, "delete queue shop/q"),
		"DeleteUnseen":       gone(deletes, nil, empty, "delete if unused queue shop/q"),
		"DeleteUnseenInUse":  gone(deletes, nil, full, "record queue shop/q of shop/a Delete left behind: it holds messages", "held LeftBehind shop/a queue shop/q"),
		"LastWordIsRetain":   gone(deletes, retains, full, "forget queue shop/q"),
		"LastWordIsDelete":   gone(retains, deletes, full, "delete queue shop/q"),
		"LastWordIsNone":     gone(deletes, cr("shop/a", wants(q), deletion("")), full, "record queue shop/q of shop/a Delete left behind: it holds messages", "held LeftBehind shop/a queue shop/q"),
		"UnknownPolicyKeeps": gone(cr("shop/a", wants(q), deletion("")), nil, full, "record queue shop/q of shop/a  left behind: it holds messages", "held LeftBehind shop/a queue shop/q"),
	}
	cases["Absent"] = scenario{reason: "what is not there is forgotten", inventory: owned(a), want: []string{"forget queue shop/q"}}
	cases["Unreadable"] = scenario{
		reason:    "what cannot be read stays pending",
		inventory: owned(a), unread: map[topology.ID]error{shop.ID(): errors.New("no permission")},
		want: []string{"held Deleting shop/a queue shop/q"}, says: []string{"it cannot be read: no permission"},
	}
	cases["UnreadableRetain"] = scenario{
		reason:    "what stays in any case needs not be read",
		inventory: owned(retains), unread: map[topology.ID]error{shop.ID(): errors.New("no permission")},
		want: []string{"forget queue shop/q"},
	}
	cases["LeftBehindIsNotNews"] = scenario{
		reason:    "what is written down already is not written again, whatever the count",
		inventory: []topology.Entry{{ID: q.ID(), Owners: []topology.OwnerKey{key("shop/a")}, Deletion: topology.DeleteIfUnused, LeftBehind: "it holds messages"}},
		live:      []topology.Resource{q}, usage: used{q.ID(): {Messages: 8}},
		want: []string{"held LeftBehind shop/a queue shop/q"},
	}
	cases["GentlestOfSeveral"] = scenario{
		reason:    "of the policies of owners that went together the gentlest counts, in whatever order they are named",
		departed:  []*topology.Claim{cr("shop/a", shares(q), deletion(topology.Retain)), cr("shop/b", shares(q), deletion(topology.Delete))},
		inventory: owned(cr("shop/a", shares(q)), cr("shop/b", shares(q))), live: []topology.Resource{q}, usage: full,
		want: []string{"forget queue shop/q"},
	}
	cases["GentlestIsRecorded"] = scenario{
		reason: "and it is what is recorded while they live",
		claims: []*topology.Claim{
			cr("shop/a", shares(q), deletion(topology.Delete)), cr("shop/b", shares(q), deletion(topology.Retain)), cr("shop/c", shares(q), deletion(topology.Delete)),
		},
		want: []string{"create queue shop/q", "record queue shop/q of shop/a shop/b shop/c Retain"},
	}
	run(t, cases)
}

func TestWholeClaim(t *testing.T) {
	q, dead, dlx := queue("q", "x-dead-letter-exchange", "q.dlx"), queue("q.dead"), exchange("q.dlx", "direct")
	feed, inner := bind("orders", "q", "k"), bind("q.dlx", "q.dead", "q")
	orders := exchange("orders", "topic")
	claim := cr("shop/q", wants(q), shares(dead, dlx, inner, feed))
	all := []topology.Resource{q, dead, dlx, feed, inner, orders}
	usage := func(of topology.ID, u topology.Usage) used {
		out := used{q.ID(): {}, dead.ID(): {}, dlx.ID(): {Bindings: ids(inner)}}
		out[of] = u
		return out
	}
	gone := func(u used, want []string, says ...string) scenario {
		return scenario{
			reason:   "a claim goes or stays whole",
			departed: []*topology.Claim{claim}, inventory: owned(claim), live: all, usage: u, want: want, says: says,
		}
	}
	staying := func(why, dlxWhy string) []string {
		var books, held []string
		for _, id := range []string{"binding shop/orders -> queue q key k", "binding shop/q.dlx -> queue q.dead key q", "exchange shop/q.dlx", "queue shop/q", "queue shop/q.dead"} {
			note := "queue shop/q.dead stays: it holds messages"
			if id == "queue shop/q.dead" {
				note = why
			}
			if id == "exchange shop/q.dlx" {
				note = dlxWhy
			}
			books = append(books, "record "+id+" of shop/q left behind: "+note)
			held = append(held, "held LeftBehind shop/q "+id)
		}
		return append(books, held...)
	}
	foreign := bind("orders", "q.dlx", "x")
	foreign.DestinationType = topology.DestinationExchange
	run(t, map[string]scenario{
		"Goes": gone(usage(q.ID(), topology.Usage{}), []string{
			"delete if unused binding shop/orders -> queue q key k", "--", "delete if unused queue shop/q", "--",
			"delete if unused queue shop/q.dead", "--", "delete if unused binding shop/q.dlx -> queue q.dead key q", "--",
			"delete if unused exchange shop/q.dlx",
		}),
		"DeadLettersStay": gone(usage(dead.ID(), topology.Usage{Messages: 3}), staying("it holds messages", "queue shop/q.dead stays: it holds messages")),
		"PendingStays": gone(used{q.ID(): {}, dlx.ID(): {Bindings: ids(inner)}}, []string{
			"usage? queue shop/q.dead",
			"held Deleting shop/q binding shop/orders -> queue q key k", "held Deleting shop/q binding shop/q.dlx -> queue q.dead key q",
			"held Deleting shop/q exchange shop/q.dlx", "held Deleting shop/q queue shop/q", "held Deleting shop/q queue shop/q.dead",
		}),
		"ExchangeWithForeignBinding": gone(usage(dlx.ID(), topology.Usage{Bindings: []topology.ID{inner.ID(), foreign.ID()}}), []string{
			"delete if unused binding shop/orders -> queue q key k", "--", "delete if unused queue shop/q", "--",
			"delete if unused queue shop/q.dead", "--", "delete if unused binding shop/q.dlx -> queue q.dead key q",
			"record exchange shop/q.dlx of shop/q left behind: binding shop/orders -> exchange q.dlx key x is still there",
			"held LeftBehind shop/q exchange shop/q.dlx",
		}),
	})
}

// Two queues share a dead-letter exchange, and both are gone: the one that
// holds messages keeps the exchange, and not the other queue.
func TestSharedExchangeIsNotContagious(t *testing.T) {
	q1, q2, dlx := queue("q1"), queue("q2"), exchange("dlx", "direct")
	a, b := cr("shop/a", wants(q1), shares(dlx)), cr("shop/b", wants(q2), shares(dlx))
	run(t, map[string]scenario{"Exchange": {
		reason:   "one owner's queue keeps what it shares, and nothing of the other owner's",
		departed: []*topology.Claim{a, b}, inventory: owned(a, b), live: []topology.Resource{q1, q2, dlx},
		usage: used{q1.ID(): {Messages: 1}, q2.ID(): {}, dlx.ID(): {}},
		want: []string{
			"delete if unused queue shop/q2",
			"record exchange shop/dlx of shop/a shop/b left behind: queue shop/q1 stays: it holds messages",
			"record queue shop/q1 of shop/a left behind: it holds messages",
			"held LeftBehind shop/a exchange shop/dlx", "held LeftBehind shop/a queue shop/q1", "held LeftBehind shop/b exchange shop/dlx",
		},
	}, "DeadQueue": {
		reason: "a shared queue that holds messages keeps its departed owner's claim whole, even if another owner lives and has dropped it",
		claims: []*topology.Claim{cr("shop/a")}, departed: []*topology.Claim{cr("shop/b", wants(q2), shares(q1))},
		inventory: owned(cr("shop/a", shares(q1)), cr("shop/b", wants(q2), shares(q1))), live: []topology.Resource{q1, q2},
		usage: used{q1.ID(): {Messages: 1}, q2.ID(): {}},
		want: []string{
			"record queue shop/q1 of shop/a shop/b left behind: it holds messages",
			"record queue shop/q2 of shop/b left behind: queue shop/q1 stays: it holds messages",
			"held LeftBehind shop/a queue shop/q1", "held LeftBehind shop/b queue shop/q1", "held LeftBehind shop/b queue shop/q2",
		},
	}})
}

func TestVirtualHostDeletion(t *testing.T) {
	q, b := queue("q"), bind("x", "q", "k")
	host := cr("shop/host", wants(shop))
	inside := cr("shop/q", wants(q), shares(b))
	run(t, map[string]scenario{
		"Empty": {
			reason: "an empty virtual host goes", inventory: owned(host), usage: used{shop.ID(): {}},
			want: []string{"delete if unused vhost shop"},
		},
		"NotEmpty": {
			reason: "one with something else's in it stays", inventory: owned(host), live: []topology.Resource{q}, usage: used{shop.ID(): {Objects: 1}},
			want: []string{"record vhost shop of shop/host left behind: it holds exchanges or queues that stay", "held LeftBehind shop/host vhost shop"},
		},
		"WithItsContents": {
			reason: "after what is in it, and only if that went", inventory: owned(host, inside), live: []topology.Resource{q, b}, usage: used{shop.ID(): {Objects: 1}, q.ID(): {}},
			want: []string{"delete if unused binding shop/x -> queue q key k", "--", "delete if unused queue shop/q", "--", "delete if unused vhost shop"},
		},
		"ContentsPending": {
			reason: "no broker asks whether a virtual host is empty: it waits for what is in it", inventory: owned(host, inside), live: []topology.Resource{q, b}, usage: used{shop.ID(): {Objects: 1}},
			want: []string{
				"usage? queue shop/q",
				"held Deleting shop/host vhost shop", "held Deleting shop/q binding shop/x -> queue q key k", "held Deleting shop/q queue shop/q",
			},
			says: []string{"vhost shop is not deleted: queue shop/q is still there"},
		},
		"OthersInside": {
			reason:   "Delete destroys what nobody declares, and nothing that somebody does",
			claims:   []*topology.Claim{cr("audit/q", wants(q))},
			departed: []*topology.Claim{cr("shop/host", wants(shop), deletion(topology.Delete))}, inventory: owned(cr("shop/host", wants(shop), deletion(topology.Delete)), cr("audit/q", wants(q))),
			live: []topology.Resource{q},
			want: []string{"record vhost shop of shop/host Delete left behind: queue shop/q is declared in it", "held LeftBehind shop/host vhost shop"},
		},
		"OthersComing": {
			reason:   "be it on its way",
			claims:   []*topology.Claim{cr("audit/q", wants(q))},
			departed: []*topology.Claim{cr("shop/host", wants(shop), deletion(topology.Delete))}, inventory: owned(cr("shop/host", wants(shop), deletion(topology.Delete))),
			want: []string{
				"create queue shop/q", "record queue shop/q of audit/q",
				"record vhost shop of shop/host Delete left behind: queue shop/q is declared in it", "held LeftBehind shop/host vhost shop",
			},
		},
		"ContentsComing": {
			reason: "what this very plan puts into it keeps it too", claims: []*topology.Claim{cr("shop/q", wants(q))}, inventory: owned(host), usage: used{shop.ID(): {}},
			want: []string{
				"create queue shop/q", "record queue shop/q of shop/q",
				"record vhost shop of shop/host left behind: queue shop/q needs it", "held LeftBehind shop/host vhost shop",
			},
		},
	})
}

// What a step requires decides what the engine does when another step fails.
func TestRequires(t *testing.T) {
	q, dead, dlx, inner := queue("q", "x-dead-letter-exchange", "dlx"), queue("dead"), exchange("dlx", "direct"), bind("dlx", "dead", "q")
	orders, feed := exchange("orders", "topic"), bind("orders", "q", "k")
	host, sender, claim := cr("shop/host", wants(shop)), cr("shop/x", wants(orders)), cr("shop/q", wants(q), shares(dead, dlx, inner, feed))
	in := scenario{
		inventory: owned(host, sender, claim), live: []topology.Resource{q, dead, dlx, inner, orders, feed},
		usage: used{shop.ID(): {Objects: 4}, q.ID(): {}, dead.ID(): {}, dlx.ID(): {Bindings: ids(inner)}, orders.ID(): {Bindings: ids(feed)}},
	}.input()
	got := requires(plan.Compute(in))
	want := map[string][]topology.ID{
		"delete binding shop/orders -> queue q key k": nil,
		"delete queue shop/q":                         ids(feed),
		"delete queue shop/dead":                      ids(feed, q),
		"delete binding shop/dlx -> queue dead key q": ids(feed, dead, q),
		"delete exchange shop/dlx":                    ids(inner, feed, dead, q),
		"delete exchange shop/orders":                 ids(feed),
		"delete vhost shop":                           ids(dlx, orders, dead, q),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a delete requires what would keep it (-want +got):\n%s", diff)
	}
	tagged := cr("shop/host", wants(&topology.VirtualHost{Name: "shop", Tags: []string{"t"}}))
	got = requires(plan.Compute(scenario{claims: []*topology.Claim{tagged, cr("shop/q", wants(q, dlx), shares(bind("dlx", "q", "k")))}, inventory: owned(host)}.input()))
	want = map[string][]topology.ID{
		"update vhost shop": nil, "create queue shop/q": nil, "create exchange shop/dlx": nil,
		"create binding shop/dlx -> queue q key k": ids(dlx, q),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a create requires what is created, and no update (-want +got):\n%s", diff)
	}
}

func requires(p *plan.Plan) map[string][]topology.ID {
	out := map[string][]topology.ID{}
	for _, step := range p.Steps() {
		out[string(step.Verb)+" "+step.ID.String()] = step.Requires
	}
	return out
}
