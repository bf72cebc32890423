package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// ending is an owned object that nobody wants any more.
type ending struct {
	entry    topology.Entry
	live     topology.Resource
	presence topology.Presence
	policy   topology.DeletionPolicy
	// deadLetters is the exchange that a queue dead-letters to; "" for none.
	deadLetters string
	// shrunk: an owner is still there and has dropped the object from its
	// claim; otherwise all owners are gone.
	shrunk bool
	// inner bindings are the wiring between the objects of one claim; the
	// others feed it from outside.
	inner bool
	// connection through which it goes: that of an owner who is there, for the
	// one on record may be gone.
	connection topology.ConnectionKey
	// successor is the binding that takes the place of this one, and that must
	// not stand beside it.
	successor topology.ID
	// unfinished: an operation on it, or on the queue of a binding, has to come
	// to its end first.
	unfinished bool
	// unapproved: an owner has to approve that it goes, and has not.
	unapproved bool
	// standing, and in half a sentence why; caused is the part of it that comes
	// of this object and of no other.
	standing, caused standing
	why              string
}

// standing says whether an ending can go. A later one outweighs an earlier.
type standing int

const (
	goes     standing = iota // with this plan
	settles                  // once its counts, which lag, prove what they say
	waits                    // for something that comes without anybody's doing
	stays                    // until somebody does something
	heldBack                 // until somebody allows it: one of too many at once
)

func (e *ending) raise(to standing, why string) bool {
	if to <= e.standing {
		return false
	}
	e.standing, e.why = to, why
	return true
}

func (b *builder) ending(id topology.ID, entry topology.Entry) *ending {
	e := &ending{entry: entry, connection: entry.Connection}
	e.live, e.presence = b.in.Live.Look(id)
	e.policy, e.shrunk = b.in.World.endPolicy(entry)
	e.deadLetters = b.deadLetterExchange(e.live)
	for _, key := range entry.Owners {
		if claim := b.in.World.Claim(key); claim != nil {
			e.connection = claim.Connection
		}
	}
	return e
}

// endPolicy is the policy by which an object goes that nobody wants any more.
// Shrunk says that an owner is still there and has dropped the object from its
// claim.
func (w *World) endPolicy(entry topology.Entry) (policy topology.DeletionPolicy, shrunk bool) {
	policy = topology.Delete
	for _, key := range entry.Owners {
		one := gentler(entry.Deletion, topology.Delete)
		if w.claims[key] != nil {
			// What is taken out of a resource is an edit: deletionPolicy is about
			// the end of the resource. It destroys no message.
			shrunk = true
			one = topology.DeleteIfUnused
		} else if last, witnessed := w.departed[key]; witnessed {
			one = last.policy.Deletion
		} else if one == topology.Delete {
			// It may have become Retain or DeleteIfUnused unseen.
			one = topology.DeleteIfUnused
		}
		policy = gentler(policy, one)
	}
	switch {
	case shrunk && (entry.ID.Kind == topology.KindBinding || entry.ID.Kind == topology.KindPolicy):
		policy = topology.Delete
	case len(entry.Owners) == 0:
		policy = topology.DeleteIfUnused
	}
	return policy, shrunk
}

// gentler picks the policy that destroys less; one that says nothing is the
// default.
func gentler(a, b topology.DeletionPolicy) topology.DeletionPolicy {
	switch {
	case a == topology.Retain || b == topology.Retain:
		return topology.Retain
	case a == topology.Delete && b == topology.Delete:
		return topology.Delete
	default:
		return topology.DeleteIfUnused
	}
}

