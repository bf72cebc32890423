package plan

import "github.com/warrener-dev/warrener/internal/topology"

// Recreation is a topic that somebody else has deleted and created again: the
// name is the same, what it held is gone.
type Recreation struct {
	ID     topology.ID
	Owners []topology.OwnerKey
	// Change names both ids.
	Change topology.Change
}

// recreated tells whether another topic has taken the name of an owned one. The
// books name the new one from then on, so that it is told once.
func recreated(d decision, live topology.Resource) (topology.Change, bool) {
	was, is := d.entry.TopicID, topology.TopicIDOf(live)
	if !d.owned || was == "" || is == "" || was == is {
		return topology.Change{}, false
	}
	return topology.Change{Path: topology.PathTopicID, From: is, To: was}, true
}

// topicID is what the books say of a topic: the id that it has, if it is there.
// One that is to be created has an id that is not known yet.
func (b *builder) topicID(id topology.ID, d decision) string {
	live, presence := b.in.Live.Look(id)
	switch presence {
	case topology.Absent:
		return ""
	case topology.Present:
		if is := topology.TopicIDOf(live); is != "" {
			return is
		}
	case topology.Unknown:
	}
	return d.entry.TopicID
}

// keepTopicID leaves the id on the books that was there: what is only reported
// is reported as long as it lasts.
func (b *builder) keepTopicID(id topology.ID, d decision) {
	entry, recorded := b.records[id]
	if !recorded {
		return
	}
	entry.TopicID = d.entry.TopicID
	b.records[id] = entry
	if sameEntry(d.entry, entry) {
		delete(b.records, id)
	}
}
