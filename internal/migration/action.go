package migration

import (
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Action is one call to the broker.
type Action interface{ action() }

type (
	// Create declares an exchange, a queue or a binding; one that is there
	// already is no error.
	Create struct {
		Resource topology.Resource
		// Uncut declares a binding in a way that the broker follows to its end
		// even if the process dies meanwhile.
		Uncut bool
	}
	// Delete deletes an exchange, a queue or a binding; one that is gone
	// already is no error.
	Delete struct {
		ID topology.ID
		// Live is a binding as observed, with the broker's own keys.
		Live topology.Resource
	}
	// TryShovels asks whether the broker has shovels, and lets this user make
	// them. It leaves nothing behind.
	TryShovels struct{}
	// TryConfigure asks whether this user may delete the queue and declare it, by
	// declaring it as it is.
	TryConfigure struct{ Queue *topology.Queue }
	// StartShovel moves messages from a queue to a fanout exchange.
	StartShovel struct {
		Name     string
		From, To string
		// Most is after how many messages the shovel ends by itself; 0: never.
		Most int64
		// Predeclared tells the shovel never to declare From, where the broker
		// knows how.
		Predeclared bool
	}
	// StopShovel deletes a shovel.
	StopShovel struct{ Name string }
	// SetPolicy makes the policy that park, tail and backlog are under.
	SetPolicy struct {
		Name string
		// Pattern matches their names, and no other.
		Pattern string
	}
	// DropPolicy deletes it.
	DropPolicy struct{ Name string }
	// ExpectEmpty takes a look into a queue, which counts cannot replace: they
	// may be old. The actions behind it are not for a queue that has something.
	ExpectEmpty struct{ Queue string }
)

func (Create) action()       {}
func (Delete) action()       {}
func (TryShovels) action()   {}
func (TryConfigure) action() {}
func (StartShovel) action()  {}
func (StopShovel) action()   {}
func (SetPolicy) action()    {}
func (DropPolicy) action()   {}
func (ExpectEmpty) action()  {}

// Decision is what to do now.
type Decision struct {
	// Actions to run one after the other, up to the first error; then look
	// again. None: nothing can be done but wait.
	Actions []Action
	// Progress to report if there are no Actions, or if it is time to report in
	// the middle of them.
	Progress topology.Progress
	// Refused is why the queue is not migrated; it is set only while nothing of
	// the queue's own has been touched, and with no Actions.
	Refused error
}

// Waits between two looks.
const (
	soon  = 500 * time.Millisecond
	later = 1500 * time.Millisecond
)
