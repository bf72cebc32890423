package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/internal/shard"
)

// Terms of the leases. A replica that dies is noticed after ReplicaLeaseDuration and
// two rounds at most, and its connections are to be at work elsewhere within 20 s.
const (
	// ReplicaLeaseDuration is how long others wait for a replica that does not renew.
	ReplicaLeaseDuration = 12 * time.Second
	// ReplicaRound is the time between two renewals, and two looks at the others.
	ReplicaRound = 2 * time.Second
	// writeMargin is what a lease must last longer than a request to a broker.
	writeMargin = 2 * time.Second
	// shortestWrite is the least time that a request to a broker gets.
	shortestWrite = 3 * time.Second
	// replicaGood is how long a renewal counts for the replica itself.
	replicaGood = ReplicaLeaseDuration - writeMargin - shortestWrite
	// goodReading is how long a reading of the leases serves requests that take
	// something away: those of one step, mostly.
	goodReading = time.Second
	// leaseRequest bounds one request about leases.
	leaseRequest = 3 * time.Second
	// lastRounds is how long a replica that ends waits for what it has under way.
	lastRounds = 20 * time.Second
)

// ErrReplaced ends a replica that others took for dead.
var ErrReplaced = errors.New("others took this replica for dead and have its work; it has to start anew")

// Shards are the parts of the work that this replica has. Broker clusters are
// spread over shards, and each shard is held by one replica:
//
//	warrener-replica-<name>  a Lease that its replica renews: it is alive
//	warrener-shard-<n>       a Lease that names the replica that works on it; it
//	                         is written only when that changes
//
// A shard may be taken by compare-and-swap when the replica in it is gone: its own
// lease does not exist. It deletes that lease when it ends, and anybody does who has
// seen it stand still for ReplicaLeaseDuration; a replica whose lease is gone can never
// renew it, and ends. So whoever has renewed a moment ago holds what he holds.
type Shards struct {
	client    client.Client // past every cache, and not guarded
	namespace string
	// self is the name of this replica, and of no other process ever.
	self  string
	count int
	// leaderLease is the lease of replicas that share no work.
	leaderLease string
	log         logr.Logger
	clock       func() time.Time

	// ready is closed when took may be called.
	ready chan struct{}
	// took is told of shards that are this replica's from now on; lost of one that
	// no work is under way on, before it is given up.
	took func(ctx context.Context, shards []int)
	lost func(ctx context.Context, shard int)

	// What follows is the loop's.
	joined bool // its lease has been made
	rounds int
	watch  shard.Watch

	wake chan struct{}

	mu       sync.Mutex
	renewed  time.Time // when the last renewal that succeeded was asked for
	replaced bool
	tenures  map[int]*tenure
}

// tenure is the time for which this replica holds a shard.
type tenure struct {
	// running is how much work is under way.
	running int
	// leaving: nothing new begins, and the shard goes when nothing is under way.
	leaving bool
	// read is when the leases were last read for something destructive.
	read time.Time
}

// ShardOptions say where the leases are and whose.
type ShardOptions struct {
	// Namespace of the leases.
	Namespace string
	// Name of this replica: part of the name of a Lease, and never used by another
	// process, before or after.
	Name string
	// Shards there are, from 2 to shard.Most; the same for all replicas.
	Shards int
	// LeaderLease is the name of the lease of replicas that do not share the work
	// and elect a leader. While one leads, nothing is held here.
	LeaderLease string
}

// NewShards prepares a replica that holds nothing yet; Setup has it started. The
// client must neither cache nor be guarded.
func NewShards(c client.Client, options ShardOptions, log logr.Logger) *Shards {
	return &Shards{
		client: c, namespace: options.Namespace, self: options.Name, count: options.Shards,
		leaderLease: options.LeaderLease, log: log, clock: time.Now,
		ready: make(chan struct{}), wake: make(chan struct{}, 1),
		watch:   shard.Watch{Lasts: ReplicaLeaseDuration, Gap: ReplicaLeaseDuration / 2},
		tenures: map[int]*tenure{},
	}
}

// Guard makes a config whose clients change nothing on the API server unless this
// replica has renewed its lease a moment ago.
func (s *Shards) Guard(config *rest.Config) *rest.Config { return guarded(config, s.Held) }

// Held returns an error unless this replica has surely not been replaced.
func (s *Shards) Held() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held()
}

func (s *Shards) held() error {
	switch since := s.clock().Sub(s.renewed); {
	case s.replaced:
		return ErrReplaced
	case since >= replicaGood:
		return fmt.Errorf("%w: this replica has not renewed its lease for %s", ErrNotLeading, since.Round(time.Second))
	}
	return nil
}

