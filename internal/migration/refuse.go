package migration

import (
	"fmt"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// reasons why a queue is not migrated, in the order in which they are told.
// They are asked before anything is touched, and not again. Each returns "" or
// a sentence that says what to do.
var reasons = []func(want *topology.Queue, live *topology.Queue, s State) string{
	streams, lifetimes, exclusiveConsumers, sources, otherShovels, policies,
}

func refuse(want *topology.Queue, s State) error {
	live := s.Queues[want.Name]
	for _, reason := range reasons {
		if text := reason(want, live, s); text != "" {
			return refusal(want, text)
		}
	}
	return nil
}

func refusal(want *topology.Queue, text string) error {
	return &topology.Error{Class: topology.ClassRejected, Operation: "migrate", Object: want.ID(), Reason: text}
}

func streams(want, live *topology.Queue, _ State) string {
	if want.Type == topology.QueueTypeStream || live.Type == topology.QueueTypeStream {
		return "a stream cannot be migrated: it keeps its messages when they are read, so it is never drained; " +
			"declare another queue and move publishers and consumers to it"
	}
	return ""
}

func lifetimes(want, live *topology.Queue, _ State) string {
	switch {
	case live.Exclusive:
		return "the queue is exclusive to one connection, which alone can replace it"
	case live.AutoDelete || want.AutoDelete:
		return "an auto-delete queue cannot be migrated: it goes with its last consumer; stop its consumers, and it is declared anew"
	}
	return ""
}

func exclusiveConsumers(_, _ *topology.Queue, s State) string {
	for _, c := range s.Consumers {
		if c.Exclusive {
			return fmt.Sprintf("consumer %q is exclusive, so that nobody else could empty the queue: stop it, or let it subscribe without exclusive", c.Tag)
		}
	}
	return ""
}

// plainTypes route by their bindings alone; others by what has been bound
// before, and when.
var plainTypes = map[string]bool{"direct": true, "fanout": true, "topic": true, "headers": true}

func sources(_, live *topology.Queue, s State) string {
	for _, b := range s.into(NamesOf(live.Name), live.Name, topology.DestinationQueue) {
		if x := s.Exchanges[b.Source]; x != nil && !plainTypes[x.Type] {
			return fmt.Sprintf("exchange %s, which the queue is bound to, is of type %s: what it routes where depends on more than its bindings, "+
				"and would change with them; unbind the queue from it first", b.Source, x.Type)
		}
	}
	return ""
}

func otherShovels(_, _ *topology.Queue, s State) string {
	if len(s.OtherShovels) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: it could declare the queue, with no arguments, in the moment in which it is not there; delete it for the time of the migration",
		namedBy(s.OtherShovels))
}

func namedBy(shovels []string) string {
	if len(shovels) == 1 {
		return "shovel " + shovels[0] + " names the queue"
	}
	return "shovels " + strings.Join(shovels, ", ") + " name the queue"
}

func policies(_, _ *topology.Queue, s State) string {
	if s.PolicyTrouble == "" {
		return ""
	}
	return s.PolicyTrouble + ": the queue that holds messages in the meantime, whose name begins with " + Prefix +
		", would be under it and drop some; change its pattern"
}

// stranger is an exchange that has a name of the scaffolding and is something
// else: messages that it is trusted with would be lost.
func stranger(want *topology.Queue, s State) error {
	n := NamesOf(want.Name)
	for _, x := range []*topology.Exchange{
		detour(want), way(want, n.Park), way(want, n.Tail), way(want, n.Backlog), way(want, n.Return),
	} {
		if found := s.Exchanges[x.Name]; found != nil && len(x.Diff(found)) > 0 {
			return refusal(want, fmt.Sprintf("exchange %s, which the migration would make, is there already and differs (%s): delete it",
				x.Name, topology.DescribeChanges(x.Diff(found))))
		}
	}
	return nil
}
