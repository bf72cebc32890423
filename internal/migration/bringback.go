package migration

import (
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	// little is left in the park when new messages are led to the tail.
	little = 1000
	// few messages in the tail, which do not become fewer for so long, are those
	// that come while one looks: it will not be seen empty, and is as good as
	// empty.
	few        = 200
	fewForLong = 10 * time.Second
)

// bringBack gets what was put aside into the queue, in the order in which it
// came, and the queue back into its bindings if it is as wanted.
func (m *migration) bringBack(converged bool, done topology.Progress) Decision {
	if m.state.queue(m.names.Backlog) {
		if d, back := m.ship(m.names.Backlog); !back {
			return d
		}
		if m.state.Shovel != nil {
			return do("Returning", StopShovel{Name: m.names.Shovel})
		}
		if !m.state.ShovelGone { // it would declare its source
			return wait(m.stopping())
		}
		return do("Returning", Delete{ID: topology.QueueID(m.want.VirtualHost, m.names.Backlog)})
	}
	if m.detoured() && m.parking() {
		return m.cutOff()
	}
	if m.state.queue(m.names.Park) {
		d, back := m.ship(m.names.Park)
		if atTail := m.state.Shovel != nil && m.state.Shovel.Source == m.names.Tail; atTail && m.state.empty(m.names.Park) {
			back = true // known before the shovel went on, if not to this process: to stop it would double what it has in hand
		}
		if !back {
			return d
		}
	}
	switch {
	case m.detoured() && m.state.queue(m.names.Tail):
		return m.join()
	case m.detoured(): // somebody has deleted it: nothing can be behind
		return do("Returning", Create{Resource: m.binding(m.names.Detour, m.want.Name)})
	case m.state.queue(m.names.Tail):
		if d, back := m.ship(m.names.Tail); !back {
			return d
		}
	}
	if m.state.Shovel != nil {
		return do("Returning", StopShovel{Name: m.names.Shovel})
	}
	if !m.state.ShovelGone {
		return wait(m.stopping())
	}
	if m.state.exchange(m.names.Return) {
		return do("Returning", Delete{ID: topology.ExchangeID(m.want.VirtualHost, m.names.Return)})
	}
	if !converged {
		return m.detour() // anew, now that the last migration is complete
	}
	if bindings := m.state.into(m.names, m.names.Detour, topology.DestinationExchange); len(bindings) > 0 {
		return do("Restoring", m.move(bindings, m.want.Name, topology.DestinationQueue)...)
	}
	if again := m.unbindAgain(m.want.Name, m.names.Detour, topology.DestinationExchange); m.state.exchange(m.names.Detour) && len(again) > 0 {
		return do("Restoring", again...)
	}
	if actions := m.tearDown(); len(actions) > 0 {
		return do("Restoring", actions...)
	}
	return wait(done)
}

// tearDown deletes what is left. Nothing leads to it any more, and it is empty.
func (m *migration) tearDown() []Action {
	var actions []Action
	for _, name := range []string{m.names.Detour, m.names.Park, m.names.Tail, m.names.Backlog, m.names.Return} {
		if m.state.exchange(name) {
			actions = append(actions, Delete{ID: topology.ExchangeID(m.want.VirtualHost, name)})
		}
	}
	for _, name := range []string{m.names.Park, m.names.Tail, m.names.Trial} {
		if m.state.queue(name) {
			actions = append(actions, Delete{ID: topology.QueueID(m.want.VirtualHost, name)})
		}
	}
	if m.state.Policy {
		actions = append(actions, DropPolicy{Name: m.names.Policy})
	}
	return actions
}

// parking tells whether the detour leads to the park.
func (m *migration) parking() bool {
	return m.state.bound(m.names.Park, m.names.Park, topology.DestinationQueue)
}

// cutOff shovels the park until little is left in it, and leads new messages to
// the tail then: what is left comes to an end.
func (m *migration) cutOff() Decision {
	if d, ready := m.shovelFrom(m.names.Park); !ready {
		return d
	}
	if n, told := m.state.messages(m.names.Park); !told || n > little {
		return wait(m.returning())
	}
	return do("Returning", append(m.storeMissing(m.names.Tail), m.unbind(m.names.Park, m.names.Park))...)
}

// join shovels the tail until nothing, or next to nothing, is in it, and lets new
// messages go to the queue then. A message that is under way in this moment can
// be overtaken by one that its publisher sends within the same millisecond.
func (m *migration) join() Decision {
	if d, ready := m.shovelFrom(m.names.Tail); !ready {
		return d
	}
	n, told := m.state.messages(m.names.Tail)
	low := m.look.steady("few", n, told && n <= few) >= fewForLong
	if m.state.Shovel.Working() && (low || m.state.empty(m.names.Tail)) {
		return do("Returning", Create{Resource: m.binding(m.names.Detour, m.want.Name)})
	}
	return wait(m.returning())
}

// ship shovels a queue that gets nothing new until it is empty; back tells that
// it is.
func (m *migration) ship(source string) (d Decision, back bool) {
	if m.look.heldFor("empty "+source, m.state.empty(source), settled(m.state.Queues[source])) {
		return Decision{}, true
	}
	if m.state.Shovel == nil && m.state.empty(source) {
		return wait(m.returning()), false
	}
	if d, ready := m.shovelFrom(source); !ready {
		return d, false
	}
	return wait(m.returning()), false
}

// shovelFrom sees to it that the shovel moves messages from a queue to this one.
func (m *migration) shovelFrom(source string) (d Decision, ready bool) {
	var actions []Action
	if !m.state.exchange(m.names.Return) {
		actions = append(actions, Create{Resource: way(m.want, m.names.Return)})
	}
	if !m.state.bound(m.names.Return, m.want.Name, topology.DestinationQueue) {
		actions = append(actions, Create{Resource: m.binding(m.names.Return, m.want.Name)})
	}
	switch shovel := m.state.Shovel; {
	case shovel == nil && !m.state.ShovelGone:
		return wait(m.stopping()), false
	case shovel == nil:
		most, room := m.portion(source)
		if !room {
			return wait(m.full()), false
		}
		actions = append(actions, StartShovel{
			Name: m.names.Shovel, From: source, To: m.names.Return, Most: most, Predeclared: m.state.Modern,
		})
	case shovel.Source != source:
		actions = append([]Action{StopShovel{Name: m.names.Shovel}}, actions...)
	}
	if len(actions) > 0 {
		return do("Returning", actions...), false
	}
	return Decision{}, true
}

// portion is how many messages fit into the queue: all (0), unless its length
// has a limit that would drop them. One that is full takes nothing now.
func (m *migration) portion(source string) (most int64, room bool) {
	limit := m.state.MaxLength
	if own, ok := m.want.Arguments["x-max-length"].(int64); ok && (limit < 0 || own < limit) {
		limit = own
	}
	if limit < 0 {
		return 0, true
	}
	held, told := m.state.messages(m.want.Name)
	waiting, _ := m.state.messages(source)
	free := limit - held
	switch {
	case !told:
		return 0, false
	case free > 2*waiting:
		return 0, true
	case free <= 0 || !m.look.heldFor("counted", true, calm(m.live)):
		return 0, false
	}
	return free, true
}
