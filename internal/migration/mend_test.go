package migration

import (
	"fmt"
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

// TestShovelsThatABrokerLosesTrackOf: whichever start or stop of a shovel fails
// halfway, and the next one too, what is left of it is cleared away, and the
// migration ends with nothing lost, doubled or out of order. So it does if the
// process dies at any moment after that.
func TestShovelsThatABrokerLosesTrackOf(t *testing.T) {
	for name, form := range forms {
		for _, consumers := range []int{0, 1} {
			for fault, how := range map[shovelFault]string{leavesEntry: "an entry is left", leavesWorker: "a worker is left"} {
				t.Run(fmt.Sprintf("%s, %d consumers, %s", name, consumers, how), func(t *testing.T) {
					for first := 1; ; first++ {
						for _, times := range []int{1, 3} {
							failed := 0
							h := history{live: form.live, want: form.want, consumers: consumers, fails: func(number int) shovelFault {
								if number < first || number >= first+times {
									return noFault
								}
								failed++
								return fault
							}}
							actions, _, b := h.play(t)
							if failed == 0 {
								if first < 5 {
									t.Fatalf("only %d starts and stops of shovels", first-1)
								}
								return
							}
							when := fmt.Sprintf("start or stop %d fails, %d times", first, times)
							b.complete(t, when, modelSources, true)
							for crash := 1 + first%17; crash <= actions; crash += 17 {
								h.crashes = []int{crash}
								_, _, b := h.play(t)
								b.complete(t, fmt.Sprintf("%s, crash at %d", when, crash), modelSources, true)
							}
						}
					}
				})
			}
		}
	}
}

// TestShovelLeftFromBefore: a migration that begins where another one's shovel is
// still listed, or at work, ends that one first.
func TestShovelLeftFromBefore(t *testing.T) {
	for how, worker := range map[string]*StartShovel{"listed": nil, "at work": {From: NamesOf(modelQueueName).Trial, To: "nowhere"}} {
		t.Run(how, func(t *testing.T) {
			left := func(b *model, decision int) {
				if decision > 0 {
					return
				}
				if b.listed, b.worker = true, worker; worker != nil {
					trial := queueOf("classic", 0)
					trial.Name = worker.From
					b.queues[trial.Name] = &modelQueue{Queue: trial}
				}
			}
			for _, want := range []string{"classic", "quorum"} {
				h := history{live: queueOf("classic", 0), want: queueOf(want, 0), consumers: 1}
				h.before = func(b *model, decision int, want *topology.Queue) *topology.Queue { left(b, decision); return want }
				_, _, b := h.play(t)
				b.complete(t, want, modelSources, true)
			}
		})
	}
}
