package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// An operation is decided once. From the moment on that its entry names it, it
// goes on until it is done, whatever the spec says by then: a spec that is set
// back is a wish like any other, and the operation ends there.

func (w *World) isUnderway(id topology.ID) bool {
	_, underway := w.underway[id]
	return underway
}

// operationFor names the operation that makes changes which no step can make;
// "" if there is none.
func operationFor(d decision, changes []topology.Change) topology.OperationKind {
	switch topology.WorstMode(changes) {
	case topology.Gradual:
		return topology.OperationReassign
	case topology.Replace:
		if d.want.Resource.ID().Kind == topology.KindQueue {
			return map[topology.UpdatePolicy]topology.OperationKind{
				topology.UpdateMigrate: topology.OperationMigrate, topology.UpdateRecreate: topology.OperationRecreate,
			}[d.winner.Policy.Update]
		}
	}
	return ""
}

func changesOf(mode topology.Mode, changes []topology.Change) []topology.Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c topology.Change) bool { return c.Mode != mode })
}

// goesOn tells whether an operation is under way on an object that has a
// winner. The replicas of a topic that is gone are nowhere.
func (b *builder) goesOn(id topology.ID, d decision, presence topology.Presence) bool {
	return d.owned && d.entry.Operation != "" && presence != topology.Unknown &&
		(presence == topology.Present || id.Kind == topology.KindQueue)
}

// carryOn goes on with an operation, next to changes that are made in place.
func (b *builder) carryOn(id topology.ID, d decision, want, live topology.Resource) {
	b.operate(d.entry.Operation, id, d, want, live)
	var inPlace []topology.Change
	if live != nil && d.entry.Operation == topology.OperationReassign {
		inPlace = changesOf(topology.InPlace, want.Diff(live))
	}
	if len(inPlace) == 0 || b.refused(id, d, want.Diff(live)) {
		b.recordKeepingFields(id, d)
		return
	}
	b.recordReleasing(id, d, inPlace)
	b.update(id, d, want, live, inPlace)
}

func (b *builder) operate(kind topology.OperationKind, id topology.ID, d decision, want, live topology.Resource) {
	b.operations[id] = &topology.Operation{
		Kind: kind, Want: want, Live: live, Owners: d.owners, Connection: d.winner.Connection,
	}
}

// blockOperations holds operations that are to begin and need something that is
// neither there nor on its way.
func (b *builder) blockOperations() {
	for _, id := range slices.SortedFunc(maps.Keys(b.operations), topology.ID.Compare) {
		operation := b.operations[id]
		if b.in.World.isUnderway(id) {
			continue
		}
		for _, need := range operation.Want.Needs() {
			message := b.missing(need)
			if message == "" {
				message = b.lost(operation.Owners, need)
			}
			if message == "" {
				continue
			}
			b.holdFor(operation.Owners, Held{
				ID: id, Reason: Blocked, Missing: need,
				Message: fmt.Sprintf("%s waits for %s, %s", id, need, message),
			})
			delete(b.operations, id)
			b.recordIdle(id)
			break
		}
	}
}

// recordIdle takes the operation out of what is recorded of an object.
func (b *builder) recordIdle(id topology.ID) {
	entry, recorded := b.records[id]
	if !recorded {
		return
	}
	entry.Operation = ""
	b.records[id] = entry
	if old, owned := b.in.World.Entry(id); owned && sameEntry(old, entry) {
		delete(b.records, id)
	}
}

// movedWith names the queue with which a binding is led elsewhere, because an
// operation on it is under way.
func (b *builder) movedWith(id topology.ID) (queue topology.ID, moved bool) {
	if id.Kind != topology.KindBinding || len(b.in.World.underway) == 0 {
		return topology.ID{}, false
	}
	_, destination, err := topology.BindingEnds(id)
	if err != nil || destination.Kind != topology.KindQueue || !b.in.World.isUnderway(destination) {
		return topology.ID{}, false
	}
	return destination, true
}

// holdMoved leaves a binding to the operation on its queue, and to be looked at
// when that is done.
func (b *builder) holdMoved(id, queue topology.ID, d decision) {
	if d.winner == nil { // kept
		return
	}
	if d.owned {
		b.recordKeepingFields(id, d)
	}
	b.holdFor(d.owners, Held{
		ID: id, Reason: Migrating, Missing: queue,
		Message: fmt.Sprintf("%s is led elsewhere while %s is being replaced; it is made as declared after that", id, queue),
	})
}

// endOperation has an ending wait for an operation, which comes to its end with
// what is there.
func (b *builder) endOperation(id topology.ID, e *ending) {
	wait := func(why string) {
		e.unfinished = true
		e.raise(waits, why)
		e.caused = waits
	}
	if queue, moved := b.movedWith(id); moved {
		wait(fmt.Sprintf("it is led elsewhere while %s is being replaced", queue))
		return
	}
	if e.entry.Operation == "" || e.presence == topology.Absent && id.Kind != topology.KindQueue {
		return
	}
	wait(fmt.Sprintf("a %s of it is brought to its end first", e.entry.Operation))
	if e.presence == topology.Unknown {
		return
	}
	want := e.live
	if want == nil {
		want = b.in.World.lastWish(id)
	}
	b.operations[id] = &topology.Operation{
		Kind: e.entry.Operation, Want: want, Live: e.live, Owners: e.entry.Owners, Connection: e.connection,
	}
}

// lastWish is a queue to take in what an operation has in hand, where neither
// queue is there and nobody wants one: one that loses nothing.
func (w *World) lastWish(id topology.ID) topology.Resource {
	if wish, known := w.wishes[id]; known {
		return wish
	}
	return &topology.Queue{
		VirtualHost: id.Scope, Name: id.Name, Type: topology.QueueTypeClassic, Durable: true, Arguments: topology.Arguments{},
	}
}
