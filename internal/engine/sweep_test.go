package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestSweepLeavesWhatMovesToTheEdits(t *testing.T) {
	t.Run("Dirty", func(t *testing.T) {
		s := newStage(t)
		s.set(cr("shop/a", wants(queue("a"))), cr("shop/b", wants(queue("b"))))
		s.edits()
		s.wait(time.Minute)
		sweep := s.beginSweep()
		s.set(cr("shop/a", wants(queue("a2")), generation(2)))
		check(t, "an edit since the snapshot is not the sweep's", []string{"shop/b Ready Succeeded: queue shop/b is as declared"}, said(s.rest(sweep)))
	})
	t.Run("Written", func(t *testing.T) {
		s := newStage(t)
		s.set(cr("shop/t", wants(topic("t", "retention.ms", "1"))))
		s.edits()
		s.wait(time.Minute)
		sweep := s.beginSweep()
		s.wait(time.Second)
		s.set(cr("shop/t", wants(topic("t", "retention.ms", "2")), generation(2)))
		s.edits()
		report := s.rest(sweep)
		check(t, "the snapshot is older than the edit: it is not believed", 0, len(report.Outcomes)+len(report.Verdicts))
	})
	t.Run("WrittenBesideOthers", func(t *testing.T) {
		s := newStage(t)
		s.set(cr("shop/a", wants(queue("a"))))
		s.edits()
		s.wait(time.Minute)
		s.set(cr("shop/b", wants(queue("b"))))
		sweep := s.beginSweep()
		s.wait(time.Second)
		s.edits()
		report := s.rest(sweep)
		check(t, "what was made since the snapshot is not made again", 0, len(report.Outcomes))
		check(t, "and the other one is checked", []string{"shop/a Ready Succeeded: queue shop/a is as declared"}, said(report))
	})
	t.Run("NeedWritten", func(t *testing.T) {
		s := newStage(t)
		s.set(cr("shop/q", wants(queue("q"))), cr("shop/x", wants(exchange("x"))), cr("shop/b", wants(bind("x", "q", "k"))))
		s.edits()
		s.wait(time.Minute)
		s.broker.remove(exchange("x").ID())
		sweep := s.beginSweep()
		s.wait(time.Second)
		s.cluster.Touch(key("shop/x"))
		s.edits() // puts the exchange back
		s.rest(sweep)
		s.quiesce()
		check(t, "what needs it comes back, too, without waiting for the next sweep", 3, len(s.broker.names()))
	})
	t.Run("FirstPolicy", func(t *testing.T) {
		s := newStage(t)
		s.set(cr("shop/a", wants(queue("a"))))
		s.edits()
		s.wait(time.Minute)
		sweep := s.beginSweep()
		s.wait(time.Second)
		policy := topology.QueuePolicy("shop", "a", "classic", topology.Arguments{"max-length": int64(1)})
		s.broker.hand(func() { s.broker.live[policy.ID()] = policy })
		s.set(cr("shop/a", wants(queue("a"), policy), generation(2)))
		s.edits() // finds everything as it should be, and writes nothing
		check(t, "policies that were not read are not missing", 0, len(s.rest(sweep).Verdicts))
	})
	t.Run("Before", func(t *testing.T) {
		s := newStage(t)
		s.set(cr("shop/q", wants(queue("q"))))
		s.edits()
		s.wait(time.Second)
		check(t, "what was written before the snapshot is in it", 1, len(s.sweep().Verdicts))
	})
}

// Policies cost two requests, so they are read where somebody declares or owns
// one, and nowhere else.
func TestSweepReadsPoliciesWhereThereAreSome(t *testing.T) {
	s := newStage(t)
	asked := func() bool {
		t.Helper()
		var policies bool
		s.broker.observing = func(sel topology.Selection) { policies = policies || sel.All && sel.Policies }
		s.sweep()
		s.broker.observing = nil
		return policies
	}
	s.set(cr("shop/q", wants(queue("q"))))
	s.edits()
	s.wait(time.Minute)
	check(t, "nobody declares one", false, asked())
	s.set(cr("shop/q", wants(queue("q"), topology.QueuePolicy("shop", "q", "classic", topology.Arguments{"max-length": int64(1)})), generation(2)))
	s.edits()
	s.wait(time.Minute)
	check(t, "somebody does", true, asked())
	s.cluster.RemoveClaim(key("shop/q"), true)
	check(t, "and what is left of it is looked after", true, asked())
	s.quiesce()
	s.wait(time.Minute)
	check(t, "until it is gone", false, asked())
}

