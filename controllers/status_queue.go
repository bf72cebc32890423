package controllers

import (
	"slices"

	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// verdictQueue holds what is to be written: the latest verdict of each object, in
// order. What was edited comes before what is new: somebody waits for it, and ten
// thousand new objects take a while. Its user holds a lock.
type verdictQueue struct {
	latest map[topology.OwnerKey]engine.Verdict
	edited []topology.OwnerKey
	others []topology.OwnerKey
	// inARow counts the edited ones since the last of the others.
	inARow int
}

// mostInARow edited objects are written before one of the others has its turn.
const mostInARow = 3

func newVerdictQueue() *verdictQueue {
	return &verdictQueue{latest: map[topology.OwnerKey]engine.Verdict{}}
}

// add replaces a verdict on the same object, which keeps its place.
func (q *verdictQueue) add(v engine.Verdict) {
	key := v.Owner.OwnerKey
	_, queued := q.latest[key]
	q.latest[key] = v
	switch {
	case queued:
	case isEdited(v):
		q.edited = append(q.edited, key)
	default:
		q.others = append(q.others, key)
	}
}

func isEdited(v engine.Verdict) bool { return v.Owner.Generation > 1 }

// take removes the first verdict whose object nobody has in hand, be it edited or any.
func (q *verdictQueue) take(inHand map[topology.OwnerKey]engine.Verdict, edited bool) (engine.Verdict, bool) {
	lines := []*[]topology.OwnerKey{&q.edited, &q.others}
	switch {
	case edited:
		lines = lines[:1]
	case q.inARow >= mostInARow:
		slices.Reverse(lines)
	}
	for _, line := range lines {
		key, found := firstFree(line, inHand)
		if !found {
			continue
		}
		q.inARow++
		if line == &q.others {
			q.inARow = 0
		}
		v := q.latest[key]
		delete(q.latest, key)
		return v, true
	}
	return engine.Verdict{}, false
}

// firstFree takes the first that is not in somebody's hands, and keeps the order of
// the others. At most a writer each is, so it is among the first few.
func firstFree(line *[]topology.OwnerKey, inHand map[topology.OwnerKey]engine.Verdict) (topology.OwnerKey, bool) {
	keys := *line
	for i, key := range keys {
		if _, taken := inHand[key]; !taken {
			copy(keys[1:i+1], keys[:i])
			*line = keys[1:]
			return key, true
		}
	}
	return topology.OwnerKey{}, false
}
