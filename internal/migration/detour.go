package migration

import (
	"maps"
	"regexp"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// unattended is how long a queue is without a consumer until its backlog is
// moved: longer than a consumer takes to reconnect.
const unattended = 15 * time.Second

// detour leads new messages around the queue, and replaces it when it is empty.
func (m *migration) detour() Decision {
	if !m.state.exchange(m.names.Detour) {
		if !m.state.ShovelGone { // an earlier migration's, perhaps at work
			return wait(m.stopping())
		}
		return do("Preparing", m.prepare()...)
	}
	if missing := m.parkMissing(); len(missing) > 0 {
		return do("Preparing", missing...)
	}
	bindings := m.state.into(m.names, m.want.Name, topology.DestinationQueue)
	switch {
	case len(bindings) > 0 && m.detoured():
		// New, or somebody has bound the queue meanwhile. With two ways, a
		// message would be there twice: they have to end in one queue first.
		return do("Detouring", Create{Resource: m.binding(m.names.Detour, m.want.Name)})
	case len(bindings) > 0:
		return do("Detouring", m.move(bindings, m.names.Detour, topology.DestinationExchange)...)
	case !m.detoured():
		if again := m.unbindAgain(m.names.Detour, m.want.Name, topology.DestinationQueue); len(again) > 0 {
			return do("Detouring", again...)
		}
		return do("Detouring", m.unbind(m.names.Detour, m.want.Name))
	}
	return m.drain()
}

// prepare tries what may fail, and builds what leads nowhere yet. The detour
// itself comes last: with it the migration has begun.
func (m *migration) prepare() []Action {
	actions := append([]Action{TryShovels{}}, m.tryWanted()...)
	actions = append(actions, TryConfigure{Queue: m.live})
	actions = append(actions, m.parkMissing()...)
	return append(actions, Create{Resource: detour(m.want)}, Create{Resource: m.binding(m.names.Detour, m.want.Name)})
}

// tryWanted declares a queue like the wanted one: what the broker refuses, it
// must refuse while the queue is still there.
func (m *migration) tryWanted() []Action {
	trial := *m.declared()
	trial.Name = m.names.Trial
	gone := Delete{ID: trial.ID()}
	actions := []Action{Create{Resource: &trial}, gone}
	if m.state.queue(m.names.Trial) { // left behind, perhaps with other arguments
		actions = append([]Action{gone}, actions...)
	}
	return actions
}

func (m *migration) parkMissing() []Action {
	var actions []Action
	if !m.state.Policy {
		actions = append(actions, SetPolicy{Name: m.names.Policy, Pattern: m.pattern()})
	}
	return append(actions, m.storeMissing(m.names.Park)...)
}

// storeMissing makes an exchange and a queue behind it.
func (m *migration) storeMissing(name string) []Action {
	var actions []Action
	if !m.state.queue(name) {
		actions = append(actions, Create{Resource: m.store(name)})
	}
	if !m.state.exchange(name) {
		actions = append(actions, Create{Resource: way(m.want, name)})
	}
	if !m.state.bound(name, name, topology.DestinationQueue) {
		actions = append(actions, Create{Resource: m.binding(name, name)})
	}
	return actions
}

// pattern matches the queues of the scaffolding in the regular expressions of Go and Erlang
// alike.
func (m *migration) pattern() string {
	return "^(" + regexp.QuoteMeta(m.names.Park) + "|" + regexp.QuoteMeta(m.names.Tail) + "|" + regexp.QuoteMeta(m.names.Backlog) + ")$"
}

// drain waits until the queue is empty, by its consumers or by a shovel.
func (m *migration) drain() Decision {
	shoveled := m.state.Shovel != nil
	long := calm(m.live)
	if shoveled {
		long = settled(m.live)
	}
	calmed := m.look.heldFor("drained", m.state.empty(m.want.Name) && m.delayed() == 0, long)
	lonely := m.look.heldFor("unattended", !shoveled && len(m.state.Consumers) == 0 && !m.state.empty(m.want.Name), unattended)
	switch {
	case calmed && shoveled:
		return do("Draining", StopShovel{Name: m.names.Shovel})
	case calmed:
		return m.replace()
	case lonely && m.delayed() == 0 && len(m.state.OtherShovels) == 0 && m.state.ShovelGone:
		actions := m.storeMissing(m.names.Backlog)
		return do("Draining", append(actions, StartShovel{
			Name: m.names.Shovel, From: m.want.Name, To: m.names.Backlog, Predeclared: m.state.Modern,
		})...)
	}
	return wait(m.draining(shoveled))
}

// delayed counts messages that will come through the default exchange.
func (m *migration) delayed() int64 {
	var total int64
	for _, queue := range m.state.Delays {
		n, _ := m.state.messages(queue)
		total += n
	}
	return total
}

// replace deletes the queue and declares it in one go. Nothing is bound to it
// then, and a consumer that subscribes in between is told that it is not there.
func (m *migration) replace() Decision {
	if len(m.state.OtherShovels) > 0 || !m.state.ShovelGone {
		return wait(m.blocked())
	}
	actions := append(m.tryWanted(), ExpectEmpty{Queue: m.want.Name}, Delete{ID: m.want.ID()}, Create{Resource: m.declared()})
	return do("Replacing", actions...)
}

func (m *migration) binding(source, queue string) *topology.Binding {
	return &topology.Binding{VirtualHost: m.want.VirtualHost, Source: source, Destination: queue, DestinationType: topology.DestinationQueue}
}

// unbind deletes the bindings between two names, all of them.
func (m *migration) unbind(source, queue string) Action {
	for _, b := range m.state.Bindings {
		if b.Source == source && b.Destination == queue && b.DestinationType == topology.DestinationQueue {
			return Delete{ID: b.ID(), Live: b}
		}
	}
	return Delete{ID: m.binding(source, queue).ID()}
}

// detour leads to the queue while it is bound to it, and else to the park.
func detour(want *topology.Queue) *topology.Exchange {
	n := NamesOf(want.Name)
	return &topology.Exchange{VirtualHost: want.VirtualHost, Name: n.Detour, Type: "fanout", Durable: true, Internal: true,
		Arguments: topology.Arguments{alternate: n.Park}}
}

// way leads to a queue of the scaffolding, or back. The one to the park leads to
// the tail when the park is unbound from it.
func way(want *topology.Queue, name string) *topology.Exchange {
	x := &topology.Exchange{VirtualHost: want.VirtualHost, Name: name, Type: "fanout", Durable: true}
	if n := NamesOf(want.Name); name == n.Park {
		x.Arguments = topology.Arguments{alternate: n.Tail}
	}
	return x
}

const alternate = "alternate-exchange"

// store is a queue that keeps what it gets, without limits: a quorum queue, but
// for the tail, which is there for seconds and has to be fast, with counts that
// are exact. Messages with an expiration of their own expire in it as they would
// in the queue, and go where they would go from there.
func (m *migration) store(name string) *topology.Queue {
	q := &topology.Queue{VirtualHost: m.want.VirtualHost, Name: name, Type: topology.QueueTypeQuorum, Durable: true, Arguments: topology.Arguments{}}
	if name == m.names.Tail {
		q.Type = topology.QueueTypeClassic
	}
	quorum := q.Type == topology.QueueTypeQuorum
	if m.state.Modern && quorum {
		q.Arguments["x-delivery-limit"] = int64(-1) // 20 by default, and then dropped
	}
	if m.want.Arguments["x-dead-letter-exchange"] == nil {
		return q
	}
	for _, key := range []string{"x-dead-letter-exchange", "x-dead-letter-routing-key"} {
		if value, ok := m.want.Arguments[key]; ok {
			q.Arguments[key] = value
		}
	}
	if quorum && m.want.Arguments["x-dead-letter-strategy"] == "at-least-once" {
		maps.Copy(q.Arguments, topology.Arguments{"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"})
	}
	return q
}
