package engine

import (
	"context"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// numbering is a broker that gives every topic an id of its own.
type numbering struct {
	*broker
	ids map[topology.ID]string
}

func (n *numbering) Observe(ctx context.Context, sel topology.Selection) (*topology.Snapshot, error) {
	live, err := n.broker.Observe(ctx, sel)
	if err != nil {
		return nil, err
	}
	for id, r := range live.Objects {
		if t, ok := r.(*topology.Topic); ok {
			found := *t
			found.TopicID = n.ids[id]
			live.Objects[id] = &found
		}
	}
	return live, nil
}

// sliceOf runs a sweep of one slice, some time later.
func sliceOf(s *stage) *Report {
	s.t.Helper()
	s.wait(time.Minute)
	report, err := s.beginSweep().Slice(context.Background())
	if err != nil {
		s.t.Fatalf("slice: %v", err)
	}
	return report
}

func TestTopicIDs(t *testing.T) {
	s := newStage(t)
	orders := topic("orders")
	b := &numbering{broker: s.broker, ids: map[topology.ID]string{orders.ID(): "one"}}
	s.session.Broker = b
	s.set(cr("shop/orders", wants(orders)))
	s.edits()
	check(t, "a topic that was created is known by its id", "one", s.shelf.saved[orders.ID()].TopicID)

	b.ids[orders.ID()] = "two"
	const told = "topic orders was deleted and created again by somebody else (topic id two, before that one): what it held is gone"
	sweep := sliceOf(s)
	check(t, "another one under the name is told", map[topology.OwnerKey][]string{key("shop/orders"): {told}}, sweep.Recreated)
	check(t, "and the owner says so", []string{"shop/orders Ready Succeeded: topic orders is as declared; " + told}, said(sweep))
	check(t, "from then on that is the one", "two", s.shelf.saved[orders.ID()].TopicID)
	sweep = sliceOf(s)
	check(t, "it is told once", 0, len(sweep.Recreated))

	// One that is missing is created by us, and no surprise, even if the
	// process dies before it has read the id.
	delete(s.broker.live, orders.ID())
	b.ids[orders.ID()] = "three"
	s.broker.faults[orders.ID()] = []fault{slow}
	sweep = sliceOf(s)
	check(t, "it does not show yet", "", s.shelf.saved[orders.ID()].TopicID)
	s.quiesce()
	check(t, "nobody is told", 0, len(sweep.Recreated))
	check(t, "it is known in the end", "three", s.shelf.saved[orders.ID()].TopicID)
}
