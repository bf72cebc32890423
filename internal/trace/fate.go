package trace

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Cause is something that can happen to a message in a queue.
type Cause string

// Causes.
const (
	// Unread: nobody reads it.
	Unread Cause = "Unread"
	// Rejected: a consumer rejects it without requeue, each time that it comes.
	Rejected Cause = "Rejected"
	// Returned: a consumer returns it, or ends with it, each time that it comes.
	Returned Cause = "Returned"
	// Overflow: the queue is at its limit.
	Overflow Cause = "Overflow"
	// Published: a consumer publishes a copy for each retry, and for the dead
	// queue in the end.
	Published Cause = "Published"
)

// strategyPublished is the strategy of a retry that is the consumer's business.
const strategyPublished = "Published"

// Fate is one such case, followed to its end.
type Fate struct {
	Cause Cause `json:"cause"`
	// When says the case in words.
	When string `json:"when"`
	// Steps in the order in which they follow from each other. A step that two
	// follow from is where a message is copied.
	Steps []Step `json:"steps"`
}

// fates are what can happen to a letter in a queue.
func (w *World) fates(queue string, l *letter) []Fate {
	q := w.queues[queue]
	s := w.settingsOf(q)
	var out []Fate
	add := func(cause Cause, when string, start func(*journey)) {
		j := &journey{world: w, home: queue, cause: cause}
		start(j)
		out = append(out, Fate{Cause: cause, When: when, Steps: j.steps})
	}
	arrive := func(j *journey) { j.arrive(arrival{queue: queue, letter: *l, from: none}) }
	if s.kind == topology.QueueTypeStream {
		add(Unread, "read or not", arrive)
		return out
	}
	if retry := w.retries[queue]; retry != nil && retry.Strategy == strategyPublished {
		add(Published, "a consumer publishes a copy for each retry, and acknowledges", func(j *journey) { j.published(retry, *l) })
	}
	add(Rejected, "a consumer rejects it with requeue=false, every time", arrive)
	if s.kind == topology.QueueTypeQuorum && (s.deliveryLimit != nil || s.delayMin != nil) {
		add(Returned, "a consumer returns it with basic.reject requeue=true, or crashes, every time", arrive)
	}
	add(Unread, "nobody reads it", arrive)
	if limit := s.limit(); limit != "" {
		add(Overflow, "the queue holds "+limit, arrive)
	}
	return out
}

// limit says how much the queue may hold; "" if there is no limit.
func (s *settings) limit() string {
	switch {
	case s.maxLength != nil && s.maxBytes != nil:
		return fmt.Sprintf("%d messages, or %d bytes", *s.maxLength, *s.maxBytes)
	case s.maxLength != nil:
		return fmt.Sprintf("%d messages", *s.maxLength)
	case s.maxBytes != nil:
		return fmt.Sprintf("%d bytes", *s.maxBytes)
	}
	return ""
}

// expiry is when a letter expires in a queue, in milliseconds; nil: never.
func (s *settings) expiry(l *letter) *int64 {
	switch {
	case s.kind == topology.QueueTypeStream:
		return nil
	case s.ttl != nil && l.expiration != nil:
		lower := min(*s.ttl, *l.expiration)
		return &lower
	case s.ttl != nil:
		return s.ttl
	}
	return l.expiration
}

// published follows a message whose consumer publishes copies.
func (j *journey) published(retry *compile.Retry, l letter) {
	from := none
	var at int64
	for n, step := range retry.Steps {
		from = j.add(Step{From: from, AtMs: at, Queue: retry.Queue, Event: Delivered, Delivery: n + 1, Keys: l.keys,
			Why: "the consumer publishes a copy to " + step.Queue})
		wait := step.Delay.Milliseconds()
		if q, declared := j.world.queues[step.Queue]; declared {
			s := j.world.settingsOf(q)
			if s.ttl == nil || s.deadLetterExchange == nil {
				j.add(Step{From: from, AtMs: at, Queue: step.Queue, Event: Stays, Why: "it has no time to live, or no dead-letter exchange"})
				return
			}
			wait = *s.ttl
		}
		from = j.add(Step{From: from, AtMs: at, Queue: step.Queue, Event: Waits, ForMs: wait})
		at += wait
		l.keys = []string{cmp.Or(step.RoutingKey, retry.Queue)}
	}
	from = j.add(Step{From: from, AtMs: at, Queue: retry.Queue, Event: Delivered, Delivery: len(retry.Steps) + 1, Keys: l.keys,
		Why: "the consumer publishes a copy to " + retry.DeadQueue})
	j.add(Step{From: from, AtMs: at, Queue: retry.DeadQueue, Event: Stays})
}

// Millis writes milliseconds for people: 1m30s, 250ms.
func Millis(ms int64) string {
	span := time.Duration(ms) * time.Millisecond
	const day = 24 * time.Hour
	if days := span / day; days > 0 && ms < int64(^uint64(0)>>1)/int64(time.Millisecond) {
		text := strconv.FormatInt(int64(days), 10) + "d"
		if rest := span % day; rest > 0 {
			text += Millis(rest.Milliseconds())
		}
		return text
	}
	var text string
	for _, unit := range []struct {
		span time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}} {
		if n := span / unit.span; n > 0 {
			text += strconv.FormatInt(int64(n), 10) + unit.name
			span %= unit.span
		}
	}
	switch {
	case span%time.Second == 0 && (span > 0 || text == ""):
		return text + strconv.FormatInt(int64(span/time.Second), 10) + "s"
	case span == 0:
		return text
	case text == "" && span < time.Second:
		return strconv.FormatInt(span.Milliseconds(), 10) + "ms"
	}
	return text + strconv.FormatFloat(span.Seconds(), 'f', -1, 64) + "s"
}
