package plan

import (
	"fmt"

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
		why := b.inUse(id, &held)
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
func (b *builder) inUse(id topology.ID, held *Held) string {
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
	case usage.Delayed && !b.in.Quiet[id]:
		b.plan.Settling = append(b.plan.Settling, id)
		return "it seems to be; its counts lag, so it is looked at again"
	}
	held.Recreates = false
	return ""
}

// count renders "1 message", "3 messages".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
