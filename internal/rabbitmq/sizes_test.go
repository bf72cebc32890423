package rabbitmq

import (
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestCheaperOneByOne(t *testing.T) {
	var s sizes
	listed := func(virtualHost string, n int) { s.note(topology.KindQueue, map[string]int{virtualHost: n}) }
	listed("small", 100)
	listed("large", 100*rowsPerRead)
	for name, tc := range map[string]struct {
		reason string
		kind   topology.Kind
		in     []string
		reads  int
		want   bool
	}{
		"Few":     {reason: "a hundred reads cost what the listing does", kind: topology.KindQueue, in: []string{"large"}, reads: 100, want: true},
		"Many":    {reason: "one more costs more", kind: topology.KindQueue, in: []string{"large"}, reads: 101},
		"Small":   {reason: "a short listing is cheap", kind: topology.KindQueue, in: []string{"small"}, reads: 3},
		"Both":    {reason: "objects of two virtual hosts take the listing of the cluster", kind: topology.KindQueue, in: []string{"small", "large"}, reads: 102, want: true},
		"Unknown": {reason: "of what was never listed nothing is known", kind: topology.KindQueue, in: []string{"new"}, reads: 1},
		"Kind":    {reason: "each kind has a listing of its own", kind: topology.KindExchange, in: []string{"large"}, reads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var ids []topology.ID
			for _, scope := range tc.in {
				ids = append(ids, topology.ID{Kind: tc.kind, Scope: scope, Name: "q"})
			}
			if got := s.cheaper(tc.kind, ids, tc.reads); got != tc.want {
				t.Errorf("%s: %v", tc.reason, got)
			}
		})
	}
	listed("large", 1<<20)
	if s.cheaper(topology.KindQueue, []topology.ID{topology.QueueID("large", "q")}, mostSingles+1) {
		t.Error("more single reads than a broker ought to have at a time")
	}
}

// A listing that breaks off must not pass for a shorter one.
func TestListingBrokenOff(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		whole  bool
		n      int
	}{
		"Empty":        {answer: " []", whole: true},
		"Two":          {answer: `[{"name":"a"}, {"name":"b"}]` + "\n", whole: true, n: 2},
		"One":          {answer: `{"name":"a"}`, whole: true, n: 1},
		"AfterAnEntry": {answer: `[{"name":"a"}`},
		"AfterAComma":  {answer: `[{"name":"a"},`},
		"InAnEntry":    {answer: `[{"name":"a"`},
		"Nothing":      {answer: ``},
		"AnotherShape": {answer: `"queues"`},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := readAll[wireQueue](tc.answer)
			if (err == nil) != tc.whole {
				t.Errorf("%q: %v", tc.answer, err)
			}
			if tc.whole && len(all) != tc.n {
				t.Errorf("%q: %d objects, want %d", tc.answer, len(all), tc.n)
			}
		})
	}
}
