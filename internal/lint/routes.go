package lint

import (
	"slices"
	"strconv"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/internal/trace"
)

// entry is the path of an entry of a list.
func entry(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// letter is what is known of a message on its way.
type letter struct {
	// key is the routing key, if keyKnown.
	key      string
	keyKnown bool
	// death is why it died last, in the broker's word; "" if it has not.
	death string
}

// reached is where a message can come to.
type reached struct {
	queues []topology.ID
	// elsewhere: an exchange that the manifests do not declare takes part, so
	// that there may be more.
	elsewhere bool
}

func (r *reached) nothing() bool { return len(r.queues) == 0 && !r.elsewhere }

// route tells which queues a message can reach from an exchange. What cannot be
// told, such as a key that is not known, counts as a match.
func (b *broker) route(virtualHost, exchange string, l letter) reached {
	walk := walk{broker: b, letter: l}
	if exchange == "" {
		if l.keyKnown {
			walk.deliver(topology.QueueID(virtualHost, l.key))
		} else {
			walk.elsewhere = true
		}
		return walk.reached
	}
	walk.visit(virtualHost, exchange)
	return walk.reached
}

type walk struct {
	broker *broker
	letter letter
	seen   []string // exchanges: a handful, mostly
	in     map[topology.ID]bool
	reached
}

func (w *walk) deliver(id topology.ID) {
	switch {
	case len(w.queues) < few:
		if slices.Contains(w.queues, id) {
			return
		}
	case w.in == nil:
		w.in = map[topology.ID]bool{}
		for _, known := range w.queues {
			w.in[known] = true
		}
		fallthrough
	default:
		if w.in[id] {
			return
		}
		w.in[id] = true
	}
	w.queues = append(w.queues, id)
}

// few is up to where a list is faster than a map.
const few = 16

func (w *walk) visit(virtualHost, name string) {
	if slices.Contains(w.seen, name) {
		return
	}
	w.seen = append(w.seen, name)
	exchange := w.broker.exchange(virtualHost, name)
	if exchange == nil {
		w.elsewhere = true
		return
	}
	sure := false
	for _, b := range w.broker.from[exchange.ID()] {
		match := w.letter.matches(exchange.Type, b)
		if match == no {
			continue
		}
		sure = sure || match == yes
		if b.DestinationType == topology.DestinationQueue {
			w.deliver(topology.QueueID(virtualHost, b.Destination))
		} else {
			w.visit(virtualHost, b.Destination)
		}
	}
	if alternate, ok := exchange.Arguments["alternate-exchange"].(string); ok && !sure {
		w.visit(virtualHost, alternate)
	}
}

// answer to a question that manifests cannot always answer.
type answer int

const (
	no answer = iota
	maybe
	yes
)

// matches tells whether a binding takes a message.
func (l letter) matches(exchangeType string, b *topology.Binding) answer {
	switch exchangeType {
	case "fanout":
		return yes
	case "direct":
		if l.keyKnown {
			return is(l.key == b.RoutingKey)
		}
	case "topic":
		if b.RoutingKey == "#" {
			return yes
		}
		if l.keyKnown {
			return is(trace.MatchTopic(b.RoutingKey, l.key))
		}
	case "headers":
		return l.matchesHeaders(b.Arguments)
	}
	return maybe
}

func is(b bool) answer {
	if b {
		return yes
	}
	return no
}

// matchesHeaders knows of the headers of a message only why it died, which the
// broker itself writes into it.
func (l letter) matchesHeaders(args topology.Arguments) answer {
	if match, _ := args["x-match"].(string); l.death == "" || match != "all-with-x" {
		return maybe
	}
	for _, header := range []string{"x-last-death-reason", "x-first-death-reason"} {
		if reason, ok := args[header].(string); ok {
			if reason != l.death {
				return no
			}
			if len(args) == 2 {
				return yes
			}
		}
	}
	return maybe
}
