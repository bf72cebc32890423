package kafka

import (
	"cmp"
	"slices"
)

// node is a broker that is up.
type node struct {
	id   int32
	rack string // "" where none is configured
}

// spread gives every partition as many replicas as wanted, which must not be
// more than there are nodes. current has the replicas by partition, the
// preferred leader first; it is not changed. The result does not depend on
// anything else.
//
// Partitions with the wanted count stay as they are, whatever else could be
// better about them: moving data costs more than an uneven spread. Of the
// others
//
//   - a replica that is there stays, and so does a preferred leader, as far as
//     the wanted count and an even number of leaders allow;
//   - replicas stand on as many racks as possible, if every node has one (Kafka
//     does not look at racks either unless all brokers have one);
//   - within that, each goes where fewest replicas of the topic are.
func spread(nodes []node, current [][]int32, wanted int) [][]int32 {
	s := newSpreading(nodes, current, wanted)
	for p := range s.replicas {
		for len(s.replicas[p]) > wanted {
			s.drop(p)
		}
		for len(s.replicas[p]) < wanted {
			s.add(p)
		}
	}
	for s.evenReplicas() {
	}
	for s.evenLeaders() {
	}
	return s.replicas
}

// spreading is a spread in the making.
type spreading struct {
	nodes    []node // by id
	racks    map[int32]string
	replicas [][]int32
	// free has, of each partition that changes, the replicas that may be
	// exchanged, and spare those that they may be exchanged for.
	free, spare map[int][]int32
	// load and leads count replicas and preferred leaders by node.
	load, leads map[int32]int
}

func newSpreading(nodes []node, current [][]int32, wanted int) *spreading {
	s := &spreading{
		nodes:    slices.SortedFunc(slices.Values(nodes), func(a, b node) int { return cmp.Compare(a.id, b.id) }),
		racks:    map[int32]string{},
		replicas: make([][]int32, len(current)),
		free:     map[int][]int32{}, spare: map[int][]int32{},
		load: map[int32]int{}, leads: map[int32]int{},
	}
	rackless := slices.ContainsFunc(nodes, func(n node) bool { return n.rack == "" })
	for _, n := range nodes {
		s.racks[n.id] = n.rack
		if rackless {
			s.racks[n.id] = ""
		}
	}
	for p, replicas := range current {
		s.replicas[p] = slices.Clone(replicas)
		for i, id := range replicas {
			s.load[id]++
			if i == 0 {
				s.leads[id]++
			}
		}
		switch {
		case len(replicas) > wanted:
			s.free[p] = slices.Clone(replicas[1:])
		case len(replicas) < wanted:
			for _, n := range s.nodes {
				if !slices.Contains(replicas, n.id) {
					s.spare[p] = append(s.spare[p], n.id)
				}
			}
		}
	}
	return s
}

func (s *spreading) up(id int32) bool { _, up := s.racks[id]; return up }

// crowd counts the other replicas of a partition in the rack of a node. Nodes
// that are down, and nodes without racks, crowd nobody.
func (s *spreading) crowd(p int, id int32) int {
	rack := s.racks[id]
	if rack == "" {
		return 0
	}
	count := 0
	for _, other := range s.replicas[p] {
		if other != id && s.racks[other] == rack {
			count++
		}
	}
	return count
}

// drop takes away the replica that is missed least. The preferred leader goes
// only if it is down.
func (s *spreading) drop(p int) {
	replicas := s.replicas[p]
	candidates := replicas[1:]
	if !s.up(replicas[0]) {
		candidates = replicas
	}
	worst := slices.MinFunc(candidates, func(a, b int32) int {
		if s.up(a) != s.up(b) {
			if s.up(b) {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(s.crowd(p, b), s.crowd(p, a)), cmp.Compare(s.load[b], s.load[a]), cmp.Compare(b, a))
	})
	if worst == replicas[0] {
		s.leads[worst]--
		s.leads[replicas[1]]++
	}
	s.replicas[p] = slices.DeleteFunc(replicas, func(id int32) bool { return id == worst })
	s.load[worst]--
	s.free[p] = slices.DeleteFunc(s.free[p], func(id int32) bool { return id == worst || id == s.replicas[p][0] })
	if s.up(worst) {
		s.spare[p] = append(s.spare[p], worst)
	}
}

func (s *spreading) add(p int) {
	best := slices.MinFunc(s.spare[p], func(a, b int32) int {
		return cmp.Or(cmp.Compare(s.crowd(p, a), s.crowd(p, b)), cmp.Compare(s.load[a], s.load[b]), cmp.Compare(a, b))
	})
	if len(s.replicas[p]) == 0 { // a gap in the broker's answer
		s.leads[best]++
	}
	s.replicas[p] = append(s.replicas[p], best)
	s.load[best]++
	s.free[p] = append(s.free[p], best)
	s.spare[p] = slices.DeleteFunc(s.spare[p], func(id int32) bool { return id == best })
}

// evenReplicas exchanges replicas that are placed anew for ones on nodes with
// at least two fewer, where that crowds no rack. False if there are none. Each
// exchange makes the sum of the squared loads smaller, so that it ends.
func (s *spreading) evenReplicas() bool {
	changed := false
	for p := range s.replicas {
		for i, from := range s.free[p] {
			for j, to := range s.spare[p] {
				if s.load[from]-s.load[to] < 2 || s.crowdWithout(p, to, from) > s.crowd(p, from) {
					continue
				}
				s.replicas[p][slices.Index(s.replicas[p], from)] = to
				s.free[p][i], s.spare[p][j] = to, from
				s.load[from]--
				s.load[to]++
				from, changed = to, true
			}
		}
	}
	return changed
}

// crowdWithout is crowd for a node that is to take another one's place.
func (s *spreading) crowdWithout(p int, id, leaving int32) int {
	count := s.crowd(p, id)
	if s.racks[id] != "" && s.racks[id] == s.racks[leaving] {
		count--
	}
	return count
}

// evenLeaders makes another replica the preferred leader where its node leads
// at least two partitions fewer. False if there is nothing to do.
func (s *spreading) evenLeaders() bool {
	changed := false
	for p, replicas := range s.replicas {
		_, grown := s.spare[p]
		_, shrunk := s.free[p]
		if len(replicas) == 0 || !grown && !shrunk {
			continue
		}
		for i := 1; i < len(replicas); i++ {
			leader, other := replicas[0], replicas[i]
			if !s.up(other) || s.leads[leader]-s.leads[other] < 2 {
				continue
			}
			replicas[0], replicas[i] = other, leader
			s.leads[leader]--
			s.leads[other]++
			changed = true
		}
	}
	return changed
}
