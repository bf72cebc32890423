package compile

import (
	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	argMessageTTL = "x-message-ttl"
	argOverflow   = "x-overflow"

	argDeliveryLimit    = "x-delivery-limit"
	argDelayedRetryType = "x-delayed-retry-type"
	argDelayedRetryMin  = "x-delayed-retry-min"
	argDelayedRetryMax  = "x-delayed-retry-max"

	deathRejected = "rejected"
)

// tiers builds a retry that the broker runs alone, of a consumer that only
// rejects:
//
//	<q> ──DLX, no key──▶ <q>.failed  headers ──anything but a rejection──▶ <q>.giveup ─▶ <q>.dead
//	      rejected        │
//	                      ▼
//	                    <q>.retry  direct ──any other key: first failure──▶ <q>.retry.first ─▶ tier 1
//	                      │ key warrener.<q>.attempt.<k>                                   ─▶ tier k
//	                      │ key warrener.<q>.attempt.<n+1> and above                       ─▶ <q>.dead
//	tier k ──TTL──▶ <q>.redeliver ─▶ <q>,  rewriting the key to warrener.<q>.attempt.<k+1>
//
// Without <q>.failed, the broker's cycle detection drops expired and overflowing
// messages without a word. Everything stands before the queue does, and the dead
// queue first of all, so that nothing is lost in between.
func (d *draft) tiers(q *v1alpha1.Queue, r *Retry, args topology.Arguments) []topology.ID {
	x := r.Exchanges
	args[argDeadLetterExchange] = x.Failed
	safely(q.Spec.Type, args)

	var before []topology.ID
	add := func(resource topology.Resource) {
		d.wantShared(resource)
		before = append(before, resource.ID())
	}
	exchange := func(name, kind, alternate string) {
		arguments := topology.Arguments{}
		if alternate != "" {
			arguments[argAlternateExchange] = alternate
		}
		add(&topology.Exchange{VirtualHost: d.virtualHost, Name: name, Type: kind, Durable: true, Arguments: arguments})
	}
	fanout, direct, headers := string(v1alpha1.ExchangeTypeFanout), string(v1alpha1.ExchangeTypeDirect), string(v1alpha1.ExchangeTypeHeaders)

	d.warnOfCycles(q, len(r.Steps))
	dead := d.deadLetterQueue(q)
	add(dead)
	exchange(x.GiveUp, fanout, "")
	add(d.bind(x.GiveUp, "", topology.DestinationQueue, dead.Name))
	exchange(x.Redeliver, fanout, "")
	for _, step := range r.Steps {
		arguments := topology.Arguments{argDeadLetterExchange: x.Redeliver, argDeadLetterRoutingKey: step.RoutingKey, argMessageTTL: step.Delay.Milliseconds()}
		safely(q.Spec.Type, arguments)
		add(d.waitingQueue(q, step.Queue, arguments))
	}
	// While tier 1 is replaced by one with another delay, nothing is bound to
	// First for a moment: what comes then is tried again at once, and neither
	// lost nor doubled.
	exchange(x.First, fanout, x.Redeliver)
	exchange(x.Retry, direct, x.First)
	for i, step := range r.Steps {
		if i == 0 {
			add(d.bindAlone(x.First, "", step.Queue))
		} else {
			add(d.bindAlone(x.Retry, r.Steps[i-1].RoutingKey, step.Queue))
		}
	}
	// Keys of tiers that there once were lead to the dead queue as well: such a
	// message would start again from tier 1 else.
	for n := len(r.Steps) + 1; n <= v1alpha1.MaxRetries+1; n++ {
		add(d.bindAlone(x.Retry, AttemptKey(r.Queue, n), dead.Name))
	}
	exchange(x.Failed, headers, x.GiveUp)
	rejected := d.bind(x.Failed, "", topology.DestinationExchange, x.Retry)
	rejected.Arguments = topology.Arguments{argMatch: string(v1alpha1.HeaderMatchAllWithX), d.deathHeader(): deathRejected}
	add(rejected)
	d.wantShared(d.bind(x.Redeliver, "", topology.DestinationQueue, r.Queue))
	return before
}

// deathHeader is the header that says why a message died last. Brokers before
// 4.0 do not set it; why it died first is the same there but for a message that
// was rejected and expires later: it goes on through the tiers; see
// warnOfCycles.
func (d *draft) deathHeader() string {
	if AtLeast(d.version, 4, 0) {
		return "x-last-death-reason"
	}
	return "x-first-death-reason"
}

