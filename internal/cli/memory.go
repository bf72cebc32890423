package cli

import (
	"context"
	"maps"
	"sync"

	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// memory is an inventory that ends with the command.
type memory struct {
	mu         sync.Mutex
	entries    topology.Inventory
	departures topology.Departures
}

func newMemory(entries ...topology.Entry) *memory {
	m := &memory{entries: topology.Inventory{}}
	for _, entry := range entries {
		m.entries[entry.ID] = entry
	}
	return m
}

// Load implements engine.Store.
func (m *memory) Load(context.Context) (topology.Inventory, topology.Departures, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.entries), m.departures, nil
}

// Write implements engine.Store.
func (m *memory) Write(_ context.Context, put []topology.Entry, drop []topology.ID, _ *topology.Departures) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, entry := range put {
		m.entries[entry.ID] = entry
	}
	for _, id := range drop {
		delete(m.entries, id)
	}
	return nil
}

// keeping is a broker from which no step takes anything away: without an
// inventory nothing proves that something is ours to delete.
type keeping struct{ engine.Broker }

// Apply implements topology.Applier.
func (k keeping) Apply(ctx context.Context, wave []topology.Step) []topology.Outcome {
	out := make([]topology.Outcome, len(wave))
	var rest []topology.Step
	var at []int
	for i, step := range wave {
		if step.Verb == topology.VerbDelete {
			out[i] = topology.Outcome{Step: step, Err: &topology.Error{
				Class: topology.ClassUnsupported, Object: step.ID, Operation: string(step.Verb), Reason: "nothing is deleted without a cluster that knows who owns it",
			}}
			continue
		}
		rest, at = append(rest, step), append(at, i)
	}
	if len(rest) == 0 {
		return out
	}
	for i, outcome := range k.Broker.Apply(ctx, rest) {
		out[at[i]] = outcome
	}
	return out
}

// Advance implements topology.Operator.
func (k keeping) Advance(ctx context.Context, operation topology.Operation) (topology.Progress, error) {
	operator, able := k.Broker.(topology.Operator)
	if !able {
		return topology.Progress{}, &topology.Error{Class: topology.ClassUnsupported, Object: operation.ID(), Operation: string(operation.Kind), Reason: "this broker knows no operations"}
	}
	return operator.Advance(ctx, operation)
}

// judging is a keeping broker that can be asked what it would answer.
type judging struct {
	keeping
	engine.Validator
}

// keep makes a broker one that deletes nothing.
func keep(broker engine.Broker) engine.Broker {
	if validator, able := broker.(engine.Validator); able {
		return judging{keeping{broker}, validator}
	}
	return keeping{broker}
}
