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
// listed, or to delete what is not, changes nothing. So whoever has not heard all
// answers trusts neither what is there nor what is not: it makes sure of another
// way first, and deletes and makes, or makes and deletes, what it needs.

// guard marks a second binding beside one that may lead nowhere: a topic
// exchange does not look at arguments, and two bindings differ by them. It goes
// when its like are moved back.
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
		if m.topical(b) && m.listed(twin) {
			actions = append(actions, Create{Resource: m.guarding(b)})
			if back {
				actions = append(actions, Delete{ID: twin.ID()})
			}
		}
		actions = append(actions, Create{Resource: twin})
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
	if m.look.memory.moved == at {
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
			actions = append(actions, Create{Resource: twin}, Delete{ID: twin.ID()})
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
