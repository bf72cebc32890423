package controllers

import (
	"fmt"
	"slices"
	"testing"

	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

func verdictOn(name string, generation int64) engine.Verdict {
	return engine.Verdict{Owner: topology.Owner{OwnerKey: topology.OwnerKey{Kind: "Queue", Namespace: "shop", Name: name}, Generation: generation}}
}

func TestVerdictQueue(t *testing.T) {
	busy := func(names ...string) map[topology.OwnerKey]engine.Verdict {
		out := map[topology.OwnerKey]engine.Verdict{}
		for _, name := range names {
			out[verdictOn(name, 1).Owner.OwnerKey] = engine.Verdict{}
		}
		return out
	}
	for name, tc := range map[string]struct {
		reason string
		add    []engine.Verdict
		busy   map[topology.OwnerKey]engine.Verdict
		only   bool // what was edited
		left   int
		want   []string
	}{
		"OnlyEdited": {
			reason: "what is new is for other writers", only: true, left: 1,
			add: []engine.Verdict{verdictOn("n", 1), verdictOn("e1", 2), verdictOn("e2", 2), verdictOn("e3", 2), verdictOn("e4", 2)}, want: []string{"e1@2", "e2@2", "e3@2", "e4@2"},
		},
		"InOrder": {reason: "new objects come as they came", add: []engine.Verdict{verdictOn("b", 1), verdictOn("a", 1)}, want: []string{"b@1", "a@1"}},
		"Edited": {
			reason: "what was edited goes first, and one in four is another",
			add:    []engine.Verdict{verdictOn("n1", 1), verdictOn("n2", 1), verdictOn("e1", 2), verdictOn("e2", 2), verdictOn("e3", 7), verdictOn("e4", 2)},
			want:   []string{"e1@2", "e2@2", "e3@7", "n1@1", "e4@2", "n2@1"},
		},
		"Latest": {reason: "the last word counts, in the place of the first", add: []engine.Verdict{verdictOn("a", 1), verdictOn("b", 1), verdictOn("a", 2)}, want: []string{"a@2", "b@1"}},
		"Busy":   {reason: "what is in hand waits, and the others do not", add: []engine.Verdict{verdictOn("a", 1), verdictOn("b", 1), verdictOn("c", 1)}, busy: busy("a", "b"), want: []string{"c@1"}},
		"Empty":  {reason: "nothing is no verdict"},
	} {
		t.Run(name, func(t *testing.T) {
			q := newVerdictQueue()
			for _, v := range tc.add {
				q.add(v)
			}
			var got []string
			for v, ok := q.take(tc.busy, tc.only); ok; v, ok = q.take(tc.busy, tc.only) {
				got = append(got, fmt.Sprintf("%s@%d", v.Owner.Name, v.Owner.Generation))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s: %v, want %v", tc.reason, got, tc.want)
			}
			if left := len(q.latest); left != len(tc.busy)+tc.left {
				t.Errorf("%d verdicts left, want %d", left, len(tc.busy)+tc.left)
			}
		})
	}
}
