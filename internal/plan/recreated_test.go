package plan_test

import (
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

// known is what is owned, with the id that a topic had.
func known(topicID string, claims ...*topology.Claim) []topology.Entry {
	entries := owned(claims...)
	for i := range entries {
		entries[i].TopicID = topicID
	}
	return entries
}

func TestRecreated(t *testing.T) {
	want := topic("t", 3, "a", "1")
	live := func(id string, config ...string) *topology.Topic {
		found := topic("t", 3, config...)
		found.TopicID = id
		return found
	}
	c := cr("shop/t", wants(want), settled)
	reporting := cr("shop/t", wants(want), settled, reportsDrift)
	moving := inHand(topology.OperationReassign, want, known("one", c))
	run(t, map[string]scenario{
		"Same": {
			reason: "the topic that is known is told of by nobody",
			claims: []*topology.Claim{c}, inventory: known("one", c), live: []topology.Resource{live("one", "a", "1")},
		},
		"FirstSeen": {
			reason: "books of a time when ids were not kept take the one that is there",
			claims: []*topology.Claim{c}, inventory: owned(c), live: []topology.Resource{live("one", "a", "1")},
			want: []string{"record topic t of shop/t fields config.a as one"},
		},
		"NoIDs": {
			reason: "a broker without ids says nothing",
			claims: []*topology.Claim{c}, inventory: known("one", c), live: []topology.Resource{live("", "a", "1")},
		},
		"Adopted": {
			reason: "what is adopted is known from then on",
			claims: []*topology.Claim{cr("shop/t", wants(want))}, live: []topology.Resource{live("one", "a", "1")},
			want: []string{"record topic t of shop/t fields config.a as one", "adopt topic t"},
		},
		"Another": {
			reason: "another id under the name is told once: the books have it from then on",
			claims: []*topology.Claim{c}, inventory: known("one", c), live: []topology.Resource{live("two", "a", "1")},
			want: []string{"record topic t of shop/t fields config.a as two", "recreated topic t, was one, is two"},
		},
		"AnotherAndDifferent": {
			reason: "it is owned by its name, and converged as ever",
			claims: []*topology.Claim{c}, inventory: known("one", c), live: []topology.Resource{live("two")},
			want: []string{"update topic t config.a (drift)", "record topic t of shop/t fields config.a as two", "recreated topic t, was one, is two"},
		},
		"Reported": {
			reason: "driftPolicy: Report shows it as long as it lasts, and changes nothing",
			claims: []*topology.Claim{reporting}, inventory: known("one", c), live: []topology.Resource{live("two")},
			want: []string{"held Drifted shop/t topic t"},
			says: []string{"topicId: two on the broker, one before: it was deleted and created again; config.a: (unset) on the broker, 1 declared"},
		},
		"MissingReported": {
			reason: "one that is missing is known until it is back, as another",
			claims: []*topology.Claim{reporting}, inventory: known("one", c),
			want: []string{"held Drifted shop/t topic t"},
		},
		"CreatedAnew": {
			reason: "what is created by us has an id that nobody knows yet, and is no surprise",
			claims: []*topology.Claim{c}, inventory: known("one", c),
			want: []string{"create topic t (drift)", "record topic t of shop/t fields config.a"},
		},
		"InTheMiddleOfAMove": {
			reason: "an operation goes on with the topic that is there",
			claims: []*topology.Claim{c}, inventory: moving, live: []topology.Resource{live("two", "a", "1")},
			want: []string{"Reassign topic t from nothing to nothing", "record topic t of shop/t fields config.a as two in Reassign", "recreated topic t, was one, is two"},
		},
	})
}
