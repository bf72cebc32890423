package plan

import (
	"errors"
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Plan is what to do, in which order, and what will not be done and why.
type Plan struct {
	// Waves of steps: all of one wave can run at once; a wave starts when the
	// one before it is through. Creates and updates come before deletes.
	Waves [][]topology.Step
	// Operations are to be carried on with after the waves, those whose needs
	// did not fail. Sorted by object. Their entries are in the inventory, or in
	// Record, and name them until Progress.Done.
	Operations []topology.Operation
	// Record lists inventory entries to write before the first step.
	Record []topology.Entry
	// Forget lists inventory entries to drop: nothing of them is on the
	// broker, or it is to stay there.
	Forget []topology.ID
	// Held lists what is not done, and why.
	Held []Held
	// Adopted lists objects that existed, matched, and are owned from now on.
	Adopted []topology.ID
	// Recreated lists topics that somebody else deleted and created again.
	Recreated []Recreation
	// Proposals are what would be done for owners of whom something is held: what
	// waits for approval, what was approved and is not done yet, and what is refused.
	// Sorted by owner.
	Proposals []Proposal
	// NeedUsage lists objects whose usage decides and was not observed:
	// observe again with it and compute again. The plan is safe without.
	NeedUsage []topology.ID
	// Settling lists queues that are to go, or to be recreated, and seem empty by
	// counts that lag. One that stays in this list, from the moment on that this plan's steps
	// have unbound it, for longer than its counts lag is quiet: see
	// Input.Quiet. It stays in the list while others of its claim settle.
	Settling []topology.ID
}

// Reason says why something is held. The values are those of the API's
// condition reasons where such a one exists.
type Reason string

// Reasons to hold.
const (
	Invalid   Reason = "InvalidSpec"
	Suspended Reason = "Suspended"
	// RefNotPermitted claims are invalid for want of a permission; see
	// NotPermitted.
	RefNotPermitted        Reason = "RefNotPermitted"
	Conflict               Reason = "Conflict"
	Blocked                Reason = "DependencyNotReady"
	AdoptionRefused        Reason = "AdoptionRefused"
	ImmutableFieldChanged  Reason = "ImmutableFieldChanged"
	PartitionGrowthRefused Reason = "PartitionGrowthRefused"
	Drifted                Reason = "Drifted"
	// AwaitingApproval holds changes that would cost messages, and steps that a
	// person has to approve; see Held.Approvable.
	AwaitingApproval Reason = "AwaitingApproval"
	// Migrating holds bindings of a queue that is being replaced: the operation
	// leads them elsewhere meanwhile, and brings them back.
	Migrating  Reason = "Migrating"
	Unreadable Reason = "AccessDenied"
	// Unsupported claims are invalid on this version of the broker: their
	// Invalid is a *topology.Error of ClassUnsupported.
	Unsupported Reason = "UnsupportedByBroker"
	// LeftBehind, Deleting and DeletionHeld concern objects whose owner is gone, or declares
	// them no longer; see Held.Drains.
	LeftBehind Reason = "LeftBehind"
	Deleting   Reason = "Deleting"
	// DeletionHeld objects wait until somebody allows their deletion; see Breaker.
	DeletionHeld Reason = "DeletionHeld"
)

// NotPermitted makes a claim invalid because the connection does not admit its
// namespace: whoever may edit the connection can cure it, so nobody is Stalled.
type NotPermitted struct{ Message string }

// Error gives the sentence.
func (e *NotPermitted) Error() string { return e.Message }

// Held is one thing that is not done.
type Held struct {
	// Owner whose claim is held; for LeftBehind, Deleting and DeletionHeld the
	// former one.
	Owner topology.OwnerKey
	// ID of the object; zero if the whole claim is held.
	ID     topology.ID
	Reason Reason
	// Message is a sentence for the owner's status.
	Message string
	Changes []topology.Change
	// Winner of a Conflict.
	Winner topology.OwnerKey
	// Missing is what a Blocked object waits for, or the queue of a Migrating
	// binding.
	Missing topology.ID
	// Drains says that the owner is there and that the object, a queue or topic
	// that it declares no longer, goes when it is empty. Messages is what it
	// holds now, and stands in the Message.
	Drains   bool
	Messages int64
	// Recreates says that the queue is replaced when it is unused, which nobody
	// has to be told of but the broker: look again.
	Recreates bool
	// Approvable says that the step goes on once the owner's Proposal is approved.
	Approvable bool
}

// Input is what a plan is computed from.
type Input struct {
	World *World
	Live  *topology.Snapshot
	// Focus lists the objects to decide about; World.Focus makes it. Live must
	// cover them and what they need.
	Focus []topology.ID
	// Quiet tells which queues have been empty, unbound and without consumers
	// for longer than their counts lag. Only of those with Usage.Delayed.
	Quiet map[topology.ID]bool
	// ClusterID of the broker cluster: an approval is good for one.
	ClusterID string
	// Held lists former owners whose deletions must not go ahead; see HeldOwners.
	Held map[topology.OwnerKey]bool
}

// Needs lists the objects, beyond the focus, that decide whether something in
// the focus can be created, or, of a binding, be deleted: an operation on its
// queue leads it elsewhere. Sorted.
func Needs(w *World, focus []topology.ID) []topology.ID {
	in := map[topology.ID]struct{}{}
	for _, id := range focus {
		in[id] = struct{}{}
	}
	out := map[topology.ID]struct{}{}
	add := func(need topology.ID) {
		if _, inFocus := in[need]; !inFocus {
			out[need] = struct{}{}
		}
	}
	for _, id := range focus {
		for _, wanter := range w.wanters[id] {
			for _, need := range wanter.want.Resource.Needs() {
				add(need)
			}
		}
		if id.Kind == topology.KindBinding && len(w.wanters[id]) == 0 {
			if _, destination, err := topology.BindingEnds(id); err == nil && destination.Kind == topology.KindQueue {
				add(destination)
			}
		}
	}
	return topology.SortedIDs(out)
}

// Compute makes the plan. It is deterministic, and deletes nothing that the
// inventory does not name.
func Compute(in Input) *Plan {
	b := &builder{
		in:         in,
		plan:       &Plan{},
		steps:      map[topology.ID]*topology.Step{},
		operations: map[topology.ID]*topology.Operation{},
		deletes:    map[topology.ID]int{},
		early:      map[topology.ID]bool{},
		records:    map[topology.ID]topology.Entry{},
		held:       map[topology.ID]Held{},
		losers:     map[topology.ID][]Held{},
		proposals:  map[topology.OwnerKey]*Proposal{},
		unapproved: map[topology.ID]map[topology.OwnerKey]string{},
	}
	focus := slices.Clone(in.Focus)
	slices.SortFunc(focus, topology.ID.Compare)
	focus = slices.Compact(focus)
	b.holdWholeClaims(focus)
	rulings := make([]ruling, len(focus))
	for i, id := range focus {
		rulings[i] = ruling{id, decideOwnership(in.World, id)}
	}
	b.requireApproval(rulings)
	ended := map[topology.ID]*ending{}
	for _, ruling := range rulings {
		id, decision := ruling.id, ruling.decision
		for _, loser := range decision.losers {
			b.hold(loser)
		}
		queue, moved := b.movedWith(id)
		switch {
		case moved && (decision.kept || decision.winner != nil):
			b.holdMoved(id, queue, decision)
		case decision.kept:
			b.keep(id, decision)
		case decision.winner != nil:
			b.converge(id, decision)
		case decision.owned:
			ended[id] = b.ending(id, decision.entry)
		}
	}
	b.blockOnMissing()
	b.holdMisled()
	b.end(ended)
	b.plan.Waves = b.waves()
	b.finish()
	return b.plan
}

// builder gathers a plan.
type builder struct {
	in    Input
	plan  *Plan
	steps map[topology.ID]*topology.Step
	// operations that go on, or begin with this plan.
	operations map[topology.ID]*topology.Operation
	// deletes has the wave of each delete, counted from the first of them.
	deletes map[topology.ID]int
	// early deletes stand among the creates; see succeed.
	early   map[topology.ID]bool
	records map[topology.ID]topology.Entry
	// held by object, of those that have a winner: dependents look here.
	held map[topology.ID]Held
	// losers of objects that steps need.
	losers map[topology.ID][]Held
	// proposals of owners, and the messages of those whose step on an object is
	// not approved.
	proposals  map[topology.OwnerKey]*Proposal
	unapproved map[topology.ID]map[topology.OwnerKey]string
}

func (b *builder) hold(h Held) {
	b.plan.Held = append(b.plan.Held, h)
	if h.ID != (topology.ID{}) && h.Reason != Conflict {
		b.held[h.ID] = h
	}
}

// holdFor holds one thing for each of several owners.
func (b *builder) holdFor(owners []topology.OwnerKey, h Held) {
	for _, owner := range owners {
		h.Owner = owner
		b.hold(h)
	}
}

// holdWholeClaims reports invalid and suspended claims that the focus touches,
// once each.
func (b *builder) holdWholeClaims(focus []topology.ID) {
	w := b.in.World
	if len(w.mute) == 0 {
		return
	}
	touched := map[topology.OwnerKey]struct{}{}
	touch := func(key topology.OwnerKey) {
		if _, mute := w.mute[key]; mute {
			touched[key] = struct{}{}
		}
	}
	for _, id := range focus {
		for _, wanter := range w.wanters[id] {
			touch(wanter.key())
		}
		for _, key := range w.inventory[id].Owners {
			touch(key)
		}
	}
	for key := range touched {
		claim := w.claims[key]
		if claim.Suspended {
			b.hold(Held{Owner: key, Reason: Suspended, Message: "suspended: nothing is changed until spec.suspend is false"})
			continue
		}
		reason := Invalid
		if _, ok := errors.AsType[*NotPermitted](claim.Invalid); ok {
			reason = RefNotPermitted
		} else if topology.ClassOf(claim.Invalid) == topology.ClassUnsupported {
			reason = Unsupported
		}
		b.hold(Held{Owner: key, Reason: reason, Message: claim.Invalid.Error()})
	}
}

// finish puts everything in an order that does not depend on chance.
func (b *builder) finish() {
	p := b.plan
	b.proposeHeld()
	for _, entry := range b.records {
		p.Record = append(p.Record, entry)
	}
	for _, id := range slices.SortedFunc(maps.Keys(b.operations), topology.ID.Compare) {
		p.Operations = append(p.Operations, *b.operations[id])
	}
	slices.SortFunc(p.Record, func(x, y topology.Entry) int { return x.ID.Compare(y.ID) })
	slices.SortFunc(p.Forget, topology.ID.Compare)
	slices.SortFunc(p.Adopted, topology.ID.Compare)
	slices.SortFunc(p.Recreated, func(x, y Recreation) int { return x.ID.Compare(y.ID) })
	slices.SortFunc(p.NeedUsage, topology.ID.Compare)
	p.NeedUsage = slices.Compact(p.NeedUsage) // deletions ask until all is known
	slices.SortFunc(p.Settling, topology.ID.Compare)
	slices.SortStableFunc(p.Held, func(x, y Held) int {
		if c := x.Owner.Compare(y.Owner); c != 0 {
			return c
		}
		return x.ID.Compare(y.ID)
	})
}

// Empty tells whether the plan changes nothing, neither on the broker nor in
// the inventory.
func (p *Plan) Empty() bool {
	return len(p.Waves) == 0 && len(p.Operations) == 0 && len(p.Record) == 0 && len(p.Forget) == 0
}

// Steps lists the steps of all waves, in order.
func (p *Plan) Steps() []topology.Step { return slices.Concat(p.Waves...) }
