package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// converge decides what happens to an object that has a winner.
func (b *builder) converge(id topology.ID, d decision) {
	owned := d.owned
	resource := releasing(d.want.Resource, d.entry)
	live, presence := b.in.Live.Look(id)
	if another, was := recreated(d, live); was {
		if d.entry.Operation == "" && d.winner.Settled && d.winner.Policy.Drift == topology.DriftReport {
			b.drifted(id, d, append([]topology.Change{another}, resource.Diff(live)...))
			return
		}
		b.plan.Recreated = append(b.plan.Recreated, Recreation{ID: id, Owners: d.owners, Change: another})
	}
	if b.goesOn(id, d, presence) {
		b.carryOn(id, d, resource, live)
		return
	}
	switch presence {
	case topology.Unknown:
		b.holdFor(d.owners, Held{
			ID: id, Reason: Unreadable,
			Message: fmt.Sprintf("%s cannot be read: %v", id, b.in.Live.UnreadReason(id)),
		})
	case topology.Absent:
		if d.winner.Settled && owned && d.winner.Policy.Drift == topology.DriftReport {
			b.drifted(id, d, []topology.Change{{Path: "existence", From: "missing", To: "present"}})
			return
		}
		if !b.mayCreatePolicy(id, d, resource) {
			return
		}
		b.recordAnew(id, d)
		b.steps[id] = &topology.Step{
			Verb: topology.VerbCreate, ID: id, Want: resource,
			Owners: d.owners, Connection: d.winner.Connection,
			Drift: owned && d.winner.Settled,
		}
	case topology.Present:
		b.overruled(id, d, resource)
		changes := resource.Diff(live)
		if !owned && !b.mayAdopt(id, d, changes) {
			return
		}
		b.bringInLine(id, d, resource, live, changes, owned)
	}
}

// keep leaves an object as it is, because an owner is invalid or suspended. Who
// shares it and finds it as declared owns it too; who does not is told.
func (b *builder) keep(id topology.ID, d decision) {
	live, presence := b.in.Live.Look(id)
	entry := d.entry
	entry.Owners = slices.Clone(entry.Owners)
	for _, c := range d.sharers {
		if presence != topology.Present || len(c.want.Resource.Diff(live)) > 0 {
			b.hold(Held{
				Owner: c.claim.Owner.OwnerKey, ID: id, Reason: Blocked, Missing: id,
				Message: fmt.Sprintf("%s is not as declared, and stays so while %s, which owns it, is invalid or suspended", id, d.keeper),
			})
			continue
		}
		at, owns := slices.BinarySearchFunc(entry.Owners, c.claim.Owner.OwnerKey, topology.OwnerKey.Compare)
		if !owns {
			entry.Owners = slices.Insert(entry.Owners, at, c.claim.Owner.OwnerKey)
			entry.Deletion = gentler(entry.Deletion, c.claim.Policy.Deletion)
		}
	}
	if len(entry.Owners) > len(d.entry.Owners) {
		b.records[id] = entry
	}
}

// releasing asks for the absence of fields that were declared and are not any
// more.
func releasing(want topology.Resource, entry topology.Entry) topology.Resource {
	if partial, ok := want.(topology.Partial); ok && len(entry.Fields) > 0 {
		return partial.Releasing(entry.Fields)
	}
	return want
}

// mayAdopt decides about an object that exists and that nobody owns.
func (b *builder) mayAdopt(id topology.ID, d decision, changes []topology.Change) bool {
	message := refusesAdoption(id, d, changes)
	if message != "" {
		b.holdFor(d.owners, Held{ID: id, Reason: AdoptionRefused, Message: message, Changes: changes})
	}
	return message == ""
}

// refusesAdoption tells why an object that nobody owns is not taken over; "" if
// it is.
func refusesAdoption(id topology.ID, d decision, changes []topology.Change) string {
	switch policy := d.winner.Policy.Adoption; {
	case id.Kind == topology.KindBinding:
		// A binding is nothing but its identity: the one that exists is the
		// one that is asked for.
		return ""
	case policy == topology.AdoptNever:
		return fmt.Sprintf("%s exists already and adoptionPolicy is Never: delete it on the broker, or set adoptionPolicy: IfIdentical", id)
	case policy != topology.AdoptAlways && len(changes) > 0:
		return fmt.Sprintf("%s exists already and differs (%s): declare it as it is, or set adoptionPolicy: Always to change what can be changed in place", id, topology.DescribeChanges(changes))
	}
	return ""
}

// bringInLine decides about an object that is owned, or may be.
func (b *builder) bringInLine(id topology.ID, d decision, want, live topology.Resource, changes []topology.Change, owned bool) {
	if len(changes) == 0 {
		b.record(id, d)
		if !owned {
			b.plan.Adopted = append(b.plan.Adopted, id)
		}
		return
	}
	if owned && d.winner.Settled && d.winner.Policy.Drift == topology.DriftReport {
		b.drifted(id, d, changes)
		return
	}
	if b.refused(id, d, changes) {
		if owned {
			b.recordKeepingFields(id, d)
		}
		return
	}
	if kind := operationFor(d, changes); kind != "" {
		b.operate(kind, id, d, want, live)
	}
	b.recordReleasing(id, d, changes)
	if !owned {
		b.plan.Adopted = append(b.plan.Adopted, id)
	}
	b.update(id, d, want, live, changes)
}

