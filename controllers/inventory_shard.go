package controllers

import (
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// inventoryShard is one BrokerInventory: as it was last read or written, and what has
// changed since.
type inventoryShard struct {
	// writing is held by who writes it.
	writing sync.Mutex
	// inFlight: an earlier state of it is being written, and the next write has to wait.
	inFlight bool

	object  *v1alpha1.BrokerInventory // without the entries
	entries map[topology.ID]topology.Entry
	bytes   int
	// changes counts the changes, stored is the last of them that is written.
	changes, stored int
}

func newShard(object *v1alpha1.BrokerInventory) *inventoryShard {
	return &inventoryShard{object: object, entries: map[topology.ID]topology.Entry{}}
}

// stores tells whether an entry is in it as it is, and that is written.
func (sh *inventoryShard) stores(entry topology.Entry) bool {
	known, there := sh.entries[entry.ID]
	return there && sh.stored == sh.changes && reflect.DeepEqual(known, entry)
}

func (sh *inventoryShard) add(entry topology.Entry) {
	sh.entries[entry.ID] = entry
	sh.bytes += weigh(entry)
}

func (sh *inventoryShard) remove(id topology.ID) {
	sh.bytes -= weigh(sh.entries[id])
	delete(sh.entries, id)
}

// render makes the object to be written: one line an entry.
func (sh *inventoryShard) render() (*v1alpha1.BrokerInventory, error) {
	lines := make([]string, 0, len(sh.entries))
	for id, entry := range sh.entries {
		line, err := entry.MarshalText()
		if err != nil {
			return nil, fmt.Errorf("write the inventory entry of %s: %w", id, err)
		}
		lines = append(lines, string(line))
	}
	slices.Sort(lines)
	object := sh.object.DeepCopy()
	object.Entries = lines
	return object, nil
}

// weigh is what an entry adds to the size of a shard: its line, the quotes and
// the comma.
func weigh(entry topology.Entry) int {
	line, err := entry.MarshalText()
	if err != nil {
		return shardBytes
	}
	return len(line) + 3
}
