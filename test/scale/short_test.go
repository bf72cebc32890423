package scale

import (
	"testing"
	"time"
)

// The workloads of `make bench`, short enough for every run of the tests: what
// is counted must be right, and no ratio be out of all proportion. The bounds
// leave room for a machine that does other things at the same time, and each
// ratio is measured again before it counts as too high.
const (
	shortObjects = 210
	attempts     = 3
)

func TestShort(t *testing.T) {
	s := newScene(t)
	s.recordCalls()
	cut := s.behindProxy()
	size := sizeOf(shortObjects)
	s.shortCreation(t, size)
	s.settle(time.Second)

	lost := s.loseExchange(size)
	t.Log(lost)
	s.shortEdits(t)

	restart := s.restart()
	t.Log(restart)
	// The objects of the inventory, of which the new process becomes the holder.
	restart.atMost(t, "writes to the API server", float64(s.inventories()))
	restart.atMost(t, "requests to the broker", 40)

	s.checkEvery(2 * time.Second)
	idle, cpu := s.idle(4 * time.Second)
	t.Log(idle, cpu)
	away := s.outage(cut, 3*time.Second)
	t.Log(away)
	away.atMost(t, "requests to the broker", 60)
}

// shortCreation checks the counts of every attempt, and the ratio of the best.
func (s *scene) shortCreation(t *testing.T, size size) {
	t.Helper()
	const most = 5
	r := s.creation(size, true)
	r.ID = "create"
	t.Log(r)
	// Its statuses, and the inventory before each of the few passes.
	if _, writes := s.apiCalls(time.Time{}); len(writes) > size.objects()+size.objects()/4 {
		t.Errorf("%d writes to the API server for %d objects", len(writes), size.objects())
	}
	for again := 1; r.Ratio > most && again < attempts; again++ {
		r = newSceneOn(t, s.broker).creation(size, true)
		r.ID = "create again"
		t.Log(r)
	}
	if r.Ratio > most {
		t.Errorf("create: in none of %d attempts was the ratio at most %v", attempts, most)
	}
}

// shortEdits compares medians: a tail takes more edits to be known.
func (s *scene) shortEdits(t *testing.T) {
	t.Helper()
	const most = 5
	ten := newSceneOn(t, s.broker)
	ten.fill(sizeAmongTen)
	for attempt := 1; ; attempt++ {
		limit, among := ten.editsQuiet(10), s.editsQuiet(10)
		ratio := among.detail(t, "p50") / limit.detail(t, "p50")
		t.Logf("ratio of the medians %.2f; among ten: %s; among many: %s", ratio, limit, among)
		if ratio <= most {
			return
		}
		if attempt == attempts {
			t.Errorf("an edit among %d objects takes %.1f times as long as one among ten", shortObjects, ratio)
			return
		}
	}
}

// atMost checks a count.
func (r *row) atMost(t *testing.T, name string, most float64) {
	t.Helper()
	for _, m := range r.Counts {
		if m.Name == name {
			if m.Value > most {
				t.Errorf("%s: %v %s, more than %v", r.ID, m.Value, name, most)
			}
			return
		}
	}
	t.Errorf("%s has no count of %s", r.ID, name)
}
