package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// detour is what an operation on a queue keeps on the broker: the bindings that
// it leads elsewhere. That there is one says that the operation is under way.
type detour struct{ bindings []*topology.Binding }

// Advance implements topology.Operator for queues, a step at a time, as somebody
// would who only knows what the broker shows.
func (b *broker) Advance(ctx context.Context, op topology.Operation) (topology.Progress, error) {
	if b.advancing != nil {
		b.advancing(op)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	id, want := op.ID(), op.Want.(*topology.Queue)
	if err := cmpErr(ctx.Err(), b.down, b.cut); err != nil {
		return topology.Progress{}, err
	}
	if says := b.booked(id); says != op.Kind {
		b.offences = append(b.offences, fmt.Sprintf("%s is in %s, and the books say %q", id, op.Kind, says))
	}
	if faults := b.faults[id]; len(faults) > 0 {
		b.faults[id] = faults[1:]
		if err := faults[0](b, topology.Step{ID: id, Want: b.live[id]}); err != nil {
			return topology.Progress{}, err
		}
		return topology.Progress{Step: "Again"}, nil
	}
	step := func(name string) (topology.Progress, error) {
		b.journal.add("%s %s", name, id)
		return topology.Progress{Step: name, Message: fmt.Sprintf("%s: %s", id, name), Left: b.messages[id]}, nil
	}
	there, way := b.live[id], b.detours[id]
	arrived := there != nil && len(want.Diff(there)) == 0
	switch {
	case arrived && way == nil:
		return topology.Progress{Done: true}, nil
	case arrived:
		for _, binding := range way.bindings {
			if b.live[binding.SourceID()] != nil {
				b.live[binding.ID()] = binding
			}
		}
		delete(b.detours, id)
		return step("Restore")
	case way == nil:
		way = &detour{}
		for _, r := range b.live {
			if binding, ok := r.(*topology.Binding); ok && binding.DestinationID() == id {
				way.bindings = append(way.bindings, binding)
			}
		}
		for _, binding := range way.bindings {
			delete(b.live, binding.ID())
		}
		b.detours[id] = way
		return step("Lead")
	case b.messages[id] > 0:
		b.messages[id]--
		return step("Drain")
	case there != nil:
		b.remove(id)
		return step("Delete")
	default:
		b.live[id] = want
		return step("Create")
	}
}

// inHand tells whether a step concerns what an operation has in hand.
func (b *broker) inHand(id topology.ID) bool {
	if _, destination, err := topology.BindingEnds(id); err == nil {
		id = destination
	}
	return b.detours[id] != nil
}

// detoured lists what is led elsewhere, sorted.
func (b *broker) detoured() []string {
	var out []string
	for id := range b.detours {
		out = append(out, id.String())
	}
	slices.Sort(out)
	return out
}