// update makes the step for those of the changes that are made in place.
func (b *builder) update(id topology.ID, d decision, want, live topology.Resource, changes []topology.Change) {
	inPlace := changesOf(topology.InPlace, changes)
	if len(inPlace) == 0 {
		return
	}
	b.steps[id] = &topology.Step{
		Verb: topology.VerbUpdate, ID: id, Want: want, Live: live, Changes: inPlace,
		Owners: d.owners, Connection: d.winner.Connection,
		Drift: d.owned && d.winner.Settled,
	}
}

// refused holds changes that the broker cannot make in place, or that need a
// consent which is not there. One refused field holds them all: half a change
// is a state that nobody declared.
func (b *builder) refused(id topology.ID, d decision, changes []topology.Change) bool {
	hold := func(reason Reason, message string) bool {
		b.holdFor(d.owners, Held{ID: id, Reason: reason, Message: message, Changes: changes})
		return true
	}
	for _, c := range changes {
		if c.Mode == topology.Forbidden {
			reason := ImmutableFieldChanged
			if c.Path == topology.PathPartitions {
				reason = PartitionGrowthRefused
			}
			return hold(reason, fmt.Sprintf("%s: %s: %s", id, c, c.Why))
		}
	}
	if b.holdUnapproved(id, d.owners, changes) {
		return true
	}
	if topology.WorstMode(changes) == topology.Replace {
		if held, refused := b.mayReplace(id, d, changes); refused {
			b.holdFor(d.owners, held)
			return true
		}
	}
	if i := slices.IndexFunc(changes, func(c topology.Change) bool { return c.Path == topology.PathPartitions }); i >= 0 {
		if why := b.mayGrow(id, d); why != "" {
			return hold(PartitionGrowthRefused, fmt.Sprintf("%s: %s: %s", id, changes[i], why))
		}
	}
	return !b.mayApply(id, d)
}

// mayGrow tells why partitions may not be added; "" if they may. A topic that
// serves another grows with it: whoever publishes to the same partition there
// must find it.
func (b *builder) mayGrow(id topology.ID, d decision) string {
	want, policy := d.want.Resource.(*topology.Topic), d.winner.Policy.PartitionGrowth
	if want.Follows == "" {
		return b.mayMoveKeys(id, policy)
	}
	leader := topology.TopicID(want.Follows)
	live, _ := b.in.Live.Look(leader)
	if found, ok := live.(*topology.Topic); ok && found.Partitions < want.WantedPartitions() {
		if why := b.mayMoveKeys(leader, policy); why != "" {
			return fmt.Sprintf("it grows with %s, which does not: %s", leader, why)
		}
	}
	return ""
}

func (b *builder) mayMoveKeys(id topology.ID, policy topology.PartitionGrowth) string {
	const risk = "more partitions move keys to other partitions and end per-key ordering"
	switch policy {
	case topology.GrowAlways:
		return ""
	case topology.GrowNever:
		return risk + ", and partitionGrowth is Never"
	}
	usage, known := b.in.Live.Usage[id]
	switch {
	case !known:
		b.plan.NeedUsage = append(b.plan.NeedUsage, id)
		return "it is not known yet whether the topic is empty"
	case usage.Unknown:
		return risk + ", and the broker does not tell whether the topic is empty: set partitionGrowth: Always if that is meant"
	case usage.Messages > 0:
		return risk + ", and the topic holds messages: set partitionGrowth: Always if that is meant"
	}
	return ""
}

func (b *builder) drifted(id topology.ID, d decision, changes []topology.Change) {
	b.recordKeepingFields(id, d)
	b.keepTopicID(id, d)
	b.holdFor(d.owners, Held{
		ID: id, Reason: Drifted, Changes: changes,
		Message: fmt.Sprintf("%s was changed by somebody else (%s)", id, topology.DescribeChanges(changes)),
	})
}

// record has the inventory name the owners and what they declare, if it does
// not already.
func (b *builder) record(id topology.ID, d decision) { b.recordReleasing(id, d, nil) }

// recordAnew is record for an object that is not there. One that was made a moment
// ago may only not show yet: the fields that it was made with are remembered until
// a later plan finds them unset.
func (b *builder) recordAnew(id topology.ID, d decision) {
	b.recordBeside(id, d, d.entry.Fields)
}

// recordReleasing is record for an update: fields that it has yet to unset are
// remembered until a later plan finds them unset, and those that an edit lets go
// of until a plan after that edit does: what set them may still be on its way.
func (b *builder) recordReleasing(id topology.ID, d decision, changes []topology.Change) {
	b.recordBeside(id, d, slices.DeleteFunc(slices.Clone(d.entry.Fields), func(field string) bool {
		return d.winner.Settled && !slices.ContainsFunc(changes, func(c topology.Change) bool { return c.Path == field })
	}))
}

