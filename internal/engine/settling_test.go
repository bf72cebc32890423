package engine

import (
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// departed is a stage on which a quorum queue with a binding has lost its owner,
// and the first passes after that have run: one unbinds, and frees the queue.
func departed(t *testing.T, options ...option) (*stage, *topology.Queue) {
	t.Helper()
	s := newStage(t)
	q := quorum("q")
	s.set(cr("shop/x", wants(exchange("x"))), cr("shop/q", append(options, wants(q, bind("x", "q", "k")))...))
	s.edits()
	s.journal.take()
	s.cluster.RemoveClaim(key("shop/q"), true)
	s.edits()
	s.edits()
	return s, q
}

func TestQuorumQueueSettles(t *testing.T) {
	s, q := departed(t)
	check(t, "unbinding comes first", []string{
		"books: + binding shop/x -> queue q key k",
		"delete binding shop/x -> queue q key k", "books: - binding shop/x -> queue q key k",
	}, s.journal.take())
	check(t, "its counts lag, so it is looked at again", settleTime.String(), s.dueIn())
	s.wait(settleTime - time.Second)
	s.cluster.Touch(key("shop/q"))
	check(t, "not before its time", []string{"Deleting queue shop/q is not deleted: it seems unused; its counts lag, so it is looked at again"}, ended(s.edits()))
	check(t, "a look in between does not start the wait again", "1s", s.dueIn())
	s.wait(time.Second)
	s.edits()
	check(t, "then it goes", []string{"books: + queue shop/q", "delete queue shop/q", "books: - queue shop/q"}, s.journal.take())
	check(t, "nothing is left to look at", "never", s.dueIn())
	if _, there := s.broker.live[q.ID()]; there {
		t.Error("the queue is still there")
	}
}

func TestSettlingQueueInUseAgain(t *testing.T) {
	for name, wait := range map[string]time.Duration{"Meanwhile": time.Second, "AtTheEnd": settleTime} {
		t.Run(name, func(t *testing.T) {
			s, q := departed(t)
			s.journal.take()
			s.broker.messages[q.ID()] = 1
			s.wait(wait)
			s.cluster.Touch(key("shop/q"))
			check(t, "it is left behind", []string{"LeftBehind queue shop/q is not deleted: it holds messages"}, ended(s.edits()))
			check(t, "and nobody waits for it", "never", s.dueIn())
			s.broker.messages[q.ID()] = 0
			s.wait(time.Minute)
			s.sweep()
			if _, there := s.broker.live[q.ID()]; !there {
				t.Error("empty again is no proof: the wait starts anew")
			}
			check(t, "the wait starts anew", settleTime.String(), s.dueIn())
			s.wait(settleTime)
			s.edits()
			check(t, "then it goes", []string{"exchange shop/x"}, s.broker.names())
		})
	}
}

func TestSettlingQueueWantedAgain(t *testing.T) {
	s, q := departed(t)
	s.wait(time.Second)
	s.set(cr("shop/q", wants(q, bind("x", "q", "k"))))
	s.edits()
	s.wait(settleTime)
	s.edits()
	s.sweep()
	check(t, "it stays, with its binding", 3, len(s.broker.names()))
	check(t, "the wait is forgotten", "never", s.dueIn())
	s.cluster.RemoveClaim(key("shop/q"), true)
	s.edits()
	s.edits()
	check(t, "gone again, it waits again", settleTime.String(), s.dueIn())
}

func TestSettlingStartsOnceUnbound(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		script func(*stage)
		due    string
	}{
		"UnbindRefused": {
			reason: "who is still bound can still get messages", due: "1s",
			script: func(s *stage) {
				s.broker.faults[bind("x", "q", "k").ID()] = []fault{refuse(topology.ClassTransient, "no leader")}
				s.edits()
			},
		},
		"BrokerAway": {
			reason: "nothing was unbound", due: "0s",
			script: func(s *stage) { s.broker.cut = unreachable; _, _ = s.editsFail(); s.broker.cut = nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.set(cr("shop/x", wants(exchange("x"))), cr("shop/q", wants(quorum("q"), bind("x", "q", "k"))))
			s.edits()
			s.cluster.RemoveClaim(key("shop/q"), true)
			c.script(s)
			check(t, c.reason, 0, len(s.cluster.settling))
			check(t, c.reason, c.due, s.dueIn())
			s.wait(time.Second)
			s.edits()
			s.edits()
			check(t, "now it is unbound, and waits", settleTime.String(), s.dueIn())
		})
	}
}

// What has settled and cannot go yet must not make passes run for its sake.
func TestSettledQueueWaitsForItsTurn(t *testing.T) {
	t.Run("DeletionFails", func(t *testing.T) {
		s, q := departed(t)
		s.broker.faults[q.ID()] = []fault{refuse(topology.ClassInUse, "in use"), refuse(topology.ClassInUse, "in use")}
		s.wait(settleTime)
		s.edits()
		check(t, "the ledger has it", "1s", s.dueIn())
		s.wait(time.Second)
		s.edits()
		check(t, "and paces it", "2s", s.dueIn())
		s.wait(2 * time.Second)
		s.edits()
		check(t, "it need not settle again", []string{"exchange shop/x"}, s.broker.names())
	})
	t.Run("OthersSettle", func(t *testing.T) {
		s := newStage(t)
		first, last := quorum("first"), quorum("last")
		s.set(cr("shop/q", wants(first, last)))
		s.edits()
		s.broker.hidden[last.ID()] = 0
		s.cluster.RemoveClaim(key("shop/q"), true)
		s.edits()
		since := s.cluster.settling[last.ID()]
		since.since = since.since.Add(5 * time.Second) // it was bound for longer
		s.cluster.settling[last.ID()] = since
		s.wait(settleTime)
		s.edits()
		check(t, "both stay until both have settled", 2, len(s.broker.names()))
		check(t, "nobody looks before that", "5s", s.dueIn())
		s.wait(5 * time.Second)
		s.edits()
		check(t, "then both go", []string(nil), s.broker.names())
	})
}

func TestSettlingOutlivesNoProcess(t *testing.T) {
	s, _ := departed(t)
	s.wait(settleTime)
	s.restart()
	s.edits()
	check(t, "a new process has not watched it, and waits", settleTime.String(), s.dueIn())
}