// Slices share one snapshot: what an earlier one made is not in it.
func TestSlicesOfOneSweepBuildOnEachOther(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/a", wants(exchange("x")))) // in the first slice
	for i := range SliceSize {
		s.set(cr(fmt.Sprintf("shop/q%03d", i), wants(queue(fmt.Sprintf("q%03d", i)))))
	}
	s.set(cr("shop/z", wants(bind("x", "q000", "k"))))
	s.edits()
	s.wait(time.Minute)
	s.broker.remove(exchange("x").ID())
	sweep := s.beginSweep()
	s.rest(sweep)
	s.quiesce()
	check(t, "exchange, queues and binding are there without a second sweep", SliceSize+2, len(s.broker.names()))
}

// A process that is started again reads the broker once.
func TestFirstSweepRelievesTheEdits(t *testing.T) {
	started := func(t *testing.T) *stage {
		s := newStage(t)
		mine := []*topology.Claim{cr("shop/a", wants(queue("a"))), cr("shop/b", wants(queue("b")))}
		s.set(mine...)
		s.edits()
		s.restart()
		s.set(mine...)
		s.set(cr("shop/new", wants(queue("new"))))
		s.journal.take()
		return s
	}
	first := func(s *stage) *Sweep {
		sweep, err := s.cluster.BeginFirstSweep(context.Background(), s.session)
		if err != nil {
			s.t.Fatalf("sweep: %v", err)
		}
		return sweep
	}
	whole := []string{"shop/a Ready Succeeded: queue shop/a is as declared", "shop/b Ready Succeeded: queue shop/b is as declared"}
	isNew := "shop/new Ready Succeeded: queue shop/new is as declared"
	t.Run("Done", func(t *testing.T) {
		s := started(t)
		sweep := first(s)
		check(t, "the sweep looks at what is on the broker", whole, said(s.rest(sweep)))
		sweep.End()
		check(t, "and the edits at nothing but what is not", []string{isNew}, said(s.edits()))
	})
	t.Run("BrokenOff", func(t *testing.T) {
		s := started(t)
		first(s).End()
		check(t, "what the sweep has not come to is left to the edits", append(whole, isNew), said(s.edits()))
	})
	t.Run("Failed", func(t *testing.T) {
		s := started(t)
		s.broker.remove(queue("a").ID())
		s.session.Verify = func(context.Context) error { return errors.New("another cluster") }
		sweep := first(s)
		if _, err := sweep.Slice(context.Background()); err == nil {
			t.Fatal("the slice went well, and should not have")
		}
		sweep.End()
		s.session.Verify = nil
		check(t, "what the sweep failed at is left to the edits", append(whole, isNew), said(s.edits()))
	})
	t.Run("Unread", func(t *testing.T) {
		s := started(t)
		s.broker.down = errors.New("no answer")
		if _, err := s.cluster.BeginFirstSweep(context.Background(), s.session); err == nil {
			t.Fatal("the sweep began, and should not have")
		}
		s.broker.down = nil
		check(t, "the broker could not be read", append(whole, isNew), said(s.edits()))
	})
}

func TestSweepsOfTwoConnections(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/t", wants(topic("t", "retention.ms", "1"))), cr("audit/u", wants(topic("u")), through(second)))
	s.edits()
	s.wait(time.Minute)
	sweep := s.beginSweep()
	s.wait(time.Second)
	s.set(cr("shop/t", wants(topic("t", "retention.ms", "2")), generation(2)))
	s.edits()
	s.wait(time.Second)
	other := s.session
	other.Connection = second
	if _, err := s.cluster.BeginSweep(context.Background(), other); err != nil {
		t.Fatal(err)
	}
	check(t, "a younger sweep of another connection must not make the older one forget", 0, len(s.rest(sweep).Outcomes))
	s.edits()
	s.wait(time.Minute)
	check(t, "the next snapshot is new enough", 1, len(s.sweep().Verdicts))
}

