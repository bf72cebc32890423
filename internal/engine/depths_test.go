package engine

import (
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

func buries(in topology.ID) option { return func(c *topology.Claim) { c.DeadLetters = in } }

// deadLetters is what a report says of one owner's.
func deadLetters(t *testing.T, report *Report, name string) DeadLetters {
	t.Helper()
	for _, v := range report.Verdicts {
		if v.Owner.OwnerKey == key(name) {
			return v.DeadLetters
		}
	}
	t.Fatalf("no verdict on %s", name)
	return DeadLetters{}
}

func TestDeadLetters(t *testing.T) {
	s := newStage(t)
	dead := queue("q.dead")
	s.set(cr("shop/q", wants(queue("q")), shares(dead), buries(dead.ID())), cr("shop/plain", wants(queue("plain"))))
	check(t, "an edit does not ask", DeadLetters{Where: dead.ID()}, deadLetters(t, s.edits(), "shop/q"))
	s.wait(time.Minute)
	check(t, "a sweep does", DeadLetters{Where: dead.ID(), Known: true}, deadLetters(t, s.sweep(), "shop/q"))
	s.broker.messages[queue("q").ID()] = 7
	check(t, "messages in the queue itself are no dead letters", false, deadLetters(t, s.sweep(), "shop/q").Present)
	for _, n := range []int64{1, 1000} {
		s.broker.messages[dead.ID()] = n
		check(t, "one is as good as a thousand", DeadLetters{Where: dead.ID(), Known: true, Present: true}, deadLetters(t, s.sweep(), "shop/q"))
	}
	check(t, "who has no place for dead letters is not told of any", DeadLetters{}, deadLetters(t, s.sweep(), "shop/plain"))
	s.broker.unmeasured = true
	check(t, "a broker that does not tell is not taken for an empty one", DeadLetters{Where: dead.ID()}, deadLetters(t, s.sweep(), "shop/q"))
}

func TestDepthsOfASweep(t *testing.T) {
	s := newStage(t)
	dead := topic("t.dlt")
	s.set(
		cr("shop/q", wants(queue("q"), exchange("x"))),
		cr("shop/t", wants(topic("t")), shares(dead), buries(dead.ID())),
		cr("shop/new", wants(queue("new")), buries(queue("new.dead").ID())),
		cr("shop/elsewhere", wants(queue("elsewhere")), through(topology.ConnectionKey{Kind: via.Kind, Namespace: "shop", Name: "other"})),
	)
	s.edits()
	s.wait(time.Minute)
	s.broker.messages[queue("q").ID()] = 3
	sweep := s.beginSweep()
	s.rest(sweep)
	want := map[topology.ID]topology.Depth{queue("new").ID(): {}, queue("q").ID(): {Messages: 3}, dead.ID(): {}}
	check(t, "owned queues and topics for dead letters of this connection, and nothing else", want, sweep.Depths())
}
