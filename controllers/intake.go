package controllers

import (
	"maps"
	"sync"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// departure is the end of an object. last is its final state, or nil if the
// watch missed it: the policy that it ended with is unknown then.
type departure struct{ last v1alpha1.Object }

// intake is the dirty set beside the workqueue: which objects of a connection
// changed since its Edits lane last looked. What they are now is read from the
// cache then, so a hundred events cost one look.
type intake struct {
	mu      sync.Mutex
	changed map[topology.ConnectionKey]map[topology.OwnerKey]*departure
}

func newIntake() *intake {
	return &intake{changed: map[topology.ConnectionKey]map[topology.OwnerKey]*departure{}}
}

// add notes a change; end is nil unless the object is gone.
func (i *intake) add(connection topology.ConnectionKey, owner topology.OwnerKey, end *departure) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.changed[connection] == nil {
		i.changed[connection] = map[topology.OwnerKey]*departure{}
	}
	i.changed[connection][owner] = end
}

// take empties the set of a connection.
func (i *intake) take(connection topology.ConnectionKey) map[topology.OwnerKey]*departure {
	i.mu.Lock()
	defer i.mu.Unlock()
	taken := i.changed[connection]
	delete(i.changed, connection)
	return taken
}

// giveBack returns what could not be used, unless there is newer news.
func (i *intake) giveBack(connection topology.ConnectionKey, taken map[topology.OwnerKey]*departure) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.changed[connection] == nil {
		i.changed[connection] = maps.Clone(taken)
		return
	}
	for owner, end := range taken {
		if _, newer := i.changed[connection][owner]; !newer {
			i.changed[connection][owner] = end
		}
	}
}
