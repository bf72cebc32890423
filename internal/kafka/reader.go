package kafka

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

// avoidFor is how long a broker that did not answer is passed over: about what a restart takes.
const avoidFor = time.Minute

// mostReads is how often one broker is asked one thing: a connection that has died unnoticed fails
// once, and is made anew.
const mostReads = 2

var errNoBrokers = errors.New("the cluster names no broker")

// reader is the broker that is asked how things are. Brokers learn of a change one by one: were a
// read to go to one and the next to another, the second could show the state of before. It is the
// one of the lowest id, so that all connections to a cluster, and the next holder of this one,
// read the same.
type reader struct {
	mu sync.Mutex
	id int32
	// chosen: it is to be read. known: it has been, and another one may be behind it.
	chosen, known bool
	// failed has when a broker did not answer.
	failed map[int32]time.Time
	// changed is when something was last sent that changes the cluster.
	changed time.Time
}

// pick chooses among the brokers that are up: the lowest id that has answered of late, or the one
// whose failure is longest ago.
func (r *reader) pick(live []int32, now time.Time) int32 {
	return slices.MinFunc(live, func(a, b int32) int {
		return cmp.Or(r.blame(a, now).Compare(r.blame(b, now)), cmp.Compare(a, b))
	})
}

// blame is when a broker failed, zero if that is forgotten.
func (r *reader) blame(id int32, now time.Time) time.Time {
	if when, failed := r.failed[id]; failed && now.Sub(when) < avoidFor {
		return when
	}
	return time.Time{}
}

// choose settles whom to read of those that are up; it returns for how long that one may still be
// behind what was read before.
func (r *reader) choose(live []int32, now time.Time) (behind time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.pick(live, now)
	if r.known && r.id != id {
		behind = max(0, r.changed.Add(mostShownWait).Sub(now))
	}
	r.id, r.chosen, r.known = id, true, true
	return behind
}

func (r *reader) current() (int32, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.id, r.chosen
}

// drop has another broker chosen.
func (r *reader) drop(id int32, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = map[int32]time.Time{}
	}
	r.failed[id] = now
	r.chosen = r.chosen && r.id != id
}

func (r *reader) changes(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = now
}

// chooseReader settles whom to read, by what any broker says of who is up. Where the choice falls
// on another one than before, it waits until that one has heard of what was changed last.
func (b *Broker) chooseReader(ctx context.Context) error {
	response, err := b.describeBrokers(ctx, opObserve)
	if err != nil {
		return err
	}
	if len(response.Brokers) == 0 {
		return b.wholeError(opObserve, errNoBrokers, time.Now())
	}
	live := make([]int32, len(response.Brokers))
	for i, node := range response.Brokers {
		live[i] = node.NodeID
	}
	behind := b.reader.choose(live, time.Now())
	if behind == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return b.wholeError(opObserve, ctx.Err(), time.Now())
	case <-time.After(behind):
		return nil
	}
}

// askReader sends a request to the broker that is read. Where that one does not answer, another is
// asked, each once, as long as the timeout allows.
func askReader[R kmsg.Response](ctx context.Context, b *Broker, operation string, request kmsg.Request) (R, error) {
	var (
		response R
		err      error
		started  = time.Now()
		tries    = map[int32]int{}
	)
	for time.Since(started) < b.options.Timeout {
		id, chosen := b.reader.current()
		if !chosen {
			if err := b.chooseReader(ctx); err != nil {
				return response, err
			}
			continue
		}
		if tries[id] == mostReads {
			break // all have been tried
		}
		response, err = askOn[R](ctx, b, b.client.Broker(int(id)), operation, request)
		if err == nil || ctx.Err() != nil || topology.ClassOf(err) != topology.ClassTransport {
			break
		}
		tries[id]++
		if dial := (*dialFailure)(nil); errors.As(err, &dial) {
			tries[id] = mostReads
		}
		if tries[id] == mostReads || time.Since(started) >= b.options.Timeout {
			b.reader.drop(id, time.Now())
		}
	}
	return response, err
}
