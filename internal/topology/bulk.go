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

// GiveWay waits until no edit is under way, for mostGiven at the most, and returns for how long.
func (c *Courtesy) GiveWay(ctx context.Context) time.Duration {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	over, left := c.over, time.Until(c.since.Add(mostGiven))
	waits := c.edits > 0 && left > 0 && !time.Now().Before(c.free)
	c.mu.Unlock()
	if !waits {
		return 0
	}
	began := time.Now()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	case <-ctx.Done():
	}
	return time.Since(began)
}

type inBulk struct{}

// bulk is what bulk work shares; nil is none.
type bulk struct {
	courtesy *Courtesy
	awaited  func() bool
	given    atomic.Int64 // to edits, in nanoseconds
}

func bulkOf(ctx context.Context) *bulk {
	work, _ := ctx.Value(inBulk{}).(*bulk)
	return work
}

// InBulk marks a context in which so much is applied that nobody waits for any of it: that
// few steps come at once says nothing then, and its steps give way to edits. Awaited tells
// whether it keeps somebody waiting after all; nil if it never does.
func InBulk(ctx context.Context, courtesy *Courtesy, awaited func() bool) context.Context {
	return context.WithValue(ctx, inBulk{}, &bulk{courtesy: courtesy, awaited: awaited})
}

// Promptly takes the mark away: what is done upon a look must not come long after it.
func Promptly(ctx context.Context) context.Context {
	return context.WithValue(ctx, inBulk{}, (*bulk)(nil))
}

// IsInBulk tells whether a context is so marked.
func IsInBulk(ctx context.Context) bool { return bulkOf(ctx) != nil }

// Yields tells whether work gives way to edits: it is in bulk, and keeps nobody waiting.
func Yields(ctx context.Context) bool {
	work := bulkOf(ctx)
	return work != nil && (work.awaited == nil || !work.awaited())
}

// GiveWay waits for edits that are under way, if the work yields to them; see Courtesy.
func GiveWay(ctx context.Context) {
	if Yields(ctx) {
		work := bulkOf(ctx)
		work.given.Add(int64(work.courtesy.GiveWay(ctx)))
	}
}

// Given is for how long the steps of bulk work have given way, added up.
func Given(ctx context.Context) time.Duration {
	work := bulkOf(ctx)
	if work == nil {
		return 0
	}
	return time.Duration(work.given.Load())
}
