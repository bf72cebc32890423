package trace

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Event is what a Step is.
type Event string

// Events.
const (
	// Delivered to a consumer.
	Delivered Event = "Delivered"
	// Waits in a queue, and dies of its time to live.
	Waits Event = "Waits"
	// Stays in a queue until somebody reads it: an end.
	Stays Event = "Stays"
	// Dropped: the message is gone: an end.
	Dropped Event = "Dropped"
	// NotTaken: the publisher gets a negative confirm: an end.
	NotTaken Event = "NotTaken"
	// Loops: from here on as before, for ever: an end.
	Loops Event = "Loops"
)

// Step is a moment on the way of a message.
type Step struct {
	// From is the step that this one follows, counted from 0; -1 for the first.
	From int `json:"from"`
	// AtMs is when, in milliseconds after the message was published, if each
	// consumer takes no time.
	AtMs  int64  `json:"atMs"`
	Event Event  `json:"event"`
	Queue string `json:"queue,omitempty"`
	// Delivery counts the deliveries of the first queue, from 1.
	Delivery int `json:"delivery,omitempty"`
	// ForMs is how long it waits; for Loops how long a round takes.
	ForMs int64 `json:"forMs,omitempty"`
	// Keys are the routing keys that it has.
	Keys []string `json:"routingKeys,omitempty"`
	// Death is the reason for which it left the queue of the step before.
	Death string `json:"death,omitempty"`
	// Via are the exchanges since then; "" is the default exchange.
	Via []string `json:"via,omitempty"`
	// Maybe says that this depends on what is not predictable.
	Maybe bool `json:"maybe,omitempty"`
	// Why explains it.
	Why string `json:"why,omitempty"`
}

const (
	none = -1
	// mostSteps bounds a journey; the longest that Warrener makes has 42.
	mostSteps = 500
)

// journey follows a message and its copies from a queue on.
type journey struct {
	world *World
	// home is the queue in which cause happens, again and again; in others
	// nobody reads.
	home  string
	cause Cause
	steps []Step
}

// arrival is a letter that comes to a queue.
type arrival struct {
	queue    string
	letter   letter
	at       int64
	from     int
	delivery int // how often it was delivered at home before
	death    string
	via      []string
	maybe    bool
	// before are the states in which it came by here, and when.
	before map[string]int64
}

func (j *journey) add(s Step) int {
	j.steps = append(j.steps, s)
	return len(j.steps) - 1
}

// step is what all steps of an arrival have in common.
func (a *arrival) step(event Event) Step {
	return Step{From: a.from, AtMs: a.at, Event: event, Queue: a.queue, Keys: a.letter.keys, Death: a.death, Via: a.via, Maybe: a.maybe}
}

func (j *journey) arrive(a arrival) {
	q := j.world.queues[a.queue]
	s := j.world.settingsOf(q)
	if len(j.steps) >= mostSteps {
		end := a.step(Stays)
		end.Why = fmt.Sprintf("not followed further than %d steps", mostSteps)
		j.add(end)
		return
	}
	state := a.queue + "\x00" + a.letter.state()
	if since, again := a.before[state]; again {
		end := a.step(Loops)
		if end.ForMs = a.at - since; end.ForMs > 0 {
			end.Why = "and so on for ever, a round each " + Millis(end.ForMs)
		} else {
			end.Why = "and so on for ever, without a pause"
		}
		j.add(end)
		return
	}
	a.before = maps.Clone(a.before)
	if a.before == nil {
		a.before = map[string]int64{}
	}
	a.before[state] = a.at
	if a.queue == j.home && s.kind != topology.QueueTypeStream {
		switch j.cause {
		case Rejected:
			a.delivery++
			step := a.step(Delivered)
			step.Delivery = a.delivery
			j.die(a.after(j.add(step)), s, reasonRejected)
			return
		case Returned:
			j.returned(a, s)
			return
		case Overflow:
			if a.death == "" {
				j.overflow(a, s)
				return
			}
		}
	}
	j.wait(a, s)
}

// after is the arrival as what follows from a step.
func (a arrival) after(step int) arrival {
	a.from = step
	return a
}

// wait is what happens to a message that nobody reads.
func (j *journey) wait(a arrival, s settings) {
	expiry := s.expiry(&a.letter)
	if expiry == nil {
		end := a.step(Stays)
		if s.kind == topology.QueueTypeStream {
			end.Why = "as long as the stream keeps it"
		}
		j.add(end)
		return
	}
	step := a.step(Waits)
	step.ForMs = *expiry
	a = a.after(j.add(step))
	a.at += *expiry
	j.die(a, s, reasonExpired)
}

