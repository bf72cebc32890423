package plan

import (
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// waves orders the steps: creates and updates by what they need, then deletes
// with what hangs on something before the thing itself.
func (b *builder) waves() [][]topology.Step {
	var builds, deletes [][]topology.Step
	levels := map[topology.ID]int{}
	for _, id := range b.stepIDs() {
		step := b.steps[id]
		if step.Verb == topology.VerbDelete {
			deletes = place(deletes, deleteLevel(id.Kind), *step)
		} else {
			builds = place(builds, b.level(id, levels), *step)
		}
	}
	return slices.DeleteFunc(append(builds, deletes...), func(wave []topology.Step) bool { return len(wave) == 0 })
}

// level is one more than the highest level among what the object needs.
func (b *builder) level(id topology.ID, levels map[topology.ID]int) int {
	if level, done := levels[id]; done {
		return level
	}
	levels[id] = 0 // ends a cycle, which no broker object can form
	level := 0
	for _, need := range b.steps[id].Requires {
		if step := b.steps[need]; step != nil && step.Verb != topology.VerbDelete {
			level = max(level, b.level(need, levels)+1)
		}
	}
	levels[id] = level
	return level
}

// deleteLevel: a binding hangs on exchanges and queues, and all of them on the
// virtual host. Queues go before exchanges, so that what a queue dead-letters
// in its last moment still finds its way.
func deleteLevel(kind topology.Kind) int {
	switch kind {
	case topology.KindBinding:
		return 0
	case topology.KindVirtualHost:
		return 3
	case topology.KindExchange:
		return 2
	default:
		return 1
	}
}

func place(waves [][]topology.Step, level int, step topology.Step) [][]topology.Step {
	for len(waves) <= level {
		waves = append(waves, nil)
	}
	waves[level] = append(waves[level], step)
	return waves
}
