package migration

import (
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	// stale is how long RabbitMQ may list a shovel that has been deleted until it
	// is made to look: longer than a shovel takes to end.
	stale = 15 * time.Second
	// idle is how long a shovel may be without running until it is started anew:
	// a broker that starts it again does so every second.
	idle = 30 * time.Second
)

// mend deals with shovels that a broker has lost track of. RabbitMQ before 4.3
// sweeps away its record of a shovel that is being stopped whenever another is
// started. The call that stops or starts it fails halfway then: what is declared,
// what runs and what is listed differ from there on, for ever.
//
// To declare a shovel ends what runs under its name, whatever is listed, and to
// delete it then clears the list. The one that is declared for it empties a queue
// that is empty, so that there is nothing to double if it is stopped at once.
func (m *migration) mend() (d Decision, needed bool) {
	shovel := m.state.Shovel
	lost := m.look.heldFor("listed", shovel == nil && !m.state.ShovelGone, stale)
	stuck := m.look.heldFor("idle", shovel != nil && !shovel.Working(), idle)
	switch {
	case shovel != nil && shovel.Source == m.names.Trial, stuck:
		return do(m.step(), StopShovel{Name: m.names.Shovel}), true
	case !lost:
		return Decision{}, false
	}
	trial := &topology.Queue{VirtualHost: m.want.VirtualHost, Name: m.names.Trial, Type: topology.QueueTypeClassic, Durable: true}
	actions := []Action{Create{Resource: trial}, StartShovel{
		Name: m.names.Shovel, From: m.names.Trial, To: m.names.Return, Predeclared: m.state.Modern,
	}}
	if left := m.state.Queues[m.names.Trial]; left != nil && len(trial.Diff(left)) > 0 {
		actions = append([]Action{Delete{ID: trial.ID()}}, actions...)
	}
	return do(m.step(), actions...), true
}

// step is what is under way when a shovel is.
func (m *migration) step() string {
	if m.coming() {
		return "Returning"
	}
	return "Draining"
}
