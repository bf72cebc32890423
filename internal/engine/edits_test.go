package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

func TestMakeBeforeBreak(t *testing.T) {
	s := newStage(t)
	before, after := bind("x", "q", "old"), bind("x", "q", "new")
	s.set(cr("shop/x", wants(exchange("x"))), cr("shop/q", wants(queue("q"), before)))
	s.edits()
	s.journal.take()
	s.broker.faults[after.ID()] = []fault{refuse(topology.ClassTransient, "no leader")}
	s.set(cr("shop/q", wants(queue("q"), after), generation(2)))
	s.edits()
	check(t, "the old binding stays while the new one is not there", []string{
		"books: + binding shop/x -> queue q key new, + binding shop/x -> queue q key old",
		"create binding shop/x -> queue q key new",
	}, s.journal.take())
	s.wait(time.Second)
	s.edits()
	check(t, "the new one first, then the old one goes", []string{
		"books: + binding shop/x -> queue q key new, + binding shop/x -> queue q key old",
		"create binding shop/x -> queue q key new", "delete binding shop/x -> queue q key old",
		"books: - binding shop/x -> queue q key old",
	}, s.journal.take())
}

// A co-owner that is not known yet, because its connection is not there, must
// not be struck off the books by one that is.
func TestRefreshComesBeforeAnOwnerIsStruckOff(t *testing.T) {
	s := newStage(t)
	dead := queue("dead")
	s.set(cr("shop/a", shares(dead)), cr("shop/b", shares(dead)))
	s.edits()
	s.restart()
	s.set(cr("shop/b", shares(dead)))
	s.session.Refresh = func(context.Context, Ending) error {
		s.cluster.SetClaim(&topology.Claim{Owner: topology.Owner{OwnerKey: key("shop/a")}, Suspended: true})
		return nil
	}
	s.edits()
	entry, _ := s.cluster.world.Entry(dead.ID())
	check(t, "both own it still", []topology.OwnerKey{key("shop/a"), key("shop/b")}, entry.Owners)
}

// Who waited for another one's step is looked at as soon as that succeeds, and
// not before.
func TestWaitersOnAFailedStepAreWoken(t *testing.T) {
	s := newStage(t)
	x := exchange("x")
	s.broker.faults[x.ID()] = []fault{refuse(topology.ClassTransient, "no leader")}
	s.set(cr("shop/x", wants(x)), cr("shop/q", wants(queue("q"), bind("x", "q", "k"))))
	s.edits()
	check(t, "the one that failed paces the pass", "1s", s.dueIn())
	s.wait(time.Second)
	s.edits()
	s.edits()
	check(t, "all is there, without a sweep", []string{"exchange shop/x", "queue shop/q", "binding shop/x -> queue q key k"}, byKind(s.broker.names()))
	check(t, "nothing is left to do", "never", s.dueIn())
}

// byKind orders names as a topology is read.
func byKind(names []string) []string {
	rank := map[string]int{"exchange": 0, "queue": 1, "binding": 2}
	slices.SortFunc(names, func(a, b string) int {
		first, _, _ := strings.Cut(a, " ")
		second, _, _ := strings.Cut(b, " ")
		return rank[first] - rank[second]
	})
	return names
}

func TestForsakenClaimsAreAbsent(t *testing.T) {
	s := newStage(t)
	q := queue("q")
	s.set(cr("shop/q", wants(q)))
	s.edits()
	s.cluster.Forsake(s.session.Connection)
	check(t, "what it owns stays on the books, without a claim", []topology.OwnerKey{key("shop/q")}, s.cluster.Absent())
	s.set(cr("shop/q", wants(q)))
	check(t, "it is claimed for anew", []string{"shop/q Ready Succeeded: queue shop/q is as declared"}, said(s.edits()))
}

