package plan

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Settings of a queue that stand in a policy: what is special about them is that
// another policy can win, and that a change of a living queue is so easy that it
// could cost messages before anybody has looked.

// annotationAcceptLoss is how an owner accepts what a change destroys.
const annotationAcceptLoss = "topology.warrener.dev/accept-loss"

// mayCreatePolicy decides about a policy that is not there. A queue that is not
// there either waits for it, and so does not come without its limits.
func (b *builder) mayCreatePolicy(id topology.ID, d decision, want topology.Resource) bool {
	policy, ok := want.(*topology.BrokerPolicy)
	if !ok {
		return true
	}
	_, queue := b.in.Live.Look(policy.QueueID())
	if overruled, held := b.overruled(id, d, policy); overruled && queue == topology.Absent {
		b.held[id] = held
		return false
	}
	if queue == topology.Absent {
		return true
	}
	return !b.awaitsApproval(id, d, policy, nil)
}

// overruled reports what keeps a policy from applying to its queue. It is not
// fought: whoever gave another policy a higher priority meant it. An operation on
// the queue may have a policy of its own meanwhile.
func (b *builder) overruled(id topology.ID, d decision, want topology.Resource) (bool, Held) {
	policy, ok := want.(*topology.BrokerPolicy)
	if !ok || b.in.Live.Policies == nil || b.in.World.isUnderway(policy.QueueID()) {
		return false, Held{}
	}
	why := b.in.Live.Policies.Overrules(policy)
	if why == "" {
		return false, Held{}
	}
	held := Held{ID: id, Reason: Conflict, Message: why}
	b.holdFor(d.owners, held)
	return true, held
}

// awaitsApproval holds a policy that would cost messages, until the owner
// accepts that for this very change. Live is nil if there is no policy yet.
func (b *builder) awaitsApproval(id topology.ID, d decision, want *topology.BrokerPolicy, live topology.Resource) bool {
	base, _ := live.(*topology.BrokerPolicy)
	if base == nil || base.Pattern != want.Pattern || base.ApplyTo != want.ApplyTo || base.Priority != want.Priority {
		base = &topology.BrokerPolicy{} // all of it is new to the queue
	}
	var risky []topology.Change
	for _, change := range want.Diff(base) {
		if change.Risk != "" && change.Path != "definition."+topology.PolicyMessageTTL {
			risky = append(risky, change)
		}
	}
	if len(risky) == 0 {
		return false
	}
	loss, limit := b.loss(want, risky)
	if loss == "" {
		return false
	}
	consent := consentTo(d.winner.Owner.Generation, risky)
	if d.winner.Policy.AcceptLoss == consent {
		return false
	}
	b.holdFor(d.owners, Held{
		ID: id, Reason: AwaitingApproval, Changes: risky,
		Message: fmt.Sprintf("%s: %s: %s; to accept that, annotate this object with %s=%s%s",
			id, topology.DescribeChanges(risky), loss, annotationAcceptLoss, consent, limit),
	})
	return true
}

// consentTo names a change of an object's generation, from what is there to what
// is declared: who accepts one does not accept the next.
func consentTo(generation int64, changes []topology.Change) string {
	digest := fnv.New32a()
	for _, change := range changes {
		_, _ = digest.Write([]byte(change.String() + "\n")) // cannot fail
	}
	return fmt.Sprintf("%d-%08x", generation, digest.Sum32())
}

// loss tells what the risky changes would cost the queue as it is now, and what
// else than consent lets them go on; "" if nothing.
func (b *builder) loss(want *topology.BrokerPolicy, risky []topology.Change) (loss, otherwise string) {
	queue := want.QueueID()
	if _, presence := b.in.Live.Look(queue); presence == topology.Absent {
		return "", ""
	}
	usage, known := b.in.Live.Usage[queue]
	switch {
	case !known:
		b.plan.NeedUsage = append(b.plan.NeedUsage, queue)
		return "it is not known yet what the queue holds", ""
	case usage.Unknown:
		return fmt.Sprintf("%s, and the broker does not tell what %s holds", risky[0].Risk, queue), ""
	case usage.Messages == 0:
		return "", ""
	}
	changes := func(keys ...string) bool {
		return slices.ContainsFunc(risky, func(c topology.Change) bool {
			return slices.Contains(keys, strings.TrimPrefix(c.Path, "definition."))
		})
	}
	fate := "dropped"
	if _, named := want.DeadLetterExchange(); named {
		fate = "dead-lettered"
	}
	length, limited := want.Definition[topology.PolicyMaxLength].(int64)
	_, sized := want.Definition[topology.PolicyMaxLengthBytes]
	switch {
	case limited && usage.Messages > length && changes(topology.PolicyMaxLength, topology.PolicyOverflow):
		return fmt.Sprintf("%d of the %d messages in %s would be %s, the oldest first", usage.Messages-length, usage.Messages, queue, fate),
			fmt.Sprintf(", or wait until it holds %d at most", length)
	case sized && changes(topology.PolicyMaxLengthBytes, topology.PolicyOverflow):
		return fmt.Sprintf("%s holds %d messages, and what is above the size would be %s", queue, usage.Messages, fate), ", or wait until it is empty"
	case usage.Consumers == 0 && changes(topology.PolicyExpires):
		return fmt.Sprintf("%s has no consumer, and would be deleted after that time with the %d messages that it holds", queue, usage.Messages),
			", or have it consumed from"
	}
	return "", ""
}

// mayApply decides about an update. As long as the queue is of another type, a key
// that only the new type knows would put the whole policy out of effect.
func (b *builder) mayApply(id topology.ID, d decision) bool {
	want, ok := d.want.Resource.(*topology.BrokerPolicy)
	if !ok {
		return true
	}
	found, _ := b.in.Live.Look(want.QueueID())
	if queue, there := found.(*topology.Queue); there && queue.Type != want.QueueType && !want.Suits(queue.Type) {
		b.holdFor(d.owners, Held{
			ID: id, Reason: Blocked, Missing: want.QueueID(),
			Message: fmt.Sprintf("%s waits until %s is of type %s: a %s queue would be under no policy at all", id, want.QueueID(), want.QueueType, queue.Type),
		})
		return false
	}
	live, _ := b.in.Live.Look(id)
	return !b.awaitsApproval(id, d, want, live)
}
