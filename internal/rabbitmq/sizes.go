package rabbitmq

import (
	"sync"

	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	// maxTargeted is how many single reads a selection may cost whatever the size
	// of the listings in its place.
	maxTargeted = 24
	// rowsPerRead is how many rows of a listing cost the broker as much as one single
	// read: 16 to 40 microseconds a row against 0.5 to 1 ms (RabbitMQ 4.0).
	rowsPerRead = 40
	// mostSingles keeps single reads from becoming a storm on a huge virtual host.
	mostSingles = 400
)

// sizes remembers how long the listings were, which decides between a listing and
// single reads. A figure that is out of date costs a little time and nothing else.
type sizes struct {
	mu   sync.Mutex
	rows map[scopedKind]int
}

type scopedKind struct {
	kind  topology.Kind
	scope string
}

// note takes down how many rows a listing had of each virtual host.
func (s *sizes) note(name topology.Kind, rows map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.rows = map[scopedKind]int{}
	}
	for scope, n := range rows {
		s.rows[scopedKind{name, scope}] = n
	}
}

// cheaper tells whether some single reads cost less than the listing that has
// them all.
func (s *sizes) cheaper(name topology.Kind, ids []topology.ID, reads int) bool {
	if reads > mostSingles {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := 0
	for _, scope := range scopes(ids, 1) {
		if scope != "" {
			rows += s.rows[scopedKind{name, scope}]
			continue
		}
		for key, n := range s.rows {
			if key.kind == name {
				rows += n
			}
		}
	}
	return reads*rowsPerRead <= rows
}