func TestWaitersAreWoken(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/q", wants(queue("q"))), cr("shop/b", wants(bind("x", "q", "k"))))
	check(t, "a binding waits for its exchange", []string{
		"shop/b InProgress DependencyNotReady: binding shop/x -> queue q key k waits for exchange shop/x, which is not on the broker and which no resource declares",
		"shop/q Ready Succeeded: queue shop/q is as declared",
	}, said(s.edits()))
	check(t, "and costs nothing meanwhile", "never", s.dueIn())
	s.set(cr("shop/x", wants(exchange("x"))))
	check(t, "the exchange comes", []string{"shop/x Ready Succeeded: exchange shop/x is as declared"}, said(s.edits()))
	check(t, "the binding's turn is at once", "0s", s.dueIn())
	check(t, "the binding follows", []string{"shop/b Ready Succeeded: binding shop/x -> queue q key k is as declared"}, said(s.edits()))
}

func TestWhoLostIsWoken(t *testing.T) {
	s := newStage(t)
	mine, theirs := queue("q"), queue("q", "x-max-length", int64(5))
	s.set(cr("shop/a", wants(mine)), cr("shop/b", wants(theirs)))
	check(t, "the other is told who has it", []string{
		"shop/a Ready Succeeded: queue shop/q is as declared",
		"shop/b Stalled Conflict: queue shop/q is owned by Queue shop/a: delete one of the two, or give this one another name",
	}, said(s.edits()))
	s.set(cr("shop/a", wants(queue("another")), generation(2)))
	s.edits()
	s.quiesce()
	entry, _ := s.cluster.world.Entry(mine.ID())
	check(t, "given up, it goes to the other", []topology.OwnerKey{key("shop/b")}, entry.Owners)
}

func TestWhoWantsTheSameIsWoken(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		winner *topology.Claim
		faults []fault
	}{
		"NeverMade": {
			reason: "the winner owned nothing when it went", winner: cr("shop/a", wants(queue("q", "x-max-length", "ten"))),
			faults: []fault{refuse(topology.ClassRejected, "invalid arg")},
		},
		"Deleted": {
			reason: "what another namespace had is deleted, and then made anew",
			winner: cr("audit/a", wants(queue("q", "x-max-length", int64(10))), deletion(topology.Delete)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.broker.faults[queue("q").ID()] = c.faults
			loser := cr("shop/b", wants(queue("q")))
			loser.Owner.Created = birth.Add(time.Hour)
			s.set(c.winner, loser)
			s.edits()
			s.cluster.RemoveClaim(c.winner.Owner.OwnerKey, true)
			s.quiesce()
			entry, _ := s.cluster.world.Entry(queue("q").ID())
			check(t, c.reason, []topology.OwnerKey{key("shop/b")}, entry.Owners)
			check(t, c.reason, topology.Resource(queue("q")), s.broker.live[queue("q").ID()])
		})
	}
}

func TestMostEdits(t *testing.T) {
	s := newStage(t)
	const more = 7
	for i := range MostEdits + more {
		s.set(cr(fmt.Sprintf("shop/q%04d", i), wants(queue(fmt.Sprintf("q%04d", i)))))
	}
	s.cluster.Touch(key("shop/nobody"))
	s.cluster.SetClaim(cr("audit/r", wants(queue("r")), through(second)))
	check(t, "a pass takes up no more than it may", MostEdits, len(s.edits().Verdicts))
	check(t, "the rest is due at once", "0s", s.dueIn())
	check(t, "and comes next", more, len(s.edits().Verdicts))
	check(t, "what goes over another connection is left to it, and who has nothing is dropped", 1, s.cluster.Stats().Dirty)
	if report, err := s.cluster.Edits(context.Background(), s.session); report != nil || err != nil {
		t.Errorf("a pass with nothing to do must say so, got %v, %v", report, err)
	}
}

