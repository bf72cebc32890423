package engine

import (
	"context"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// inquiry looks past the caches at what could keep something from ending, while the pass
// reads the broker, plans and writes ahead: somebody waits for an edit, and all of these are
// questions to somebody else. Nothing is sent to the broker before it has been answered.
// A nil inquiry is about nothing.
type inquiry struct {
	about  Ending
	cancel context.CancelFunc
	answer chan error
}

// inquire begins one about what owners let go of, as far as it is bindings: whether these
// end depends on who declares them, and on nothing that the broker tells.
func (c *Cluster) inquire(ctx context.Context, s Session, owners []topology.OwnerKey) *inquiry {
	about := Ending{Objects: c.letGo(owners)}
	if about.none() {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	q := &inquiry{about: about, cancel: cancel, answer: make(chan error, 1)}
	go func() { q.answer <- s.Refresh(ctx, about) }()
	return q
}

// letGo lists the bindings that owners have, and do not declare any more. Sorted.
func (c *Cluster) letGo(owners []topology.OwnerKey) []topology.ID {
	c.state.Lock()
	defer c.state.Unlock()
	out := map[topology.ID]struct{}{}
	for _, key := range owners {
		if c.world.Claim(key) == nil {
			continue
		}
		for _, id := range c.world.Holdings(key) {
			if id.Kind == topology.KindBinding && !slices.Contains(c.world.Wanters(id), key) {
				out[id] = struct{}{}
			}
		}
	}
	return topology.SortedIDs(out)
}

// covers tells whether it is about all that ends.
func (q *inquiry) covers(what Ending) bool { return q != nil && q.about.covers(what) }

// wait returns what came of it.
func (q *inquiry) wait() error {
	if q == nil {
		return nil
	}
	err := <-q.answer
	q.answer <- err
	return err
}

// end has it over with, wanted or not.
func (q *inquiry) end() {
	if q == nil {
		return
	}
	q.cancel()
	_ = q.wait() // whoever needs the answer has asked for it
}

// permit waits for the answer to what was asked while a pass was planned. If it brings news,
// the names that are new on the books are taken from them again, since nothing of them was
// made, and the pass begins anew.
func (x *execution) permit(ctx context.Context, asked *inquiry) error {
	if asked == nil {
		return nil
	}
	err := asked.wait()
	if err == nil && !x.cluster.judge(x.session) && x.cluster.isCurrent(x.plan) {
		return nil
	}
	if err == nil {
		err = errWidened
	}
	if names := x.newOnTheBooks(); len(names) > 0 {
		if undone := x.cluster.write(ctx, x.epoch, nil, names); undone != nil {
			return undone
		}
	}
	return err
}