// end decides about everything that nobody wants any more. What one former
// owner held goes or stays whole.
func (b *builder) end(endings map[topology.ID]*ending) {
	if len(endings) == 0 {
		return
	}
	for id, e := range endings {
		b.endOperation(id, e)
		if !e.unfinished && (e.presence == topology.Absent || e.policy == topology.Retain) {
			b.plan.Forget = append(b.plan.Forget, id)
			delete(endings, id)
		}
	}
	ids := slices.SortedFunc(maps.Keys(endings), topology.ID.Compare)
	b.findSuccessors(ids, endings)
	b.withhold(ids, endings)
	around := b.look(ids)
	b.holdEndings(ids, endings, around)
	for _, id := range ids {
		e := endings[id]
		if e.presence == topology.Unknown {
			e.raise(waits, fmt.Sprintf("it cannot be read: %v", b.in.Live.UnreadReason(id)))
			e.caused = waits
		} else if e.shrunk && e.successor == (topology.ID{}) {
			b.makeBeforeBreak(e, around)
		}
	}
	b.keepInhabited(ids, endings)
	markInner(endings)
	for again := true; again; {
		again = b.checkUse(ids, endings, around)
		again = spread(ids, endings) || again
		again = keepDrains(ids, endings) || again
	}
	going := goingByOwner(ids, endings)
	for _, id := range ids {
		if e := endings[id]; e.standing == goes {
			b.deletes[id] = deleteLevel(e)
			b.steps[id] = &topology.Step{
				Verb: topology.VerbDelete, ID: id, Live: e.live,
				IfUnused: e.policy != topology.Delete,
				Owners:   e.entry.Owners, Connection: e.connection,
				Requires: b.deleteRequires(e, endings, going, around),
			}
		} else {
			b.leave(e)
		}
	}
	b.succeed(ids, endings)
	b.settle(ids, endings)
}

// keepInhabited keeps virtual hosts in which somebody who is there owns
// something, whatever their deletion policy: it would go with them.
func (b *builder) keepInhabited(ids []topology.ID, endings map[topology.ID]*ending) {
	going := map[string]*ending{}
	for _, id := range ids {
		if id.Kind == topology.KindVirtualHost && endings[id].policy == topology.Delete {
			going[id.Name] = endings[id]
		}
	}
	if len(going) == 0 {
		return
	}
	inhabitant := map[string]topology.ID{}
	note := func(id topology.ID) {
		if first, known := inhabitant[id.Scope]; going[id.Scope] != nil && (!known || id.Compare(first) < 0) {
			inhabitant[id.Scope] = id
		}
	}
	w := b.in.World
	for id := range w.wanters {
		note(id)
	}
	for id, entry := range w.inventory {
		if slices.ContainsFunc(entry.Owners, func(owner topology.OwnerKey) bool { return w.claims[owner] != nil }) {
			note(id)
		}
	}
	for host, id := range inhabitant {
		going[host].raise(stays, fmt.Sprintf("%s is declared in it", id))
		going[host].caused = stays
	}
}

// leave says of an object that does not go whether it is pending or left
// behind. The text has no counts in it: it is written down, and must not change
// from pass to pass.
func (b *builder) leave(e *ending) {
	id := e.entry.ID
	reason, note := Deleting, ""
	switch e.standing {
	case stays:
		reason, note = LeftBehind, e.why
	case heldBack:
		reason = DeletionHeld
	default:
	}
	held := Held{ID: id, Reason: reason, Message: fmt.Sprintf("%s is not deleted: %s", id, e.why)}
	if e.drains() {
		held.Drains, held.Messages = true, b.in.Live.Usage[id].Messages
		held.Message = fmt.Sprintf("%s is declared no longer and goes when it is empty: %s", id, e.why)
		if held.Messages > 0 {
			held.Message = fmt.Sprintf("%s is declared no longer and goes when it is empty: it holds %d messages", id, held.Messages)
		}
	}
	if !e.unapproved {
		b.holdFor(e.entry.Owners, held)
	}
	if e.entry.LeftBehind != note {
		e.entry.LeftBehind = note
		b.records[id] = e.entry
	}
}

// settle lists the queues whose counts have to prove themselves, those that
// have done so and wait for others of their claim included.
func (b *builder) settle(ids []topology.ID, endings map[topology.ID]*ending) {
	for _, id := range ids {
		if endings[id].standing == settles && b.in.Live.Usage[id].Delayed {
			b.plan.Settling = append(b.plan.Settling, id)
		}
	}
}