func TestRefreshComesBeforeDeletions(t *testing.T) {
	q := queue("q")
	start := func(t *testing.T) *stage {
		s := newStage(t)
		s.set(cr("shop/q", wants(q)))
		s.edits()
		s.journal.take()
		s.cluster.RemoveClaim(key("shop/q"), true)
		return s
	}
	t.Run("Gone", func(t *testing.T) {
		s := start(t)
		s.session.Refresh = func(context.Context, Ending) error { s.journal.add("refresh"); return nil }
		s.edits()
		check(t, "first the list, then the fence, then the deletion", []string{"refresh", "books: + queue shop/q", "delete queue shop/q", "books: - queue shop/q"}, s.journal.take())
	})
	t.Run("GoneBeforeThereIsAPlan", func(t *testing.T) {
		s := start(t)
		s.session.Refresh = func(context.Context, Ending) error { s.journal.add("refresh"); return nil }
		s.broker.observing = func(sel topology.Selection) { s.journal.add("read %d, usage of %d", len(sel.IDs), len(sel.Usage)) }
		s.edits()
		check(t, "nothing is read for a plan that would be thrown away: the queue, its usage, and what became of it", []string{"refresh", "read 1, usage of 0", "read 0, usage of 1", "books: + queue shop/q", "delete queue shop/q", "read 1, usage of 0", "books: - queue shop/q"}, s.journal.take())
	})
	t.Run("Reappeared", func(t *testing.T) {
		s := start(t)
		s.session.Refresh = func(context.Context, Ending) error { s.set(cr("shop/q", wants(q))); return nil }
		check(t, "an owner that is there keeps what it has", []string{"shop/q Ready Succeeded: queue shop/q is as declared"}, said(s.edits()))
		check(t, "nothing is deleted", []string(nil), s.journal.take())
	})
	t.Run("Unknown", func(t *testing.T) {
		s := start(t)
		s.session.Refresh = func(context.Context, Ending) error { return errors.New("the API server is away") }
		_, _ = s.editsFail()
		check(t, "who cannot be asked about is not deleted", []string(nil), s.journal.take())
		check(t, "and is due again", "0s", s.dueIn())
	})
	t.Run("NothingEnds", func(t *testing.T) {
		s := newStage(t)
		s.session.Refresh = func(context.Context, Ending) error { t.Error("there is nothing to ask about"); return nil }
		s.set(cr("shop/q", wants(q)))
		s.edits()
	})
	t.Run("InASweep", func(t *testing.T) {
		s := start(t)
		s.cluster.takeDirty(via, Everything, MostEdits)
		s.session.Refresh = func(context.Context, Ending) error { s.set(cr("shop/q", wants(q))); return nil }
		s.sweep()
		check(t, "the same holds for a sweep", []string(nil), s.journal.take())
	})
}

func TestVerifyComesBeforeAnyWrite(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/q", wants(queue("q"))))
	s.session.Verify = func(context.Context) error { return errors.New("another cluster answers") }
	_, _ = s.editsFail()
	check(t, "neither books nor broker are written", []string(nil), s.journal.take())
	s.session.Verify = nil
	s.edits()
	s.journal.take()
	s.cluster.Touch(key("shop/q"))
	s.session.Verify = func(context.Context) error { t.Error("a pass that writes nothing need not ask"); return nil }
	s.edits()
}

func TestAbandonChangesNothingOnTheBroker(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/q", wants(queue("q")), deletion(topology.Delete)), cr("audit/r", wants(queue("r")), through(second)))
	s.edits()
	s.session.Connection = second
	s.edits()
	if err := s.cluster.Abandon(context.Background(), via); err != nil {
		t.Fatal(err)
	}
	s.session.Connection = via
	s.edits()
	s.sweep()
	check(t, "the connection's books are empty, the other's are not", []string{"queue shop/r"}, s.shelf.names())
	check(t, "the broker keeps everything", []string{"queue shop/q", "queue shop/r"}, s.broker.names())
}

func TestUsageIsAskedInRounds(t *testing.T) {
	// The queue's usage decides about its exchange, and that about the next.
	s := newStage(t)
	s.set(cr("shop/q", wants(queue("q"), exchange("x"), bind("x", "q", "k"))))
	s.edits()
	var asked []string
	s.broker.observing = func(sel topology.Selection) {
		if len(sel.Usage) > 0 {
			asked = append(asked, Describe(sel.Usage))
		}
	}
	s.cluster.RemoveClaim(key("shop/q"), true)
	s.edits()
	check(t, "it went in one pass", []string(nil), s.broker.names())
	if len(asked) == 0 || len(asked) > mostUsageRounds {
		t.Errorf("usage was asked for in %d rounds: %q", len(asked), asked)
	}
}

