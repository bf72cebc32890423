package migration

import (
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Decide tells what to do for a queue that shall be as wanted. What it does
// comes to an end whatever was done before, by this or another version of want:
// a want that the live queue equals brings back what was put aside.
func Decide(want *topology.Queue, s State, memory *Memory, now time.Time) Decision {
	m := &migration{want: want, names: NamesOf(want.Name), state: s, look: memory.look(now)}
	defer m.look.remember()
	m.live = s.Queues[want.Name]
	return m.decide()
}

// migration is one Decide.
type migration struct {
	want, live *topology.Queue // live is nil if it is not there
	names      Names
	state      State
	look       *look
}

func (m *migration) decide() Decision {
	if m.live == nil {
		return do("Replacing", Create{Resource: m.declared()})
	}
	if d, needed := m.mend(); needed {
		return d
	}
	if m.state.Shovel != nil && m.state.Shovel.Source == m.want.Name {
		// To its end, whatever is wanted: the backlog is older than what is left.
		if m.state.exchange(m.names.Detour) {
			return m.detour() // for who has bound the queue meanwhile, or it would never be empty
		}
		return m.drain()
	}
	converged := len(m.want.Diff(m.live)) == 0
	if converged || m.coming() {
		return m.bringBack(converged, topology.Progress{Done: true})
	}
	if refused := stranger(m.want, m.state); refused != nil {
		return Decision{Refused: refused}
	}
	if !m.state.exchange(m.names.Detour) {
		if refused := refuse(m.want, m.state); refused != nil {
			back := m.bringBack(true, topology.Progress{Done: true})
			if len(back.Actions) == 0 && back.Progress.Done {
				back.Refused = refused
			}
			return back
		}
	}
	return m.detour()
}

// coming tells whether messages are on their way back, or about to be.
func (m *migration) coming() bool {
	shovel := m.state.Shovel
	return m.state.exchange(m.names.Return) || shovel != nil && shovel.Source != m.want.Name
}

// detoured tells whether the detour leads elsewhere than to the queue.
func (m *migration) detoured() bool {
	return m.state.exchange(m.names.Detour) && !m.state.bound(m.names.Detour, m.want.Name, topology.DestinationQueue)
}

// declared is the wanted queue as it is to be declared.
func (m *migration) declared() *topology.Queue { return m.want }

// calm is how long a count has to be zero until the queue is believed to be
// empty. Counts of quorum queues are up to 5 s old.
func calm(q *topology.Queue) time.Duration {
	if q.Type == topology.QueueTypeQuorum {
		return 6 * time.Second
	}
	return 2 * time.Second
}

// settled is calm for a queue that a shovel empties. What it has in hand when it is
// stopped is moved again, and a broker that stalls tells of it late: twice the
// age of counts, and a little.
func settled(q *topology.Queue) time.Duration {
	if q.Type == topology.QueueTypeQuorum {
		return 12 * time.Second
	}
	return 2 * time.Second
}

// doing says what the actions of a step do, for a report in the middle of them.
var doing = map[string]string{
	"Preparing": "it is tried whether everything is permitted, and the detour is built",
	"Detouring": "bindings are moved to the detour",
	"Draining":  "a shovel is started or stopped",
	"Replacing": "the queue is declared anew",
	"Returning": "parked messages are led back",
	"Restoring": "bindings are moved back, and the detour is taken down",
}

func do(step string, actions ...Action) Decision {
	return Decision{Actions: actions, Progress: topology.Progress{Step: step, Message: doing[step], After: soon}}
}

func wait(p topology.Progress) Decision { return Decision{Progress: p} }
