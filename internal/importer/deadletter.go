package importer

import (
	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	deadLetterExchangeSuffix = ".dlx"
	deadLetterQueueSuffix    = ".dead"
)

// deadLetter folds the exchange that dead letters go to, the queue behind it and
// the binding between them; nil if it is not that.
func (h *host) deadLetter(q *topology.Queue, plain *v1alpha1.QueueSpec) *v1alpha1.QueueSpec {
	d := plain.DeadLetter
	if d == nil || d.RoutingKey == nil {
		return nil
	}
	exchange := h.exchanges[*d.Exchange]
	if exchange == nil || isSystemExchange(exchange.Name) {
		return nil
	}
	dead := h.boundAlone(exchange, *d.RoutingKey)
	if dead == nil || dead.Name == q.Name {
		return nil
	}
	folded := &v1alpha1.DeadLetter{Strategy: d.Strategy}
	if exchange.Name != q.Name+deadLetterExchangeSuffix {
		folded.Exchange = &exchange.Name
	}
	if exchange.Type != string(v1alpha1.ExchangeTypeDirect) {
		folded.ExchangeType = exchange.Type
	}
	if *d.RoutingKey != q.Name {
		folded.RoutingKey = d.RoutingKey
	}
	if !describeDeadQueue(folded, q, dead) {
		return nil
	}
	out := plain.DeepCopy()
	out.DeadLetter = folded
	return out
}

// boundAlone is the only queue that is bound to an exchange by a key.
func (h *host) boundAlone(exchange *topology.Exchange, key string) *topology.Queue {
	var found *topology.Queue
	for _, b := range h.from[exchange.ID()] {
		if b.RoutingKey != key || len(b.Arguments) > 0 {
			continue
		}
		if found != nil || b.DestinationType != topology.DestinationQueue {
			return nil
		}
		found = h.queues[b.Destination]
	}
	return found
}

// describeDeadQueue says of the dead-letter queue what differs from the default;
// false if there is no field for it.
func describeDeadQueue(d *v1alpha1.DeadLetter, q, dead *topology.Queue) bool {
	if dead.Name != q.Name+deadLetterQueueSuffix {
		d.Queue = dead.Name
	}
	if dead.Type != q.Type {
		d.QueueType = v1alpha1.DeadLetterQueueType(dead.Type)
	}
	spec, err := queueSpec(dead, dead.Arguments)
	if err != nil {
		return false
	}
	d.MessageTTL, d.MaxLength = spec.MessageTTL, spec.MaxLength
	return true
}
