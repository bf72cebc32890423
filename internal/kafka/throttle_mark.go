package kafka

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Configs of a throttle: which replicas of a topic it holds for, and how many
// bytes per second each broker sends and receives for all of them.
const (
	leaderReplicas   = "leader.replication.throttled.replicas"
	followerReplicas = "follower.replication.throttled.replicas"
	leaderRate       = "leader.replication.throttled.rate"
	followerRate     = "follower.replication.throttled.rate"
)

// mark tells who throttles the replicas of a topic. It is kept where it is
// found after a crash: in the partition numbers of the topic's own lists, which
// Kafka reads with as many zeros in front as one likes, and gives back as they
// were written. Other tools write none.
type mark int

const (
	// free: nobody does.
	free mark = iota
	// ours: Warrener has set the lists and, on the brokers, the rates. "05:1".
	ours
	// lent: the lists are ours; the rates were there before, and stay.
	// "005:1".
	lent
	// foreign: somebody else does.
	foreign
)

var zeros = map[mark]string{ours: "0", lent: "00"}

// throttled renders the lists for moves: who sends, and who receives.
func (k mark) throttled(moves []move) (leaders, followers string) {
	moves = slices.Clone(moves)
	slices.SortFunc(moves, func(a, b move) int { return int(a.partition - b.partition) })
	var sends, receives []string
	for _, m := range moves {
		for _, id := range m.from {
			sends = append(sends, fmt.Sprintf("%s%d:%d", zeros[k], m.partition, id))
		}
		for _, id := range m.adding() {
			receives = append(receives, fmt.Sprintf("%s%d:%d", zeros[k], m.partition, id))
		}
	}
	return strings.Join(sends, ","), strings.Join(receives, ",")
}

// markOf reads the mark from a topic's lists; "" where one is not set.
func markOf(leaders, followers string) mark {
	var found mark
	for _, list := range []string{leaders, followers} {
		if list == "" {
			continue
		}
		for entry := range strings.SplitSeq(list, ",") {
			one := markOfEntry(strings.TrimSpace(entry))
			if found != free && one != found {
				return foreign
			}
			found = one
		}
	}
	return found
}

func markOfEntry(entry string) mark {
	partition, _, _ := strings.Cut(entry, ":")
	number, err := strconv.ParseUint(partition, 10, 31)
	if err != nil { // "*" among them
		return foreign
	}
	switch len(partition) - len(strconv.FormatUint(number, 10)) {
	case len(zeros[ours]):
		return ours
	case len(zeros[lent]):
		return lent
	}
	return foreign
}
