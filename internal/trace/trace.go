package trace

import (
	"fmt"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Outcome is what becomes of a message when it is published.
type Outcome string

// Outcomes.
const (
	// Routed: it reaches at least one queue.
	Routed Outcome = "Routed"
	// Unroutable: no queue takes it. It comes back to a publisher that set
	// mandatory, and is dropped otherwise.
	Unroutable Outcome = "Unroutable"
	// Refused: the broker closes the channel.
	Refused Outcome = "Refused"
	// NotPredictable: it may reach queues, and nobody can tell which.
	NotPredictable Outcome = "NotPredictable"
)

// Trace is where a message goes.
type Trace struct {
	VirtualHost string  `json:"virtualHost"`
	Message     Message `json:"message"`
	Outcome     Outcome `json:"outcome"`
	// Why tells the reason of another outcome than Routed, and what to do.
	Why string `json:"why,omitempty"`
	// NotPredictable lists what nobody can predict, even if queues are reached.
	NotPredictable []string `json:"notPredictable,omitempty"`
	// Notes are for people: what the answer rests on.
	Notes []string `json:"notes,omitempty"`
	// Way is the tree of exchanges; nil if the broker refuses the message.
	Way *Hop `json:"way,omitempty"`
	// Queues that get the message for certain, and those that may get it
	// besides; by name.
	Queues   []Landing `json:"queues,omitempty"`
	Possible []Landing `json:"possibleQueues,omitempty"`
}

// Landing is a queue that a message reaches.
type Landing struct {
	Queue string `json:"queue"`
	Type  string `json:"type"`
	// Fates are what can happen to the message there.
	Fates []Fate `json:"fates,omitempty"`
}

// Trace follows a message.
func (w *World) Trace(m Message) *Trace {
	t := &Trace{VirtualHost: w.virtualHost, Message: m, Outcome: Refused}
	x, there := w.exchanges[m.Exchange]
	switch {
	case !there:
		t.Why = fmt.Sprintf("there is no exchange %q in virtual host %q: the broker closes the channel (404 NOT_FOUND)", m.Exchange, w.virtualHost)
		return t
	case x.Internal:
		t.Why = fmt.Sprintf("exchange %q is internal, and only other exchanges lead to it: the broker closes the channel (403 ACCESS_REFUSED)", m.Exchange)
		return t
	}
	l, err := letterOf(m)
	if err != nil {
		t.Why = err.Error() + ": the broker closes the channel (406 PRECONDITION_FAILED)"
		return t
	}
	r := w.route(&l)
	t.Way = r.hop
	t.NotPredictable = r.hop.unpredictable()
	for _, missing := range r.missing {
		if m.Exchange == "" {
			t.Notes = append(t.Notes, fmt.Sprintf("there is no queue %q, and the default exchange finds queues by their names", missing))
		} else {
			t.Notes = append(t.Notes, fmt.Sprintf("a binding leads to queue %q, which is not there: with it, the message would reach it", missing))
		}
	}
	t.Queues, t.Possible = w.landings(r.queues, &l), w.landings(r.possible, &l)
	switch {
	case len(r.queues) > 0:
		t.Outcome = Routed
	case len(r.possible) > 0 || len(t.NotPredictable) > 0:
		t.Outcome = NotPredictable
		t.Why = strings.Join(t.NotPredictable, "; ")
	default:
		t.Outcome = Unroutable
		t.Why = "no queue takes it: with the mandatory flag it comes back to its publisher (312 NO_ROUTE), without it, it is dropped"
	}
	for _, queue := range slices.Concat(r.queues, r.possible) {
		if w.settingsOf(w.queues[queue]).tied {
			t.Notes = append(t.Notes, fmt.Sprintf("two policies of the same priority match %s, or one with a pattern that only the broker understands: which of them applies is not predictable", topology.QueueID(w.virtualHost, queue)))
		}
	}
	return t
}

func (w *World) landings(queues []string, l *letter) []Landing {
	var out []Landing
	for _, queue := range queues {
		out = append(out, Landing{Queue: queue, Type: w.queues[queue].Type, Fates: w.fates(queue, l)})
	}
	return out
}
