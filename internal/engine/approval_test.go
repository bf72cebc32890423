package engine

import (
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// gated changes have to be approved.
func gated(c *topology.Claim) { c.Policy.Approval = topology.ApprovalRequired }

// A plan has one hash in both lanes and after a restart; approved, it is done at
// once, and nothing of it is left to tell.
func TestApproval(t *testing.T) {
	s := newStage(t)
	declared := func(n int64, approved string, routingKey string) *topology.Claim {
		return cr("shop/q", generation(n), gated, func(c *topology.Claim) { c.Approved.Hash = approved },
			wants(exchange("x"), queue("q"), bind("x", "q", routingKey)))
	}
	s.set(declared(1, "", "old"))
	check(t, "what is created is nobody's to approve", []string{"shop/q Ready Succeeded: 3 broker objects are as declared"}, said(s.edits()))

	s.set(declared(2, "", "new"))
	hash := func(report *Report) string {
		t.Helper()
		if len(report.Verdicts) != 1 || report.Verdicts[0].Proposal == nil {
			t.Fatalf("nothing is proposed: %+v", report.Verdicts)
		}
		v := report.Verdicts[0]
		check(t, "it waits for a person, and has not failed", []any{false, false, "AwaitingApproval", false}, []any{v.Ready, v.Stalled, v.Reason, v.Proposal.Approved})
		return v.Proposal.Hash
	}
	first := hash(s.edits())
	check(t, "the new binding is made, the old one waits", []string{
		"exchange shop/x", "queue shop/q", "binding shop/x -> queue q key new", "binding shop/x -> queue q key old",
	}, byKind(s.broker.names()))
	s.wait(time.Second) // what this process has just written is no sweep's business
	check(t, "a sweep sees the same plan", first, hash(s.sweep()))
	s.restart()
	s.set(declared(2, "", "new"))
	check(t, "and so does the next process", first, hash(s.edits()))

	s.set(declared(2, first, "new"))
	report := s.edits()
	check(t, "approved, it is done", []string{"shop/q Ready Succeeded: 3 broker objects are as declared"}, said(report))
	if left := report.Verdicts[0].Proposal; left != nil {
		t.Errorf("%+v is left", left)
	}
	check(t, "the old binding is gone", []string{"exchange shop/x", "queue shop/q", "binding shop/x -> queue q key new"}, byKind(s.broker.names()))
}

// What an approved plan could not do yet is still approved.
func TestApprovalOutlastsFailure(t *testing.T) {
	s := newStage(t)
	declared := func(n int64, approved topology.Approved, keys ...string) *topology.Claim {
		c := cr("shop/q", generation(n), gated, wants(exchange("x"), queue("q")))
		c.Approved = approved
		for _, key := range keys {
			wants(bind("x", "q", key))(c)
		}
		return c
	}
	s.set(declared(1, topology.Approved{}, "a", "b", "c"))
	s.edits()
	s.set(declared(2, topology.Approved{}, "c"))
	plan := s.edits().Verdicts[0].Proposal
	approved := topology.Approved{Hash: plan.Hash, Generation: plan.Owner.Generation, Steps: plan.Covers}
	s.broker.faults[bind("x", "q", "b").ID()] = []fault{refuse(topology.ClassTransient, "no leader")}
	s.set(declared(2, approved, "c"))
	if left := s.edits().Verdicts[0].Proposal; left == nil || !left.Approved {
		t.Errorf("one deletion failed, and %+v is left", left)
	}
	s.quiesce()
	check(t, "both are gone in the end", []string{"exchange shop/x", "queue shop/q", "binding shop/x -> queue q key c"}, byKind(s.broker.names()))
}