// surroundings are what deletions depend on, indexed.
type surroundings struct {
	// byOwner has what is created or updated for each owner.
	byOwner map[topology.OwnerKey][]topology.ID
	// heldBy has the first thing of each owner that is held.
	heldBy map[topology.OwnerKey]Held
	// neededBy has, of each object that a step needs, the first such step.
	neededBy map[topology.ID]topology.ID
	// inside has the exchanges and queues of each virtual host that are to go.
	inside map[string][]topology.ID
}

func (b *builder) look(ids []topology.ID) surroundings {
	out := surroundings{
		byOwner:  map[topology.OwnerKey][]topology.ID{},
		heldBy:   map[topology.OwnerKey]Held{},
		neededBy: map[topology.ID]topology.ID{},
		inside:   map[string][]topology.ID{},
	}
	for _, id := range b.stepIDs() {
		for _, owner := range b.steps[id].Owners {
			out.byOwner[owner] = append(out.byOwner[owner], id)
		}
		for _, need := range b.steps[id].Want.Needs() {
			if _, known := out.neededBy[need]; !known {
				out.neededBy[need] = id
			}
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(b.operations), topology.ID.Compare) {
		operation := b.operations[id]
		for _, owner := range operation.Owners {
			out.heldBy[owner] = Held{Message: fmt.Sprintf("a %s of %s is under way", operation.Kind, id)}
		}
		for _, need := range operation.Want.Needs() {
			if _, known := out.neededBy[need]; !known {
				out.neededBy[need] = id
			}
		}
	}
	for _, held := range b.plan.Held {
		if _, known := out.heldBy[held.Owner]; !known && held.Reason != Drifted {
			out.heldBy[held.Owner] = held
		}
	}
	for _, id := range ids {
		if id.Scope != "" && id.Kind != topology.KindBinding {
			out.inside[id.Scope] = append(out.inside[id.Scope], id)
		}
	}
	return out
}

// makeBeforeBreak lets a delete that comes of an edit wait for the rest of the
// edit: a binding goes when the one that replaces it stands.
func (b *builder) makeBeforeBreak(e *ending, around surroundings) {
	for _, owner := range e.entry.Owners {
		if b.in.World.declares(owner, e.entry.ID) {
			continue // it lost an end of the binding, and has edited nothing
		}
		if held, ok := around.heldBy[owner]; ok {
			e.raise(waits, fmt.Sprintf("it goes once the rest of the change is made (%s)", held.Message))
			e.caused = waits
			return
		}
	}
}

// goingByOwner lists what each former owner gives up with this plan.
func goingByOwner(ids []topology.ID, endings map[topology.ID]*ending) map[topology.OwnerKey][]*ending {
	out := map[topology.OwnerKey][]*ending{}
	for _, id := range ids {
		if e := endings[id]; e.standing == goes {
			for _, owner := range e.entry.Owners {
				out[owner] = append(out[owner], e)
			}
		}
	}
	return out
}

// deleteRequires lists what must have gone, or come, for an object to go. A
// delete that the broker refuses at the last moment thus keeps the rest of its
// claim, and the virtual host, which no broker protects.
func (b *builder) deleteRequires(e *ending, endings map[topology.ID]*ending, going map[topology.OwnerKey][]*ending, around surroundings) []topology.ID {
	var out []topology.ID
	id := e.entry.ID
	for _, owner := range e.entry.Owners {
		if e.shrunk {
			out = append(out, around.byOwner[owner]...)
			continue
		}
		for _, other := range going[owner] {
			if deleteLevel(other) < deleteLevel(e) {
				out = append(out, other.entry.ID)
			}
		}
	}
	if e.policy != topology.Delete {
		for _, binding := range b.in.Live.Usage[id].Bindings {
			if endings[binding] != nil {
				out = append(out, binding)
			}
		}
		if id.Kind == topology.KindVirtualHost {
			out = append(out, around.inside[id.Name]...)
		}
	}
	slices.SortFunc(out, topology.ID.Compare)
	return slices.Compact(out)
}
