package plan

import (
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// drains tells whether an ending is a queue or topic that a living owner
// declares no longer, and that goes when it is empty.
func (e *ending) drains() bool {
	kind := e.entry.ID.Kind
	return e.shrunk && e.caused >= settles && e.caused != waits && (kind == topology.KindQueue || kind == topology.KindTopic)
}

// keepDrains makes what a queue dead-letters to stay while the queue drains: the
// exchange, the bindings from it, and the queues behind them. It tells whether
// that was news.
func keepDrains(ids []topology.ID, endings map[topology.ID]*ending) bool {
	news := false
	for _, id := range ids {
		e := endings[id]
		exchange := topology.ExchangeID(id.Scope, e.deadLetters)
		if !e.shrunk || e.standing == goes || id.Kind != topology.KindQueue || exchange.Name == "" {
			continue
		}
		why := fmt.Sprintf("%s drains through it", id)
		if behind := endings[exchange]; behind != nil {
			news = behind.raise(e.standing, why) || news
		}
		for _, other := range ids {
			binding, ok := endings[other].live.(*topology.Binding)
			if !ok || binding.SourceID() != exchange || endings[other].successor != (topology.ID{}) {
				continue
			}
			news = endings[other].raise(e.standing, why) || news
			if behind := endings[binding.DestinationID()]; behind != nil {
				news = behind.raise(e.standing, why) || news
			}
		}
	}
	return news
}

// holdMisled holds bindings that have to be alone and whose destination is held
// for their owner, by somebody else's queue of that name, say: messages would go
// there, and the binding that leads to the right place would go for it.
func (b *builder) holdMisled() {
	for _, id := range b.stepIDs() {
		step := b.steps[id]
		wanted, ok := step.Want.(*topology.Binding)
		if !ok || !wanted.Alone {
			continue
		}
		i := slices.IndexFunc(b.plan.Held, func(h Held) bool {
			return h.ID == wanted.DestinationID() && slices.Contains(step.Owners, h.Owner)
		})
		if i < 0 {
			continue
		}
		b.holdFor(step.Owners, Held{
			ID: id, Reason: Blocked, Missing: wanted.DestinationID(),
			Message: fmt.Sprintf("%s waits for %s, which is held: %s", id, wanted.DestinationID(), b.plan.Held[i].Message),
		})
		delete(b.steps, id)
		b.forgetRecord(id)
	}
}

// findSuccessors pairs bindings that go with those that take their place and
// must not stand beside them.
func (b *builder) findSuccessors(ids []topology.ID, endings map[topology.ID]*ending) {
	var successors []*topology.Binding
	for _, id := range b.stepIDs() {
		if wanted, ok := b.steps[id].Want.(*topology.Binding); ok && wanted.Alone {
			successors = append(successors, wanted)
		}
	}
	for _, id := range ids {
		e := endings[id]
		live, ok := e.live.(*topology.Binding)
		if !ok || !e.shrunk {
			continue
		}
		if i := slices.IndexFunc(successors, live.SameRoute); i >= 0 {
			e.successor = successors[i].ID()
		}
	}
}

// succeed puts the delete of a binding right before the create of the one that
// takes its place, once all that the new one leads to stands.
func (b *builder) succeed(ids []topology.ID, endings map[topology.ID]*ending) {
	requires := map[topology.ID][]topology.ID{}
	for _, id := range ids {
		e := endings[id]
		if e.successor == (topology.ID{}) || e.standing != goes {
			continue
		}
		create := b.steps[e.successor]
		if _, seen := requires[e.successor]; !seen {
			requires[e.successor] = slices.Clone(create.Requires)
		}
		b.steps[id].Requires = requires[e.successor]
		b.early[id] = true
		create.Requires = append(create.Requires, id)
	}
}
