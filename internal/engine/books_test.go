package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestWriteAheadComesBeforeTheBroker(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/x", wants(exchange("x"))), cr("shop/q", wants(queue("q"), bind("x", "q", "k"))))
	s.edits()
	check(t, "one write of the books for all waves, before the first of them", []string{
		"books: + binding shop/x -> queue q key k, + exchange shop/x, + queue shop/q",
		"create exchange shop/x", "create queue shop/q", "create binding shop/x -> queue q key k",
	}, s.journal.take())
	s.cluster.Touch(key("shop/q"), key("shop/x"))
	s.edits()
	check(t, "a second pass changes nothing", []string(nil), s.journal.take())
	s.cluster.RemoveClaim(key("shop/x"), true)
	s.cluster.RemoveClaim(key("shop/q"), true)
	s.edits()
	check(t, "the books are the fence of a deletion, and entries leave after it, in one write", []string{
		"books: + binding shop/x -> queue q key k, + queue shop/q, + exchange shop/x",
		"delete binding shop/x -> queue q key k", "delete queue shop/q", "delete exchange shop/x",
		"books: - binding shop/x -> queue q key k, - queue shop/q, - exchange shop/x",
	}, s.journal.take())
}

// crash runs a pass that ends in the middle of a wave, as when the process is
// killed.
func (s *stage) crash() {
	const killed = "killed"
	defer func() {
		s.broker.during = nil
		if r := recover(); r != killed {
			s.t.Fatalf("the pass was to be killed: %v", r)
		}
	}()
	s.broker.during = func(context.Context) { panic(killed) }
	s.edits()
}

// An edit does not wait for the books of a roll-out beside it. A write with departures is
// alone, so that the latest are the last.
func TestWritesBesideARollOut(t *testing.T) {
	s := newStage(t)
	old := many(s, 3, aQueue)
	s.edits()
	rolling, release := make(chan struct{}), make(chan struct{})
	var writes, withDepartures atomic.Int64
	s.shelf.writing = func(put []topology.Entry, departures *topology.Departures) {
		n := writes.Add(1)
		defer writes.Add(-1)
		if departures != nil {
			withDepartures.Add(1)
			check(t, "it is alone", int64(1), n)
		}
		if slices.ContainsFunc(put, func(e topology.Entry) bool { return e.ID.Name == "new" }) {
			close(rolling)
			<-release
		}
	}
	s.set(cr("shop/new", wants(queue("new"))))
	s.wait(rolloutPause)
	var all sync.WaitGroup
	all.Go(func() { s.pass(RolledOut) })
	<-rolling
	s.set(cr("shop/r0", wants(queue("r0", "x-max-length", int64(1)))))
	edited := make(chan struct{})
	all.Go(func() { s.pass(Edited); close(edited) })
	select {
	case <-edited:
	case <-time.After(time.Minute):
		t.Error("the edit waits for the roll-out")
	}
	s.remove(old[1])
	s.wait(departurePause)
	all.Go(func() { s.pass(RolledOut) })
	time.Sleep(50 * time.Millisecond) // it comes as far as it can
	check(t, "the deletion waits", int64(0), withDepartures.Load())
	close(release)
	all.Wait()
	check(t, "and has its turn", true, withDepartures.Load() > 0)
}

