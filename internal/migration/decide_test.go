package migration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

var forms = map[string]struct{ live, want *topology.Queue }{
	"classic to quorum": {queueOf("classic", 0), queueOf("quorum", 0)},
	"quorum to classic": {queueOf("quorum", 0), queueOf("classic", 0)},
	"another TTL":       {queueOf("quorum", 0), queueOf("quorum", 60000)},
}

// TestCrashAfterEveryAction: whatever call was the last one of a process that
// died, and of the next one too, the migration ends with nothing lost or doubled.
func TestCrashAfterEveryAction(t *testing.T) {
	for name, form := range forms {
		for _, consumers := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, %d consumers", name, consumers), func(t *testing.T) {
				h := history{live: form.live, want: form.want, consumers: consumers}
				actions, _, b := h.play(t)
				b.complete(t, "no crash", modelSources, true)
				if actions < 15 || len(b.want.Diff(form.want)) > 0 {
					t.Fatalf("%d actions to %+v: that is no migration", actions, b.want)
				}
				for first := 1; first <= actions; first++ {
					for _, after := range []int{0, 2} {
						for _, h.cut = range []bool{false, true} {
							h.crashes = []int{first, first + after}
							_, _, b := h.play(t)
							b.complete(t, fmt.Sprint("crashes ", h.crashes, ", cut: ", h.cut), modelSources, true)
						}
					}
				}
			})
		}
	}
}

// TestCutOffInARow: processes die in the middle of every other call about a binding,
// up to nine in a row, in one migration after the other: no binding ever comes to
// lead nowhere, nor does one of another queue with the same keys.
func TestCutOffInARow(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		h := history{live: queueOf("classic", 0), consumers: 1, beside: seed%2 == 0}
		deaths := 0
		h.dies = func() bool {
			if deaths++; deaths > 9 {
				return false
			}
			return random.IntN(2) == 0
		}
		for round := range 8 {
			h.want, deaths = queueOf([]string{"quorum", "classic"}[round%2], 0), 0
			_, _, h.on = h.play(t)
		}
		h.on.complete(t, fmt.Sprint("seed ", seed), modelSources, true)
	}
}

// TestCutOffWithoutImport: a user who may not import is safe from one call that is
// cut off, if another queue is bound with the same keys.
func TestCutOffWithoutImport(t *testing.T) {
	h := history{live: queueOf("classic", 0), want: queueOf("quorum", 0), consumers: 1, beside: true, guarded: true, cut: true}
	actions, _, _ := h.play(t)
	for first := 1; first <= actions; first++ {
		h.crashes = []int{first}
		_, _, b := h.play(t)
		b.complete(t, fmt.Sprint("crashes ", h.crashes), modelSources, true)
	}
}

// TestAnotherMindOnTheWay: at every moment, and with a crash at every moment
// after it, the owner wants the old queue back, or a third one.
func TestAnotherMindOnTheWay(t *testing.T) {
	live, want := queueOf("classic", 0), queueOf("quorum", 0)
	for name, third := range map[string]*topology.Queue{"reverted": live, "a third form": queueOf("quorum", 60000)} {
		for _, consumers := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, %d consumers", name, consumers), func(t *testing.T) {
				_, decisions, _ := history{live: live, want: want, consumers: consumers}.play(t)
				for at := range decisions {
					h := history{live: live, want: want, consumers: consumers}
					h.before = func(_ *model, decision int, before *topology.Queue) *topology.Queue {
						if decision >= at {
							return third
						}
						return before
					}
					actions, _, b := h.play(t)
					b.complete(t, fmt.Sprint("changed at ", at), modelSources, true)
					for crash := 1 + at%19; crash <= actions; crash += 19 {
						h.crashes = []int{crash}
						_, _, b := h.play(t)
						b.complete(t, fmt.Sprintf("changed at %d, crash at %d", at, crash), modelSources, true)
					}
				}
			})
		}
	}
}

// TestOthersBindOnTheWay: a binding that somebody makes at any moment is there
// at the end, and its messages too.
func TestOthersBindOnTheWay(t *testing.T) {
	live, want := queueOf("classic", 0), queueOf("quorum", 0)
	late := source("late", "#", nil)
	sources := func(b *model) []*topology.Binding {
		if _, bound := b.published[late.Source]; bound { // some histories end before
			return append([]*topology.Binding{late}, modelSources...)
		}
		return modelSources
	}
	for _, consumers := range []int{0, 1} {
		_, decisions, _ := history{live: live, want: want, consumers: consumers}.play(t)
		for at := range decisions {
			h := history{live: live, want: want, consumers: consumers, before: func(b *model, decision int, want *topology.Queue) *topology.Queue {
				if _, done := b.published[late.Source]; !done && decision >= at && b.queues[modelQueueName] != nil {
					b.bind(late)
				}
				return want
			}}
			actions, _, b := h.play(t)
			b.complete(t, fmt.Sprint("bound at ", at), sources(b), false)
			for crash := 1 + at%19; crash <= actions; crash += 19 {
				h.crashes = []int{crash}
				_, _, b := h.play(t)
				b.complete(t, fmt.Sprintf("bound at %d, crash at %d", at, crash), sources(b), false)
			}
		}
	}
}

// TestConsumersComeAndGo: they stop at any moment, or start at any moment. One
// that starts while the backlog is moved gets what is left of the queue first.
func TestConsumersComeAndGo(t *testing.T) {
	live, want := queueOf("quorum", 0), queueOf("classic", 0)
	for _, from := range []int{0, 1} {
		_, decisions, _ := history{live: live, want: want, consumers: from}.play(t)
		for at := range decisions {
			h := history{live: live, want: want, consumers: from, before: func(b *model, decision int, want *topology.Queue) *topology.Queue {
				if decision == at {
					b.consumers = 1 - from
				}
				return want
			}}
			_, _, b := h.play(t)
			b.complete(t, fmt.Sprintf("from %d consumers at %d", from, at), modelSources, from == 1)
		}
	}
}

func TestNothingToDo(t *testing.T) {
	b := newModel(queueOf("quorum", 0), modelSources...)
	if d := Decide(queueOf("quorum", 0), b.state(), &Memory{}, b.now); !d.Progress.Done || len(d.Actions) > 0 {
		t.Errorf("a queue as wanted: %+v", d)
	}
	delete(b.queues, modelQueueName)
	d := Decide(queueOf("quorum", 0), b.state(), &Memory{}, b.now)
	if !slices.ContainsFunc(d.Actions, func(a Action) bool { c, ok := a.(Create); return ok && c.Resource.ID() == queueOf("", 0).ID() }) {
		t.Errorf("a queue that is gone: %+v", d)
	}
}
