package kafka

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSpread(t *testing.T) {
	three := []node{{1, "a"}, {2, "b"}, {3, "c"}}
	for reason, c := range map[string]struct {
		nodes   []node
		current [][]int32
		wanted  int
		want    [][]int32
	}{
		"what has the wanted count stays, however uneven": {
			three, [][]int32{{1, 2}, {1, 2}, {1, 2}}, 2, [][]int32{{1, 2}, {1, 2}, {1, 2}},
		},
		"new replicas go where fewest are, leaders stay": {
			three, [][]int32{{1}, {2}, {3}}, 2, [][]int32{{1, 2}, {2, 3}, {3, 1}},
		},
		"a topic that grew up on one broker gets leaders on all": {
			three, [][]int32{{1}, {1}, {1}}, 3, [][]int32{{2, 1, 3}, {3, 2, 1}, {1, 2, 3}},
		},
		"the second replica goes to another rack than the first": {
			[]node{{1, "a"}, {2, "a"}, {3, "a"}, {4, "b"}}, [][]int32{{1}, {2}, {3}}, 2, [][]int32{{1, 4}, {2, 4}, {3, 4}},
		},
		"racks count for nothing if a broker has none": {
			[]node{{1, "a"}, {2, "a"}, {3, ""}}, [][]int32{{1}, {3}}, 2, [][]int32{{1, 2}, {3, 1}},
		},
		"of two in a rack one goes, the leader last": {
			[]node{{1, "a"}, {2, "a"}, {3, "b"}}, [][]int32{{1, 2, 3}}, 2, [][]int32{{1, 3}},
		},
		"the preferred leader stays when others go": {
			three, [][]int32{{3, 1, 2}}, 1, [][]int32{{3}},
		},
		"what is on a broker that is down goes first, the leader's replica too": {
			three[:2], [][]int32{{3, 1, 2}}, 2, [][]int32{{1, 2}},
		},
		"a replica that is down stays where more are wanted": {
			three[:2], [][]int32{{3}}, 2, [][]int32{{3, 1}},
		},
	} {
		t.Run(reason, func(t *testing.T) {
			before := deepClone(c.current)
			if diff := cmp.Diff(c.want, spread(c.nodes, c.current, c.wanted)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(before, c.current); diff != "" {
				t.Errorf("the current replicas were changed (-before +after)\n%s", diff)
			}
		})
	}
}

func deepClone(all [][]int32) [][]int32 {
	out := make([][]int32, len(all))
	for i, replicas := range all {
		out[i] = slices.Clone(replicas)
	}
	return out
}

// cluster draws brokers that are up, with racks or without, and a topic on them.
func cluster(t *rapid.T) (nodes []node, current [][]int32, wanted int) {
	racks := rapid.SampledFrom([][]string{{""}, {"a"}, {"a", "b"}, {"a", "b", "c"}, {"a", "a", "b"}, {"a", ""}}).Draw(t, "racks")
	ids := rapid.SliceOfNDistinct(rapid.Int32Range(0, 40), 1, 9, rapid.ID[int32]).Draw(t, "ids")
	for _, id := range ids {
		nodes = append(nodes, node{id, rapid.SampledFrom(racks).Draw(t, "rack")})
	}
	for range rapid.IntRange(0, 40).Draw(t, "partitions") {
		count := rapid.IntRange(1, len(ids)).Draw(t, "replicas")
		current = append(current, rapid.Permutation(ids).Draw(t, "order")[:count:count])
	}
	return nodes, current, rapid.IntRange(1, len(ids)).Draw(t, "wanted")
}

func TestSpreadProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes, current, wanted := cluster(t)
		got := spread(nodes, current, wanted)
		racks := map[int32]string{}
		all := map[string]bool{}
		for _, n := range nodes {
			racks[n.id] = n.rack
			all[n.rack] = true
		}
		if all[""] {
			for id := range racks {
				racks[id] = ""
			}
			all = map[string]bool{"": true}
		}
		if diff := cmp.Diff(got, spread(nodes, current, wanted)); diff != "" {
			t.Fatalf("the same twice gave another result:\n%s", diff)
		}
		if diff := cmp.Diff(got, spread(nodes, got, wanted)); diff != "" {
			t.Fatalf("what is spread already is moved:\n%s", diff)
		}
		for p, replicas := range got {
			before := current[p]
			if len(replicas) != wanted {
				t.Fatalf("partition %d has %v, want %d replicas", p, replicas, wanted)
			}
			if sorted := slices.Sorted(slices.Values(replicas)); len(slices.Compact(sorted)) != wanted {
				t.Fatalf("partition %d has a broker twice: %v", p, replicas)
			}
			if len(before) == wanted && !slices.Equal(before, replicas) {
				t.Fatalf("partition %d was right and became %v", p, replicas)
			}
			if stay := kept(before, replicas); stay != min(wanted, len(before)) {
				t.Fatalf("partition %d: %v became %v: %d replicas stay", p, before, replicas, stay)
			}
			possible := min(len(all), wanted, distinct(before, racks)+max(0, wanted-len(before)))
			if is := distinct(replicas, racks); len(before) != wanted && is != possible {
				t.Fatalf("partition %d: %v became %v, on %d racks where %d are possible", p, before, replicas, is, possible)
			}
		}
		checkBalance(t, nodes, racks, current, got, wanted)
	})
}

// checkBalance: nothing that was placed anew would stand better elsewhere.
func checkBalance(t *rapid.T, nodes []node, racks map[int32]string, current, got [][]int32, wanted int) {
	load, leads := map[int32]int{}, map[int32]int{}
	for _, replicas := range got {
		for _, id := range replicas {
			load[id]++
		}
		leads[replicas[0]]++
	}
	for p, replicas := range got {
		if len(current[p]) == wanted {
			continue
		}
		for _, id := range replicas[1:] {
			if leads[replicas[0]]-leads[id] > 1 {
				t.Fatalf("partition %d %v is led by %d with %d others, and %d leads %d", p, replicas, replicas[0], leads[replicas[0]]-1, id, leads[id])
			}
		}
		for _, from := range replicas {
			if slices.Contains(current[p], from) {
				continue // data that is there stays
			}
			for _, n := range nodes {
				moved := slices.Clone(replicas)
				moved[slices.Index(moved, from)] = n.id
				if !slices.Contains(replicas, n.id) && load[from]-load[n.id] > 1 && distinct(moved, racks) >= distinct(replicas, racks) && crowding(moved, racks) <= crowding(replicas, racks) {
					t.Fatalf("partition %d %v: broker %d has %d replicas, and %d has %d", p, replicas, from, load[from], n.id, load[n.id])
				}
			}
		}
	}
}

func kept(before, after []int32) int {
	return len(after) - len(slices.DeleteFunc(slices.Clone(after), func(id int32) bool { return slices.Contains(before, id) }))
}

func distinct(replicas []int32, racks map[int32]string) int {
	seen := map[string]bool{}
	for _, id := range replicas {
		seen[racks[id]] = true
	}
	return len(seen)
}

// crowding is what is to be small: pairs of replicas in one rack.
func crowding(replicas []int32, racks map[int32]string) int {
	pairs := 0
	for i, a := range replicas {
		for _, b := range replicas[:i] {
			if racks[a] != "" && racks[a] == racks[b] {
				pairs++
			}
		}
	}
	return pairs
}
