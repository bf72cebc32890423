package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/warrener-dev/warrener/internal/topology"
)

// locks keep passes apart that decide about the same objects, and no others: a
// connection that does not answer holds up nobody but who shares objects with
// it. A pass asks for everything at once, so that no two wait for each other,
// and who asked first is served first.
type locks struct {
	mu    sync.Mutex
	queue []*stake
	// moved is closed and replaced whenever somebody leaves the queue.
	moved chan struct{}
}

// stake is what one pass decides about, and what its decisions rest on.
type stake struct {
	// all is everything on the cluster.
	all     bool
	decides map[topology.ID]struct{}
	needs   map[topology.ID]struct{}
	// owners and scope are what it was made for, where that was a plan for some owners.
	owners []topology.OwnerKey
	scope  scope
	// again: what it was made for before has come to be about something else.
	again bool
}

func newStake(decides, needs []topology.ID) *stake {
	set := func(ids []topology.ID) map[topology.ID]struct{} {
		out := make(map[topology.ID]struct{}, len(ids))
		for _, id := range ids {
			out[id] = struct{}{}
		}
		return out
	}
	return &stake{decides: set(decides), needs: set(needs)}
}

func newLocks() *locks { return &locks{moved: make(chan struct{})} }

// acquire waits until nobody who asked before is in the way, and returns what
// ends the stake. It fails only with the context.
func (l *locks) acquire(ctx context.Context, s *stake) (release func(), err error) {
	l.mu.Lock()
	l.queue = append(l.queue, s)
	for {
		if !l.blocked(s) {
			l.mu.Unlock()
			return func() { l.leave(s) }, nil
		}
		moved := l.moved
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			l.leave(s)
			return nil, ctx.Err()
		case <-moved:
		}
		l.mu.Lock()
	}
}

func (l *locks) leave(s *stake) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = slices.DeleteFunc(l.queue, func(other *stake) bool { return other == s })
	close(l.moved)
	l.moved = make(chan struct{})
}

// blocked tells whether somebody before it in the queue is in its way.
func (l *locks) blocked(s *stake) bool {
	for _, earlier := range l.queue {
		if earlier == s {
			return false
		}
		if s.collides(earlier) {
			return true
		}
	}
	return false
}

// awaited tells whether a stake is in somebody's way.
func (l *locks) awaited(s *stake) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.Index(l.queue, s)
	return at >= 0 && slices.ContainsFunc(l.queue[at+1:], s.collides)
}

func (s *stake) collides(other *stake) bool {
	return s.all || other.all || meet(s.decides, other.decides) ||
		meet(s.decides, other.needs) || meet(s.needs, other.decides)
}

// covers tells whether a scope lies within a stake.
func (s *stake) covers(scope scope) bool {
	for _, id := range scope.focus {
		if _, ok := s.decides[id]; !ok {
			return false
		}
	}
	for _, id := range scope.needs {
		_, needed := s.needs[id]
		if _, decided := s.decides[id]; !needed && !decided {
			return false
		}
	}
	return true
}

func meet(a, b map[topology.ID]struct{}) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for id := range a {
		if _, ok := b[id]; ok {
			return true
		}
	}
	return false
}
