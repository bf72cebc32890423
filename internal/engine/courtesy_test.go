package engine

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Nobody waits for a drift check, as nobody does for a roll-out.
func TestWhatIsDoneInBulk(t *testing.T) {
	s := newStage(t)
	var bulk []bool
	s.broker.during = func(ctx context.Context) { bulk = append(bulk, topology.IsInBulk(ctx)) }
	q := queue("q")
	s.set(cr("shop/q", wants(q)))
	s.wait(time.Minute) // nothing else is to come
	s.pass(RolledOut)
	delete(s.broker.live, q.ID())
	s.wait(time.Minute)
	s.sweep()
	s.set(cr("shop/q", wants(q, queue("other")), generation(2)))
	s.pass(Edited)
	check(t, "what is new, what is put right, what is edited", []bool{true, true, false}, bulk)
}

// Roll-outs give way while an edit is looked at, and not while it waits for one of them.
func TestEditsAreGivenWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.session.Courtesy = &topology.Courtesy{}
		givenWay := func() time.Duration {
			began := time.Now()
			s.session.Courtesy.GiveWay(t.Context())
			return time.Since(began)
		}
		q := cr("shop/q", wants(queue("q")))
		s.set(q, cr("shop/x", wants(exchange("x"))))
		s.edits()
		var during time.Duration
		s.broker.during = func(context.Context) { during = givenWay() }
		s.set(cr("shop/q", wants(queue("q"), bind("x", "q", "k")), generation(2)))
		s.pass(Edited)
		check(t, "for a second: it is not done before", time.Second, during)
		time.Sleep(time.Second)

		s.broker.during = nil
		held := s.cluster.stakeOf([]topology.OwnerKey{key("shop/q")})
		release, err := s.cluster.locks.acquire(t.Context(), held)
		if err != nil {
			t.Fatal(err)
		}
		s.set(cr("shop/q", wants(queue("q")), generation(3)))
		go s.pass(Edited)
		synctest.Wait()
		check(t, "it waits for a roll-out, which does not wait for it", time.Duration(0), givenWay())
		release()
		synctest.Wait()
		check(t, "and is made then", []string{"exchange shop/x", "queue shop/q"}, byKind(s.broker.names()))
	})
}

// A roll-out that keeps an edit waiting hurries, whoever else edits.
func TestAnEditWaitsForARollOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.session.Courtesy = &topology.Courtesy{}
		x := cr("shop/x", wants(exchange("x")))
		s.set(x)
		s.edits()
		var edit sync.WaitGroup
		var yields []bool
		s.broker.during = func(ctx context.Context) {
			s.broker.during = nil
			yields = append(yields, topology.Yields(ctx))
			s.set(cr("shop/x", wants(exchange("x"), exchange("y")), generation(2)))
			edit.Go(func() { s.pass(Edited) })
			synctest.Wait()
			yields = append(yields, topology.Yields(ctx))
		}
		s.set(cr("shop/q", wants(queue("q"), bind("x", "q", "k"))))
		s.wait(time.Minute)
		s.pass(RolledOut)
		edit.Wait()
		check(t, "until an edit waits for what it does", []bool{true, false}, yields)
		check(t, "which is made then", []string{"exchange shop/x", "exchange shop/y", "queue shop/q", "binding shop/x -> queue q key k"}, byKind(s.broker.names()))
	})
}

// An edit that is given way needs the books, too.
func TestBooksAreShutWhileARollOutGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.session.Courtesy = &topology.Courtesy{}
		s.set(cr("shop/x", wants(exchange("x"))))
		s.edits()
		s.set(cr("shop/q", wants(queue("q"))))
		s.wait(time.Minute)
		done := s.session.Courtesy.Edit()
		go s.pass(RolledOut)
		synctest.Wait()
		check(t, "it has not written ahead", []string{"exchange shop/x"}, s.shelf.names())
		if s.cluster.books.TryLock() {
			s.cluster.books.Unlock()
		} else {
			t.Error("it gives way, and has the books open")
		}
		done()
		synctest.Wait()
		check(t, "and goes on when the edit is done", []string{"exchange shop/x", "queue shop/q"}, byKind(s.broker.names()))
	})
}

// Who has nothing to write has nothing to give way with: a drift check that finds nothing.
func TestAnIdleDriftCheckDoesNotGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.session.Courtesy = &topology.Courtesy{}
		s.set(cr("shop/x", wants(exchange("x"))))
		s.edits()
		s.wait(time.Minute)
		defer s.session.Courtesy.Edit()()
		began := time.Now()
		check(t, "all is as declared", 0, len(s.sweep().Outcomes))
		check(t, "it waits for nobody", time.Duration(0), time.Since(began))
	})
}