func TestCrashLeaksNothing(t *testing.T) {
	q := queue("q")
	for name, c := range map[string]struct {
		reason string
		// before the restart, and after it.
		before, after func(*stage)
		live, books   []string
	}{
		"BeforeTheCreate": {
			reason: "the new process creates what the old one announced",
			before: func(s *stage) { s.set(cr("shop/q", wants(q))); s.crash() },
			after:  func(s *stage) { s.set(cr("shop/q", wants(q))) },
			live:   []string{"queue shop/q"}, books: []string{"queue shop/q"},
		},
		"BeforeTheCreateOwnerGone": {
			reason: "what was announced and not made is struck off",
			before: func(s *stage) { s.set(cr("shop/q", wants(q))); s.crash() },
			after:  func(*stage) {},
		},
		"AfterTheCreateOwnerGone": {
			reason: "what was made is on the books, so it is deleted",
			before: func(s *stage) {
				s.set(cr("shop/q", wants(q)))
				s.broker.faults[q.ID()] = []fault{lost}
				s.broker.observing = func(topology.Selection) { s.broker.observing = nil } // reads until then work
				_, _ = s.editsFail()
			},
			after: func(*stage) {},
		},
		"BeforeTheDelete": {
			reason: "a pending deletion is taken up again",
			before: func(s *stage) {
				s.set(cr("shop/q", wants(q)))
				s.edits()
				s.cluster.RemoveClaim(key("shop/q"), true)
				s.crash()
			},
			after: func(*stage) {},
		},
		"StoreFailsBeforeTheWrite": {
			reason: "nothing was written, so nothing was made; and the next pass does both",
			before: func(s *stage) {
				s.set(cr("shop/q", wants(q)))
				s.shelf.failBefore = true
				_, _ = s.editsFail()
				check(t, "no write-ahead, no create", []string(nil), s.broker.names())
				s.edits()
			},
			after: func(s *stage) { s.set(cr("shop/q", wants(q))) },
			live:  []string{"queue shop/q"}, books: []string{"queue shop/q"},
		},
		"StoreFailsAfterTheWrite": {
			reason: "written or not is unknown: the books are read again",
			before: func(s *stage) {
				s.set(cr("shop/q", wants(q)))
				s.shelf.failAfter = true
				_, _ = s.editsFail()
				check(t, "a write-ahead of unknown fate makes nothing", []string(nil), s.broker.names())
			},
			after: func(*stage) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			c.before(s)
			s.restart()
			c.after(s)
			s.edits()
			s.quiesce()
			check(t, c.reason+": broker", c.live, s.broker.names())
			check(t, c.reason+": books", c.books, s.shelf.names())
		})
	}
}

func TestWhatIsNotMadeLeavesTheBooks(t *testing.T) {
	q, theirs := queue("q"), queue("q", "x-max-length", int64(1))
	for name, c := range map[string]struct {
		reason string
		faults []fault
		books  []string
		// moves: there is something to do before the retry.
		moves bool
	}{
		"Rejected":    {reason: "a definite no", faults: []fault{refuse(topology.ClassRejected, "no")}, books: []string{"exchange shop/x"}},
		"Exists":      {reason: "somebody else made it in between", faults: []fault{refuse(topology.ClassExists, "exists now")}, books: []string{"exchange shop/x"}},
		"Unsupported": {reason: "a definite no", faults: []fault{refuse(topology.ClassUnsupported, "no")}, books: []string{"exchange shop/x"}},
		"Denied":      {reason: "a definite no", faults: []fault{refuse(topology.ClassAccessDenied, "no")}, books: []string{"exchange shop/x"}},
		"Taken":       {reason: "what has that name is somebody else's", faults: []fault{taken(theirs)}, books: []string{"exchange shop/x"}, moves: true},
		"TimedOut":    {reason: "an unknown fate", faults: []fault{refuse(topology.ClassTransport, "time-out")}, books: []string{"exchange shop/x", "queue shop/q"}},
		"Transient":   {reason: "an unknown fate, too", faults: []fault{refuse(topology.ClassTransient, "time-out")}, books: []string{"exchange shop/x", "queue shop/q"}},
		"Slow":        {reason: "accepted, and not seen yet", faults: []fault{slow}, books: []string{"binding shop/x -> queue q key k", "exchange shop/x", "queue shop/q"}, moves: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			// The binding needs the queue, and so is never tried.
			s.set(cr("shop/x", wants(exchange("x"))), cr("shop/q", wants(q, bind("x", "q", "k"))))
			s.broker.faults[q.ID()] = c.faults
			s.edits()
			check(t, c.reason, c.books, s.shelf.names())
			if c.moves {
				return
			}
			s.journal.take()
			s.cluster.Touch(key("shop/q"))
			s.edits()
			for _, line := range s.journal.take() {
				t.Errorf("%s: before its turn comes, a failed create changes neither books nor broker: %s", c.reason, line)
			}
		})
	}
}

func TestSomebodyElsesObjectIsNotDeleted(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/q", wants(queue("q")), deletion(topology.Delete)))
	s.broker.faults[queue("q").ID()] = []fault{taken(queue("q", "x-max-length", int64(1)))}
	s.edits()
	s.sweep()
	s.cluster.RemoveClaim(key("shop/q"), true)
	s.quiesce()
	check(t, "created by somebody else between look and create", []string{"queue shop/q"}, s.broker.names())
}

