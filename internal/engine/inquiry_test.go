package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// What an edit lets go of is asked about while the pass writes ahead, and nothing is sent to the
// broker before there is an answer.
func TestInquiry(t *testing.T) {
	x, q := exchange("x"), queue("q")
	old, fresh := bind("x", "q", "old"), bind("x", "q", "new")
	before := cr("shop/q", wants(q, old))
	edit := func(t *testing.T, refresh func(*stage) error) *stage {
		s := newStage(t)
		s.set(cr("shop/x", wants(x)), before)
		s.edits()
		s.journal.take()
		first, read := true, false
		s.broker.observing = func(topology.Selection) { read = true }
		s.session.Refresh = func(_ context.Context, what Ending) error {
			if !first {
				return nil
			}
			first = false
			check(t, "an answer is no older than what the broker has", true, read)
			check(t, "it is about what the edit lets go of", Ending{Objects: []topology.ID{old.ID()}}, what)
			for deadline := time.Now().Add(10 * time.Second); !slices.Contains(s.shelf.names(), fresh.ID().String()); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Error("nothing goes on beside the question")
					break
				}
			}
			s.journal.add("asked")
			return refresh(s)
		}
		s.set(cr("shop/q", wants(q, fresh), generation(2)))
		return s
	}
	made := []string{
		"books: + binding shop/x -> queue q key new, + binding shop/x -> queue q key old", "asked",
		"create binding shop/x -> queue q key new", "delete binding shop/x -> queue q key old",
		"books: - binding shop/x -> queue q key old",
	}
	undone := []string{
		"books: + binding shop/x -> queue q key new, + binding shop/x -> queue q key old", "asked",
		"books: - binding shop/x -> queue q key new",
	}
	t.Run("NoNews", func(t *testing.T) {
		s := edit(t, func(*stage) error { return nil })
		s.edits()
		check(t, "what is new is written ahead, and nothing sent before the answer", made, s.journal.take())
	})
	t.Run("NewsOfOthers", func(t *testing.T) {
		s := edit(t, func(s *stage) error {
			s.cluster.SetClaim(cr("shop/other", wants(queue("other"))))
			return nil
		})
		s.edits()
		check(t, "what is none of its business keeps nothing from ending", made, s.journal.take())
	})
	t.Run("Suspended", func(t *testing.T) {
		s := edit(t, func(*stage) error { return errors.New("asked for nothing") })
		suspended := cr("shop/q", wants(q, fresh), generation(3))
		suspended.Suspended = true
		s.set(suspended)
		s.edits()
		check(t, "what stays anyway is not asked about", []string(nil), s.journal.take())
	})
	t.Run("TakenBack", func(t *testing.T) {
		s := edit(t, func(s *stage) error {
			s.cluster.SetClaim(cr("shop/q", wants(q, old), generation(3)))
			return nil
		})
		s.edits()
		check(t, "nothing is sent, and the name that is new leaves the books", undone, s.journal.take())
	})
	t.Run("WantedByAnother", func(t *testing.T) {
		s := edit(t, func(s *stage) error {
			s.cluster.SetClaim(cr("shop/other", wants(old)))
			return nil
		})
		s.edits()
		check(t, "it stays, for the other one", slices.Concat(undone, []string{
			"books: + binding shop/x -> queue q key new, + binding shop/x -> queue q key old",
			"create binding shop/x -> queue q key new",
		}), s.journal.take())
	})
	t.Run("Fails", func(t *testing.T) {
		away := errors.New("the API server is away")
		s := edit(t, func(*stage) error { return away })
		_, err := s.editsFail()
		check(t, "what failed is told", away.Error(), err.Error())
		check(t, "nothing is sent, and the name that is new leaves the books", undone, s.journal.take())
		s.edits()
		check(t, "the next pass makes the edit", []string{"exchange shop/x", "queue shop/q", "binding shop/x -> queue q key new"}, byKind(s.broker.names()))
	})
}

// Whoever waits for an edit is told before the books are closed.
func TestToldBeforeTheBooksAreClosed(t *testing.T) {
	s := newStage(t)
	old, fresh := bind("x", "q", "old"), bind("x", "q", "new")
	s.set(cr("shop/x", wants(exchange("x"))), cr("shop/q", wants(queue("q"), old)))
	s.edits()
	s.journal.take()
	s.session.Tell = func(verdicts []Verdict) {
		for _, v := range verdicts {
			s.journal.add("tell %s of generation %d: %s", v.Owner.Name, v.Owner.Generation, v.Reason)
		}
	}
	s.set(cr("shop/q", wants(queue("q"), fresh), generation(2)))
	s.edits()
	check(t, "the books come last", []string{
		"books: + binding shop/x -> queue q key new, + binding shop/x -> queue q key old",
		"create binding shop/x -> queue q key new", "delete binding shop/x -> queue q key old",
		"tell q of generation 2: Succeeded",
		"books: - binding shop/x -> queue q key old",
	}, s.journal.take())

	s.set(cr("shop/q", wants(queue("q"), old), generation(3)))
	s.shelf.writing = func(put []topology.Entry, _ *topology.Departures) { s.shelf.failBefore = len(put) == 0 }
	_, err := s.editsFail()
	check(t, "books that cannot be closed fail the pass", true, errors.Is(err, errStore))
	s.shelf.writing = nil
	s.journal.take()
	s.edits()
	check(t, "and are closed by the next one", []string{"tell q of generation 3: Succeeded", "books: - binding shop/x -> queue q key new"}, s.journal.take())
}
