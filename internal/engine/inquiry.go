package engine

import "context"

// inquiry looks past the caches at what could keep something from ending, while the pass
// writes ahead: somebody waits for an edit, and both are questions to somebody else. Nothing is
// sent to the broker before it has been answered. A nil inquiry is about nothing.
type inquiry struct {
	cancel context.CancelFunc
	answer chan error
}

// inquire begins one.
func inquire(ctx context.Context, s Session, about Ending) *inquiry {
	ctx, cancel := context.WithCancel(ctx)
	q := &inquiry{cancel: cancel, answer: make(chan error, 1)}
	go func() { q.answer <- s.Refresh(ctx, about) }()
	return q
}

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

// permit waits for the answer to what was asked when a pass was planned. If it brings news,
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