func TestCorrections(t *testing.T) {
	x, q := exchange("x"), queue("q")
	for name, c := range map[string]struct {
		reason  string
		hand    func(*broker)
		options []option
		want    map[topology.OwnerKey][]topology.ID
		said    []string
	}{
		"OneCause": {
			reason: "the bindings went with the exchange: they are no news",
			hand:   func(b *broker) { b.remove(x.ID()) },
			want:   map[topology.OwnerKey][]topology.ID{key("shop/x"): {x.ID()}},
		},
		"TwoCauses": {
			reason: "both were deleted",
			hand:   func(b *broker) { b.remove(x.ID()); b.remove(q.ID()) },
			want:   map[topology.OwnerKey][]topology.ID{key("shop/x"): {x.ID()}, key("shop/q"): {q.ID()}},
		},
		"ABinding": {
			reason: "a binding of its own",
			hand:   func(b *broker) { b.remove(bind("x", "q", "k").ID()) },
			want:   map[topology.OwnerKey][]topology.ID{key("shop/b"): {bind("x", "q", "k").ID()}},
		},
		"Reported": {
			reason: "driftPolicy: Report corrects nothing", options: []option{reportsDrift},
			hand: func(b *broker) { b.remove(q.ID()) },
			want: map[topology.OwnerKey][]topology.ID{},
		},
		"Nothing": {reason: "nothing happened", hand: func(*broker) {}, want: map[topology.OwnerKey][]topology.ID{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.set(cr("shop/x", wants(x)), cr("shop/q", append(c.options, wants(q))...), cr("shop/b", wants(bind("x", "q", "k"), bind("x", "q", "l"))))
			s.edits()
			s.wait(time.Minute)
			s.broker.hand(func() { c.hand(s.broker) })
			check(t, c.reason, c.want, s.sweep().Corrected)
			s.wait(time.Minute)
			check(t, "once is enough", 0, len(s.sweep().Corrected))
		})
	}
}

// Sweeps, edits, events and readers at once: for the race detector, and in the
// end everything is as the last word says.
func TestEverythingAtOnce(t *testing.T) {
	s := newStage(t)
	const owners, rounds = 3 * SliceSize / 2, 4
	name := func(i int) string { return fmt.Sprintf("shop/q%03d", i) }
	claim := func(i int, g int64) *topology.Claim {
		return cr(name(i), wants(topic(fmt.Sprintf("t%03d", i), "retention.ms", fmt.Sprint(g))), generation(g))
	}
	for i := range owners {
		s.set(claim(i, 1))
	}
	stop := make(chan struct{})
	var others, events sync.WaitGroup
	unlessFenced := func(err error) {
		// Unload makes passes of this very process begin again.
		if err != nil && !errors.Is(err, ErrFenced) {
			t.Error(err)
		}
	}
	for _, work := range []func(){
		func() {
			sweep, err := s.cluster.BeginSweep(t.Context(), s.session)
			for err == nil && !sweep.Done() {
				_, err = sweep.Slice(t.Context())
			}
			unlessFenced(err)
		},
		func() {
			_, err := s.cluster.Edits(t.Context(), s.session)
			unlessFenced(err)
		},
		func() {
			s.cluster.Next(via)
			s.cluster.Stats()
			s.cluster.Holdings(via)
			s.cluster.Claim(key(name(0)))
			s.cluster.Absent()
		},
		func() { s.wait(time.Millisecond); s.cluster.RetryNow(); s.cluster.Unload() },
	} {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					work()
				}
			}
		})
	}
	for half := range 2 {
		events.Go(func() {
			for g := range int64(rounds) {
				for i := half; i < owners; i += 2 {
					switch {
					case i%10 == 7 && g == rounds-1:
						s.cluster.RemoveClaim(key(name(i)), true)
					default:
						s.set(claim(i, g+2))
					}
				}
			}
		})
	}
	events.Wait()
	close(stop)
	others.Wait()
	s.quiesce()
	want := map[string]string{}
	for i := range owners {
		if i%10 != 7 {
			want[fmt.Sprintf("topic t%03d", i)] = fmt.Sprint(rounds + 1)
		}
	}
	got := map[string]string{}
	for id, r := range s.broker.live {
		if found, ok := r.(*topology.Topic); ok {
			got[id.String()] = found.Config["retention.ms"]
		}
	}
	check(t, "the last word of every owner", want, got)
	check(t, "and the books say the same", slices.Sorted(maps.Keys(want)), s.shelf.names())
}
