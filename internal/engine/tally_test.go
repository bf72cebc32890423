package engine

import (
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// underway renders what is on the books, with ages.
func (s *stage) underway() []string {
	var out []string
	for _, o := range s.cluster.Operations() {
		out = append(out, string(o.Kind)+" "+o.ID.String()+" via "+o.Connection.Name+" at "+o.Step+
			" for "+s.clock().Sub(o.Since).String()+", got on "+s.clock().Sub(o.Moved).String()+" ago")
	}
	return out
}

func counted(kind topology.OperationKind, outcome string, n int64) map[OperationKey]int64 {
	return map[OperationKey]int64{{Connection: via, Kind: kind, Outcome: outcome}: n}
}

// What metrics tell of an operation: its age, since when it stands still, and how
// it ended.
func TestOperationsForMetrics(t *testing.T) {
	s := migrating(t)
	check(t, "it has begun", []string{"Migrate queue shop/q via broker at  for 0s, got on 0s ago"}, s.underway())
	s.wait(time.Minute)
	s.advance()
	check(t, "it is at its first step", []string{"Migrate queue shop/q via broker at Lead for 1m0s, got on 0s ago"}, s.underway())
	s.wait(time.Minute)
	check(t, "and stays there", []string{"Migrate queue shop/q via broker at Lead for 2m0s, got on 1m0s ago"}, s.underway())
	s.cluster.Forsake(via)
	s.wait(time.Hour)
	check(t, "its connection is gone, and it is on the books still", []string{"Migrate queue shop/q via broker at Lead for 1h2m0s, got on 1h1m0s ago"}, s.underway())

	s.restart()
	s.set(cr("shop/q", migrates, generation(2), wants(exchange("x"), shorter())), cr("audit/b", wants(bind("x", "q", "k"))))
	s.edits()
	check(t, "another process counts from its own start", []string{"Migrate queue shop/q via broker at  for 0s, got on 0s ago"}, s.underway())
	s.quiesce()
	check(t, "it is over", []string(nil), s.underway())
	check(t, "and was counted once", counted(topology.OperationMigrate, OutcomeDone, 1), s.cluster.OperationCounts())
}

func TestOutcomesOfOperations(t *testing.T) {
	t.Run("InUse", func(t *testing.T) {
		s := migrating(t)
		s.broker.faults[shorter().ID()] = []fault{refuse(topology.ClassInUse, "it holds messages")}
		s.advance()
		check(t, "it found the queue in use", counted(topology.OperationMigrate, OutcomeInUse, 1), s.cluster.OperationCounts())
	})
	t.Run("Dropped", func(t *testing.T) {
		s := newStage(t)
		moved := topic("t")
		s.set(cr("shop/t", wants(moved)))
		s.edits()
		s.shelf.mu.Lock()
		entry := s.shelf.saved[moved.ID()]
		entry.Operation = topology.OperationReassign
		s.shelf.saved[moved.ID()] = entry
		s.shelf.mu.Unlock()
		s.restart()
		s.broker.hand(func() { delete(s.broker.live, moved.ID()) })
		s.edits()
		check(t, "its topic and its owner are gone, and it with them", counted(topology.OperationReassign, OutcomeDropped, 1), s.cluster.OperationCounts())
	})
}

// Counts begin anew with each step, and what was moved before a process began is
// not its own.
func TestWhatAnOperationMoved(t *testing.T) {
	at := func(step string, moved int64) topology.Progress { return topology.Progress{Step: step, Moved: moved} }
	for name, c := range map[string]struct {
		resumed bool
		want    int64
	}{
		"FromItsBeginning": {want: 100 + 30 + 5},
		"Resumed":          {resumed: true, want: 30 + 5},
	} {
		t.Run(name, func(t *testing.T) {
			w := &watch{resumed: c.resumed}
			var sum int64
			for _, progress := range []topology.Progress{at("Draining", 100), at("Draining", 100), at("Draining", 130), at("Returning", 5), at("Returning", 2), {Done: true}} {
				sum += w.see(progress, birth)
			}
			check(t, "moved", c.want, sum)
		})
	}
}
