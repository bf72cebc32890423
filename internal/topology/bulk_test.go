package topology

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Bulk work waits for an edit, not for one that hangs, and gets its share beside edits
// without end.
func TestCourtesy(t *testing.T) {
	waits := func(ctx context.Context) time.Duration {
		begin := time.Now()
		GiveWay(ctx)
		return time.Since(begin)
	}
	edit := func(c *Courtesy, takes time.Duration) {
		done := c.Edit()
		time.AfterFunc(takes, done)
	}
	for name, tc := range map[string]struct {
		reason string
		bulk   bool
		before func(*Courtesy)
		want   time.Duration
	}{
		"Quiet":   {reason: "nobody edits", bulk: true, before: func(*Courtesy) {}},
		"Edit":    {reason: "until it is done", bulk: true, before: func(c *Courtesy) { edit(c, 300*time.Millisecond) }, want: 300 * time.Millisecond},
		"Edits":   {reason: "until the last one is done", bulk: true, before: func(c *Courtesy) { edit(c, 300*time.Millisecond); edit(c, 500*time.Millisecond) }, want: 500 * time.Millisecond},
		"Hanging": {reason: "no longer than a second", bulk: true, before: func(c *Courtesy) { edit(c, time.Hour) }, want: mostGiven},
		"HungFor": {reason: "a second is over", bulk: true, before: func(c *Courtesy) { edit(c, time.Hour); time.Sleep(mostGiven) }},
		"Done":    {reason: "it is done", bulk: true, before: func(c *Courtesy) { c.Edit()() }},
		"ItsTurn": {reason: "half as long as the edit before has taken belongs to it", bulk: true, before: func(c *Courtesy) {
			done := c.Edit()
			time.Sleep(400 * time.Millisecond)
			done()
			time.Sleep(199 * time.Millisecond)
			edit(c, 300*time.Millisecond)
		}},
		"NotItsTurn": {reason: "its half is over", bulk: true, before: func(c *Courtesy) {
			done := c.Edit()
			time.Sleep(400 * time.Millisecond)
			done()
			edit(c, 300*time.Millisecond)
			time.Sleep(200 * time.Millisecond)
		}, want: 100 * time.Millisecond},
		"NotInBulk": {reason: "somebody waits for it, too", before: func(c *Courtesy) { edit(c, 300*time.Millisecond) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, c := t.Context(), &Courtesy{}
				if tc.bulk {
					ctx = InBulk(ctx, c, nil)
				}
				tc.before(c)
				if got := waits(ctx); got != tc.want || Given(ctx) != tc.want {
					t.Errorf("it waits for %v, and counts %v, want %v: %s", got, Given(ctx), tc.want, tc.reason)
				}
				time.Sleep(2 * time.Hour) // edits end in the bubble
			})
		})
	}
	t.Run("Cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			c := &Courtesy{}
			defer c.Edit()()
			if got := waits(InBulk(ctx, c, nil)); got != 100*time.Millisecond {
				t.Errorf("it waits for %v, and was called off after 100ms", got)
			}
		})
	})
	t.Run("Awaited", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, awaited := &Courtesy{}, false
			ctx := InBulk(t.Context(), c, func() bool { return awaited })
			edit(c, 300*time.Millisecond)
			awaited = true
			if got := waits(ctx); got != 0 {
				t.Errorf("it waits for %v, and somebody for it", got)
			}
			awaited = false
			if got := waits(Promptly(ctx)); got != 0 {
				t.Errorf("it waits for %v after what it has looked at", got)
			}
			if got := waits(ctx); got != 300*time.Millisecond {
				t.Errorf("it waits for %v, and nobody waits for it any more", got)
			}
		})
	})
	t.Run("Nobody", func(t *testing.T) {
		var c *Courtesy
		c.Edit()()
		GiveWay(InBulk(t.Context(), c, nil)) // a session without courtesy
	})
}
