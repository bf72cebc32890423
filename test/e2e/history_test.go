package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/test/harness"
)

// Random histories: whatever was declared, edited, deleted and changed by hand,
// in whatever order, with the controller killed, the connection gone or led to
// another cluster in between: in the end the broker is as declared, nothing else
// on it was touched, no message is lost, and there is nothing left to do.
//
// WARRENER_LONG=1 plays 200 of them on each kind of broker, otherwise 25 in all.
// WARRENER_HISTORY_SEED=<seed of a failure> plays that one alone, and
// WARRENER_HISTORY_LENGTH=<n> only what happens first in it: a history that
// fails is made shorter by hand, since a run takes half a minute.

const (
	// lanes are the histories that one controller goes through at a time.
	lanes = 3
	// longest is how many a controller goes through: many deletions in a few
	// minutes look like an accident.
	longest = 9
)

func TestHistoriesRabbitMQ(t *testing.T) {
	t.Parallel()
	brokers := harness.RabbitMQs(t)
	seeds := make([][]uint64, len(brokers))
	for _, seed := range historySeeds(t, 15) {
		at := seed % uint64(len(brokers)) // a seed names the version too
		seeds[at] = append(seeds[at], seed)
	}
	var group sync.WaitGroup
	for i, broker := range brokers {
		if len(seeds[i]) > 0 {
			group.Go(func() {
				t.Run(broker.Version, func(t *testing.T) {
					other := brokers[(i+1)%len(brokers)]
					playAll(t, seeds[i], func(h *history) world { return newRabbitWorld(h, broker, other) })
				})
			})
		}
	}
	group.Wait()
}

func TestHistoriesKafka(t *testing.T) {
	t.Parallel()
	one, three := harness.SharedKafka(t), harness.SharedKafka3(t)
	newWorld := func(h *history) world { return newKafkaWorld(h, one, three) }
	seeds := historySeeds(t, 10)
	var group sync.WaitGroup
	for part := range slices.Chunk(seeds, (len(seeds)+2)/3) {
		group.Go(func() { playAll(t, part, newWorld) })
	}
	group.Wait()
}

// historySeeds are the seeds of the histories to play, n in a short run.
func historySeeds(t *testing.T, n int) []uint64 {
	t.Helper()
	if text := os.Getenv("WARRENER_HISTORY_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 63)
		must(t, err)
		return []uint64{seed}
	}
	if harness.Long() {
		n = 200
	}
	seeds := make([]uint64, n)
	first := uint64(time.Now().UnixNano()) % 1_000_000_000
	for i := range seeds {
		seeds[i] = first + uint64(i)
	}
	return seeds
}

// troupe is a controller whose namespaces have a history each at a time. A kill
// is felt by all of them.
type troupe struct {
	*stage
	// killing is held by the history that has killed the controller, and guards
	// the number of kills.
	killing sync.Mutex
	kills   int
}

// playAll plays histories, each with a world of its own.
func playAll(t *testing.T, seeds []uint64, newWorld func(*history) world) {
	for part := range slices.Chunk(seeds, longest) {
		playSome(t, part, newWorld)
	}
}

// playSome plays histories, several at a time, with a controller for all.
func playSome(t *testing.T, seeds []uint64, newWorld func(*history) world) {
	plane := harness.SharedControlPlane(t)
	plane.InstallCRDs(t, filepath.Join(harness.Root(t), "config", "crd", "bases"))
	all := &troupe{stage: &stage{t: t, plane: plane, home: plane.NewNamespace(t), client: harness.NewClient(t, plane.Config)}}
	all.kubeconfig = plane.LeastPrivilege(t, all.home)
	var flags []string
	namespaces := make([]string, min(lanes, len(seeds)))
	for i := range namespaces {
		namespaces[i] = plane.NewNamespace(t)
		all.grantSecrets(namespaces[i])
		flags = append(flags, namespaces[i])
	}
	all.controller = harness.NewController(t, all.kubeconfig, all.home, "--watch-namespaces", strings.Join(flags, ","))
	all.controller.Start(t)

	next := make(chan uint64, len(seeds))
	for _, seed := range seeds {
		next <- seed
	}
	close(next)
	var group sync.WaitGroup
	for _, namespace := range namespaces {
		// Not by t.Parallel: its limit is the number of processors, and a history
		// mostly waits.
		group.Go(func() {
			for seed := range next {
				t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { play(t, all, namespace, seed, newWorld) })
				if t.Failed() {
					return
				}
			}
		})
	}
	group.Wait()
}

// play plays one history.
func play(t *testing.T, all *troupe, namespace string, seed uint64, newWorld func(*history) world) {
	own := *all.stage
	own.t, own.namespace = t, namespace
	h := &history{stage: &own, troupe: all, name: fmt.Sprintf("h%d", seed), declared: map[int]declaration{}}
	script := scripts.Example(int(seed))
	if text := os.Getenv("WARRENER_HISTORY_LENGTH"); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		script = script[:min(n, len(script))]
	}
	t.Cleanup(func() {
		h.wake()
		if t.Failed() {
			t.Logf("WARRENER_HISTORY_SEED=%d; what happened:\n%s", seed, h.told())
		}
	})
	h.world = newWorld(h)
	h.plug()
	for _, event := range script {
		h.happen(event)
	}
	start := time.Now()
	rounds := h.calm()
	h.idles()
	h.unhindered()
	t.Logf("%d events; at rest %s after the last, at the sweep number %d", len(script), time.Since(start).Round(100*time.Millisecond), rounds)
	h.curtain()
}

// event is something that happens in a history. What it means depends on what
// there is at that moment: it always means something.
type event struct {
	What string
	// Slot of the declaration that it is about; worlds have different numbers.
	Slot int
	// Variant chooses among the ways in which it can happen.
	Variant int
	// Span is for how many events that which it ends stays away.
	Span                      int
	Deletion, Adoption, Drift int
	Suspend                   bool
	Pause                     time.Duration
}

// scripts draws histories. What draws more often stands more often in the list.
var scripts = rapid.Custom(func(t *rapid.T) []event {
	whats := []string{
		"declare", "declare", "declare", "declare", "declare", "declare", "declare", "declare",
		"delete", "delete", "delete", "hand", "hand", "hand", "fill", "fill", "drain",
		"settle", "restart", "down", "away", "unplug",
	}
	ways := func(name string, ways ...int) int { return rapid.SampledFrom(ways).Draw(t, name) }
	script := make([]event, rapid.IntRange(10, 20).Draw(t, "length"))
	for i := range script {
		script[i] = event{
			What: rapid.SampledFrom(whats).Draw(t, "what"),
			Slot: rapid.IntRange(0, 1<<20).Draw(t, "slot"), Variant: rapid.IntRange(0, 1<<20).Draw(t, "variant"),
			Span:     rapid.IntRange(1, 4).Draw(t, "span"),
			Deletion: ways("deletion", 0, 0, 0, 1, 1, 2), Adoption: ways("adoption", 0, 0, 0, 1, 2), Drift: ways("drift", 0, 0, 0, 1),
			Suspend: ways("suspend", 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) == 1,
			Pause:   time.Duration(ways("pause", 0, 0, 0, 40, 40, 300)) * time.Millisecond,
		}
		if i < 4 { // there has to be something before anything can happen to it
			script[i].What, script[i].Suspend = "declare", false
		}
	}
	return script
})

// sleep is a nap that ends with the test.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
