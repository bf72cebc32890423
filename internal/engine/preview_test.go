package engine

import (
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestPreviewChangesNothing(t *testing.T) {
	bad := &topology.Error{Class: topology.ClassRejected, Object: topic("b").ID(), Operation: "create topic", Reason: "INVALID_CONFIG"}
	s := newStage(t)
	s.session.Broker = &judge{broker: s.broker, refuses: map[topology.ID]error{topic("b").ID(): bad}}
	s.set(cr("shop/a", wants(topic("a"))), cr("shop/b", wants(topic("b"))), cr("shop/other", wants(topic("c"))))
	s.journal.take()
	seen, err := s.cluster.Preview(t.Context(), s.session, []topology.OwnerKey{key("shop/a"), key("shop/b")})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "the steps of those who were asked about", 2, len(seen.Steps()))
	check(t, "what the broker says of a step", []topology.ID{topic("b").ID()}, []topology.ID{seen.Refused[0].Step.ID})
	check(t, "questions, and no answers", []string{"ask about topic a", "ask about topic b"}, sortedSteps(s.journal.take()))
	check(t, "nothing is on the books", 0, len(s.shelf.saved))
	check(t, "nothing is on the broker", false, s.broker.live[topic("a").ID()] != nil)
	s.edits()
	check(t, "what was looked at is still to be done", true, s.broker.live[topic("a").ID()] != nil && s.broker.live[topic("c").ID()] != nil)
}

// What is at stake is measured: the queue that goes, and not the one that stays.
func TestPreviewMeasuresWhatIsAtStake(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/old", wants(queue("old")), deletion(topology.Delete)), cr("shop/stays", wants(queue("stays"))))
	s.edits()
	s.broker.messages[queue("old").ID()], s.broker.messages[queue("stays").ID()] = 7, 8
	s.cluster.RemoveClaim(key("shop/old"), true)
	s.set(cr("shop/stays", wants(queue("stays"))))
	seen, err := s.cluster.Preview(t.Context(), s.session, []topology.OwnerKey{key("shop/old"), key("shop/stays")})
	if err != nil {
		t.Fatal(err)
	}
	if depth, measured := seen.Live.Depths[queue("stays").ID()]; measured {
		t.Errorf("what stays was measured: %v", depth)
	}
	check(t, "what goes, and what it holds", []int64{7}, []int64{seen.Live.Depths[seen.Steps()[0].ID].Messages})
	if s.broker.live[queue("old").ID()] == nil {
		t.Error("the queue was deleted")
	}
}

// Each connection shows its own steps.
func TestPreviewIsOfOneConnection(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/a", wants(topic("a"))), cr("audit/b", wants(topic("b")), through(second)))
	for connection, want := range map[topology.ConnectionKey]topology.ID{via: topic("a").ID(), second: topic("b").ID()} {
		session := s.session
		session.Connection = connection
		seen, err := s.cluster.Preview(t.Context(), session, []topology.OwnerKey{key("shop/a"), key("audit/b")})
		if err != nil {
			t.Fatal(err)
		}
		if steps := seen.Steps(); len(steps) != 1 || steps[0].ID != want {
			t.Errorf("%s: %v, want %s", connection, steps, want)
		}
	}
}
