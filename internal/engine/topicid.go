package engine

import (
	"fmt"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// noteTopicIDs keeps the ids of topics that this pass has created.
func (x *execution) noteTopicIDs(live *topology.Snapshot) {
	for _, step := range x.done {
		found, _ := live.Look(step.ID)
		if id := topology.TopicIDOf(found); id != "" && step.Verb == topology.VerbCreate {
			x.topicIDs[step.ID] = id
		}
	}
}

// identified lists the entries of created topics with their ids, so that the
// books know one from another of the same name from the start.
func (x *execution) identified() []topology.Entry {
	c := x.cluster
	c.state.Lock()
	defer c.state.Unlock()
	var out []topology.Entry
	for id, topicID := range x.topicIDs {
		if entry, booked := c.world.Entry(id); booked && entry.TopicID != topicID {
			entry.TopicID = topicID
			out = append(out, entry)
		}
	}
	return out
}

// tellRecreated reports topics that somebody else deleted and created again. The
// caller holds c.state.
func tellRecreated(p *plan.Plan, report *Report) {
	for _, r := range p.Recreated {
		for _, owner := range r.Owners {
			report.Recreated[owner] = append(report.Recreated[owner], fmt.Sprintf(
				"%s was deleted and created again by somebody else (topic id %s, before that %s): what it held is gone", r.ID, r.Change.From, r.Change.To))
		}
	}
}
