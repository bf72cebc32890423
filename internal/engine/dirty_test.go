package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

func names(keys []topology.OwnerKey) []string {
	var out []string
	for _, key := range keys {
		out = append(out, key.Name)
	}
	return out
}

// Who edits an object waits for it; who rolls out thousands does not wait for one.
func TestEditsComeBeforeARollOut(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/zebra", wants(queue("zebra"))))
	s.edits()
	for i := range 20 {
		s.set(cr(fmt.Sprintf("shop/new%02d", i), wants(queue(fmt.Sprint("new", i)))))
	}
	s.set(cr("shop/zebra", wants(queue("zebra", "x-max-length", int64(1)))))
	check(t, "the edit is among the first few", []string{"new00", "new01", "new02", "zebra"}, names(s.cluster.takeDirty(via, Everything, 4)))
	check(t, "then those that wait longest", []string{"new03", "new04", "new05", "new06"}, names(s.cluster.takeDirty(via, Everything, 4)))
}

func TestEditsLeaveRoomForARollOut(t *testing.T) {
	s := newStage(t)
	for i := range 20 {
		s.set(cr(fmt.Sprintf("shop/old%02d", i), wants(queue(fmt.Sprint("old", i)))))
	}
	s.edits()
	s.set(cr("shop/a-new-one", wants(queue("fresh"))))
	for i := range 20 {
		s.set(cr(fmt.Sprintf("shop/old%02d", i), wants(queue(fmt.Sprint("old", i), "x-max-length", int64(1)))))
	}
	check(t, "a quarter is for who has waited longest", []string{"a-new-one", "old00", "old01", "old02"}, names(s.cluster.takeDirty(via, Everything, 4)))
}

// A binding that is taken up before its queue would be told to be blocked, and to
// be well a moment later: a status write for nothing.
func TestWhatOthersNeedComesFirst(t *testing.T) {
	s := newStage(t)
	s.set(
		cr("shop/binding", wants(bind("orders", "mail", "#"))),
		cr("shop/mail", wants(queue("mail"), bind("orders", "mail", "own"))),
		cr("shop/orders", wants(exchange("orders"))),
		cr("shop/stray", wants(bind("elsewhere", "nowhere", "#"))),
	)
	check(t, "exchange, and what waits for nobody", []string{"orders", "stray"}, names(s.cluster.takeDirty(via, Everything, 2)))
	check(t, "then by the time they wait", []string{"binding", "mail"}, names(s.cluster.takeDirty(via, Everything, 2)))
}

func TestPace(t *testing.T) {
	for name, tc := range map[string]struct {
		writes int
		took   time.Duration
		want   int
	}{
		"Unknown":  {writes: 0, took: time.Second, want: MostEdits},
		"Few":      {writes: 3, took: time.Second, want: MostEdits},
		"Quick":    {writes: 1000, took: 200 * time.Millisecond, want: MostEdits},
		"Slower":   {writes: 1000, took: 600 * time.Millisecond, want: 500},
		"Crawling": {writes: 1000, took: time.Minute, want: fewestEdits},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.cluster.notePace(via, tc.writes, tc.took)
			check(t, "owners in the next pass", tc.want, s.cluster.pace.most(via))
			check(t, "another connection has its own pace", MostEdits, s.cluster.pace.most(second))
		})
	}
}

// Edits do not wait for a roll-out, which runs beside them.
func TestRollOutBesideEdits(t *testing.T) {
	part := func(s *stage, part Part) int {
		report, err := s.cluster.EditsOf(context.Background(), s.session, part)
		if err != nil {
			t.Fatal(err)
		}
		if report == nil {
			return 0
		}
		return len(report.Verdicts)
	}
	due := func(s *stage, part Part) bool {
		_, any := s.cluster.NextOf(via, part)
		return any
	}
	for name, tc := range map[string]struct{ fresh, edits, rolledOut int }{
		"Small": {fresh: smallRollOut, edits: smallRollOut + 1},
		"Large": {fresh: smallRollOut + 1, edits: 1, rolledOut: smallRollOut + 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.set(cr("shop/old", wants(queue("old"))))
			s.edits()
			s.set(cr("shop/old", wants(queue("old", "x-max-length", int64(1)))))
			for i := range tc.fresh {
				s.set(cr(fmt.Sprintf("shop/new%02d", i), wants(queue(fmt.Sprint("new", i)))))
			}
			check(t, "there is something for edits", true, due(s, Edited))
			check(t, "a large roll-out is for itself", tc.rolledOut > 0, due(s, RolledOut))
			check(t, "edits", tc.edits, part(s, Edited))
			check(t, "rolled out", tc.rolledOut, part(s, RolledOut))
			check(t, "nothing is left", false, due(s, Everything))
		})
	}
}
