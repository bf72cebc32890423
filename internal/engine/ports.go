package engine

import (
	"context"
	"errors"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Broker is what a pass needs of a connection.
type Broker interface {
	topology.Observer
	topology.Applier
}

// Store keeps the inventory of a cluster where it survives the process.
type Store interface {
	// Load reads all entries and departures, and makes every other process that
	// loaded before fail its next Write with ErrFenced.
	Load(ctx context.Context) (topology.Inventory, topology.Departures, error)
	// Write stores and drops entries, and replaces the departures unless they are
	// nil, in few writes. Several may be under way at the same time, none of them about
	// an object of another one, and none with departures beside others. ErrFenced says
	// that somebody else has written since Load: load again, plan again.
	Write(ctx context.Context, put []topology.Entry, drop []topology.ID, departures *topology.Departures) error
}

// ErrFenced is what Store.Write answers to a process that is not the only
// writer any more.
var ErrFenced = errors.New("the inventory was written by another controller")

// Clock tells the time; tests set it.
type Clock func() time.Time