// returned delivers a message until the queue has enough of it.
func (j *journey) returned(a arrival, s settings) {
	for n := int64(1); ; n++ {
		a.delivery++
		step := a.step(Delivered)
		step.Delivery = a.delivery
		a = a.after(j.add(step))
		a.via, a.death = nil, ""
		switch {
		case s.deliveryLimit != nil && n > *s.deliveryLimit:
			j.die(a, s, reasonDeliveryLimit)
			return
		case s.deliveryLimit == nil && n > 3:
			end := a.step(Loops)
			end.Why = "and so on for ever: the queue has no delivery limit"
			j.add(end)
			return
		}
		if s.delayMin != nil {
			delay := *s.delayMin * n
			if s.delayMax != nil {
				delay = min(delay, *s.delayMax)
			}
			wait := a.step(Waits)
			wait.ForMs = delay
			a = a.after(j.add(wait))
			a.at += delay
		}
	}
}

// overflow is what happens at the limit of a queue.
func (j *journey) overflow(a arrival, s settings) {
	switch s.overflow {
	case rejectPublish, rejectPublishDLX:
		step := a.step(NotTaken)
		step.Why = "the publisher gets a negative confirm (basic.nack), and without confirms hears nothing"
		a = a.after(j.add(step))
		if s.overflow == rejectPublishDLX {
			j.die(a, s, reasonMaxLength)
		}
	default:
		step := a.step(Waits)
		step.Why = "it pushes out the oldest message, and is pushed out when it is the oldest"
		j.die(a.after(j.add(step)), s, reasonMaxLength)
	}
}

// die dead-letters a message, or loses it.
func (j *journey) die(a arrival, s settings, reason string) {
	if s.deadLetterExchange == nil {
		j.add(Step{From: a.from, AtMs: a.at, Event: Dropped, Death: reason, Maybe: a.maybe, Why: "queue " + a.queue + " has no dead-letter exchange"})
		return
	}
	dlx := *s.deadLetterExchange
	lost := func(why string, via []string) {
		step := Step{From: a.from, AtMs: a.at, Event: Dropped, Death: reason, Via: via, Maybe: a.maybe, Why: why}
		if s.keeps {
			step.Event, step.Queue = Stays, a.queue
			step.Why += "; the queue keeps it, since it dead-letters at-least-once, and tries again every three minutes"
		}
		j.add(step)
	}
	if _, there := j.world.exchanges[dlx]; !there {
		lost(fmt.Sprintf("there is no dead-letter exchange %q", dlx), nil)
		return
	}
	l := a.letter.died(j.world.version, a.queue, reason, dlx, s.deadLetterKey)
	r := j.world.route(&l)
	var cycles []string
	taken := 0
	for _, queue := range slices.Concat(r.queues, r.possible) {
		if reason != reasonRejected && l.cycles(queue) {
			cycles = append(cycles, queue)
			continue
		}
		taken++
		j.arrive(arrival{
			queue: queue, letter: l, at: a.at, from: a.from, delivery: a.delivery, death: reason, via: r.ways[queue],
			maybe: a.maybe || slices.Contains(r.possible, queue), before: a.before,
		})
	}
	for _, queue := range cycles {
		if why := "it has been in " + queue + " before, and was not rejected since: the broker takes that for a dead-letter cycle and drops it"; taken == 0 && len(cycles) == 1 {
			lost(why, r.ways[queue])
		} else {
			j.add(Step{From: a.from, AtMs: a.at, Event: Dropped, Death: reason, Via: r.ways[queue], Maybe: a.maybe, Why: why})
		}
	}
	if taken == 0 && len(cycles) == 0 {
		why := "no queue takes it from the dead-letter exchange " + quoted(dlx) + " with the key " + strings.Join(quotedAll(l.keys), ", ")
		if open := r.hop.unpredictable(); len(open) > 0 {
			why = strings.Join(open, "; ")
		}
		lost(why, nil)
	}
}

// state is what the further way of a letter depends on.
func (l *letter) state() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q %v", l.exchange, l.keys, l.expiration != nil)
	for _, d := range l.deaths {
		fmt.Fprintf(&b, " %q %q", d.queue, d.reason)
	}
	if l.last != nil {
		fmt.Fprintf(&b, " %q %q %q", l.last.queue, l.last.reason, l.last.exchange)
	}
	return b.String()
}

func quoted(text string) string { return fmt.Sprintf("%q", text) }

func quotedAll(texts []string) []string {
	out := make([]string, 0, len(texts))
	for _, text := range texts {
		out = append(out, quoted(text))
	}
	return out
}
