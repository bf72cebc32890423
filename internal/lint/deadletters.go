package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// How messages die, in the broker's words.
const (
	rejected      = "rejected"
	expired       = "expired"
	maxLength     = "maxlen"
	deliveryLimit = "delivery_limit"

	deadLetterField = "spec.deadLetter"
)

// deadLetterExchange of a queue; false if it has none.
func (q *queue) deadLetterExchange() (string, bool) {
	name, has := q.arguments["x-dead-letter-exchange"].(string)
	return name, has
}

// dies is the letter that becomes of one that dies in the queue.
func (q *queue) dies(l letter, reason string) letter {
	l.death = reason
	if key, set := q.arguments["x-dead-letter-routing-key"].(string); set {
		l.key, l.keyKnown = key, true
	}
	return l
}

func (q *queue) expires() bool {
	_, set := q.arguments["x-message-ttl"]
	return set
}

// nowhere is about dead-letter exchanges from which a dead letter comes to no
// queue.
func nowhere(w *world, found finder) {
	for _, o := range w.objects {
		q, exchange, ok := o.deadLetters()
		if !ok || exchange == "" || o.broker.exchange(o.virtualHost, exchange) == nil {
			continue // what nobody declares is missing, which is another rule
		}
		for _, reason := range []string{rejected, expired} {
			l := q.dies(letter{}, reason)
			to := o.broker.route(o.virtualHost, exchange, l)
			if !to.nothing() {
				continue
			}
			with := ""
			if l.keyKnown {
				with = " with the key " + strconv.Quote(l.key)
			}
			found(o.subject, "spec.deadLetter.exchange", "from the dead-letter exchange %s no queue can be reached%s: dead letters are dropped; bind a queue to it", exchange, with)
			break
		}
	}
}

// deadLetters of a Queue: its queue and the dead-letter exchange.
func (o *object) deadLetters() (*queue, string, bool) {
	if _, isQueue := o.obj.(*v1alpha1.Queue); !isQueue {
		return nil, "", false
	}
	q := o.broker.queues[topology.QueueID(o.virtualHost, o.obj.BrokerName())]
	if q == nil {
		return nil, "", false
	}
	exchange, has := q.deadLetterExchange()
	return q, exchange, has
}

// cycles is about messages that die, come back without anybody rejecting them,
// and are dropped by the broker.
func cycles(w *world, found finder) {
	eachCycle(w, func(o *object, _ *queue, way []string, causes []cause) {
		if len(causes) == 0 {
			return
		}
		words := make([]string, len(causes))
		for i, c := range causes {
			words[i] = c.words
		}
		found(o.subject, causes[0].field,
			"a message that %s comes back by %s, and RabbitMQ drops what goes in a circle without having been rejected: lead such messages elsewhere, or write retry.strategy: Tiers, which does",
			strings.Join(words, " or "), strings.Join(way, " → "))
	})
}

// expirationCycles is the same where only a publisher can make it happen.
func expirationCycles(w *world, found finder) {
	eachCycle(w, func(o *object, q *queue, way []string, causes []cause) {
		if len(causes) == 0 {
			found(o.subject, deadLetterField, "dead letters come back by %s: rejected ones are tried again for ever, and a message that its publisher gives an expiration is dropped by RabbitMQ when it expires in %s; retry.strategy: Tiers does neither",
				strings.Join(way, " → "), q.Name)
		}
	})
}

// cause is how messages die in a queue without being rejected.
type cause struct{ reason, field, words string }

// causes are those that the declaration brings about.
func (w *world) causes(q *queue) []cause {
	var out []cause
	if q.expires() {
		out = append(out, cause{expired, "spec.messageTTL", "expires"})
	}
	overflow, _ := q.arguments["x-overflow"].(string)
	for _, limit := range []struct{ argument, field string }{{"x-max-length", "spec.maxLength"}, {"x-max-length-bytes", "spec.maxLengthBytes"}} {
		if _, set := q.arguments[limit.argument]; set && overflow != string(v1alpha1.OverflowRejectPublish) {
			out = append(out, cause{maxLength, limit.field, "finds the queue full"})
			break
		}
	}
	if w.limitOf(q) >= 0 {
		field := deadLetterField // the limit is the broker's own
		if _, set := q.arguments["x-delivery-limit"]; set {
			field = "spec.deliveryLimit"
		}
		out = append(out, cause{deliveryLimit, field, "exceeds the delivery limit"})
	}
	return out
}

// eachCycle visits the queues of custom resources whose dead letters come back to
// them on their own, each circle once.
func eachCycle(w *world, visit func(o *object, q *queue, way []string, causes []cause)) {
	told := map[string]bool{}
	for _, o := range w.objects {
		q, _, ok := o.deadLetters()
		if !ok {
			continue
		}
		var way []string
		var returning []cause
		for _, c := range w.causes(q) {
			if found := o.broker.comesBack(q, c.reason); found != nil {
				way, returning = found, append(returning, c)
			}
		}
		if way == nil {
			way = o.broker.comesBack(q, expired) // a publisher may give any message an expiration
		}
		if way == nil {
			continue
		}
		circle := slices.Clone(way)
		slices.Sort(circle)
		name := o.virtualHost + "\x00" + strings.Join(slices.Compact(circle), "\x00")
		if !told[name] {
			told[name] = true
			visit(o, q, way, returning)
		}
	}
}

// comesBack follows a message that dies in a queue, as long as it goes on without
// anybody's doing: the queues on its way back to where it began, or nil.
func (b *broker) comesBack(start *queue, reason string) []string {
	seen := map[topology.ID]bool{}
	var follow func(q *queue, l letter, way []string) []string
	follow = func(q *queue, l letter, way []string) []string {
		exchange, ok := q.deadLetterExchange()
		if !ok {
			return nil
		}
		for _, id := range b.route(q.VirtualHost, exchange, l).queues {
			if id == start.ID() {
				return append(way, start.Name)
			}
			next := b.queues[id]
			if next == nil || seen[id] || !next.expires() {
				continue
			}
			seen[id] = true
			if found := follow(next, next.dies(l, expired), append(slices.Clone(way), next.Name)); found != nil {
				return found
			}
		}
		return nil
	}
	return follow(start, start.dies(letter{}, reason), []string{start.Name})
}
