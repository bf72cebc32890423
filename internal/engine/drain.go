package engine

import (
	"slices"
	"time"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// What drains is looked at soon, and less and less often while it holds what it
// held: a dead-letter queue that nobody reads stays as it is for days.
const (
	firstDrainLook   = 3 * time.Second
	longestDrainLook = 30 * time.Second
)

// drain is one object that is not empty yet: it is declared no longer, or is to
// be recreated.
type drain struct {
	messages int64
	due      time.Time
	wait     time.Duration
	news     news[string]
}

// noteDraining lists what drains for each owner, and when to look again. The
// caller holds c.state.
func (c *Cluster) noteDraining(owners []topology.OwnerKey, p *plan.Plan) map[topology.OwnerKey][]string {
	now := c.clock()
	out := map[topology.OwnerKey][]string{}
	noted := map[topology.ID]bool{}
	for _, held := range p.Held {
		if !held.Drains && !held.Recreates {
			continue
		}
		if !noted[held.ID] {
			noted[held.ID] = true
			c.look(held, now)
		}
		if held.Drains {
			out[held.Owner] = append(out[held.Owner], c.draining[held.ID].news.told)
		}
	}
	for id := range c.draining {
		entry, owned := c.world.Entry(id)
		decided := slices.ContainsFunc(entry.Owners, func(key topology.OwnerKey) bool { return slices.Contains(owners, key) })
		if !owned || decided && !noted[id] {
			delete(c.draining, id)
		}
	}
	return out
}

func (c *Cluster) look(held plan.Held, now time.Time) {
	d := c.draining[held.ID]
	switch {
	case d == nil:
		d = &drain{wait: firstDrainLook}
		c.draining[held.ID] = d
	case d.messages != held.Messages:
		d.wait = firstDrainLook
	case !now.Before(d.due):
		d.wait = min(2*d.wait, longestDrainLook)
	}
	d.news.tell(held.Message, now)
	d.messages, d.due = held.Messages, now.Add(d.wait)
}
