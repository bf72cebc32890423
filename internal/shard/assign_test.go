package shard

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAssign(t *testing.T) {
	for reason, test := range map[string]struct{ holders, members, want []string }{
		"nobody is there":                             {[]string{"a", ""}, nil, []string{"", ""}},
		"one has all":                                 {[]string{"", "", ""}, []string{"a"}, []string{"a", "a", "a"}},
		"a lost member's go to who has less":          {[]string{"a", "a", "x", "b"}, []string{"a", "b"}, []string{"a", "a", "b", "b"}},
		"what is balanced stays":                      {[]string{"b", "a", "b"}, []string{"a", "b"}, []string{"b", "a", "b"}},
		"whoever has more keeps what does not divide": {[]string{"b", "b", "b"}, []string{"a", "b", "c"}, nil},
	} {
		got := Assign(test.holders, test.members)
		if test.want == nil {
			check(t, test.holders, test.members, got)
		} else if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
}

// Balanced within one, as few moves as that takes, and the same whoever asks.
func TestAssignProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfNDistinct(rapid.StringMatching(`pod-[a-z0-9]{5}`), 1, 40, rapid.ID).Draw(t, "members")
		gone := rapid.SliceOfN(rapid.StringMatching(`old-[a-z0-9]{5}`), 1, 3).Draw(t, "gone")
		holder := rapid.SampledFrom(slices.Concat(members, gone, []string{""}))
		holders := rapid.SliceOfN(holder, 1, Most).Draw(t, "holders")
		got := Assign(holders, members)
		check(t, holders, members, got)
		other := slices.Clone(members)
		slices.Reverse(other)
		if diff := cmp.Diff(got, Assign(holders, other)); diff != "" {
			t.Fatalf("the order of members matters:\n%s", diff)
		}
		if diff := cmp.Diff(got, Assign(got, members)); diff != "" {
			t.Fatalf("it is not settled:\n%s", diff)
		}
		// Half done, it stays the same: shards are given up one by one.
		half := slices.Clone(holders)
		for n := range half {
			if half[n] != got[n] && rapid.Bool().Draw(t, fmt.Sprint("given up ", n)) {
				half[n] = ""
			}
		}
		for n, to := range Assign(half, members) {
			if half[n] != "" && half[n] == got[n] && to != got[n] {
				t.Fatalf("shard %d was to stay with %s, and goes to %s once others have moved", n, got[n], to)
			}
		}
	})
}

type failing interface{ Fatalf(string, ...any) }

func check(t failing, holders, members, got []string) {
	count, before := map[string]int{}, map[string]int{}
	moved := 0
	for n, to := range got {
		if !slices.Contains(members, to) {
			t.Fatalf("shard %d goes to %q of %v", n, to, members)
		}
		count[to]++
		if slices.Contains(members, holders[n]) {
			before[holders[n]]++
			if to != holders[n] {
				moved++
			}
		}
	}
	floor, extra, surplus := len(holders)/len(members), len(holders)%len(members), 0
	for _, m := range members {
		if count[m] < floor || count[m] > floor+1 {
			t.Fatalf("%s gets %d of %d shards among %d", m, count[m], len(holders), len(members))
		}
		if over := before[m] - floor; over > 0 {
			if surplus += over; extra > 0 {
				surplus, extra = surplus-1, extra-1
			}
		}
	}
	if moved != surplus {
		t.Fatalf("%d shards are taken from the living, %d are too many: %v -> %v", moved, surplus, holders, got)
	}
}

// Clusters spread over shards evenly enough that no replica has nothing to do.
func TestOf(t *testing.T) {
	counts := make([]int, 8)
	for i := range 8000 {
		counts[Of(8, "RabbitMQ", fmt.Sprintf("rabbitmq-cluster-id-%d", i))]++
	}
	for n, count := range counts {
		if count < 800 || count > 1200 {
			t.Errorf("%d of 8000 clusters are in shard %d of 8", count, n)
		}
	}
	if Of(1<<30, "a", "bc") == Of(1<<30, "ab", "c") {
		t.Error("words run together")
	}
	// Written down, since replicas of different versions must agree.
	if got := Of(Most, "Kafka", "MkU3OEVBNTcwNTJENDM2Qg"); got != 10 {
		t.Errorf("the cluster has come to belong to shard %d", got)
	}
}
