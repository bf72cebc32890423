package plan_test

import (
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

// The books say of a binding whether it leads where it is listed: as it was made, and
// not as it would be made now.
func TestWhole(t *testing.T) {
	b := bind("x", "q", "k")
	uncertain := *b
	uncertain.Uncertain = true
	ends := []topology.Resource{exchange("x", "topic"), queue("q")}
	c := cr("shop/b", wants(b), settled)
	booked := func(whole bool) []topology.Entry {
		entries := owned(c)
		entries[0].Whole = whole
		return entries
	}
	with := func(more ...topology.Resource) []topology.Resource { return append(ends[:2:2], more...) }
	run(t, map[string]scenario{
		"Made": {
			reason: "it is made whole",
			claims: []*topology.Claim{cr("shop/b", wants(b))}, live: ends, whole: true,
			want: []string{"create " + b.ID().String(), "record " + b.ID().String() + " of shop/b whole"},
		},
		"OfADirectExchange": {
			reason: "of which nobody doubts that",
			claims: []*topology.Claim{cr("shop/b", wants(b))}, live: []topology.Resource{exchange("x", "direct"), queue("q")}, whole: true,
			want: []string{"create " + b.ID().String(), "record " + b.ID().String() + " of shop/b"},
		},
		"MadeByACall": {
			reason: "and again, by a user who can do no better",
			claims: []*topology.Claim{c}, inventory: booked(true), live: ends,
			want: []string{"create " + b.ID().String() + " (drift)", "record " + b.ID().String() + " of shop/b"},
		},
		"There": {
			reason: "nothing is written because it could be made otherwise now",
			claims: []*topology.Claim{c}, inventory: booked(false), live: with(b), whole: true,
		},
		"ThereAndWhole": {
			reason: "nor because it could not",
			claims: []*topology.Claim{c}, inventory: booked(true), live: with(b),
		},
		"Uncertain": {
			reason: "it is there, and not whole, until it is made anew",
			claims: []*topology.Claim{c}, inventory: booked(false), live: with(&uncertain), whole: true,
			want: []string{"update " + b.ID().String() + " routing (drift)"},
		},
		"UncertainAndMadeByACall": {
			reason: "who makes it anew can do no better",
			claims: []*topology.Claim{c}, inventory: booked(true), live: with(&uncertain),
			want: []string{"update " + b.ID().String() + " routing (drift)", "record " + b.ID().String() + " of shop/b"},
		},
	})
}
