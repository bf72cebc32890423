package plan

import (
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// ending is an owned object that nobody wants any more.
type ending struct {
	entry    topology.Entry
	live     topology.Resource
	presence topology.Presence
	policy   topology.DeletionPolicy
	// shrunk: the owner is still there and has dropped the object from its
	// claim; otherwise the owner is gone.
	shrunk bool
	// why it cannot go; "" while it can.
	stays string
	// pending: it may go later without anybody doing anything.
	pending bool
	// settling: pending, and only because its counts lag.
	settling bool
}

// weight orders reasons to stay: what is in use outweighs what is unknown, and
// that outweighs what only has to settle.
func (e *ending) weight() int {
	switch {
	case e.settling:
		return 0
	case e.pending:
		return 1
	default:
		return 2
	}
}

func (b *builder) ending(id topology.ID) ending {
	entry, _ := b.in.World.Entry(id)
	e := ending{entry: entry, policy: entry.Deletion}
	e.live, e.presence = b.in.Live.Look(id)
	for _, key := range entry.Owners {
		if claim := b.in.World.Claim(key); claim != nil {
			e.shrunk = true
			e.policy = gentler(e.policy, claim.Policy.Deletion)
		} else if policy, witnessed := b.in.World.departed[key]; witnessed {
			e.policy = policy.Deletion
		} else if e.policy == topology.Delete {
			// It may have become Retain or DeleteIfUnused unseen.
			e.policy = topology.DeleteIfUnused
		}
	}
	if id.Kind == topology.KindBinding && e.shrunk {
		// A binding taken out of a list is an edit: deletionPolicy is about the
		// end of the resource.
		e.policy = topology.Delete
	}
	return e
}

// gentler picks the policy that destroys less.
func gentler(a, b topology.DeletionPolicy) topology.DeletionPolicy {
	if a == topology.Retain || b == topology.Retain {
		return topology.Retain
	}
	if a == topology.DeleteIfUnused || b == topology.DeleteIfUnused {
		return topology.DeleteIfUnused
	}
	return topology.Delete
}

// end decides about everything that nobody wants any more. What one former
// owner held goes or stays whole.
func (b *builder) end(endings []ending) {
	byID := map[topology.ID]*ending{}
	for i := range endings {
		e := &endings[i]
		byID[e.entry.ID] = e
		switch {
		case e.presence == topology.Unknown:
			e.stays, e.pending = fmt.Sprintf("it cannot be read: %v", b.in.Live.UnreadReason(e.entry.ID)), true
		case e.presence == topology.Absent || e.policy == topology.Retain:
			b.plan.Forget = append(b.plan.Forget, e.entry.ID)
			delete(byID, e.entry.ID)
		}
	}
	for again := true; again; {
		again = b.checkUse(byID)
		again = spread(byID) || again
	}
	for _, id := range sortedKeys(byID) {
		b.endOne(byID[id])
	}
}

// checkUse finds what is in use, given what else stays; it tells whether it
// found anything new.
func (b *builder) checkUse(endings map[topology.ID]*ending) bool {
	found := false
	for _, id := range sortedKeys(endings) {
		e := endings[id]
		if e.stays != "" || e.policy == topology.Delete || id.Kind == topology.KindBinding {
			continue
		}
		usage, known := b.in.Live.Usage[id]
		if !known {
			e.stays, e.pending = "it is not known yet whether it is in use", true
			b.plan.NeedUsage = append(b.plan.NeedUsage, id)
		} else if why := b.inUse(id, usage, endings); why != "" {
			e.stays = why
		} else if usage.Delayed && !b.in.Quiet[id] {
			e.stays, e.pending, e.settling = "it seems unused; its counts lag, so it is looked at again", true, true
			b.plan.Settling = append(b.plan.Settling, id)
		}
		found = found || e.stays != ""
	}
	return found
}

// inUse tells what a deletion would destroy; "" if nothing.
func (b *builder) inUse(id topology.ID, usage topology.Usage, endings map[topology.ID]*ending) string {
	going := func(other topology.ID) bool {
		e := endings[other]
		return e != nil && (e.stays == "" || e.pending)
	}
	switch {
	case usage.Unknown:
		return fmt.Sprintf("the broker does not tell whether it is in use; deletionPolicy: Delete would delete it all the same")
	case usage.Messages > 0:
		return fmt.Sprintf("it holds %d messages", usage.Messages)
	case usage.Consumers > 0:
		return fmt.Sprintf("it has %d consumers", usage.Consumers)
	}
	for _, binding := range usage.Bindings {
		if !going(binding) {
			return fmt.Sprintf("%s is still there", binding)
		}
	}
	if usage.Objects > 0 {
		inside := int64(0)
		for other := range endings {
			if other.Scope == id.Name && other.Kind != topology.KindBinding && going(other) {
				inside++
			}
		}
		if inside < usage.Objects {
			return fmt.Sprintf("it holds %d exchanges and queues that stay", usage.Objects-inside)
		}
	}
	return ""
}

// spread makes everything that a former owner held stay while one of its
// queues or topics stays. It tells whether that was news.
func spread(endings map[topology.ID]*ending) bool {
	staying := map[topology.OwnerKey]*ending{}
	for _, id := range sortedKeys(endings) {
		e := endings[id]
		if e.shrunk || e.stays == "" || id.Kind == topology.KindBinding {
			continue
		}
		for _, owner := range e.entry.Owners {
			if first := staying[owner]; first == nil || first.weight() < e.weight() {
				staying[owner] = e
			}
		}
	}
	news := false
	for _, id := range sortedKeys(endings) {
		e := endings[id]
		if e.shrunk || e.stays != "" {
			continue
		}
		for _, owner := range e.entry.Owners {
			because := staying[owner]
			if because == nil {
				continue
			}
			if because.settling && id.Kind == topology.KindBinding {
				// Unbinding comes first: what nobody can route to stays empty
				// while its counts settle.
				continue
			}
			e.stays = fmt.Sprintf("%s stays: %s", because.entry.ID, because.stays)
			e.pending, e.settling = because.pending, because.settling
			news = true
			break
		}
	}
	return news
}

func (b *builder) endOne(e *ending) {
	id := e.entry.ID
	if e.stays == "" {
		b.steps[id] = &topology.Step{
			Verb: topology.VerbDelete, ID: id, Live: e.live,
			IfUnused: e.policy != topology.Delete,
			Owners:   e.entry.Owners, Connection: e.entry.Connection,
		}
		if e.shrunk {
			b.makeBeforeBreak(e)
		}
		return
	}
	reason, note := LeftBehind, e.stays
	if e.pending {
		reason, note = Deleting, ""
	}
	for _, owner := range e.entry.Owners {
		b.hold(Held{Owner: owner, ID: id, Reason: reason, Message: fmt.Sprintf("%s is not deleted: %s", id, e.stays)})
	}
	if e.entry.LeftBehind != note {
		e.entry.LeftBehind = note
		b.plan.Record = append(b.plan.Record, e.entry)
	}
}

// makeBeforeBreak lets a delete that comes of an edit wait for the rest of the
// edit: a binding goes when the one that replaces it stands.
func (b *builder) makeBeforeBreak(e *ending) {
	id := e.entry.ID
	step := b.steps[id]
	for _, owner := range e.entry.Owners {
		if i := slices.IndexFunc(b.plan.Held, func(h Held) bool {
			return h.Owner == owner && h.Reason != Drifted && h.Reason != LeftBehind && h.Reason != Deleting
		}); i >= 0 {
			held := b.plan.Held[i]
			delete(b.steps, id)
			b.hold(Held{Owner: owner, ID: id, Reason: Deleting, Message: fmt.Sprintf("%s is deleted once the rest of the change is made (%s)", id, held.Message)})
			return
		}
		for other, s := range b.steps {
			if s.Verb != topology.VerbDelete && slices.Contains(s.Owners, owner) {
				step.Requires = append(step.Requires, other)
			}
		}
	}
	slices.SortFunc(step.Requires, topology.ID.Compare)
}

func sortedKeys(endings map[topology.ID]*ending) []topology.ID {
	ids := make([]topology.ID, 0, len(endings))
	for id := range endings {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, topology.ID.Compare)
	return ids
}
