package migration

import (
	"maps"
	"slices"
	"strconv"

	"github.com/warrener-dev/warrener/internal/topology"
)

// RabbitMQ ends what it does for a request when the connection closes on which it
// came, because the process that asked was killed or has given up. 4.0 lists a
// binding of a topic exchange first and has it lead then, and not in one
// transaction (3.10 and 4.3 do, and other types of exchange). Cut in between, a binding is listed that leads nowhere,
// or leads on and is not listed, for ever: no listing tells, and to make what is
// listed, or to delete what is not, changes nothing.
//
// The second kind is harmless to get rid of: make it and delete it, while both ways
// end in one queue. The first kind is not. A topic exchange counts the bindings
// of each key, forgets the key when the count is down to zero, and counts one down
// for a binding that it never had: to delete it ends another binding with that key,
// in this call or in one to come, ours or somebody else's. So it must not come to
// be. An administrator can have bindings declared by the import of definitions, which goes
// on when its caller is gone. For others there is a guard, which keeps messages
// from being lost until the migration ends, and the rest is in docs/migrate.md.

// guard marks a second binding beside one that may lead nowhere, since no import
// is permitted: a topic exchange does not look at arguments, and two bindings
// differ by them. It goes when its like are moved back.
const guard = "warrener-guard"

func isGuard(b *topology.Binding) bool { return b.Arguments[guard] != nil }

// move binds another destination as the first is bound, and unbinds the first
// then. One of the two is the detour, which leads to the queue meanwhile.
func (m *migration) move(bindings []*topology.Binding, destination, destinationType string) []Action {
	back := destinationType == topology.DestinationQueue
	var actions []Action
	for _, b := range bindings {
		if isGuard(b) {
			continue
		}
		twin := led(b, destination, destinationType)
		if m.topical(b) && m.listed(twin) && m.state.Halves && !m.state.Uncut {
			actions = append(actions, Create{Resource: m.guarding(b)})
			if back {
				actions = append(actions, Delete{ID: twin.ID()})
			}
		}
		actions = append(actions, m.bind(twin))
	}
	if back { // those that were just made, too
		for _, a := range actions {
			if c, ok := a.(Create); ok {
				if b, ok := c.Resource.(*topology.Binding); ok && isGuard(b) {
					bindings = append(bindings, b)
				}
			}
		}
	}
	for _, b := range bindings {
		actions = append(actions, Delete{ID: b.ID(), Live: live(b)})
	}
	if len(m.state.into(m.names, destination, destinationType)) == 0 { // else: who moved those?
		m.look.memory.moved = destination
	}
	return actions
}

// live is a binding with the broker's own keys; nil if it has not been observed.
func live(b *topology.Binding) topology.Resource {
	if len(b.PropertiesKeys) == 0 {
		return nil
	}
	return b
}

// led is the same binding to somewhere else.
func led(b *topology.Binding, destination, destinationType string) *topology.Binding {
	twin := *b
	twin.Destination, twin.DestinationType, twin.PropertiesKeys = destination, destinationType, nil
	return &twin
}

// bind declares a binding, and wherever it could be cut off, so that it is not.
func (m *migration) bind(b *topology.Binding) Action {
	return Create{Resource: b, Uncut: m.state.Halves && m.state.Uncut && m.topical(b)}
}

// guarding leads what a binding leads to the detour; no one has made it before.
func (m *migration) guarding(b *topology.Binding) *topology.Binding {
	out := led(b, m.names.Detour, topology.DestinationExchange)
	out.Arguments = maps.Clone(b.Arguments)
	if out.Arguments == nil {
		out.Arguments = topology.Arguments{}
	}
	out.Arguments[guard] = strconv.FormatInt(m.look.now.UnixNano(), 36)
	return out
}

// unbindAgain makes and deletes the bindings that are not listed any more, unless
// it is sure that they are gone. The detour leads to the queue, so that it makes
// no difference to a message.
func (m *migration) unbindAgain(at, from, fromType string) []Action {
	if m.look.memory.moved == at || !m.state.Halves {
		return nil
	}
	atType := topology.DestinationQueue
	if fromType == atType {
		atType = topology.DestinationExchange
	}
	var actions []Action
	for _, b := range m.state.into(m.names, at, atType) {
		if m.topical(b) && !isGuard(b) {
			twin := led(b, from, fromType)
			actions = append(actions, m.bind(twin), Delete{ID: twin.ID()})
		}
	}
	m.look.memory.moved = at
	return actions
}

func (m *migration) topical(b *topology.Binding) bool {
	x := m.state.Exchanges[b.Source]
	return x != nil && x.Type == "topic"
}

func (m *migration) listed(b *topology.Binding) bool {
	return slices.ContainsFunc(m.state.Bindings, func(other *topology.Binding) bool { return other.ID() == b.ID() })
}
