package shard

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func member(name string, shards, joined int) Member {
	return Member{Name: name, Shards: shards, Joined: noon.Add(time.Duration(joined) * time.Second)}
}

func TestDecide(t *testing.T) {
	a, b := member("a", 2, 0), member("b", 2, 1)
	other := member("c", 3, 2)
	for reason, test := range map[string]struct {
		me   string
		view View
		want Moves
	}{
		"the only one takes all":                          {"a", View{Members: []Member{a}}, Moves{Take: []int{0, 1}}},
		"who is not listed any more gives up all":         {"a", View{Members: []Member{b}, Holders: map[int]string{1: "a"}}, Moves{Yield: []int{1}}},
		"what is held is not taken":                       {"b", View{Members: []Member{a, b}, Holders: map[int]string{0: "a", 1: "a"}}, Moves{}},
		"a part goes to who joined":                       {"a", View{Members: []Member{a, b}, Holders: map[int]string{0: "a", 1: "a"}}, Moves{Yield: yields(t)}},
		"a dead one's are taken":                          {"b", View{Members: []Member{b}, Holders: map[int]string{0: "dead", 1: "b"}}, Moves{Take: []int{0}}},
		"leases beyond the last shard do not matter":      {"b", View{Members: []Member{b}, Holders: map[int]string{0: "b", 1: "b", 7: "dead"}}, Moves{}},
		"another number waits for the older one":          {"c", View{Members: []Member{a, other}, Holders: map[int]string{0: "a"}}, Moves{}},
		"and gives up what it has":                        {"c", View{Members: []Member{a, other}, Holders: map[int]string{2: "c"}}, Moves{Yield: []int{2}}},
		"the older one waits until it has":                {"a", View{Members: []Member{a, other}, Holders: map[int]string{0: "a", 2: "c"}}, Moves{}},
		"and then does not count it":                      {"a", View{Members: []Member{a, other}, Holders: map[int]string{0: "a"}}, Moves{Take: []int{1}}},
		"of the same second the name decides":             {"z", View{Members: []Member{member("z", 2, 0), member("y", 3, 0)}}, Moves{}},
		"who does not say is not counted, and not robbed": {"a", View{Members: []Member{a, member("0", 0, -1)}, Holders: map[int]string{0: "0", 1: "a"}}, Moves{}},
		"a dead stranger's shards are anybody's":          {"a", View{Members: []Member{a}, Holders: map[int]string{0: "a", 1: "dead", 2: "dead"}}, Moves{Take: []int{1}}},
	} {
		if diff := cmp.Diff(test.want, Decide(test.view, test.me)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
}

// yields is the one of two shards that fits a least.
func yields(t *testing.T) []int {
	t.Helper()
	if score("a", 0) < score("a", 1) {
		return []int{0}
	}
	return []int{1}
}

func TestWatch(t *testing.T) {
	w := Watch{Lasts: 10 * time.Second, Gap: 5 * time.Second}
	now := noon
	for _, step := range []struct {
		reason  string
		after   time.Duration
		marks   map[string]string
		expired []string
	}{
		{"nothing is known yet", 0, map[string]string{"a": "1", "b": "1"}, nil},
		{"", 5 * time.Second, map[string]string{"a": "2", "b": "1"}, nil},
		{"who stood still has run out", 5 * time.Second, map[string]string{"a": "2", "b": "1"}, []string{"b"}},
		{"one that is new has not", time.Second, map[string]string{"a": "3", "c": "1"}, nil},
		{"after a gap nothing is known", time.Minute, map[string]string{"a": "3", "c": "1"}, nil},
		{"", 5 * time.Second, map[string]string{"a": "4", "c": "1"}, nil},
		{"until it has been seen for long enough", 5 * time.Second, map[string]string{"a": "4", "c": "1"}, []string{"c"}},
	} {
		now = now.Add(step.after)
		if diff := cmp.Diff(step.expired, w.Look(step.marks, now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.reason, diff)
		}
	}
}
