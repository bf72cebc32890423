package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/warrener-dev/warrener/internal/topology"
)

var errStore = errors.New("etcd is away")

// shelf is where inventories survive a process. Each process opens a store on it.
type shelf struct {
	journal *journal

	mu    sync.Mutex
	saved topology.Inventory
	gone  topology.Departures
	epoch int
	// writing runs before a write.
	writing func(put []topology.Entry, departures *topology.Departures)
	// failBefore and failAfter make the next write fail, undone or done.
	failBefore, failAfter bool
}

// store is one process's view; one that loads fences off the others.
type store struct {
	shelf *shelf
	epoch int
}

// Load implements Store.
func (s *store) Load(context.Context) (topology.Inventory, topology.Departures, error) {
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	s.shelf.epoch++
	s.epoch = s.shelf.epoch
	return maps.Clone(s.shelf.saved), s.shelf.gone, nil
}

// Write implements Store.
func (s *store) Write(_ context.Context, put []topology.Entry, drop []topology.ID, departures *topology.Departures) error {
	if s.shelf.writing != nil {
		s.shelf.writing(put, departures)
	}
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	if s.epoch != s.shelf.epoch {
		return ErrFenced
	}
	before, after := s.shelf.failBefore, s.shelf.failAfter
	s.shelf.failBefore, s.shelf.failAfter = false, false
	if before {
		return errStore
	}
	var words []string
	for _, entry := range put {
		s.shelf.saved[entry.ID] = entry
		words = append(words, "+ "+entry.ID.String())
	}
	for _, id := range drop {
		delete(s.shelf.saved, id)
		words = append(words, "- "+id.String())
	}
	if departures != nil {
		s.shelf.gone = *departures
	}
	s.shelf.journal.add("books: %s", strings.Join(words, ", "))
	if after {
		return errStore
	}
	return nil
}

// names lists what is on the books, sorted.
func (s *shelf) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, id := range slices.SortedFunc(maps.Keys(s.saved), topology.ID.Compare) {
		out = append(out, id.String())
	}
	return out
}
