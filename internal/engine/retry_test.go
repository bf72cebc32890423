package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestLedgerDelays(t *testing.T) {
	for _, c := range []struct {
		reason string
		class  topology.Class
		// want after the 1st, 2nd, 3rd and 20th attempt, without jitter.
		want [4]time.Duration
	}{
		{"what comes and goes backs off", topology.ClassTransient, [4]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 2 * time.Minute}},
		{"somebody uses it: as above", topology.ClassInUse, [4]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 2 * time.Minute}},
		{"what is on its way is seen soon", topology.ClassPending, [4]time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 2 * time.Minute}},
		{"a permission may be granted", topology.ClassAccessDenied, [4]time.Duration{deniedRetry, deniedRetry, deniedRetry, deniedRetry}},
		{"a refusal is reviewed rarely", topology.ClassRejected, [4]time.Duration{rejectedReview, rejectedReview, rejectedReview, rejectedReview}},
		{"so is a missing feature", topology.ClassUnsupported, [4]time.Duration{rejectedReview, rejectedReview, rejectedReview, rejectedReview}},
	} {
		for i, attempts := range []int{1, 2, 3, 20} {
			for _, jitter := range []float64{0, 0.5, 0.999} {
				l := &ledger{entries: map[topology.ID]*failure{}, jitter: func() float64 { return jitter }}
				id, err := queue("q").ID(), &topology.Error{Class: c.class}
				for range attempts {
					l.fail(id, "one", via, err, birth)
				}
				least, most := c.want[i], c.want[i]+c.want[i]/4
				switch due := l.entries[id].due.Sub(birth); {
				case due < least || due > most:
					t.Errorf("%s: after %d attempts it is due in %s, want %s to %s", c.reason, attempts, due, least, most)
				case jitter == 0 && due != least || jitter > 0 && due == least:
					t.Errorf("%s: jitter %v makes %s of %s", c.reason, jitter, due, least)
				}
				if l.holds(id, "one", birth.Add(least-1)) == nil || l.holds(id, "one", birth.Add(most)) != nil {
					t.Errorf("%s: it must wait until it is due, and no longer", c.reason)
				}
				if l.holds(id, "another", birth) != nil {
					t.Errorf("%s: another generation is tried at once", c.reason)
				}
			}
		}
	}
}

func TestEditIsTriedAtOnce(t *testing.T) {
	bad, good := queue("q", "x-max-length", "ten"), queue("q", "x-max-length", int64(10))
	t.Run("AfterTheFailure", func(t *testing.T) {
		s := newStage(t)
		s.broker.faults[bad.ID()] = []fault{refuse(topology.ClassRejected, "invalid arg")}
		s.set(cr("shop/q", wants(bad)))
		s.edits()
		check(t, "the refused generation is left alone", "10m0s", s.dueIn())
		s.set(cr("shop/q", wants(good), generation(2)))
		check(t, "the next one is not", []string{"shop/q Ready Succeeded: queue shop/q is as declared"}, said(s.edits()))
		check(t, "and nothing is left in the ledger", 0, s.cluster.Stats().Ledger)
	})
	t.Run("DuringTheFailingPass", func(t *testing.T) {
		s := newStage(t)
		s.broker.faults[bad.ID()] = []fault{refuse(topology.ClassRejected, "invalid arg")}
		s.set(cr("shop/q", wants(bad)))
		s.broker.during = func(context.Context) {
			s.broker.during = nil
			s.set(cr("shop/q", wants(good), generation(2)))
		}
		check(t, "of the generation that came meanwhile the pass knows nothing", []string(nil), said(s.edits()))
		check(t, "its turn is now", "0s", s.dueIn())
		check(t, "and the failure of the first is not its own", []string{"shop/q Ready Succeeded: queue shop/q is as declared"}, said(s.edits()))
	})
	t.Run("DuringAPassThatGoesWell", func(t *testing.T) {
		s := newStage(t)
		s.set(cr("shop/t", wants(topic("t", "retention.ms", "1"))))
		s.broker.during = func(context.Context) {
			s.broker.during = nil
			s.set(cr("shop/t", wants(topic("t", "retention.ms", "2")), generation(2)))
		}
		check(t, "what was not looked at is not Ready", []string(nil), said(s.edits()))
		report := s.edits()
		check(t, "an edit is no drift", 0, len(report.Corrected))
		check(t, "now it is", int64(2), report.Verdicts[0].Owner.Generation)
	})
}

func TestTransport(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/x", wants(exchange("x"))), cr("shop/q", wants(queue("q"), bind("x", "q", "k"))), cr("shop/b", wants(bind("x", "q", "l"))))
	s.broker.cut = unreachable
	report, _ := s.editsFail()
	check(t, "nobody is well whose step was not tried", []string{
		"shop/b InProgress ConnectionUnavailable: binding shop/x -> queue q key l: create: not tried: connection refused",
		"shop/q InProgress ConnectionUnavailable: connection refused (and 1 more)",
		"shop/x InProgress ConnectionUnavailable: connection refused",
	}, said(report))
	check(t, "the connection is at fault, and no object", 0, s.cluster.Stats().Ledger)
	check(t, "what was not tried is off the books; what was may exist", []string{"exchange shop/x", "queue shop/q"}, s.shelf.names())
	s.broker.cut = nil
	check(t, "the owners are due at once", "0s", s.dueIn())
	s.edits()
	check(t, "and get what they want", 4, len(s.broker.names()))

	s.set(cr("shop/r", wants(queue("r"))), cr("shop/s", wants(queue("s"))))
	s.broker.faults[queue("s").ID()] = []fault{refuse(topology.ClassTransport, "connection reset")}
	check(t, "one of two did not get through", []string{
		"shop/r Ready Succeeded: queue shop/r is as declared",
		"shop/s InProgress ConnectionUnavailable: queue shop/s: create: connection reset",
	}, said(s.edits()))
	check(t, "it is tried again soon", "1s", s.dueIn())
	s.quiesce()
	check(t, "and is there", 6, len(s.broker.names()))
}

