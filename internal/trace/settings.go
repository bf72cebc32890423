package trace

import (
	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	dropHead         = "drop-head"
	rejectPublish    = "reject-publish"
	rejectPublishDLX = "reject-publish-dlx"
	atLeastOnce      = "at-least-once"

	// defaultDeliveryLimit is that of quorum queues from 4.0 on.
	defaultDeliveryLimit = 20
)

// settings are what counts for a queue, of its arguments and of the policies.
type settings struct {
	kind string // classic, quorum or stream
	// ttl in milliseconds; nil: messages do not expire.
	ttl *int64
	// maxLength and maxBytes; nil: no limit.
	maxLength, maxBytes *int64
	overflow            string
	// deadLetterExchange; nil: there is none, and what dies is gone.
	deadLetterExchange *string
	// deadLetterKey; nil: a message keeps its own.
	deadLetterKey *string
	// keeps says that dead letters that no queue takes stay in the queue.
	keeps bool
	// deliveryLimit; nil: no limit.
	deliveryLimit *int64
	// delayMin and delayMax in milliseconds, of a queue that delays what is
	// returned to it; nil if it does not.
	delayMin, delayMax *int64
	// tied says that another policy may apply instead.
	tied bool
}

func (w *World) settingsOf(q *topology.Queue) settings {
	policy, tied := w.policies.Applying(q.ID(), q.Type)
	lower := func(key string) *int64 {
		argument, isArgument := q.Arguments["x-"+key].(int64)
		limit, isLimit := policy[key].(int64)
		switch {
		case isArgument && isLimit:
			argument = min(argument, limit)
			return &argument
		case isArgument:
			return &argument
		case isLimit:
			return &limit
		}
		return nil
	}
	text := func(key string) *string {
		if argument, set := q.Arguments["x-"+key].(string); set {
			return &argument
		}
		if value, set := policy[key].(string); set {
			return &value
		}
		return nil
	}
	s := settings{kind: q.Type, tied: tied, overflow: dropHead}
	if q.Type == topology.QueueTypeStream {
		return s // a stream keeps its messages, whoever reads them
	}
	s.ttl, s.maxLength, s.maxBytes = lower("message-ttl"), lower("max-length"), lower("max-length-bytes")
	s.deadLetterExchange, s.deadLetterKey = text("dead-letter-exchange"), text("dead-letter-routing-key")
	if overflow := text("overflow"); overflow != nil {
		s.overflow = *overflow
	}
	if q.Type != topology.QueueTypeQuorum {
		return s
	}
	if overflow, set := policy["overflow"].(string); set { // of a quorum queue the policy wins
		s.overflow = overflow
	}
	strategy := text("dead-letter-strategy")
	s.keeps = strategy != nil && *strategy == atLeastOnce && s.overflow == rejectPublish && s.deadLetterExchange != nil
	s.deliveryLimit = deliveryLimit(w.version, q, policy)
	if delayed := text("delayed-retry-type"); w.version.atLeast(4, 3) && delayed != nil && *delayed != "disabled" {
		s.delayMin, s.delayMax = lower("delayed-retry-min"), lower("delayed-retry-max")
	}
	return s
}

// deliveryLimit is the lower one of argument and policy; a negative one is none.
func deliveryLimit(v version, q *topology.Queue, policy topology.Arguments) *int64 {
	var lowest *int64
	unlimited := false
	for _, value := range []any{q.Arguments["x-delivery-limit"], policy["delivery-limit"]} {
		limit, set := value.(int64)
		switch {
		case !set:
		case limit < 0:
			unlimited = true
		case lowest == nil || limit < *lowest:
			lowest = &limit
		}
	}
	if lowest == nil && !unlimited && v.atLeast(4, 0) {
		limit := int64(defaultDeliveryLimit)
		return &limit
	}
	return lowest
}