func TestReadBackDecides(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		fault  fault
		want   []string
		due    string
	}{
		"Ignored": {
			reason: "accepted is not done", fault: ignored, due: "500ms",
			want: []string{"shop/t InProgress Progressing: topic t: update: the broker accepted it, and what it shows differs: config.retention.ms: 1 on the broker, 2 declared"},
		},
		"Done": {
			reason: "done is done", due: "never",
			want: []string{"shop/t Ready Succeeded: topic t is as declared"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.set(cr("shop/t", wants(topic("t", "retention.ms", "1"))))
			s.edits()
			if c.fault != nil {
				s.broker.faults[topology.TopicID("t")] = []fault{c.fault}
			}
			s.set(cr("shop/t", wants(topic("t", "retention.ms", "2")), generation(2)))
			check(t, c.reason, c.want, said(s.edits()))
			check(t, c.reason, c.due, s.dueIn())
			s.wait(time.Second)
			s.edits()
			check(t, "in the end it is as declared", map[string]string{"retention.ms": "2"}, s.broker.live[topology.TopicID("t")].(*topology.Topic).Config)
		})
	}
}

func TestFenced(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/a", wants(queue("a"))))
	s.edits()
	other := &store{shelf: s.shelf}
	if _, _, err := other.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.journal.take()
	s.set(cr("shop/b", wants(queue("b"))))
	s.cluster.RemoveClaim(key("shop/a"), true)
	report, err := s.editsFail()
	if !errors.Is(err, ErrFenced) {
		t.Errorf("want ErrFenced, got %v", err)
	}
	check(t, "a fenced process writes nothing", []string(nil), s.journal.take())
	check(t, "and has nothing to say", []string(nil), said(report))
	if err := other.Write(context.Background(), []topology.Entry{{ID: queue("c").ID(), Owners: []topology.OwnerKey{key("shop/c")}, Connection: via}}, nil, nil); err != nil {
		t.Fatal(err)
	}
	s.edits()
	s.quiesce()
	check(t, "the next pass reads the books again, and does what is left", []string{"queue shop/b"}, s.broker.names())
	check(t, "what the other wrote was read: its owner is gone, too", []string{"queue shop/b"}, s.shelf.names())
}

func TestReloadKeepsWhatWasWitnessed(t *testing.T) {
	s := newStage(t)
	q := queue("q")
	s.set(cr("shop/q", wants(q), deletion(topology.Delete)))
	s.edits()
	s.broker.messages[q.ID()] = 3
	s.cluster.RemoveClaim(key("shop/q"), true)
	s.set(cr("shop/r", wants(queue("r"))))
	s.shelf.failBefore = true
	_, _ = s.editsFail()
	s.edits()
	check(t, "deletionPolicy: Delete was seen, and a store that was away does not change that", []string{"queue shop/r"}, s.broker.names())
}

// What was made a moment ago may not show yet. Edited meanwhile, it is still ours,
// and what it was made with and is declared no longer is unset.
func TestEditedBeforeItShows(t *testing.T) {
	s := newStage(t)
	with, without := topic("t", "retention.ms", "1"), topic("t")
	s.broker.faults[with.ID()] = []fault{slow}
	s.set(cr("shop/t", wants(with)))
	s.broker.hidden[with.ID()] = 0
	s.edits()
	s.broker.hidden[with.ID()] = 1 // for one more read
	s.broker.faults[with.ID()] = []fault{refuse(topology.ClassExists, "it exists")}
	s.set(cr("shop/t", generation(2), wants(without)))
	s.edits()
	entry, owned := s.cluster.world.Entry(with.ID())
	if !owned {
		t.Fatal("it is not ours any more")
	}
	check(t, "what it was made with is remembered", []string{"config.retention.ms"}, entry.Fields)
	s.wait(time.Hour)
	s.edits()
	s.sweep()
	live, _ := s.broker.live[with.ID()].(*topology.Topic)
	if live == nil || len(live.Config) > 0 {
		t.Errorf("on the broker: %+v", live)
	}
}