func TestOneBadObjectDelaysNobody(t *testing.T) {
	const many = 50
	for class, why := range map[topology.Class]string{topology.ClassRejected: "refused", topology.ClassTransient: "throttled", topology.ClassTransport: "lost"} {
		t.Run(string(class), func(t *testing.T) {
			s := newStage(t)
			for i := range many {
				s.set(cr(fmt.Sprintf("shop/q%02d", i), wants(queue(fmt.Sprintf("q%02d", i)))))
			}
			for range 10 {
				s.broker.faults[queue("q07").ID()] = append(s.broker.faults[queue("q07").ID()], refuse(class, why))
			}
			s.edits()
			check(t, "all the others are there after one pass", many-1, len(s.broker.names()))
			s.set(cr("shop/late", wants(queue("late"))))
			s.edits()
			check(t, "a newcomer does not wait for its retries either", many, len(s.broker.names()))
		})
	}
}

func TestDependentsWaitAndSucceed(t *testing.T) {
	s := newStage(t)
	x, q := exchange("x"), queue("q", "x-dead-letter-exchange", "x")
	q.After = []topology.ID{x.ID()}
	s.set(cr("shop/q", wants(x, q, bind("x", "q", "k"))))
	s.broker.faults[x.ID()] = []fault{refuse(topology.ClassTransient, "no leader"), refuse(topology.ClassTransient, "no leader")}
	check(t, "the cause is told first", []string{
		"shop/q InProgress Progressing: exchange shop/x: create: no leader (and 2 more)",
	}, said(s.edits()))
	check(t, "nothing is tried that cannot work", []string{
		"books: + binding shop/x -> queue q key k, + exchange shop/x, + queue shop/q", "create exchange shop/x",
		"books: - queue shop/q, - binding shop/x -> queue q key k",
	}, s.journal.take())
	check(t, "one object failed, and the ledger has one", 1, s.cluster.Stats().Ledger)
	s.wait(time.Second)
	s.edits()
	check(t, "twice as long the second time", "2s", s.dueIn())
	s.wait(2 * time.Second)
	check(t, "all in one pass once the cause is gone", []string{"shop/q Ready Succeeded: 3 broker objects are as declared"}, said(s.edits()))
	check(t, "nothing is left to do", "never", s.dueIn())
}

// Whatever an object failed with, once a plan has no step for it the ledger must
// not make passes run for its sake: they would, without end.
func TestLedgerForgetsWhatNeedsNoStep(t *testing.T) {
	x, q := exchange("x"), queue("q")
	for name, c := range map[string]struct {
		reason string
		fault  fault
		then   func(*stage)
		want   string
	}{
		"SeenLater": {reason: "it is there", fault: slow, want: "shop/q Ready Succeeded: queue shop/q is as declared"},
		"AnswerLost": {reason: "it is there", fault: func(b *broker, step topology.Step) error {
			b.set(step)
			return refuse(topology.ClassTransient, "time-out")(b, step)
		}, want: "shop/q Ready Succeeded: queue shop/q is as declared"},
		"MadeByAnother": {reason: "adoption is refused", fault: taken(queue("q", "x-expires", int64(1))), want: "shop/q Stalled AdoptionRefused: queue shop/q exists already and differs (arguments.x-expires: 1 on the broker, (unset) declared): declare it as it is, or set adoptionPolicy: Always to change what can be changed in place"},
		"Blocked": {
			reason: "it waits for something else now", fault: refuse(topology.ClassTransient, "no virtual host"),
			then: func(s *stage) { delete(s.broker.live, shop.ID()) },
			want: "shop/q InProgress DependencyNotReady: queue shop/q waits for vhost shop, which is not on the broker and which no resource declares",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.set(cr("shop/x", wants(x)), cr("shop/q", wants(q)))
			s.broker.faults[q.ID()] = []fault{c.fault}
			s.edits()
			if c.then != nil {
				c.then(s)
			}
			s.wait(rejectedReview)
			check(t, c.reason, []string{c.want}, said(s.edits()))
			check(t, c.reason, "never", s.dueIn())
		})
	}
}

func TestEachConnectionHasItsOwnDueTimes(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/q", wants(queue("q"))), cr("audit/r", wants(queue("r")), through(second)))
	s.broker.faults[queue("q").ID()] = []fault{refuse(topology.ClassTransient, "throttled")}
	s.edits()
	s.session.Connection = second
	s.edits()
	if at, any := s.cluster.Next(second); any {
		t.Errorf("the other connection's failure is due at %s, and nothing here", at)
	}
	s.wait(time.Minute)
	if report := s.edits(); len(report.Verdicts) != 0 {
		t.Errorf("nothing to do over this connection, got %v", said(report))
	}
	check(t, "it is still due over its own", "-59s", s.dueIn())
}

func TestRetryNow(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/q", wants(queue("q"))))
	s.broker.faults[queue("q").ID()] = []fault{refuse(topology.ClassRejected, "no")}
	s.edits()
	s.cluster.RetryNow()
	check(t, "the credentials changed: everything is tried", []string{"shop/q Ready Succeeded: queue shop/q is as declared"}, said(s.edits()))
}
