package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

func ids(names ...string) []topology.ID {
	var out []topology.ID
	for _, name := range names {
		out = append(out, topology.QueueID("shop", name))
	}
	return out
}

// What collides waits for its turn, and what does not goes at once.
func TestLocks(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason      string
		first, then *stake
		waits       bool
	}{
		"the same object":       {"both decide about it", newStake(ids("a"), nil), newStake(ids("a"), nil), true},
		"another object":        {"they have nothing in common", newStake(ids("a"), nil), newStake(ids("b"), nil), false},
		"what the other needs":  {"it could be deleted under it", newStake(ids("a"), ids("x")), newStake(ids("x"), nil), true},
		"what both need":        {"needing takes nothing away", newStake(ids("a"), ids("x")), newStake(ids("b"), ids("x")), false},
		"everything, after one": {"all is all", newStake(ids("a"), nil), &stake{all: true}, true},
		"one, after everything": {"all is all", &stake{all: true}, newStake(ids("a"), nil), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLocks()
			release, err := l.acquire(t.Context(), c.first)
			if err != nil {
				t.Fatal(err)
			}
			short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			again, err := l.acquire(short, c.then)
			if waited := errors.Is(err, context.DeadlineExceeded); waited != c.waits {
				t.Fatalf("%s: waits %v, want %v (%v)", c.reason, waited, c.waits, err)
			}
			if err == nil {
				again()
			}
			release()
			if again, err = l.acquire(t.Context(), c.then); err != nil {
				t.Fatal(err)
			}
			again()
			if len(l.queue) != 0 {
				t.Errorf("%d are left in the queue", len(l.queue))
			}
		})
	}
}

// Who asks for much is not overtaken for ever by those who ask for little.
func TestLocksAreFair(t *testing.T) {
	t.Parallel()
	l := newLocks()
	release, err := l.acquire(t.Context(), newStake(ids("a"), nil))
	if err != nil {
		t.Fatal(err)
	}
	turns := make(chan string, 2)
	ask := func(name string, s *stake, queued int) {
		go func() {
			end, err := l.acquire(context.Background(), s)
			if err == nil {
				turns <- name
				end()
			}
		}()
		for length := 0; length < queued; time.Sleep(time.Millisecond) {
			l.mu.Lock()
			length = len(l.queue)
			l.mu.Unlock()
		}
	}
	ask("much", newStake(ids("a", "b"), nil), 2)
	ask("little", newStake(ids("b"), nil), 3)
	select {
	case name := <-turns:
		t.Fatalf("%s went before its turn", name)
	case <-time.After(20 * time.Millisecond):
	}
	release()
	if first, second := <-turns, <-turns; first != "much" || second != "little" {
		t.Errorf("first %s, then %s", first, second)
	}
}

// A connection that does not answer holds up nobody but who shares objects with
// it.
func TestPassesOfTwoConnections(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.set(cr("shop/q", wants(queue("q"))), cr("audit/r", wants(queue("r")), through(second)))
	stuck, answer := make(chan struct{}), make(chan struct{})
	blackhole := s.session
	blackhole.Broker = &silent{Broker: s.session.Broker, asked: stuck, answer: answer}
	ended := make(chan error, 1)
	go func() {
		_, err := s.cluster.Edits(context.Background(), blackhole)
		ended <- err
	}()
	<-stuck
	s.session.Connection = second
	check(t, "the other one works", []string{"audit/r Ready Succeeded: queue shop/r is as declared"}, said(s.edits()))
	close(answer)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// silent is a broker that answers the first question late.
type silent struct {
	Broker
	asked  chan struct{}
	answer chan struct{}
}

func (s *silent) Observe(ctx context.Context, sel topology.Selection) (*topology.Snapshot, error) {
	if s.asked != nil {
		close(s.asked)
		s.asked = nil
		<-s.answer
	}
	return s.Broker.Observe(ctx, sel)
}

// A step runs over the connection of whoever decides about the object, and the
// others hear of it.
func TestStepsRunOverTheirOwnConnection(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	x := exchange("x")
	s.set(cr("audit/a", shares(x), through(second)), cr("shop/b", shares(x), func(c *topology.Claim) { c.Owner.Created = birth.Add(time.Hour) }))
	check(t, "the older claim decides, over its own connection",
		[]string{"shop/b InProgress Progressing: exchange shop/x: create: it is left to RabbitMQConnection audit/broker, over which another owner has it"}, said(s.edits()))
	check(t, "nothing of it is written, not even on the books", []string(nil), s.shelf.names())
	if _, any := s.cluster.Next(second); !any {
		t.Fatal("the other connection has something to do, and does not know")
	}
	s.session.Connection = second
	check(t, "made", []string{"audit/a Ready Succeeded: exchange shop/x is as declared"}, said(s.edits()))
	s.session.Connection = via
	check(t, "and told", []string{"shop/b Ready Succeeded: exchange shop/x is as declared"}, said(s.edits()))
	check(t, "nothing is left to do", "never", s.dueIn())
}

// What failed over one connection is not due over another one that shares it:
// there is nothing that this one could do about it, however often it looked.
func TestFailuresAreDueOverTheConnectionOfTheirStep(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	x := exchange("x")
	s.set(cr("audit/a", shares(x), through(second)), cr("shop/b", shares(x), func(c *topology.Claim) { c.Owner.Created = birth.Add(time.Hour) }))
	s.broker.faults[x.ID()] = []fault{refuse(topology.ClassTransient, "busy"), refuse(topology.ClassTransient, "busy")}
	s.session.Connection = second
	s.edits()
	s.session.Connection = via
	s.edits()
	s.wait(time.Minute)
	check(t, "it would be at it without a break until the other connection is", "never", s.dueIn())
	check(t, "nothing was done", []string(nil), said(s.edits()))

	s.session.Connection = second
	s.edits() // fails again
	s.cluster.Touch(key("shop/b"))
	s.session.Connection = via
	s.edits()
	if at, _ := s.cluster.Next(second); !at.After(s.clock()) {
		t.Error("the other connection has a turn of its own, and need not be called before that")
	}
	s.wait(time.Minute)
	s.session.Connection = second
	check(t, "made in the end", []string{"audit/a Ready Succeeded: exchange shop/x is as declared"}, said(s.edits()))
	s.session.Connection = via
	check(t, "and told", []string{"shop/b Ready Succeeded: exchange shop/x is as declared"}, said(s.edits()))
}