func TestLeftBehind(t *testing.T) {
	s := newStage(t)
	q := queue("q")
	s.set(cr("shop/q", wants(q)))
	s.edits()
	s.broker.messages[q.ID()] = 2
	s.cluster.RemoveClaim(key("shop/q"), true)
	report := s.edits()
	check(t, "it is said of the departed", []string{"LeftBehind queue shop/q is not deleted: it holds messages"}, ended(report))
	owned, left := s.cluster.Holdings(via)
	check(t, "nothing is owned any more", 0, owned)
	check(t, "and it is listed", "it holds messages", left[0].LeftBehind)
	check(t, "without waking anybody", "never", s.dueIn())
	s.set(cr("shop/q", wants(q)))
	s.edits()
	_, left = s.cluster.Holdings(via)
	check(t, "applying it again takes it back", 0, len(left))
}

func ended(report *Report) []string {
	var out []string
	for _, h := range report.Ended {
		if h.Reason == plan.LeftBehind || h.Reason == plan.Deleting {
			out = append(out, string(h.Reason)+" "+h.Message)
		}
	}
	return out
}

// A claim can be replaced while a pass reads the broker. What the pass does then
// is all of the new one, or nothing of it: never the deletions alone.
func TestClaimReplacedWhileAPassReads(t *testing.T) {
	s := newStage(t)
	declared := func(n int64, routingKey string) *topology.Claim {
		return cr("shop/q", generation(n), wants(exchange("x"), queue("q"), bind("x", "q", routingKey)))
	}
	s.set(declared(1, "first"))
	s.edits()
	s.cluster.Touch(key("shop/q"))
	s.broker.observing = func(topology.Selection) {
		s.broker.observing = nil
		s.cluster.SetClaim(declared(2, "second"))
	}
	s.journal.take()
	s.broker.during = func(context.Context) {
		if names := s.broker.names(); !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "binding") }) {
			t.Errorf("nothing leads to the queue any more: %q", names)
		}
	}
	report := s.edits()
	check(t, "the pass tells of the new claim", []string{"shop/q Ready Succeeded: 3 broker objects are as declared"}, said(report))
	check(t, "on the broker", []string{"exchange shop/x", "queue shop/q", "binding shop/x -> queue q key second"}, byKind(s.broker.names()))
}

// Of a topic that goes no config is read. One that is declared again meanwhile is read again:
// it would seem to have lost its config.
func TestDepartingTopicsAreReadInPart(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		again  bool
		want   []string
	}{
		"Goes":  {"it is deleted, and what stays is read whole", false, []string{"read 2, departing 1", "read 0, departing 0"}},
		"Stays": {"it is declared again while it is read, and the pass begins anew", true, []string{"read 2, departing 1", "read 2, departing 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			orders, audit := topic("orders", "retention.ms", "1000"), topic("audit", "retention.ms", "1000")
			declared := cr("shop/orders", wants(orders))
			s.set(declared, cr("shop/audit", wants(audit)))
			s.edits()
			s.remove(declared)
			s.set(cr("shop/audit", wants(topic("audit", "retention.ms", "2000"))))
			s.wait(departurePause)
			s.journal.take()
			var read []string
			s.broker.observing = func(sel topology.Selection) {
				read = append(read, fmt.Sprintf("read %d, departing %d", len(sel.IDs), len(sel.Departing)))
				if c.again && len(read) == 1 {
					s.set(declared)
				}
			}
			report := s.edits()
			check(t, c.reason, c.want, read[:2]) // then what was done is read back
			var steps []string
			for _, outcome := range report.Outcomes {
				steps = append(steps, fmt.Sprint(outcome.Step.Verb, " ", outcome.Step.ID))
			}
			want := []string{"update topic audit"}
			if !c.again {
				want = append(want, "delete topic orders")
			}
			slices.Sort(steps)
			slices.Sort(want)
			check(t, c.reason+": what is done", want, steps)
		})
	}
}
