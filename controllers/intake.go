package controllers

import (
	"maps"
	"sync"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// departure is the end of an object. last is its final state, or nil if the
// watch missed it: the policy that it ended with is unknown then.
type departure struct {
	last v1alpha1.Object
	// seen is when it was heard of.
	seen time.Time
}

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

// keepEnds forgets what is noted of a connection, but for the ends that were seen
// since a moment. It returns how long the first of them stays; 0 if there is none.
func (i *intake) keepEnds(connection topology.ConnectionKey, since time.Time) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	var rest time.Duration
	for owner, end := range i.changed[connection] {
		if end == nil || end.seen.Before(since) {
			delete(i.changed[connection], owner)
		} else if stays := end.seen.Sub(since); rest == 0 || stays < rest {
			rest = max(stays, time.Millisecond)
		}
	}
	if len(i.changed[connection]) == 0 {
		delete(i.changed, connection)
	}
	return rest
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
