package kafka

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// mostMoving bounds the partitions of one topic that are on their way at a time.
// Each is copied whole, as fast as disks and network go unless a throttle says
// otherwise: few at a time leave room for clients, and leave little to take back
// when the change is cancelled.
const mostMoving = 20

// place is where the replicas of one partition are.
type place struct {
	// replicas are those of the partition now, adding and removing among them.
	replicas []int32
	// adding are being copied, removing go when that is done. Both are empty
	// where nothing is under way.
	adding, removing []int32
	moving           bool
}

// heads are the replicas when the running reassignment is through.
func (p place) heads() []int32 { return without(p.replicas, p.removing) }

// holds are the replicas that it began with.
func (p place) holds() []int32 { return without(p.replicas, p.adding) }

func without(all, some []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(all), func(id int32) bool { return slices.Contains(some, id) })
}

// move sends one partition to other brokers.
type move struct {
	partition int32
	// to are the replicas that it shall have; nil calls the running
	// reassignment off, and leaves the replicas that it began with.
	to []int32
	// from holds the data meanwhile.
	from []int32
}

// adding lists the brokers that have to copy the partition.
func (m move) adding() []int32 { return without(m.to, m.from) }

// agenda is what is to be done about the replicas of a topic.
type agenda struct {
	// next are the moves to begin now.
	next []move
	// moving are on the right way already, in place are where they shall be,
	// and the others wait for their turn.
	moving, inPlace, waiting int
}

// left counts the partitions that are not in place.
func (a agenda) left() int { return len(a.next) + a.moving + a.waiting }

// planMoves tells how places become what is wanted: what is on a wrong way is
// turned at once, the rest goes in batches. It depends on what it is given alone
// and so goes on where somebody else, or an earlier life, stopped. The error is
// a sentence about what cannot be had.
func planMoves(want *topology.Topic, places []place, nodes []node) (agenda, error) {
	targets, err := targetsOf(want, places, nodes)
	if err != nil {
		return agenda{}, err
	}
	var a agenda
	var fresh []move
	for i, p := range places {
		m := move{partition: int32(i), to: targets[i], from: p.holds()}
		switch {
		case p.moving && slices.Equal(p.heads(), m.to):
			a.moving++
		case p.moving && slices.Equal(m.from, m.to):
			a.next = append(a.next, move{partition: m.partition, from: m.from})
		case p.moving:
			a.next = append(a.next, m)
		case slices.Equal(p.replicas, m.to):
			a.inPlace++
		default:
			fresh = append(fresh, m)
		}
	}
	batch := min(len(fresh), max(0, mostMoving-a.moving-len(a.next)))
	a.next, a.waiting = append(a.next, fresh[:batch]...), len(fresh)-batch
	return a, nil
}

// targetsOf gives the replicas that each partition shall have.
func targetsOf(want *topology.Topic, places []place, nodes []node) ([][]int32, error) {
	targets := make([][]int32, len(places))
	for i, p := range places {
		targets[i] = p.heads()
		if abandoned(want) {
			targets[i] = p.holds()
		}
		if wanted := int(want.ReplicationFactor); p.moving && wanted != 0 && len(targets[i]) != wanted {
			targets[i] = p.holds() // the data is there
		}
	}
	if abandoned(want) {
		return targets, nil
	}
	if len(want.Assignments) > 0 {
		return targets, assign(targets, want.Assignments, nodes)
	}
	wanted := int(want.ReplicationFactor)
	if wanted == 0 {
		return targets, nil
	}
	grows := slices.ContainsFunc(targets, func(replicas []int32) bool { return len(replicas) < wanted })
	if grows && wanted > len(nodes) {
		return nil, fmt.Errorf("replicationFactor %d needs as many brokers, and the cluster has %s: add brokers, or write at most %d",
			wanted, describeNodes(nodes), len(nodes))
	}
	return spread(nodes, targets, wanted), nil
}

// abandoned tells a wish for what is there, which is all that is left when the
// owner is gone: what is under way is called off, since the end is waited for.
func abandoned(want *topology.Topic) bool { return want.TopicID != "" }

// assign puts declared assignments in the place of targets.
func assign(targets, declared [][]int32, nodes []node) error {
	for i := range min(len(targets), len(declared)) {
		if slices.Equal(targets[i], declared[i]) {
			continue
		}
		for _, id := range declared[i] {
			up := slices.ContainsFunc(nodes, func(n node) bool { return n.id == id })
			if !up && !slices.Contains(targets[i], id) {
				return fmt.Errorf("assignments[%d] names broker %d, and the cluster has %s: name brokers that are up", i, id, describeNodes(nodes))
			}
		}
		targets[i] = slices.Clone(declared[i])
	}
	return nil
}

// describeNodes renders `3 brokers (1, 2, 3)`.
func describeNodes(nodes []node) string {
	const most = 10
	ids := make([]int, 0, len(nodes))
	for _, n := range nodes {
		ids = append(ids, int(n.id))
	}
	slices.Sort(ids)
	var words []string
	for i, id := range ids {
		if i == most {
			words = append(words, "...")
			break
		}
		words = append(words, strconv.Itoa(id))
	}
	return count(int64(len(nodes)), "broker") + " (" + strings.Join(words, ", ") + ")"
}
