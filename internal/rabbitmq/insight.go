package rabbitmq

import (
	"sync"

	"github.com/warrener-dev/warrener/internal/topology"
)

// insight is what requests that were made for other reasons have told of the broker,
// the user and the exchanges, so that nobody asks again for each binding. What is not
// known is asked for or taken for the worse; what changes unseen is known again after
// the next look at everything.
type insight struct {
	mu      sync.Mutex
	version string
	rights  *rights
	// types of exchanges, as they were last seen or declared.
	types map[topology.ID]string
}

func (s *insight) noteVersion(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = version
}

func (s *insight) noteRights(mine rights) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rights = &mine
}

// broker is its version, "" if unknown, and what its user may do, nil if unknown.
func (s *insight) broker() (version string, mine *rights) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version, s.rights
}

// noteExchange takes down that an exchange is there.
func (s *insight) noteExchange(x *topology.Exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteType(x)
}

func (s *insight) noteType(x *topology.Exchange) {
	if s.types == nil {
		s.types = map[topology.ID]string{}
	}
	s.types[x.ID()] = x.Type
}

// forget what was known of an exchange: it is gone, or may be.
func (s *insight) forget(exchange topology.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.types, exchange)
}

// noteObserved takes down the exchanges that an observation has found; if it was of
// everything, there are no others.
func (s *insight) noteObserved(objects map[topology.ID]topology.Resource, everything bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if everything {
		s.types = nil
	}
	for _, resource := range objects {
		if x, ok := resource.(*topology.Exchange); ok {
			s.noteType(x)
		}
	}
}

// whole tells whether an exchange is known to be of a type whose bindings are never
// half made.
func (s *insight) whole(exchange topology.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return topology.BindsWhole(s.types[exchange])
}
