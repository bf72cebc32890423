package migration

import (
	"slices"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// State is what a broker shows of a queue and of its scaffolding.
type State struct {
	// Queues that exist, of the queue itself and its scaffolding, by name.
	Queues map[string]*topology.Queue
	// Exchanges of the virtual host, by name.
	Exchanges map[string]*topology.Exchange
	// Bindings that have the queue or its scaffolding at either end, but for
	// those of the default exchange.
	Bindings []*topology.Binding
	// Messages that queues hold, unacknowledged ones included. A queue that is
	// not in it is not told of.
	Messages map[string]int64
	// Consumers of the queue. While the shovel empties the queue, it is one.
	Consumers []Consumer
	// Delays are the queues that return their messages through the default
	// exchange when a time is over, and would lose those that expire while the
	// queue is not there.
	Delays []string
	// Shovel of this migration; nil if there is none.
	Shovel *Shovel
	// ShovelGone is false while the broker still lists a shovel, one that has
	// been deleted included: it may be at work, or nothing but an entry in a list.
	ShovelGone bool
	// OtherShovels are other people's that name the queue.
	OtherShovels []string
	// Policy is there.
	Policy bool
	// PolicyTrouble is an operator policy that would drop messages of the
	// scaffolding; empty if there is none.
	PolicyTrouble string
	// MaxLength is the longest that policies let the queue become; negative:
	// they do not say.
	MaxLength int64
	// Modern: RabbitMQ 4.0 or later.
	Modern bool
	// Halves: the broker leaves a binding of a topic exchange half made or half
	// deleted if the process dies that has asked for it.
	Halves bool
	// Uncut: this user may declare bindings in a way that is never left half done.
	Uncut bool
}

// Consumer of a queue.
type Consumer struct {
	Tag       string
	Exclusive bool
}

// Shovel of a migration.
type Shovel struct {
	// Source is the queue that it empties.
	Source string
	// Status in the broker's word, such as running, and why; empty if the broker
	// does not tell yet.
	Status, Reason string
}

// Working tells whether the shovel moves messages.
func (s *Shovel) Working() bool { return s != nil && s.Status == "running" }

func (s State) exchange(name string) bool { return s.Exchanges[name] != nil }

func (s State) queue(name string) bool { return s.Queues[name] != nil }

func (s State) bound(source, destination, destinationType string) bool {
	return slices.ContainsFunc(s.Bindings, func(b *topology.Binding) bool {
		return b.Source == source && b.Destination == destination && b.DestinationType == destinationType
	})
}

// into lists the bindings that lead from exchanges which are no scaffolding to
// this destination.
func (s State) into(n Names, destination, destinationType string) []*topology.Binding {
	var out []*topology.Binding
	for _, b := range s.Bindings {
		if b.Destination == destination && b.DestinationType == destinationType && !n.Ours(b.Source) {
			out = append(out, b)
		}
	}
	return out
}

// messages of a queue, and whether the broker tells.
func (s State) messages(queue string) (int64, bool) {
	n, told := s.Messages[queue]
	return n, told
}

// empty tells whether a queue is known to hold nothing as far as the broker's
// counts go, which for a quorum queue are seconds old.
func (s State) empty(queue string) bool {
	n, told := s.Messages[queue]
	return told && n == 0
}

// Memory is since when something has been seen without a break. It lives in the
// process: after a crash it begins anew, and so does the waiting.
type Memory struct {
	since map[string]time.Time
	// lowest are the smallest numbers seen for as long.
	lowest map[string]int64
	// peak is the most that was seen on its way back.
	peak int64
	// moved is where all bindings lead now, by calls that were all answered;
	// empty: nobody knows how the last calls ended.
	moved string
}

// Interrupted notes that not all actions of the last Decision were carried out,
// or that the answer to one was not heard.
func (m *Memory) Interrupted() { m.moved = "" }

// look is one Decide with its memory.
type look struct {
	memory *Memory
	now    time.Time
	seen   map[string]time.Time
	lowest map[string]int64
}

func (m *Memory) look(now time.Time) *look {
	return &look{memory: m, now: now, seen: map[string]time.Time{}, lowest: map[string]int64{}}
}

// held tells since how long a condition holds. What is not asked for in a look
// begins anew.
func (l *look) held(what string, holds bool) (time.Duration, bool) {
	if !holds {
		return 0, false
	}
	begin, known := l.memory.since[what]
	if !known {
		begin = l.now
	}
	l.seen[what] = begin
	return l.now.Sub(begin), true
}

// heldFor tells whether a condition holds for that long.
func (l *look) heldFor(what string, holds bool, long time.Duration) bool {
	age, holds := l.held(what, holds)
	return holds && age >= long
}

// steady tells since how long a number has not become smaller, of which
// something holds.
func (l *look) steady(what string, n int64, holds bool) time.Duration {
	if lowest, known := l.memory.lowest[what]; known && n >= lowest {
		n = lowest
	} else {
		delete(l.memory.since, what)
	}
	l.lowest[what] = n
	age, _ := l.held(what, holds)
	return age
}

func (l *look) remember() { l.memory.since, l.memory.lowest = l.seen, l.lowest }
