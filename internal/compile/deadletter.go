package compile

import (
	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	// deadLetterExchangeSuffix and deadLetterQueueSuffix make the default names.
	deadLetterExchangeSuffix = ".dlx"
	deadLetterQueueSuffix    = ".dead"

	deadLetterPath = "spec.deadLetter"
)

// deadLetter sets the queue's own dead-letter arguments and, unless it only
// refers to what others declare, wants the objects behind them:
//
//	<name> ──x-dead-letter-exchange──▶ <name>.dlx ──key <name>──▶ <name>.dead
//
// The key is the queue's name, so that fifty queues can share one exchange and
// each dead letter still lands in the dead queue of its own queue. It returns
// what must stand before the queue does: a message that is rejected in between
// would be lost.
func (d *draft) deadLetter(q *v1alpha1.Queue, args topology.Arguments) []topology.ID {
	spec := deadLetterOf(q)
	d.deadLetterStrategy(q, args)
	if !spec.Creates() {
		d.deadLetterReference(spec, args)
		return nil
	}
	dlx := d.deadLetterExchange(q)
	dead := d.deadLetterQueue(q)
	key := q.BrokerName()
	if spec.RoutingKey != nil {
		key = *spec.RoutingKey
		d.shortString(deadLetterPath+".routingKey", key)
	}
	binding := &topology.Binding{
		VirtualHost: d.virtualHost, Source: dlx.Name, RoutingKey: key,
		Destination: dead.Name, DestinationType: topology.DestinationQueue,
	}
	args[argDeadLetterExchange] = dlx.Name
	args[argDeadLetterRoutingKey] = key
	d.wantShared(dlx)
	d.wantShared(dead)
	d.wantShared(binding)
	return []topology.ID{dlx.ID(), dead.ID(), binding.ID()}
}

// deadLetterOf is the section with the default that a retry gives it.
func deadLetterOf(q *v1alpha1.Queue) *v1alpha1.DeadLetter {
	if q.Spec.DeadLetter == nil {
		return &v1alpha1.DeadLetter{}
	}
	return q.Spec.DeadLetter
}

// deadQueueName is the name of the dead-letter queue, if one is created.
func deadQueueName(q *v1alpha1.Queue) string {
	if name := deadLetterOf(q).Queue; name != "" {
		return name
	}
	return q.BrokerName() + deadLetterQueueSuffix
}

// deadLetterReference names an exchange that is declared elsewhere. It may come
// later than the queue: the broker looks it up when a message dies.
func (d *draft) deadLetterReference(spec *v1alpha1.DeadLetter, args topology.Arguments) {
	if spec.Exchange == nil {
		d.problem(deadLetterPath+".exchange", `create: false only refers to an existing exchange: name it, "" for the default exchange`)
		return
	}
	if *spec.Exchange != "" {
		d.name(deadLetterPath+".exchange", *spec.Exchange)
	}
	args[argDeadLetterExchange] = *spec.Exchange
	if spec.RoutingKey != nil {
		d.shortString(deadLetterPath+".routingKey", *spec.RoutingKey)
		args[argDeadLetterRoutingKey] = *spec.RoutingKey
	}
}

func (d *draft) deadLetterExchange(q *v1alpha1.Queue) *topology.Exchange {
	spec := deadLetterOf(q)
	name := q.BrokerName() + deadLetterExchangeSuffix
	if spec.Exchange != nil {
		name = *spec.Exchange
	}
	if name == "" {
		d.problem(deadLetterPath+".exchange", "the default exchange (an empty name) cannot be created: name another exchange, or write create: false")
	} else {
		d.ownName(deadLetterPath+".exchange", name)
	}
	exchangeType := spec.ExchangeType
	if exchangeType == "" {
		exchangeType = string(v1alpha1.ExchangeTypeDirect)
	}
	oneOf(d, deadLetterPath+".exchangeType", v1alpha1.ExchangeType(exchangeType),
		v1alpha1.ExchangeTypeDirect, v1alpha1.ExchangeTypeFanout, v1alpha1.ExchangeTypeTopic)
	return &topology.Exchange{
		VirtualHost: d.virtualHost, Name: name, Type: exchangeType, Durable: true, Arguments: topology.Arguments{},
	}
}

func (d *draft) deadLetterQueue(q *v1alpha1.Queue) *topology.Queue {
	spec := deadLetterOf(q)
	name := deadQueueName(q)
	if name == q.BrokerName() {
		d.problem(deadLetterPath+".queue", "%s is this queue itself: name another queue", quote(name))
	}
	d.ownName(deadLetterPath+".queue", name)
	queueType := v1alpha1.QueueType(spec.QueueType)
	if queueType == "" {
		queueType = q.Spec.Type
	} else {
		oneOf(d, deadLetterPath+".queueType", queueType, v1alpha1.QueueTypeClassic, v1alpha1.QueueTypeQuorum)
	}
	args := topology.Arguments{}
	d.setMillis(args, "x-message-ttl", deadLetterPath+".messageTTL", spec.MessageTTL, 0)
	setInteger(args, "x-max-length", spec.MaxLength)
	d.deadLetters = topology.QueueID(d.virtualHost, name)
	return &topology.Queue{
		VirtualHost: d.virtualHost, Name: name, Type: string(queueType), Durable: true, Arguments: args,
	}
}

// deadLetterStrategy refuses the combinations in which RabbitMQ accepts
// at-least-once and silently does at-most-once.
func (d *draft) deadLetterStrategy(q *v1alpha1.Queue, args topology.Arguments) {
	strategy := deadLetterOf(q).Strategy
	if strategy == "" {
		return
	}
	path := deadLetterPath + ".strategy"
	oneOf(d, path, strategy, v1alpha1.DeadLetterAtMostOnce, v1alpha1.DeadLetterAtLeastOnce)
	if strategy == v1alpha1.DeadLetterAtLeastOnce && q.Spec.Type == v1alpha1.QueueTypeQuorum && q.Spec.Overflow != v1alpha1.OverflowRejectPublish {
		d.coded(CodeAtMostOnce, path, "at-least-once needs overflow: reject-publish, else RabbitMQ silently uses at-most-once")
	}
	args[argDeadLetterStrategy] = string(strategy)
}