// safely makes a quorum queue dead-letter at-least-once: it keeps a message
// until the queues behind the exchange have it, over restarts too. RabbitMQ wants
// reject-publish for that, and is silently at-most-once without. A classic queue
// knows neither.
func safely(queueType v1alpha1.QueueType, args topology.Arguments) {
	if queueType != v1alpha1.QueueTypeQuorum {
		return
	}
	args[argDeadLetterStrategy] = string(v1alpha1.DeadLetterAtLeastOnce)
	args[argOverflow] = string(v1alpha1.OverflowRejectPublish)
}

// waitingQueue is a queue in which messages wait; it is of the type of the queue
// that it serves.
func (d *draft) waitingQueue(q *v1alpha1.Queue, name string, args topology.Arguments) *topology.Queue {
	return &topology.Queue{VirtualHost: d.virtualHost, Name: name, Type: string(q.Spec.Type), Durable: true, Arguments: args}
}

func (d *draft) bind(source, key, destinationType, destination string) *topology.Binding {
	return &topology.Binding{
		VirtualHost: d.virtualHost, Source: source, RoutingKey: key,
		Destination: destination, DestinationType: destinationType,
	}
}

// bindAlone binds a queue in the place of any other: with two, a message would
// be copied.
func (d *draft) bindAlone(source, key, queue string) *topology.Binding {
	binding := d.bind(source, key, topology.DestinationQueue, queue)
	binding.Alone = true
	return binding
}

// published wants the queues that consumers publish to. They dead-letter to the
// queue through the default exchange, as client programs declare them. The queue
// itself gets no argument for it: who declares it too must meet no difference.
func (d *draft) published(q *v1alpha1.Queue, r *Retry, args topology.Arguments) []topology.ID {
	var before []topology.ID
	if q.Spec.DeadLetter != nil {
		before = d.deadLetter(q, args)
	}
	dead := d.deadLetterQueue(q)
	d.wantShared(dead)
	before = append(before, dead.ID())
	if r.ClientDeclared {
		return before
	}
	for _, delayed := range r.DelayQueues {
		arguments := topology.Arguments{argDeadLetterExchange: "", argDeadLetterRoutingKey: r.Queue, argMessageTTL: delayed.Delay.Milliseconds()}
		safely(q.Spec.Type, arguments)
		waiting := d.waitingQueue(q, delayed.Name, arguments)
		d.wantShared(waiting)
		before = append(before, waiting.ID())
	}
	return before
}

// native leaves the waiting to the queue: the delay is min × the number of
// failed deliveries, up to max.
func (d *draft) native(q *v1alpha1.Queue, args topology.Arguments) []topology.ID {
	if !AtLeast(d.version, 4, 3) {
		d.unsupported(retryPath+".strategy", "Native needs RabbitMQ 4.3 or later, and the broker is %s: upgrade the broker, or write strategy: Tiers", d.version)
	}
	before := d.deadLetter(q, args)
	if backoff := q.Spec.Retry.Backoff; backoff != nil && q.Spec.Retry.MaxRetries != nil {
		retries, initial, longest := int64(*q.Spec.Retry.MaxRetries), backoff.Initial.Milliseconds(), int64(maxMillis)
		if backoff.Max != nil {
			longest = backoff.Max.Milliseconds()
		}
		args[argDelayedRetryType] = "all"
		args[argDelayedRetryMin] = initial
		args[argDelayedRetryMax] = min(initial*retries, longest)
		args[argDeliveryLimit] = retries
	}
	return before
}

// warnOfCycles warns of brokers before 4.0, whose cycle detection reads x-death
// in the wrong order: it drops a message that was rejected, dies otherwise on
// its way back, and is rejected again, from the third retry on.
func (d *draft) warnOfCycles(q *v1alpha1.Queue, retries int) {
	spec := &q.Spec
	diesOtherwise := spec.MessageTTL != nil || spec.MaxLength != nil || spec.MaxLengthBytes != nil || spec.DeliveryLimit != nil
	if AtLeast(d.version, 4, 0) || retries < 3 || !diesOtherwise {
		return
	}
	d.warn(retryPath, "RabbitMQ %s may lose a message that is rejected, then expires, overflows or exceeds the delivery limit on its way back, and is rejected again: "+
		"upgrade to 4.0 or later, write maxRetries: 2, or remove messageTTL, maxLength, maxLengthBytes and deliveryLimit", d.version)
}
