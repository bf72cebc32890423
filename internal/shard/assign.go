package shard

import (
	"cmp"
	"slices"
	"strconv"
)

// Assign tells who should hold each shard, given who does; "" is nobody. Whoever
// is no member holds nothing. Nobody is to hold two more than somebody else, and
// no more shards move than that takes:
//
//	shard of                stays, unless
//	a member                he holds more than his part
//	nobody, a lost member   goes to one who holds less than his part
//
// Of several possibilities rendezvous hashing chooses, so that everybody who sees
// the same says the same.
func Assign(holders, members []string) []string {
	target := make([]string, len(holders))
	if len(members) == 0 {
		return target
	}
	held := map[string][]int{}
	for n, holder := range holders {
		if slices.Contains(members, holder) {
			held[holder] = append(held[holder], n)
		}
	}
	part := parts(len(holders), members, held)
	for member, shards := range held {
		// What fits it least goes first.
		slices.SortFunc(shards, func(a, b int) int { return cmp.Compare(score(member, b), score(member, a)) })
		for _, n := range shards[:min(len(shards), part[member])] {
			target[n] = member
			part[member]--
		}
	}
	for n, holder := range target {
		if holder == "" {
			target[n] = fittest(n, members, part)
			part[target[n]]--
		}
	}
	return target
}

// parts tells how many shards each member is to hold. Those that have more than
// others get what does not divide.
func parts(shards int, members []string, held map[string][]int) map[string]int {
	even := shards / len(members)
	order := slices.Clone(members)
	slices.SortFunc(order, func(a, b string) int {
		// How many more does not count: it changes while shards are given up.
		return cmp.Or(cmp.Compare(min(len(held[b]), even+1), min(len(held[a]), even+1)), cmp.Compare(a, b))
	})
	part := map[string]int{}
	for i, member := range order {
		part[member] = even
		if i < shards%len(order) {
			part[member]++
		}
	}
	return part
}

// fittest is the member with room that a shard fits best.
func fittest(n int, members []string, room map[string]int) string {
	best := ""
	for _, member := range members {
		if room[member] > 0 && (best == "" || score(member, n) > score(best, n)) {
			best = member
		}
	}
	return best
}

// score tells how well a shard fits a member, compared with other pairs.
func score(member string, n int) uint64 { return hash(member, strconv.Itoa(n)) }
