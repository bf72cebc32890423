package trace

import (
	"fmt"
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Message is what is published to RabbitMQ, as far as its way depends on it.
type Message struct {
	// Exchange to which it is published; "" is the default exchange.
	Exchange string `json:"exchange"`
	// Key is the routing key.
	Key string `json:"routingKey"`
	// Headers in canonical form. CC and BCC, lists of strings, are routing keys
	// besides Key.
	Headers topology.Arguments `json:"headers,omitempty"`
	// ExpirationMs is the message's own time to live in milliseconds; nil if it
	// has none.
	ExpirationMs *int64 `json:"expirationMs,omitempty"`
}

// Headers that carry routing keys.
const (
	headerCC  = "CC"
	headerBCC = "BCC"
)

// letter is a message, or a copy of it, on its way.
type letter struct {
	// keys it is routed by: one, or several with CC and BCC.
	keys []string
	// headers as they were published, without BCC.
	headers topology.Arguments
	// exchange that it was published, or dead-lettered, to.
	exchange string
	// expiration in milliseconds; nil if the message has none of its own.
	expiration *int64
	// deaths, in the order in which the broker keeps them.
	deaths []death
	// first and last death; nil before the first.
	first, last *death
}

// letterOf is a message when it is published. That it cannot be is an error, in
// the broker's sense.
func letterOf(m Message) (letter, error) {
	l := letter{keys: []string{m.Key}, exchange: m.Exchange, expiration: m.ExpirationMs}
	for _, header := range []string{headerCC, headerBCC} {
		value, set := m.Headers[header]
		if !set {
			continue
		}
		list, ok := value.([]any)
		if !ok {
			return l, fmt.Errorf("the header %s is %s and must be a list of strings", header, topology.RenderValue(value))
		}
		for _, item := range list {
			if key, ok := item.(string); ok {
				l.keys = append(l.keys, key)
			}
		}
	}
	l.headers = maps.Clone(m.Headers)
	delete(l.headers, headerBCC)
	return l, nil
}

// visible are the headers that headers exchanges compare: those of the message,
// and those that the broker adds when it dies.
func (l *letter) visible(v version) topology.Arguments {
	if l.first == nil {
		return l.headers
	}
	out := maps.Clone(l.headers)
	if out == nil {
		out = topology.Arguments{}
	}
	add := func(which string, d *death) {
		out["x-"+which+"-death-queue"], out["x-"+which+"-death-reason"], out["x-"+which+"-death-exchange"] = d.queue, d.reason, d.exchange
	}
	add("first", l.first)
	if v.atLeast(4, 0) {
		add("last", l.last)
	} else {
		out["x-death"] = []any{} // it is there; nobody can compare it
	}
	return out
}

// sortedKeys are the different keys.
func (l *letter) sortedKeys() []string {
	return slices.Compact(slices.Sorted(slices.Values(l.keys)))
}
