package engine

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// smallBreaker trips at the fourth.
var smallBreaker = plan.Breaker{Floor: 3, Share: 4, Window: 10 * time.Minute, Most: 100}

// many makes claims of something each, and has them converged.
func many(s *stage, n int, what func(i int) topology.Resource) []*topology.Claim {
	var claims []*topology.Claim
	for i := range n {
		claims = append(claims, cr(fmt.Sprintf("shop/r%d", i), wants(what(i))))
	}
	s.cluster.breaker = smallBreaker
	s.set(claims...)
	s.edits()
	s.journal.take()
	return claims
}

func (s *stage) remove(claims ...*topology.Claim) {
	for _, c := range claims {
		s.cluster.RemoveClaim(c.Owner.OwnerKey, true)
	}
}

// held describes what the breaker holds, and how much is on the broker.
func (s *stage) held() string {
	h := s.cluster.HeldDeletions(via)
	return fmt.Sprintf("%d held, %q, %d on the broker", len(h.Owners), h.Window, len(s.broker.live)-1)
}

func aQueue(i int) topology.Resource { return queue(fmt.Sprintf("r%d", i)) }
func aTopic(i int) topology.Resource { return topic(fmt.Sprintf("r%d", i)) }

func TestBreakerHolds(t *testing.T) {
	for name, what := range map[string]func(int) topology.Resource{"Queues": aQueue, "Topics": aTopic} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			claims := many(s, 6, what)
			s.remove(claims[:5]...)
			report := s.edits()
			check(t, "none of too many goes", `5 held, "20260101-000000-5", 6 on the broker`, s.held())
			check(t, "each of them is told", 5, report.Held[plan.DeletionHeld])
			check(t, "only the books were written", []string{"books: "}, s.journal.take())

			s.restart()
			s.set(claims[5])
			s.edits()
			s.sweep()
			check(t, "a new process knows it", `5 held, "20260101-000000-5", 6 on the broker`, s.held())

			s.set(claims[0])
			s.edits()
			check(t, "what is applied again is out of it", `4 held, "20260101-000000-5", 6 on the broker`, s.held())

			s.session.AllowDeletes = "20260101-000000-5"
			s.edits()
			check(t, "what is allowed goes", `0 held, "", 2 on the broker`, s.held())
			check(t, "and no more", []string{what(0).ID().String(), what(5).ID().String()}, s.broker.names())
			s.edits()
			check(t, "nothing is left to do", "never", s.dueIn())
		})
	}
}

func TestBreakerCountsOverRestarts(t *testing.T) {
	s := newStage(t)
	claims := many(s, 8, aQueue)
	s.remove(claims[:3]...)
	s.edits()
	check(t, "within the limit they go", `0 held, "", 5 on the broker`, s.held())
	s.restart()
	s.cluster.breaker = smallBreaker
	s.set(claims[4:]...)
	s.edits()
	check(t, "a restart does not make three more of them", `1 held, "20260101-000000-1", 5 on the broker`, s.held())
}

func TestBreakerWritesAhead(t *testing.T) {
	s := newStage(t)
	claims := many(s, 8, aQueue)
	s.remove(claims[:3]...)
	s.broker.faults[aQueue(0).ID()] = []fault{func(*broker, topology.Step) error {
		s.shelf.mu.Lock()
		defer s.shelf.mu.Unlock()
		if n := len(s.shelf.gone.List); n != 3 {
			t.Errorf("%d departures were on the books when the first object was deleted", n)
		}
		return nil
	}}
	s.edits()
}

// The objects of a claim that was looked at before the breaker tripped, and that
// only settle, are held with the rest.
func TestBreakerHoldsWhatSettles(t *testing.T) {
	s := newStage(t)
	claims := many(s, 6, func(i int) topology.Resource { return quorum(fmt.Sprintf("r%d", i)) })
	for i := range 5 {
		s.remove(claims[i])
		s.edits()
		s.wait(time.Second)
	}
	check(t, "the first three were not deleted yet, so they are saved, too", `5 held, "20260101-000003-5", 6 on the broker`, s.held())
	s.quiesce()
	check(t, "and stay", `5 held, "20260101-000003-5", 6 on the broker`, s.held())
}

// An owner whose claim is not known yet has not gone.
func TestBreakerLooksPastTheCache(t *testing.T) {
	s := newStage(t)
	claims := many(s, 6, aQueue)
	s.restart()
	s.cluster.breaker = smallBreaker
	refreshed := 0
	s.session.Refresh = func(context.Context, Ending) error {
		refreshed++
		s.set(claims...)
		return nil
	}
	s.edits()
	s.sweep()
	check(t, "nobody has gone", `0 held, "", 6 on the broker`, s.held())
	check(t, "and that was asked once", 1, refreshed)
	check(t, "nothing is on the books", 0, len(s.shelf.gone.List))
}

