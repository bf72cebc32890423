package kafka

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/internal/topology"
)

var allowUnexported = cmp.AllowUnexported(agenda{}, move{})

func TestPlanMoves(t *testing.T) {
	nodes := []node{{1, "a"}, {2, "b"}, {3, "c"}}
	for reason, c := range map[string]struct {
		want   topology.Topic
		places []place
		agenda agenda
		err    string
	}{
		"nothing is declared, and what runs may end": {
			places: []place{{replicas: []int32{1, 2}, adding: []int32{2}, moving: true}, {replicas: []int32{1}}},
			agenda: agenda{moving: 1, inPlace: 1},
		},
		"a factor is raised": {
			want:   topology.Topic{ReplicationFactor: 2},
			places: []place{{replicas: []int32{1}}, {replicas: []int32{2, 3}}},
			agenda: agenda{inPlace: 1, next: []move{{partition: 0, to: []int32{1, 2}, from: []int32{1}}}},
		},
		"what is on its way there is waited for": {
			want:   topology.Topic{ReplicationFactor: 2},
			places: []place{{replicas: []int32{1, 2}, adding: []int32{2}, moving: true}},
			agenda: agenda{moving: 1},
		},
		"taken back: what runs is called off, what is through is undone": {
			want:   topology.Topic{ReplicationFactor: 1},
			places: []place{{replicas: []int32{1, 2}, adding: []int32{2}, moving: true}, {replicas: []int32{2, 3}}, {replicas: []int32{3}}},
			agenda: agenda{inPlace: 1, next: []move{{partition: 0, from: []int32{1}}, {partition: 1, to: []int32{2}, from: []int32{2, 3}}}},
		},
		"something else is wanted: what runs is turned, from where the data is": {
			want:   topology.Topic{ReplicationFactor: 3},
			places: []place{{replicas: []int32{3, 1, 2}, adding: []int32{3}, removing: []int32{1, 2}, moving: true}},
			agenda: agenda{next: []move{{partition: 0, to: []int32{1, 2, 3}, from: []int32{1, 2}}}},
		},
		"nobody wants the topic any more: what runs is called off, the rest stays": {
			want:   topology.Topic{TopicID: "live", ReplicationFactor: 1, Assignments: [][]int32{{1, 2}, {1, 2}, {3}}},
			places: []place{{replicas: []int32{1, 2}, adding: []int32{2}, moving: true}, {replicas: []int32{1, 2}}, {replicas: []int32{3}}},
			agenda: agenda{inPlace: 2, next: []move{{partition: 0, from: []int32{1}}}},
		},
		"assignments are taken as they are": {
			want:   topology.Topic{Assignments: [][]int32{{2, 1}, {3, 1}, {1}}},
			places: []place{{replicas: []int32{1, 2}}, {replicas: []int32{3, 1}}},
			agenda: agenda{inPlace: 1, next: []move{{partition: 0, to: []int32{2, 1}, from: []int32{1, 2}}}},
		},
		"too few brokers": {
			want:   topology.Topic{ReplicationFactor: 4},
			places: []place{{replicas: []int32{1}}},
			err:    "replicationFactor 4 needs as many brokers, and the cluster has 3 brokers (1, 2, 3): add brokers, or write at most 3",
		},
		"too few brokers for what is there already is nobody's business": {
			want:   topology.Topic{ReplicationFactor: 4},
			places: []place{{replicas: []int32{1, 2, 3, 4}}},
			agenda: agenda{inPlace: 1},
		},
		"a broker that is not there": {
			want:   topology.Topic{Assignments: [][]int32{{1}, {1, 9}}},
			places: []place{{replicas: []int32{1}}, {replicas: []int32{1}}},
			err:    "assignments[1] names broker 9, and the cluster has 3 brokers (1, 2, 3)",
		},
		"a broker that is down, and has the data": {
			want:   topology.Topic{Assignments: [][]int32{{1, 9}}},
			places: []place{{replicas: []int32{9, 1}}},
			agenda: agenda{next: []move{{to: []int32{1, 9}, from: []int32{9, 1}}}},
		},
	} {
		t.Run(reason, func(t *testing.T) {
			got, err := planMoves(&c.want, c.places, nodes)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			if diff := cmp.Diff(c.agenda, got, allowUnexported); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// carryOut is what Kafka makes of a move.
func carryOut(p place, m move) place {
	if m.to == nil {
		return place{replicas: p.holds()}
	}
	holds := p.holds()
	return place{
		replicas: slices.Concat(m.to, without(holds, m.to)),
		adding:   without(m.to, holds), removing: without(holds, m.to), moving: true,
	}
}

// However the wishes change in the middle, and whichever partitions are in sync
// first: the last wish comes true, a bounded number of partitions moves at a
// time, and no partition is moved again for nothing.
func TestMovesArrive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes, current, wanted := cluster(t)
		for range rapid.IntRange(0, 2).Draw(t, "more") {
			current = append(current, current...) // more than one batch
		}
		places := make([]place, len(current))
		for i, replicas := range current {
			places[i] = place{replicas: slices.Clone(replicas)}
		}
		want := &topology.Topic{ReplicationFactor: int16(wanted)}
		changes := rapid.IntRange(0, 3).Draw(t, "changes of mind")
		for round := 0; ; round++ {
			if round > 20*len(places)+100 {
				t.Fatalf("no end: %+v", places)
			}
			a, err := planMoves(want, places, nodes)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range a.next {
				places[m.partition] = carryOut(places[m.partition], m)
			}
			moving := 0
			for i, p := range places {
				if !p.moving {
					continue
				}
				moving++
				if rapid.Bool().Draw(t, "in sync") {
					places[i] = place{replicas: p.heads()}
				}
			}
			if moving > mostMoving {
				t.Fatalf("%d partitions are on their way", moving)
			}
			if changes > 0 && rapid.IntRange(0, 3).Draw(t, "mind") == 0 {
				changes--
				want = &topology.Topic{ReplicationFactor: int16(rapid.IntRange(1, len(nodes)).Draw(t, "factor"))}
				continue
			}
			if a.left() == 0 {
				break
			}
		}
		for i, p := range places {
			if p.moving || len(p.replicas) != int(want.ReplicationFactor) {
				t.Fatalf("partition %d ends as %+v, want %d replicas", i, p, want.ReplicationFactor)
			}
		}
	})
}
