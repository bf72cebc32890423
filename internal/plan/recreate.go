package plan

import (
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// mayReplace tells why an object that the broker cannot change is not replaced,
// either; false if it may be.
func (b *builder) mayReplace(id topology.ID, d decision, changes []topology.Change) (Held, bool) {
	held := Held{ID: id, Reason: ImmutableFieldChanged, Changes: changes}
	cannot := fmt.Sprintf("%s: the broker cannot change this on an existing %s (%s)", id, id.Kind, topology.DescribeChanges(changes))
	switch {
	case id.Kind == topology.KindExchange:
		held.Message = cannot + ": set it back, or delete the exchange on the broker: it is created as declared, and the bindings that are declared come back with it"
	case id.Kind != topology.KindQueue:
		held.Message = fmt.Sprintf("%s: set it back, or delete the %s and let it be created anew", cannot, id.Kind)
	case d.winner.Policy.Update == topology.UpdateMigrate:
		return held, false
	case d.winner.Policy.Update == topology.UpdateRecreate:
		why := b.inUse(id, d.winner, &held)
		if why == "" {
			return held, false
		}
		held.Message = cannot + ", and updatePolicy: Recreate replaces it only when it is unused: " + why
	default:
		held.Message = cannot + ", and updatePolicy is Refuse: set it back; or write Recreate, which deletes the queue and creates it anew once it is empty and " +
			"has no consumer, or Migrate, which replaces it while it is in use, without losing a message"
	}
	return held, true
}

// inUse tells why a queue cannot be recreated now; "" if it can. Use that may
// end is looked at again.
func (b *builder) inUse(id topology.ID, winner *topology.Claim, held *Held) string {
	usage, known := b.in.Live.Usage[id]
	switch {
	case !known:
		b.plan.NeedUsage = append(b.plan.NeedUsage, id)
		held.Recreates = true
		return "it is not known yet whether it is"
	case usage.Unknown:
		return "the broker does not tell what it holds"
	}
	held.Recreates, held.Messages = true, usage.Messages
	switch {
	case usage.Messages > 0 && usage.Consumers > 0:
		return fmt.Sprintf("it holds %s and has %s", count(usage.Messages, "message"), count(usage.Consumers, "consumer"))
	case usage.Messages > 0:
		return "it holds " + count(usage.Messages, "message")
	case usage.Consumers > 0:
		return "it has " + count(usage.Consumers, "consumer")
	}
	if why := b.awaited(id, winner, held); why != "" {
		return why
	}
	if usage.Delayed && !b.in.Quiet[id] {
		b.plan.Settling = append(b.plan.Settling, id)
		return "it seems to be; its counts lag, so it is looked at again"
	}
	held.Recreates = false
	return ""
}

// awaited tells which queue of the same claim holds messages that come back to
// this one when their time is over, and would find nothing in the moment in which
// it is not there: a retry under way is use, too. A queue that dead-letters
// at-least-once keeps them until it is there again.
func (b *builder) awaited(id topology.ID, winner *topology.Claim, held *Held) string {
	var why string
	for _, want := range winner.Want {
		delay, ok := want.Resource.(*topology.Queue)
		if !ok || delay.ID() == id || !returnsTo(delay, id, winner) {
			continue
		}
		if _, presence := b.in.Live.Look(delay.ID()); presence == topology.Absent {
			continue
		}
		usage, known := b.in.Live.Usage[delay.ID()]
		switch {
		case !known:
			b.plan.NeedUsage = append(b.plan.NeedUsage, delay.ID()) // all of them at once
			why = fmt.Sprintf("it is not known yet whether %s is empty, from which messages come back to it", delay.ID())
		case usage.Unknown:
			return fmt.Sprintf("the broker does not tell what %s holds, from which messages come back to it", delay.ID())
		case usage.Messages > 0:
			held.Messages = usage.Messages
			return fmt.Sprintf("%s in %s will come back to it", count(usage.Messages, "message"), delay.ID())
		}
	}
	return why
}

// returnsTo tells whether a queue gives its messages to another one when their
// time is over, through the default exchange or through one that the claim binds,
// and forgets them if that is not there.
func returnsTo(delay *topology.Queue, id topology.ID, claim *topology.Claim) bool {
	exchange, dead := delay.Arguments["x-dead-letter-exchange"].(string)
	_, timed := delay.Arguments["x-message-ttl"]
	if !dead || !timed || delay.Arguments["x-dead-letter-strategy"] == "at-least-once" {
		return false
	}
	if exchange == "" {
		return delay.Arguments["x-dead-letter-routing-key"] == id.Name
	}
	return slices.ContainsFunc(claim.Want, func(want topology.Want) bool {
		binding, ok := want.Resource.(*topology.Binding)
		return ok && binding.DestinationID() == id && binding.Source == exchange
	})
}

// count renders "1 message", "3 messages".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
