package topology

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// mostGiven is the longest that bulk work gives way to an edit: most take less where the API
// server and the broker are busy, and one that hangs keeps nobody from anything.
const mostGiven = time.Second

// Courtesy has those who work in bulk give way to edits, which somebody waits for. For half as
// long as they have, they go on then, whoever edits: edits without end slow them down, and do
// not stop them. A nil one knows of no edits.
type Courtesy struct {
	mu    sync.Mutex
	edits int
	since time.Time     // the first of those under way
	over  chan struct{} // closed when the last of them is done
	// free is until when nobody gives way.
	free time.Time
}

// Edit notes an edit that is under way, until done is called.
func (c *Courtesy) Edit() (done func()) {
	if c == nil {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.edits++; c.edits == 1 {
		c.since, c.over = time.Now(), make(chan struct{})
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.edits--; c.edits == 0 {
			c.free = time.Now().Add(min(time.Since(c.since), mostGiven) / 2)
			close(c.over)
		}
	}
}

// GiveWay waits until no edit is under way, for mostGiven at the most.
func (c *Courtesy) GiveWay(ctx context.Context) {
	if c == nil {
		return
	}
	c.mu.Lock()
	over, left := c.over, time.Until(c.since.Add(mostGiven))
	waits := c.edits > 0 && left > 0 && !time.Now().Before(c.free)
	c.mu.Unlock()
	if !waits {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	case <-ctx.Done():
	}
}

type inBulk struct{}

// bulk is what bulk work shares.
type bulk struct {
	courtesy *Courtesy
	given    atomic.Int64 // to edits, in nanoseconds
}

// InBulk marks a context in which so much is applied that nobody waits for any of it: that
// few steps come at once says nothing then, and its steps give way to edits.
func InBulk(ctx context.Context, courtesy *Courtesy) context.Context {
	return context.WithValue(ctx, inBulk{}, &bulk{courtesy: courtesy})
}

// IsInBulk tells whether a context is so marked.
func IsInBulk(ctx context.Context) bool { return ctx.Value(inBulk{}) != nil }

// GiveWay waits for edits that are under way, in a context of bulk work; see Courtesy.
func GiveWay(ctx context.Context) {
	work, ok := ctx.Value(inBulk{}).(*bulk)
	if !ok {
		return
	}
	began := time.Now()
	work.courtesy.GiveWay(ctx)
	work.given.Add(int64(time.Since(began)))
}

// Given is for how long the steps of bulk work have given way, added up.
func Given(ctx context.Context) time.Duration {
	work, ok := ctx.Value(inBulk{}).(*bulk)
	if !ok {
		return 0
	}
	return time.Duration(work.given.Load())
}
