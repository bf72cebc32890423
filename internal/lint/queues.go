package lint

import (
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// defaultDeliveryLimit is that of quorum queues from RabbitMQ 4.0 on.
const defaultDeliveryLimit = 20

// limitOf is the delivery limit of a queue; negative if it has none.
func (w *world) limitOf(q *queue) int64 {
	if q.Type != topology.QueueTypeQuorum {
		return -1
	}
	if limit, set := q.arguments["x-delivery-limit"].(int64); set {
		return limit
	}
	if w.atLeast(4, 0) {
		return defaultDeliveryLimit
	}
	return -1
}

// ends are the queues in which dead letters end: nobody consumes those as a rule,
// and they have no dead letters of their own.
func (w *world) ends() map[*broker]map[topology.ID]bool {
	out := map[*broker]map[topology.ID]bool{}
	for _, o := range w.objects {
		q, exchange, ok := o.deadLetters()
		if !ok {
			continue
		}
		if out[o.broker] == nil {
			out[o.broker] = map[topology.ID]bool{}
		}
		for _, id := range o.broker.route(o.virtualHost, exchange, q.dies(letter{}, rejected)).queues {
			out[o.broker][id] = true
		}
	}
	return out
}

// dropsAfterLimit is about quorum queues whose delivery limit ends in nothing.
func dropsAfterLimit(w *world, found finder) {
	ends := w.ends()
	for _, o := range w.objects {
		obj, ok := o.obj.(*v1alpha1.Queue)
		if !ok {
			continue
		}
		q := o.broker.queues[topology.QueueID(o.virtualHost, obj.BrokerName())]
		if q == nil || ends[o.broker][q.ID()] {
			continue
		}
		limit := w.limitOf(q)
		if _, dead := q.deadLetterExchange(); dead || limit < 0 {
			continue
		}
		if _, set := q.arguments["x-delivery-limit"]; set {
			found(o.subject, "spec.deliveryLimit", "a message is dropped after %d failed deliveries, since the queue has no dead letters: write deadLetter: {}", limit+1)
			continue
		}
		found(o.subject, "spec.type", "from RabbitMQ 4.0 on a quorum queue drops a message after %d failed deliveries, since the queue has no dead letters: write deadLetter: {}, or deliveryLimit: -1 for none", limit+1)
	}
}

// transient is about queues that do not survive a restart, which RabbitMQ gives
// up.
func transient(w *world, found finder) {
	if !w.atLeast(4, 3) {
		return
	}
	for _, o := range w.objects {
		if obj, ok := o.obj.(*v1alpha1.Queue); ok && !obj.Spec.IsDurable() {
			found(o.subject, "spec.durable", "RabbitMQ 4.3 has deprecated transient queues, and later versions refuse them: remove durable: false; expires deletes a queue that nobody uses")
		}
	}
}

// nativeRetry reminds of what the consumer has to do.
func nativeRetry(w *world, found finder) {
	for _, o := range w.objects {
		if obj, ok := o.obj.(*v1alpha1.Queue); ok && obj.Spec.Retry != nil && obj.Spec.Retry.Strategy == v1alpha1.RetryNative {
			found(o.subject, "spec.retry.strategy", "RabbitMQ does not count basic.nack with requeue: a consumer that uses it gets the message again for ever, without a delay; its consumers have to use basic.reject with requeue")
		}
	}
}

// ignoredArguments is about arguments that do nothing.
func ignoredArguments(w *world, found finder) {
	eachWarning(w, func(o *object, field, message string) {
		if isArgument(field) {
			found(o.subject, field, "%s", message)
		}
	})
	for _, o := range w.objects {
		obj, ok := o.obj.(*v1alpha1.Queue)
		if !ok {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(obj.Spec.Arguments)) {
			if why := w.withoutEffect(name); why != "" {
				found(o.subject, "spec.arguments["+name+"]", "%s: remove it", why)
			}
		}
	}
}

// withoutEffect tells why the version that is used does nothing with an argument
// that other versions know; "" if it does something.
func (w *world) withoutEffect(argument string) string {
	switch argument {
	case "x-queue-mode":
		if w.atLeast(3, 12) {
			return "from RabbitMQ 3.12 on all classic queues behave as lazy ones did, and this argument has no effect"
		}
	case "x-stream-filter-size-bytes", "x-consumer-timeout", "x-consumer-disconnected-timeout", "x-delayed-retry-type", "x-delayed-retry-min", "x-delayed-retry-max":
		if !w.atLeast(4, 3) {
			return "RabbitMQ before 4.3 stores this argument and does nothing with it"
		}
	}
	return ""
}