// Enter begins work on a shard; ok is false if it is not this replica's, or not
// for much longer. leave must be called when it is done.
func (s *Shards) Enter(n int) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenures[n]
	if t == nil || t.leaving {
		return nil, false
	}
	t.running++
	return sync.OnceFunc(func() { s.leave(t) }), true
}

func (s *Shards) leave(t *tenure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.running--; t.running == 0 && t.leaving {
		select {
		case s.wake <- struct{}{}: // others wait for it
		default:
		}
	}
}

// Holds tells whether a shard is this replica's, and stays so.
func (s *Shards) Holds(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenures[n]
	return t != nil && !t.leaving
}

// Permit is a topology.Permit for what belongs to a shard: a write ends before the
// lease does, and before one that takes something away the leases are read.
func (s *Shards) Permit(ctx context.Context, n int, destroys bool) (until time.Time, err error) {
	until, read, err := s.permit(n)
	if err != nil || !destroys || s.clock().Sub(read) < goodReading {
		return until, err
	}
	now := s.clock()
	if err := s.reread(ctx, n); err != nil {
		return until, err
	}
	s.mu.Lock()
	if t := s.tenures[n]; t != nil {
		t.read = now
	}
	s.mu.Unlock()
	until, _, err = s.permit(n) // reading took its time
	return until, err
}

func (s *Shards) permit(n int) (until, read time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenures[n]
	if t == nil {
		return until, read, fmt.Errorf("%w: this replica does not hold shard %d", ErrNotLeading, n)
	}
	return s.renewed.Add(ReplicaLeaseDuration - writeMargin), t.read, s.held()
}

// reread asks the API server whether a shard is this replica's.
func (s *Shards) reread(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, leaseRequest)
	defer cancel()
	var own, held coordinationv1.Lease
	if err := s.client.Get(ctx, s.named(s.replicaLease()), &own); err != nil {
		return fmt.Errorf("%w: its lease cannot be read before something is deleted: %w", ErrNotLeading, err)
	}
	if err := s.client.Get(ctx, s.named(shardLease(n)), &held); err != nil {
		return fmt.Errorf("%w: the lease of shard %d cannot be read before something is deleted: %w", ErrNotLeading, n, err)
	}
	if holder := holderOf(&held); holder != s.self {
		return fmt.Errorf("%w: shard %d is held by %q", ErrNotLeading, n, holder)
	}
	return nil
}

// Start implements manager.Runnable: it renews, looks, gives up and takes, until
// the context ends.
func (s *Shards) Start(ctx context.Context) error {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil
	}
	ticks := time.NewTicker(ReplicaRound)
	defer ticks.Stop()
	for {
		if err := s.round(ctx); errors.Is(err, ErrReplaced) {
			return err
		} else if err != nil && ctx.Err() == nil {
			s.log.Error(err, "leases")
		}
		select {
		case <-ctx.Done():
			return s.end(context.WithoutCancel(ctx))
		case <-ticks.C:
		case <-s.wake:
		}
	}
}

// end waits for what is under way, and lets the others have it all at once.
func (s *Shards) end(ctx context.Context) error {
	deadline := s.clock().Add(lastRounds)
	for s.busy() {
		if s.clock().After(deadline) {
			return errors.New("some work has not ended; others take over when the lease has run out")
		}
		select {
		case <-s.wake:
		case <-time.After(ReplicaRound):
		}
		if err := s.renew(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	clear(s.tenures)
	s.mu.Unlock()
	if !s.joined {
		return nil
	}
	return s.retire(ctx)
}

// busy stops new work, and tells whether any is under way.
func (s *Shards) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := false
	for _, t := range s.tenures {
		t.leaving = true
		busy = busy || t.running > 0
	}
	return busy
}

// begin notes shards that are this replica's from now on.
func (s *Shards) begin(ctx context.Context, shards []int) {
	if len(shards) == 0 {
		return
	}
	s.mu.Lock()
	for _, n := range shards {
		s.tenures[n] = &tenure{}
		shardHeld.WithLabelValues(labelOf(n)).Set(1)
	}
	s.mu.Unlock()
	slices.Sort(shards)
	s.log.Info("takes over", "shards", shards)
	go s.took(ctx, shards) // renewing does not wait for it
}

// vacate stops work on a shard that is to be given up; it tells whether none is
// under way any more, and then the shard is not this replica's.
func (s *Shards) vacate(ctx context.Context, n int) bool {
	s.mu.Lock()
	t := s.tenures[n]
	if t != nil {
		if t.leaving = true; t.running > 0 {
			s.mu.Unlock()
			return false
		}
		delete(s.tenures, n)
		shardHeld.DeleteLabelValues(labelOf(n))
	}
	s.mu.Unlock()
	if t != nil {
		s.log.Info("gives up", "shard", n)
		s.lost(ctx, n)
	}
	return true
}

func (s *Shards) hasTenure(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tenures[n] != nil
}