// recordBeside is record with fields beside those that are declared.
func (b *builder) recordBeside(id topology.ID, d decision, others []string) {
	fields := slices.Concat(declaredFields(d.want.Resource), others)
	slices.Sort(fields)
	b.recordEntry(id, d, slices.Compact(fields))
}

func declaredFields(resource topology.Resource) []string {
	if partial, ok := resource.(topology.Partial); ok {
		return partial.DeclaredFields()
	}
	return nil
}

// recordKeepingFields is record for an object that is not brought in line:
// fields to unset must be remembered until they are.
func (b *builder) recordKeepingFields(id topology.ID, d decision) {
	b.recordEntry(id, d, d.entry.Fields)
}

func (b *builder) recordEntry(id topology.ID, d decision, fields []string) {
	entry := topology.Entry{
		ID: id, Owners: d.owners, Connection: d.winner.Connection,
		Deletion: b.gentlestPolicy(d), HandOverTo: d.winner.Policy.HandOverTo,
		Fields: fields, TopicID: b.topicID(id, d), Whole: b.whole(id, d),
	}
	if operation := b.operations[id]; operation != nil {
		entry.Operation = operation.Kind
	}
	if !d.owned || !sameEntry(d.entry, entry) {
		b.records[id] = entry
	}
}

// gentlestPolicy is what happens to the object should all its owners go
// unseen.
func (b *builder) gentlestPolicy(d decision) topology.DeletionPolicy {
	policy := gentler(d.winner.Policy.Deletion, topology.Delete)
	if len(d.owners) == 1 {
		return policy
	}
	for _, owner := range d.owners {
		policy = gentler(policy, b.in.World.Claim(owner).Policy.Deletion)
	}
	return policy
}

func sameEntry(a, b topology.Entry) bool {
	return slices.Equal(a.Owners, b.Owners) && slices.Equal(a.Fields, b.Fields) &&
		a.Connection == b.Connection && a.Deletion == b.Deletion &&
		a.HandOverTo == b.HandOverTo && a.Operation == b.Operation && a.LeftBehind == b.LeftBehind && a.TopicID == b.TopicID && a.Whole == b.Whole
}

// blockOnMissing holds creates whose needs are neither there nor on their way.
// It repeats until nothing new is blocked, since what is blocked blocks.
func (b *builder) blockOnMissing() {
	for blocked := true; blocked; {
		blocked = false
		for _, id := range b.stepIDs() {
			step := b.steps[id]
			for _, need := range step.Want.Needs() {
				message := cmp.Or(b.missing(need), b.lost(step.Owners, need))
				if message == "" {
					continue
				}
				b.holdFor(step.Owners, Held{
					ID: id, Reason: Blocked, Missing: need,
					Message: fmt.Sprintf("%s waits for %s, %s", id, need, message),
				})
				delete(b.steps, id)
				b.forgetRecord(id)
				blocked = true
				break
			}
		}
	}
	b.blockOperations()
	for _, step := range b.steps {
		for _, need := range step.Want.Needs() {
			// An update of what is there already is nothing to wait for.
			if other := b.steps[need]; other != nil && other.Verb == topology.VerbCreate {
				step.Requires = append(step.Requires, need)
			}
		}
	}
}

// missing tells in half a sentence why a need is not met; "" if it is.
func (b *builder) missing(need topology.ID) string {
	if _, planned := b.steps[need]; planned {
		return ""
	}
	if _, moved := b.movedWith(need); moved || b.in.World.isUnderway(need) {
		return "" // an operation takes its place meanwhile
	}
	_, presence := b.in.Live.Look(need)
	if presence == topology.Present {
		return ""
	}
	if held, ok := b.held[need]; ok {
		return fmt.Sprintf("which is held: %s: %s", held.Reason, held.Message)
	}
	if presence == topology.Unknown {
		return fmt.Sprintf("which cannot be read: %v", b.in.Live.UnreadReason(need))
	}
	if wanters := b.in.World.Wanters(need); len(wanters) > 0 {
		return fmt.Sprintf("which %s declares and which is not there yet", wanters[0])
	}
	return "which is not on the broker and which no resource declares"
}

// lost tells in half a sentence that owners claim a need and that others have
// it; "" if one of them does not, or has it. A claim that lost a queue must not
// lead its bindings there.
func (b *builder) lost(owners []topology.OwnerKey, need topology.ID) string {
	losers, known := b.losers[need]
	if !known {
		losers = decideOwnership(b.in.World, need).losers
		b.losers[need] = losers
	}
	var why string
	for _, owner := range owners {
		at := slices.IndexFunc(losers, func(h Held) bool { return h.Owner == owner })
		if at < 0 {
			return ""
		}
		why = fmt.Sprintf("which %s has", losers[at].Winner)
	}
	return why
}

// forgetRecord takes back the inventory entry of a create that will not be:
// unless it was owned before, there is nothing to own.
func (b *builder) forgetRecord(id topology.ID) {
	if _, owned := b.in.World.Entry(id); !owned {
		delete(b.records, id)
	}
}

func (b *builder) stepIDs() []topology.ID {
	ids := make([]topology.ID, 0, len(b.steps))
	for id := range b.steps {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, topology.ID.Compare)
	return ids
}
