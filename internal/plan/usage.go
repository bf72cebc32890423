package plan

import (
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// checkUse finds what is in use, given what else stays; it tells whether it
// found anything new.
func (b *builder) checkUse(ids []topology.ID, endings map[topology.ID]*ending, around surroundings) bool {
	news := false
	for _, id := range ids {
		e := endings[id]
		if e.unfinished || e.unapproved || e.presence != topology.Present || e.policy == topology.Delete || e.standing == heldBack ||
			id.Kind == topology.KindBinding || id.Kind == topology.KindPolicy {
			continue
		}
		standing, why := b.use(id, endings, around)
		e.caused = max(e.caused, standing)
		news = e.raise(standing, why) || news
	}
	return news
}

// use tells what a deletion would destroy.
func (b *builder) use(id topology.ID, endings map[topology.ID]*ending, around surroundings) (standing, string) {
	usage, known := b.in.Live.Usage[id]
	if !known {
		b.plan.NeedUsage = append(b.plan.NeedUsage, id)
		return waits, "it is not known yet whether it is in use"
	}
	switch {
	case usage.Unknown:
		return stays, "the broker does not tell whether it is in use; deletionPolicy: Delete would delete it all the same"
	case usage.Messages > 0:
		return stays, "it holds messages"
	case usage.Consumers > 0:
		return stays, "it has consumers"
	}
	if step, needed := around.neededBy[id]; needed {
		return stays, fmt.Sprintf("%s needs it", step)
	}
	hangers := usage.Bindings
	if id.Kind == topology.KindVirtualHost {
		hangers = around.inside[id.Name]
		if int64(len(hangers)) < usage.Objects {
			return stays, "it holds exchanges or queues that stay"
		}
	}
	if worst, standing := heaviest(hangers, endings); standing > goes {
		return standing, fmt.Sprintf("%s is still there", worst)
	}
	if usage.Delayed && !b.in.Quiet[id] {
		return settles, "it seems unused; its counts lag, so it is looked at again"
	}
	return goes, ""
}

// heaviest finds what has the weightiest reason to stay; what is not to go at
// all has the weightiest.
func heaviest(ids []topology.ID, endings map[topology.ID]*ending) (topology.ID, standing) {
	var worst topology.ID
	most := goes
	for _, id := range ids {
		standing := stays
		if e := endings[id]; e != nil {
			standing = min(e.standing, stays) // it is not this one that is held
		}
		if standing > most || standing == most && most > goes && id.Compare(worst) < 0 {
			worst, most = id, standing
		}
	}
	return worst, most
}

// spread makes everything that a former owner held stay while one of its
// queues or topics stays. It tells whether that was news. A shared exchange or
// queue that only stays for one owner's sake does not keep the others'.
func spread(ids []topology.ID, endings map[topology.ID]*ending) bool {
	causes := map[topology.OwnerKey]*ending{}
	for _, id := range ids {
		e := endings[id]
		if e.caused == goes || id.Kind != topology.KindQueue && id.Kind != topology.KindTopic {
			continue
		}
		for _, owner := range e.entry.Owners {
			if first := causes[owner]; first == nil || first.caused < e.caused {
				causes[owner] = e
			}
		}
	}
	news := false
	for _, id := range ids {
		e := endings[id]
		if e.shrunk {
			continue
		}
		for _, owner := range e.entry.Owners {
			cause := causes[owner]
			if cause == nil || cause == e {
				continue
			}
			if cause.caused == settles && id.Kind == topology.KindBinding && !e.inner {
				// Unbinding comes first: what nobody can route to stays empty
				// while its counts settle.
				continue
			}
			news = e.raise(cause.caused, fmt.Sprintf("%s stays: %s", cause.entry.ID, cause.why)) || news
		}
	}
	return news
}

// markInner finds the bindings that lead from an exchange of a former owner, or
// from one that its queues dead-letter to, into what it held. They go last:
// until then a message that is dead-lettered still finds its way.
func markInner(endings map[topology.ID]*ending) {
	type source struct {
		owner    topology.OwnerKey
		exchange topology.ID
	}
	sources := map[source]bool{}
	for id, e := range endings {
		exchange := id
		if id.Kind == topology.KindQueue {
			exchange = topology.ExchangeID(id.Scope, e.deadLetters)
		}
		for _, owner := range e.entry.Owners {
			sources[source{owner, exchange}] = true
		}
	}
	for _, e := range endings {
		binding, ok := e.live.(*topology.Binding)
		e.inner = ok && slices.ContainsFunc(e.entry.Owners, func(owner topology.OwnerKey) bool {
			return sources[source{owner, binding.SourceID()}]
		})
	}
}

// deadLetterExchange names where a live queue dead-letters to, by its arguments
// or by the policy that is made for it; "" if nowhere, or straight into a queue.
func (b *builder) deadLetterExchange(live topology.Resource) string {
	queue, ok := live.(*topology.Queue)
	if !ok {
		return ""
	}
	if name, argued := queue.Arguments["x-dead-letter-exchange"].(string); argued {
		return name
	}
	if policy, _ := b.in.Live.Look(topology.PolicyID(queue.VirtualHost, topology.QueuePolicyName(queue.Name))); policy != nil {
		name, _ := policy.(*topology.BrokerPolicy).DeadLetterExchange()
		return name
	}
	return ""
}
