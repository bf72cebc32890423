package compile

import (
	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// retryRule is one combination that loses messages, or that contradicts itself.
// The schema refuses the same ones; see docs/adr/retry.md for those that are
// not here.
type retryRule struct {
	field   string
	broken  func(*v1alpha1.QueueSpec) bool
	message string
	// stops: the rest would only repeat the same in other words.
	stops bool
}

var retryRules = []retryRule{
	{
		field: retryPath, stops: true,
		broken:  func(s *v1alpha1.QueueSpec) bool { return s.Type == v1alpha1.QueueTypeStream },
		message: "a stream keeps what is rejected, and its consumer decides where to read on: remove retry, or write type: quorum",
	},
	{
		field: retryPath + ".strategy", stops: true,
		broken: func(s *v1alpha1.QueueSpec) bool {
			return s.Retry.Strategy == v1alpha1.RetryNative && s.Type != v1alpha1.QueueTypeQuorum
		},
		message: "Native is for quorum queues: write type: quorum, or strategy: Tiers",
	},
	{
		field:   "spec.durable",
		broken:  func(s *v1alpha1.QueueSpec) bool { return !s.IsDurable() },
		message: "what waits for a retry is lost when the broker deletes the queue: remove durable: false, or remove retry",
	},
	{
		field:   "spec.autoDelete",
		broken:  func(s *v1alpha1.QueueSpec) bool { return s.AutoDelete },
		message: "what waits for a retry is lost when the broker deletes the queue: remove autoDelete, or remove retry",
	},
	{
		field:   "spec.expires",
		broken:  func(s *v1alpha1.QueueSpec) bool { return s.Expires != nil },
		message: "what waits for a retry is lost when the broker deletes the queue: remove expires, or remove retry",
	},
	{
		field: "spec.overflow",
		broken: func(s *v1alpha1.QueueSpec) bool {
			return s.Type == v1alpha1.QueueTypeClassic && s.Overflow == v1alpha1.OverflowRejectPublish
		},
		message: "a full classic queue with reject-publish refuses the messages that come back for a retry, and they are lost: write overflow: reject-publish-dlx, or type: quorum",
	},
	{
		field: "spec.overflow",
		broken: func(s *v1alpha1.QueueSpec) bool {
			return tiersOn(s, v1alpha1.QueueTypeQuorum) && s.Overflow != "" && s.Overflow != v1alpha1.OverflowRejectPublish
		},
		message: "under retry.strategy: Tiers a quorum queue dead-letters at-least-once, which anything but reject-publish would silently turn into at-most-once: remove overflow, or write overflow: reject-publish",
	},
	{
		field: deadLetterPath + ".strategy",
		broken: func(s *v1alpha1.QueueSpec) bool {
			return tiersOn(s, v1alpha1.QueueTypeQuorum) && s.DeadLetter != nil && s.DeadLetter.Strategy == v1alpha1.DeadLetterAtMostOnce
		},
		message: "at-most-once loses what waits when the broker restarts: remove it",
	},
	{
		field:   deadLetterPath + ".create",
		broken:  func(s *v1alpha1.QueueSpec) bool { return tiersDeadLetter(s) && !s.DeadLetter.Creates() },
		message: tiersRoute + "remove create: false",
	},
	{
		field:   deadLetterPath + ".exchange",
		broken:  func(s *v1alpha1.QueueSpec) bool { return tiersDeadLetter(s) && s.DeadLetter.Exchange != nil },
		message: tiersRoute + "remove exchange",
	},
	{
		field:   deadLetterPath + ".exchangeType",
		broken:  func(s *v1alpha1.QueueSpec) bool { return tiersDeadLetter(s) && s.DeadLetter.ExchangeType != "" },
		message: tiersRoute + "remove exchangeType",
	},
	{
		field:   deadLetterPath + ".routingKey",
		broken:  func(s *v1alpha1.QueueSpec) bool { return tiersDeadLetter(s) && s.DeadLetter.RoutingKey != nil },
		message: tiersRoute + "remove routingKey",
	},
	{
		field: "spec.deliveryLimit",
		broken: func(s *v1alpha1.QueueSpec) bool {
			return s.Retry.Strategy == v1alpha1.RetryNative && s.DeliveryLimit != nil
		},
		message: "under retry.strategy: Native, retry.maxRetries is the delivery limit, and another one would cut the retries short: remove deliveryLimit",
	},
	{
		field: retryPath + ".delays",
		broken: func(s *v1alpha1.QueueSpec) bool {
			return s.Retry.Strategy == v1alpha1.RetryNative && len(s.Retry.Delays) > 0
		},
		message: "strategy: Native has no list of delays, the delay is initial × the number of failed deliveries: write backoff with initial and max",
	},
	{
		field: retryPath + ".backoff.factor",
		broken: func(s *v1alpha1.QueueSpec) bool {
			return s.Retry.Strategy == v1alpha1.RetryNative && s.Retry.Backoff != nil && s.Retry.Backoff.Factor != nil
		},
		message: "strategy: Native has no factor, the delay is initial × the number of failed deliveries: remove factor",
	},
	{
		field: retryPath + ".delayQueues",
		broken: func(s *v1alpha1.QueueSpec) bool {
			return s.Retry.Strategy != v1alpha1.RetryPublished && s.Retry.DelayQueues != ""
		},
		message: "is for strategy: Published, only there the clients know the delay queues: remove it",
	},
}

const tiersRoute = "under retry.strategy: Tiers the exchanges <name>.failed and <name>.giveup decide what is retried and what goes to the dead-letter queue: "

func tiersOn(s *v1alpha1.QueueSpec, queueType v1alpha1.QueueType) bool {
	return s.Retry.Strategy == v1alpha1.RetryTiers && s.Type == queueType
}

func tiersDeadLetter(s *v1alpha1.QueueSpec) bool {
	return s.Retry.Strategy == v1alpha1.RetryTiers && s.DeadLetter != nil
}

// retry sets the arguments that the strategy needs on the queue itself, and
// wants the objects around it. It returns what must stand before the queue does.
func (d *draft) retry(q *v1alpha1.Queue, args topology.Arguments) []topology.ID {
	spec := &q.Spec
	oneOf(d, retryPath+".strategy", spec.Retry.Strategy, v1alpha1.RetryTiers, v1alpha1.RetryPublished, v1alpha1.RetryNative)
	if spec.Retry.DelayQueues != "" {
		oneOf(d, retryPath+".delayQueues", spec.Retry.DelayQueues, v1alpha1.DelayQueuesManaged, v1alpha1.DelayQueuesClientDeclared)
	}
	for _, rule := range retryRules {
		if rule.broken(spec) {
			d.problem(rule.field, "%s", rule.message)
			if rule.stops {
				return nil
			}
		}
	}
	retry, problems := retryOf(q)
	d.problems = append(d.problems, problems...)
	d.derivedNames(retry)
	switch spec.Retry.Strategy {
	case v1alpha1.RetryTiers:
		return d.tiers(q, retry, args)
	case v1alpha1.RetryPublished:
		return d.published(q, retry, args)
	case v1alpha1.RetryNative:
		return d.native(q, args)
	}
	return nil
}

// derivedNames checks the names that a queue's retries add to its own: their
// length, and that none is the dead queue's.
func (d *draft) derivedNames(r *Retry) {
	longest := ""
	consider := func(name string) {
		if len(name) > len(longest) {
			longest = name
		}
	}
	for _, queue := range r.DelayQueues {
		consider(queue.Name)
		if queue.Name == r.DeadQueue {
			d.problem(deadLetterPath+".queue", "%s is a queue in which messages wait for a retry: name another queue", quote(r.DeadQueue))
		}
	}
	if r.Exchanges != nil {
		for _, name := range r.Exchanges.names() {
			consider(name)
		}
		consider(AttemptKey(r.Queue, v1alpha1.MaxRetries+1))
	}
	if len(longest) > maxShortString {
		d.problem(retryPath, "names that end in …%s become %d bytes long, and AMQP has room for %d: write a spec.name of at most %d bytes",
			longest[len(longest)-min(len(longest), 16):], len(longest), maxShortString, maxShortString-(len(longest)-len(r.Queue)))
	}
}
