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
		if step.Verb == topology.VerbDelete && !b.early[id] {
			deletes = place(deletes, b.deletes[id], *step)
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
		if step := b.steps[need]; step != nil && (step.Verb != topology.VerbDelete || b.early[need]) {
			level = max(level, b.level(need, levels)+1)
		}
	}
	levels[id] = level
	return level
}

// deleteLevel: what feeds a queue goes first, then the queues that dead-letter,
// then those that take it in, then the wiring between the two, then exchanges,
// and the virtual host last. So what a queue dead-letters in its last moment
// still finds its way, and a queue that refuses to go keeps what it needs.
func deleteLevel(e *ending) int {
	switch e.entry.ID.Kind {
	case topology.KindBinding:
		if e.inner {
			return 3
		}
		return 0
	case topology.KindPolicy:
		return 3 // a queue has its limits to the end
	case topology.KindExchange:
		return 4
	case topology.KindVirtualHost:
		return 5
	}
	if e.deadLetters != "" {
		return 1
	}
	return 2
}

func place(waves [][]topology.Step, level int, step topology.Step) [][]topology.Step {
	for len(waves) <= level {
		waves = append(waves, nil)
	}
	waves[level] = append(waves[level], step)
	return waves
}
