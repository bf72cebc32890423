package trace

import (
	"maps"
	"slices"
)

// Reasons of a death, as the broker spells them.
const (
	reasonExpired       = "expired"
	reasonRejected      = "rejected"
	reasonMaxLength     = "maxlen"
	reasonDeliveryLimit = "delivery_limit"
)

// death is an entry of a message's x-death header.
type death struct{ queue, reason, exchange string }

func (d death) same(other death) bool { return d.queue == other.queue && d.reason == other.reason }

// died is the letter after its death in a queue. Its own expiration is gone, and
// its keys stay unless the queue has one for dead letters.
func (l letter) died(v version, queue, reason, exchange string, key *string) letter {
	now := death{queue, reason, l.exchange}
	at := slices.IndexFunc(l.deaths, now.same)
	others := slices.DeleteFunc(slices.Clone(l.deaths), now.same)
	if at >= 0 {
		now.exchange = l.deaths[at].exchange
	}
	if !v.atLeast(4, 0) && len(l.deaths) > 1 {
		// Up to 3.13 the broker turns the order of the others round each time.
		slices.Reverse(others)
	}
	l.deaths = append([]death{now}, others...)
	last := death{queue, reason, l.exchange}
	if l.first == nil {
		l.first = &last
	}
	l.last = &last
	l.expiration = nil
	l.exchange = exchange
	if key != nil {
		l.keys = []string{*key}
		if !v.atLeast(4, 0) {
			l.headers = maps.Clone(l.headers)
			delete(l.headers, headerCC)
		}
	}
	return l
}

// cycles tells whether a message that has died would come back to a queue without
// a rejection on the way: the broker drops such a copy.
func (l *letter) cycles(queue string) bool {
	at := slices.IndexFunc(l.deaths, func(d death) bool { return d.queue == queue })
	if at < 0 {
		return false
	}
	return !slices.ContainsFunc(l.deaths[:at+1], func(d death) bool { return d.reason == reasonRejected })
}
