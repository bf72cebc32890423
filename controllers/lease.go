package controllers

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// ErrNotLeading fails what only the leader may do.
var ErrNotLeading = errors.New("this replica does not lead any more")

// Lease is the lock of the leader election, which knows how long it surely
// holds. A process that stood still wakes up in the middle of what it did and
// believes that it leads, for as long as it takes to find out; what it is about
// to write, another one may have undone since.
type Lease struct {
	resourcelock.Interface
	// good is how long a renewal counts.
	good  time.Duration
	clock func() time.Time

	mu      sync.Mutex
	renewed time.Time // when the last renewal that succeeded was asked for
}

// NewLease makes a lease of a lock; good is how long a renewal counts, which is
// less than others wait.
func NewLease(lock resourcelock.Interface, good time.Duration) *Lease {
	return &Lease{Interface: lock, good: good, clock: time.Now}
}

// Held returns ErrNotLeading unless nobody else can have taken over.
func (l *Lease) Held() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clock().Sub(l.renewed) >= l.good {
		return ErrNotLeading
	}
	return nil
}

// Create implements resourcelock.Interface.
func (l *Lease) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.note(record, func() error { return l.Interface.Create(ctx, record) })
}

// Update implements resourcelock.Interface. The client releases a lease that it
// believes to hold, and would take it from whoever has it by now.
func (l *Lease) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity == "" && l.Held() != nil {
		return ErrNotLeading
	}
	return l.note(record, func() error { return l.Interface.Update(ctx, record) })
}

func (l *Lease) note(record resourcelock.LeaderElectionRecord, write func() error) error {
	asked := l.clock()
	if err := write(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = time.Time{}
	if record.HolderIdentity == l.Identity() {
		l.renewed = asked
	}
	return nil
}

// Guard makes a config whose clients change nothing on the API server unless the
// lease is held: inventories and statuses are the leader's.
func (l *Lease) Guard(config *rest.Config) *rest.Config { return guarded(config, l.Held) }

// guarded makes a config whose clients change nothing while held fails.
func guarded(config *rest.Config, held func() error) *rest.Config {
	out := rest.CopyConfig(config)
	out.Wrap(func(next http.RoundTripper) http.RoundTripper { return guard{next: next, held: held} })
	return out
}

type guard struct {
	next http.RoundTripper
	held func() error
}

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet {
		if err := g.held(); err != nil {
			return nil, err
		}
	}
	return g.next.RoundTrip(request)
}
