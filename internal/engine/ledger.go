package engine

import (
	"math/rand/v2"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Delays of the ledger. A refused object is looked at again without an edit
// because what the broker refuses may change on the broker's side (a plugin
// enabled, a policy lifted); that is rare, so it is slow.
const (
	firstRetry     = time.Second
	longestRetry   = 2 * time.Minute
	pendingRetry   = 500 * time.Millisecond
	deniedRetry    = 30 * time.Second
	rejectedReview = 10 * time.Minute
)

// ledger paces retries per object: one that fails neither hammers the broker
// nor slows down another.
type ledger struct {
	entries map[topology.ID]*failure
	jitter  func() float64 // in [0, 1)
}

// failure is the last word on an object.
type failure struct {
	// fingerprint of what was tried: another one is tried at once.
	fingerprint string
	// connection over which it was tried, and will be: nobody else has to do
	// with when it is due.
	connection topology.ConnectionKey
	err        error
	attempts   int
	due        time.Time
}

func newLedger() *ledger {
	return &ledger{entries: map[topology.ID]*failure{}, jitter: rand.Float64}
}

// holds returns the last error of an object that must wait for its turn; nil
// if it may be tried now.
func (l *ledger) holds(id topology.ID, fingerprint string, now time.Time) error {
	f := l.entries[id]
	if f == nil || f.fingerprint != fingerprint || !now.Before(f.due) {
		return nil
	}
	return f.err
}

// fail notes a failed attempt.
func (l *ledger) fail(id topology.ID, fingerprint string, connection topology.ConnectionKey, err error, now time.Time) {
	f := l.entries[id]
	if f == nil || f.fingerprint != fingerprint {
		f = &failure{fingerprint: fingerprint}
		l.entries[id] = f
	}
	f.err, f.connection = err, connection
	f.attempts++
	f.due = now.Add(l.delay(topology.ClassOf(err), f.attempts))
}

// clear forgets an object that is well, or that nobody wants.
func (l *ledger) clear(id topology.ID) { delete(l.entries, id) }

// expire makes everything due: the connection is back, or somebody asked.
func (l *ledger) expire() {
	for _, f := range l.entries {
		f.due = time.Time{}
	}
}

// due lists the objects whose turn on a connection has come.
func (l *ledger) due(now time.Time, connection topology.ConnectionKey) []topology.ID {
	set := map[topology.ID]struct{}{}
	for id, f := range l.entries {
		if f.connection == connection && !now.Before(f.due) {
			set[id] = struct{}{}
		}
	}
	return topology.SortedIDs(set)
}

func (l *ledger) delay(class topology.Class, attempts int) time.Duration {
	var base time.Duration
	switch class {
	case topology.ClassRejected, topology.ClassUnsupported:
		base = rejectedReview
	case topology.ClassAccessDenied:
		base = deniedRetry
	case topology.ClassPending, topology.ClassExists:
		base = min(pendingRetry<<min(attempts-1, 8), longestRetry)
	default:
		base = min(firstRetry<<min(attempts-1, 8), longestRetry)
	}
	// Up to a quarter more, so that what failed together does not return
	// together.
	return base + time.Duration(l.jitter()*float64(base)/4)
}