func TestForget(t *testing.T) {
	dlx := exchange("work.dlx")
	work := cr("shop/work", wants(queue("work", "x-dead-letter-exchange", "work.dlx")), shares(dlx), shares(bind("work.dlx", "work", "x")))
	other := cr("shop/other", wants(queue("other")), shares(dlx))
	start := func(t *testing.T) *stage {
		s := newStage(t)
		s.set(work, other, cr("shop/stays", wants(queue("stays"))))
		s.edits()
		s.broker.messages[queue("work").ID()] = 1
		s.broker.messages[queue("other").ID()] = 1
		s.wait(time.Hour)
		s.remove(work, other)
		s.edits()
		s.journal.take()
		return s
	}
	forget := func(s *stage, what Forgetting) []string {
		forgotten, unknown, err := s.cluster.Forget(t.Context(), s.session, what)
		if err != nil {
			t.Fatal(err)
		}
		out := []string{}
		for _, e := range forgotten {
			if !e.Since.Equal(birth.Add(time.Hour)) {
				t.Errorf("%s is left behind since %s", e.ID, e.Since)
			}
			out = append(out, e.ID.String())
		}
		for _, name := range unknown {
			out = append(out, "unknown: "+name)
		}
		return out
	}
	all := []string{"binding shop/work.dlx -> queue work key x", "exchange shop/work.dlx", "queue shop/other", "queue shop/work"}
	whole := []string{"binding shop/work.dlx -> queue work key x", "queue shop/work"}
	for name, tc := range map[string]struct {
		reason string
		what   Forgetting
		want   []string
		books  []string
	}{
		"ByObject": {
			"an object takes the rest of its claim along, but for what somebody else shares",
			Forgetting{Names: []string{"queue shop/work"}}, whole, []string{"exchange shop/work.dlx", "queue shop/other", "queue shop/stays"},
		},
		"ByOwner": {
			"so does its former owner", Forgetting{Names: []string{"Queue shop/work"}}, whole,
			[]string{"exchange shop/work.dlx", "queue shop/other", "queue shop/stays"},
		},
		"All":     {"all that is left behind", Forgetting{All: true}, all, []string{"queue shop/stays"}},
		"Unknown": {"what was never left behind is not forgotten", Forgetting{Names: []string{"queue shop/stays", "x"}}, []string{"unknown: queue shop/stays", "unknown: x"}, append(slices.Clone(all), "queue shop/stays")},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			check(t, tc.reason, tc.want, forget(s, tc.what))
			slices.Sort(tc.books)
			books := s.shelf.names()
			slices.Sort(books)
			check(t, "what is on the books after it", tc.books, books)
			live := len(s.broker.live)
			s.sweep()
			s.quiesce()
			check(t, "and nothing of it leaves the broker", live, len(s.broker.live))
		})
	}
}

// What is held is forgotten by name, and by no "all".
func TestForgetHeld(t *testing.T) {
	s := newStage(t)
	claims := many(s, 6, aQueue)
	s.remove(claims[:5]...)
	s.edits()
	forget := func(what Forgetting) int {
		forgotten, _, err := s.cluster.Forget(t.Context(), s.session, what)
		if err != nil {
			t.Fatal(err)
		}
		return len(forgotten)
	}
	check(t, "all is all that is left behind", 0, forget(Forgetting{All: true}))
	check(t, "by name", 1, forget(Forgetting{Names: []string{"Queue shop/r0"}}))
	check(t, "it is held no more, and stays", `4 held, "20260101-000000-5", 6 on the broker`, s.held())
	s.session.AllowDeletes = "20260101-000000-5"
	s.edits()
	check(t, "also when the rest goes", []string{"queue shop/r0", "queue shop/r5"}, s.broker.names())
}

// Of what a migration has put aside nobody knows but its entry.
func TestForgetWaitsForOperations(t *testing.T) {
	s := migrating(t)
	s.advance()
	s.cluster.breaker = plan.Breaker{Floor: 0, Share: 4, Window: time.Hour, Most: 100}
	s.cluster.RemoveClaim(key("shop/q"), true)
	s.edits()
	check(t, "its deletion is held", 1, len(s.cluster.HeldDeletions(via).Owners))
	forget := func() (int, []string) {
		forgotten, unknown, err := s.cluster.Forget(t.Context(), s.session, Forgetting{Names: []string{"Queue shop/q"}})
		if err != nil {
			t.Fatal(err)
		}
		return len(forgotten), unknown
	}
	n, unknown := forget()
	check(t, "nothing is forgotten in the middle of a migration", 0, n)
	check(t, "and that is told", []string{"Queue shop/q"}, unknown)
	s.quiesce()
	n, _ = forget()
	check(t, "it is when the queue is complete", true, n > 0)
	check(t, "nothing of it leaves the broker", []string{"binding shop/x -> queue q key k", "exchange shop/x", "queue shop/q"}, s.broker.names())
}
