package engine

import (
	"context"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

func migrates(c *topology.Claim) { c.Policy.Update = topology.UpdateMigrate }

// shorter is the queue that a migration makes of queue("q").
func shorter() *topology.Queue { return queue("q", "x-max-length", int64(1)) }

// migrating is a stage on which shop/q has been edited and its migration has
// begun; audit/b leads messages to the queue.
func migrating(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	s.set(cr("shop/q", migrates, wants(exchange("x"), queue("q"))), cr("audit/b", wants(bind("x", "q", "k"))))
	s.edits()
	s.set(cr("shop/q", migrates, generation(2), wants(exchange("x"), shorter())))
	check(t, "the owner is told before anything happens", []string{
		"shop/q InProgress Migrating: queue shop/q: Migrate begins",
	}, said(s.edits()))
	s.journal.take()
	return s
}

// From the edit to the end: an Advance at a time, and whoever waited is looked
// at when it is done, without a sweep.
func TestMigration(t *testing.T) {
	s := migrating(t)
	s.advance()
	check(t, "the entry is written before each Advance, for the sake of the fence", []string{"books: + queue shop/q", "Lead queue shop/q"}, s.journal.take())
	s.cluster.Touch(key("audit/b"))
	check(t, "its progress is told; a binding of another owner waits for it", []string{
		"audit/b InProgress Migrating: binding shop/x -> queue q key k is led elsewhere while queue shop/q is being replaced; it is made as declared after that",
		"shop/q InProgress Migrating: queue shop/q: Lead",
	}, said(s.edits()))
	s.quiesce()
	check(t, "it went through", []string{"binding shop/x -> queue q key k", "exchange shop/x", "queue shop/q"}, s.broker.names())
	s.cluster.Touch(key("shop/q"))
	check(t, "a read-back decides about Ready", []string{"shop/q Ready Succeeded: 2 broker objects are as declared"}, said(s.edits()))
	if entry := s.shelf.saved[shorter().ID()]; entry.Operation != "" || len(s.broker.offences) > 0 {
		t.Errorf("the books say %+v; %q", entry, s.broker.offences)
	}
}

// The last owner to be told is the one that waited.
func TestMigrationWakesWhoWaits(t *testing.T) {
	s := migrating(t)
	s.advance()
	s.cluster.Touch(key("audit/b"))
	s.set(cr("audit/c", wants(bind("x", "q", "declared meanwhile"))))
	s.edits()
	last := map[string]Verdict{}
	for range 30 {
		if at, due := s.cluster.NextAdvance(via); due {
			s.wait(max(at.Sub(s.clock()), 0))
			s.advance()
		}
		for _, v := range s.edits().Verdicts {
			last[v.Owner.Name] = v
		}
	}
	check(t, "everybody is told", 3, len(last))
	for name, v := range last {
		if !v.Ready || len(v.Operations) > 0 {
			t.Errorf("%s is told %s: %s %+v", name, v.Reason, v.Message, v.Operations)
		}
	}
}

// Status is for people: a newer word at most every ten seconds, though the
// operation is looked at many times a second.
func TestOperationNews(t *testing.T) {
	s := migrating(t)
	s.broker.messages[shorter().ID()] = 1000
	told := map[int64]bool{}
	const seconds = 60
	for start := s.clock(); s.clock().Sub(start) < seconds*time.Second; s.wait(shortestWait) {
		s.advance()
		for _, v := range s.edits().Verdicts {
			for _, note := range v.Operations {
				told[note.Left] = true
			}
		}
	}
	if len(told) < 3 || len(told) > seconds/10+1 {
		t.Errorf("within %d s, %d counts were told: %v", seconds, len(told), told)
	}
}

// Passes go on while an Advance is on its way, which may be for long.
func TestAdvanceBlocksNobody(t *testing.T) {
	s := migrating(t)
	s.broker.advancing = func(topology.Operation) {
		s.set(cr("shop/other", wants(queue("other"))))
		check(t, "an edit is made meanwhile", []string{"shop/other Ready Succeeded: queue shop/other is as declared"}, said(s.edits()))
		if at, due := s.cluster.NextAdvance(via); due {
			t.Errorf("another Advance is due at %s, while one is on its way", at)
		}
	}
	s.advance()
	check(t, "one Advance", []string{"books: + queue shop/q", "books: + queue shop/other", "create queue shop/other", "Lead queue shop/q"}, s.journal.take())
}

func TestAdvanceFails(t *testing.T) {
	s := migrating(t)
	id := shorter().ID()
	s.broker.faults[id] = []fault{refuse(topology.ClassTransient, "not now"), refuse(topology.ClassRejected, "exclusive consumer")}
	next := func() string {
		at, due := s.cluster.NextAdvance(via)
		if !due {
			return "never"
		}
		return at.Sub(s.clock()).String()
	}
	s.advance()
	check(t, "the owner is told what is wrong", []string{"shop/q InProgress Progressing: queue shop/q: not now"}, said(s.edits()))
	check(t, "tried again soon", "1s", next())
	s.wait(time.Second)
	s.advance()
	check(t, "only an edit can help", []string{"shop/q Stalled BrokerRejected: queue shop/q: exclusive consumer"}, said(s.edits()))
	check(t, "looked at slowly", rejectedReview.String(), next())
	s.set(cr("shop/q", migrates, generation(3), wants(exchange("x"), queue("q"))))
	s.edits()
	check(t, "an edit is tried at once", "0s", next())
	s.quiesce()
	check(t, "and it ends there", []string{"binding shop/x -> queue q key k", "exchange shop/x", "queue shop/q"}, s.broker.names())
	check(t, "the books", topology.OperationKind(""), s.shelf.saved[id].Operation)
}

// A suspended owner's operation is called off in the middle of an Advance, and
// goes on when the owner does.
func TestSuspendedOperation(t *testing.T) {
	s := migrating(t)
	suspend := func(c *topology.Claim) { c.Suspended = true }
	s.broker.advancing = func(topology.Operation) {
		s.set(cr("shop/q", migrates, generation(3), suspend, wants(exchange("x"), shorter())))
		s.edits()
	}
	s.advance()
	s.broker.advancing = nil
	for _, line := range s.journal.take() {
		if line == "Lead queue shop/q" {
			t.Error("the broker was written to after the owner had been suspended")
		}
	}
	if at, due := s.cluster.NextAdvance(via); due {
		t.Errorf("an Advance is due at %s", at)
	}
	s.set(cr("shop/q", migrates, generation(4), wants(exchange("x"), shorter())))
	s.quiesce()
	check(t, "it goes on", "", string(s.shelf.saved[shorter().ID()].Operation))
	check(t, "and arrives", 0, len(shorter().Diff(s.broker.live[shorter().ID()])))
}

// A controller that has just started does not know every owner yet. Before it
// takes one for gone, and ends its operation, it looks past the cache.
func TestOrphanIsLookedFor(t *testing.T) {
	s := migrating(t)
	s.advance()
	s.restart()
	looked := false
	s.session.Refresh = func(context.Context, Ending) error {
		looked = true
		s.set(cr("shop/q", migrates, generation(2), wants(exchange("x"), shorter())), cr("audit/b", wants(bind("x", "q", "k"))))
		return nil
	}
	s.edits()
	if !looked {
		t.Error("nobody was looked for")
	}
	s.quiesce()
	check(t, "the edit is made", 0, len(shorter().Diff(s.broker.live[shorter().ID()])))
	check(t, "and everybody has what was declared", []string{"binding shop/x -> queue q key k", "exchange shop/x", "queue shop/q"}, s.broker.names())
}

// An owner that is gone in the middle leaves nothing of the operation, and then
// nothing at all.
func TestOwnerGoneInTheMiddle(t *testing.T) {
	for advances := range 5 {
		s := migrating(t)
		for range advances {
			s.advance()
			s.wait(shortestWait)
		}
		s.cluster.RemoveClaim(key("shop/q"), true)
		s.cluster.RemoveClaim(key("audit/b"), true)
		s.quiesce()
		check(t, "nothing is left", []string(nil), s.broker.names())
		check(t, "nor on the books", []string(nil), s.shelf.names())
		if len(s.broker.detours) > 0 || len(s.broker.offences) > 0 {
			t.Errorf("after %d advances: %v %q", advances, s.broker.detoured(), s.broker.offences)
		}
	}
}

// A process that has lost its lease does nothing to the broker.
func TestFencedAdvance(t *testing.T) {
	s := migrating(t)
	s.shelf.epoch++
	if err := s.cluster.Advance(context.Background(), s.session); err == nil {
		t.Error("the fence was not noticed")
	}
	check(t, "nothing happened", []string(nil), s.journal.take())
	s.edits()
	s.advance()
	check(t, "the books are read again, and it goes on", []string{"books: + queue shop/q", "Lead queue shop/q"}, s.journal.take())
}

// A queue that turns out to be in use after all is let go of, and looked at
// again as before.
func TestRecreationCalledOff(t *testing.T) {
	s := newStage(t)
	recreates := func(c *topology.Claim) { c.Policy.Update = topology.UpdateRecreate }
	s.set(cr("shop/q", recreates, wants(exchange("x"), queue("q"))), cr("audit/b", wants(bind("x", "q", "k"))))
	s.edits()
	s.broker.messages[shorter().ID()] = 3
	s.set(cr("shop/q", recreates, generation(2), wants(exchange("x"), shorter())))
	waits := "shop/q InProgress ImmutableFieldChanged: queue shop/q: the broker cannot change this on an existing queue (arguments.x-max-length: (unset) on the broker, 1 declared), " +
		"and updatePolicy: Recreate replaces it only when it is unused: it holds "
	check(t, "it waits, and no edit is needed", []string{waits + "3 messages"}, said(s.edits()))
	check(t, "it is looked at soon", firstDrainLook.String(), s.dueIn())
	s.wait(firstDrainLook)
	s.broker.messages[shorter().ID()] = 2
	check(t, "a newer count is told after a while only", []string{waits + "3 messages"}, said(s.edits()))
	s.wait(newsPace)
	s.broker.messages[shorter().ID()] = 0
	check(t, "now it is unused", []string{"shop/q InProgress Migrating: queue shop/q: Recreate begins"}, said(s.edits()))
	s.broker.faults[shorter().ID()] = []fault{func(b *broker, step topology.Step) error {
		b.messages[step.ID] = 1
		return refuse(topology.ClassInUse, "it holds messages")(b, step)
	}}
	s.advance()
	check(t, "and used again: nobody needs to do anything about it", []string{"audit/b Ready Succeeded: binding shop/x -> queue q key k is as declared", waits + "1 message"}, said(s.edits()))
	check(t, "the books", topology.OperationKind(""), s.shelf.saved[shorter().ID()].Operation)
	s.broker.messages[shorter().ID()] = 0
	s.quiesce()
	check(t, "in the end", 0, len(shorter().Diff(s.broker.live[shorter().ID()])))
	check(t, "with its bindings", []string{"binding shop/x -> queue q key k", "exchange shop/x", "queue shop/q"}, s.broker.names())
}
