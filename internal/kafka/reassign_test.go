package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// mover changes the replicas of topics on the shared cluster of three nodes.
type mover struct {
	*testing.T
	cluster *harness.Kafka
	broker  *Broker
	admin   *kadm.Client
	prefix  string
}

func newMover(t *testing.T) *mover {
	t.Helper()
	k := harness.SharedKafka3(t)
	return &mover{T: t, cluster: k, broker: connect(t, Options{BootstrapServers: k.Bootstrap}), admin: k.Admin(t), prefix: k.NewTopicPrefix(t)}
}

func (m *mover) topic(name string, assignments ...[]int32) *topology.Topic {
	m.Helper()
	made := &topology.Topic{Name: m.prefix + name, Assignments: assignments}
	converge(m, m.broker, made)
	return made
}

func (m *mover) fill(name string, partition int32, megabytes int) {
	m.Helper()
	client := m.cluster.Client(m, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	value := make([]byte, 512<<10)
	for range 2 * megabytes {
		record := &kgo.Record{Topic: m.prefix + name, Partition: partition, Value: value}
		if err := client.ProduceSync(within(m, 30*time.Second), record).FirstErr(); err != nil {
			m.Fatalf("produce: %v", err)
		}
	}
}

func (m *mover) advance(b *Broker, want *topology.Topic) topology.Progress {
	m.Helper()
	progress, err := b.Advance(m.Context(), topology.Operation{Kind: topology.OperationReassign, Want: want})
	if err != nil {
		m.Fatalf("Advance: %v", err)
	}
	return progress
}

// finish advances until all is done, and returns what was said on the way.
func (m *mover) finish(want *topology.Topic) (said []topology.Progress) {
	m.Helper()
	harness.Eventually(m, want.Name+" has its replicas", func() bool {
		progress := m.advance(m.broker, want)
		said = append(said, progress)
		return progress.Done
	})
	// Brokers learn of it one by one.
	harness.Eventually(m, want.Name+" shows them", func() bool { return len(want.Diff(look(m, m.broker, want.Name))) == 0 })
	return said
}

func (m *mover) assignments(name string) [][]int32 {
	m.Helper()
	return look(m, m.broker, m.prefix+name).Assignments
}

// config is what is set on a topic.
func (m *mover) config(name string) map[string]string {
	m.Helper()
	return look(m, m.broker, m.prefix+name).Config
}

func TestReplicationFactor(t *testing.T) {
	m := newMover(t)
	made := m.topic("factor", []int32{1}, []int32{2}, []int32{3}, []int32{1})
	unlisted := map[string]string{"retention.ms": "86400000"}
	by := kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("86400000")}
	if _, err := m.admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{by}, made.Name); err != nil {
		t.Fatal(err)
	}
	before := m.assignments("factor")
	for _, factor := range []int16{3, 2, 1} {
		want := &topology.Topic{Name: made.Name, ReplicationFactor: factor}
		said := m.finish(want)
		if first := said[0]; first.Done || first.Left != 4 || first.Step != stepReassigning || first.After <= 0 || !strings.Contains(first.Message, "4 on the way") {
			t.Errorf("factor %d: the first word is %+v", factor, first)
		}
		if last := said[len(said)-1]; last.Left != 0 || last.Moved != 4 {
			t.Errorf("factor %d: the last word is %+v", factor, last)
		}
		for p, replicas := range m.assignments("factor") {
			if len(replicas) != int(factor) || replicas[0] != before[p][0] {
				t.Errorf("factor %d: partition %d is on %v, and began on %v", factor, p, replicas, before[p])
			}
		}
		if diff := cmp.Diff(unlisted, m.config("factor")); diff != "" {
			t.Errorf("factor %d: configs that nobody declared (-want +got)\n%s", factor, diff)
		}
	}
}

func TestAssignmentsChange(t *testing.T) {
	m := newMover(t)
	m.topic("placed", []int32{1, 2}, []int32{2, 3}, []int32{3, 1})
	want := &topology.Topic{Name: m.prefix + "placed", Assignments: [][]int32{{2, 1}, {1, 2, 3}, {3, 1}}}
	m.finish(want)
	if diff := cmp.Diff(want.Assignments, m.assignments("placed")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for reason, c := range map[string]struct {
		want  topology.Topic
		words string
	}{
		"more replicas than brokers": {topology.Topic{ReplicationFactor: 4}, "replicationFactor 4 needs as many brokers, and the cluster has 3 brokers (1, 2, 3)"},
		"a broker that is not there": {topology.Topic{Assignments: [][]int32{{1}, {9}}}, "assignments[1] names broker 9"},
		"a broker twice":             {topology.Topic{Assignments: [][]int32{{1, 1}}}, "partition 0"},
	} {
		c.want.Name = want.Name
		_, err := m.broker.Advance(t.Context(), topology.Operation{Kind: topology.OperationReassign, Want: &c.want})
		(&failure{Class: topology.ClassRejected, Operation: opReassign, Words: []string{c.words, want.Name}}).check(t, reason, err)
	}
	if diff := cmp.Diff(want.Assignments, m.assignments("placed")); diff != "" {
		t.Errorf("after the refusals (-want +got)\n%s", diff)
	}
	_, err := m.broker.Advance(t.Context(), topology.Operation{Kind: topology.OperationReassign, Want: &topology.Topic{Name: m.prefix + "nowhere", ReplicationFactor: 1}})
	(&failure{Class: topology.ClassPending, Operation: opReassign, Words: []string{"nowhere"}}).check(t, "a topic that is not there", err)
}

func TestBatches(t *testing.T) {
	m := newMover(t)
	// Spread evenly; Kafka spreads over the brokers that have joined by that time.
	made := &topology.Topic{Name: m.prefix + "wide", Partitions: 2*mostMoving + 3}
	for p := range made.Partitions {
		made.Assignments = append(made.Assignments, []int32{1 + p%3})
	}
	converge(t, m.broker, made)
	for _, p := range m.finish(&topology.Topic{Name: made.Name, ReplicationFactor: 2}) {
		if p.Moved+p.Left != int64(made.Partitions) {
			t.Errorf("%d partitions moved and %d left, of %d", p.Moved, p.Left, made.Partitions)
		}
		var on int
		if _, after, found := strings.Cut(p.Message, "in place, "); found {
			if _, err := fmt.Sscanf(after, "%d on the way", &on); err != nil || on > mostMoving {
				t.Errorf("%d on the way (%v): %s", on, err, p.Message)
			}
		}
	}
	load := map[int32]int{}
	for _, replicas := range m.assignments("wide") {
		for _, id := range replicas {
			load[id]++
		}
	}
	// Broker 1 is alone in its rack: each partition has a replica there.
	if load[1] != int(made.Partitions) || load[2]+load[3] != int(made.Partitions) || max(load[2]-load[3], load[3]-load[2]) > 1 {
		t.Errorf("replicas by broker: %v", load)
	}
}
