package kafka

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

func TestAssignmentsOnThreeNodes(t *testing.T) {
	k := harness.SharedKafka3(t)
	prefix := k.NewTopicPrefix(t)
	b := connect(t, Options{BootstrapServers: k.Bootstrap})
	info, err := b.Probe(t.Context())
	if err != nil || info.Brokers != 3 {
		t.Fatalf("probe: %+v, %v", info, err)
	}
	placed := &topology.Topic{Name: prefix + "placed", Assignments: [][]int32{{1, 2}, {3, 1}}}
	counted := &topology.Topic{Name: prefix + "counted", Partitions: 4, ReplicationFactor: 3}
	converge(t, b, placed, counted)
	if live := look(t, b, counted.Name); live.ReplicationFactor != 3 || live.Partitions != 4 {
		t.Errorf("%d partitions with %d replicas, want 4 with 3", live.Partitions, live.ReplicationFactor)
	}

	grown := &topology.Topic{Name: placed.Name, Assignments: [][]int32{{1, 2}, {3, 1}, {2, 3}, {1, 3}}}
	converge(t, b, grown)
	if diff := cmp.Diff(grown.Assignments, look(t, b, placed.Name).Assignments); diff != "" {
		t.Errorf("new partitions are where they are declared (-want +got)\n%s", diff)
	}

	for reason, c := range map[string]struct {
		want  topology.Topic
		words string
	}{
		"a broker twice in one partition":   {topology.Topic{Assignments: [][]int32{{1, 1}}}, "INVALID_REPLICA_ASSIGNMENT"},
		"partitions with different factors": {topology.Topic{Assignments: [][]int32{{1, 2}, {3}}}, "INVALID_REPLICA_ASSIGNMENT"},
		"more replicas than brokers":        {topology.Topic{ReplicationFactor: 4}, "INVALID_REPLICATION_FACTOR"},
	} {
		c.want.Name = prefix + "refused"
		outcome := b.Apply(t.Context(), []topology.Step{{Verb: topology.VerbCreate, ID: c.want.ID(), Want: &c.want}})[0]
		(&failure{Class: topology.ClassRejected, Operation: opCreate, Words: []string{c.words}}).check(t, reason, outcome.Err)
	}
}

// One of three brokers is down, and a partition is on its way there: neither is
// a difference to what is declared.
func TestBrokerDownAndReassignment(t *testing.T) {
	k := harness.PrivateKafka(t, harness.KafkaOptions{ThreeNodes: true})
	b := connect(t, Options{BootstrapServers: k.Bootstrap})
	moving := &topology.Topic{Name: "moving", Partitions: 1, ReplicationFactor: 2}
	alone := &topology.Topic{Name: "alone", Assignments: [][]int32{{3}}}
	fresh := &topology.Topic{Name: "fresh", Assignments: [][]int32{{1, 3}}, Config: map[string]string{"min.insync.replicas": "1"}}
	converge(t, b, &topology.Topic{Name: moving.Name, Assignments: [][]int32{{1, 2}}}, alone, fresh)
	racks(t, b)
	unreplicated(t, k, b, fresh)
	k.Start(t)
	k.Stop(t, 3)
	harness.Eventually(t, "the cluster noticed", func() bool {
		info, err := b.Probe(t.Context())
		return err == nil && info.Brokers == 2
	})
	var move kadm.AlterPartitionAssignmentsReq
	move.Assign(moving.Name, 0, []int32{1, 3})
	responses, err := k.Admin(t).AlterPartitionAssignments(t.Context(), move)
	if err == nil {
		err = responses.Error()
	}
	if err != nil {
		t.Fatalf("reassign: %v", err)
	}
	// Brokers learn of it one by one, and the one that is read may be the last.
	harness.Eventually(t, "metadata lists the replica that is added beside those that are there", func() bool {
		found, _, err := b.readTopics(t.Context(), []string{moving.Name})
		return err == nil && len(found[moving.Name].Partitions[0].Replicas) == 3
	})

	live := look(t, b, moving.Name)
	if diff := cmp.Diff([][]int32{{1, 3}}, live.Assignments); diff != "" {
		t.Errorf("replicas are those that the reassignment leads to (-want +got)\n%s", diff)
	}
	if changes := moving.Diff(live); len(changes) > 0 {
		t.Errorf("a running reassignment is a difference: %s", topology.DescribeChanges(changes))
	}
	snapshot := observe(t, b, topology.Selection{IDs: []topology.ID{alone.ID()}, Usage: []topology.ID{alone.ID()}})
	if _, presence := snapshot.Look(alone.ID()); presence != topology.Present {
		t.Errorf("a topic whose only broker is down is %v", presence)
	}
	if use := snapshot.Usage[alone.ID()]; !use.Unknown {
		t.Errorf("its usage is %+v, want unknown", use)
	}
	outcome := b.Apply(t.Context(), []topology.Step{{Verb: topology.VerbDelete, ID: alone.ID(), IfUnused: true}})[0]
	(&failure{Class: topology.ClassTransient, Operation: opDelete, Words: []string{"no leader"}}).check(t, "guarded delete without a leader", outcome.Err)
}

// racks: broker 1 has a rack for itself, and 2 and 3 share one.
func racks(t *testing.T, b *Broker) {
	t.Helper()
	made := &topology.Topic{Name: "racks", Assignments: [][]int32{{2}, {3}, {2}, {3}}}
	converge(t, b, made)
	harness.Eventually(t, "the second replicas are there", func() bool {
		progress, err := b.Advance(t.Context(), topology.Operation{Kind: topology.OperationReassign, Want: &topology.Topic{Name: made.Name, ReplicationFactor: 2}})
		return err == nil && progress.Done
	})
	for p, replicas := range look(t, b, made.Name).Assignments {
		if !slices.Contains(replicas, 1) {
			t.Errorf("partition %d is on %v, both in one rack", p, replicas)
		}
	}
}

// unreplicated: what the leader alone has is not visible to consumers, and is a
// message all the same: its producer was told that it is safe.
func unreplicated(t *testing.T, k *harness.Kafka, b *Broker, topic *topology.Topic) {
	t.Helper()
	k.Kill(t, 3)
	client := k.Client(t, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	if err := client.ProduceSync(within(t, 10*time.Second), &kgo.Record{Topic: topic.Name, Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	use := observe(t, b, topology.Selection{IDs: []topology.ID{topic.ID()}, Usage: []topology.ID{topic.ID()}}).Usage[topic.ID()]
	if visible, err := k.Admin(t).ListEndOffsets(t.Context(), topic.Name); err != nil {
		t.Fatal(err)
	} else if offset, _ := visible.Lookup(topic.Name, 0); offset.Offset != 0 {
		t.Logf("the record was replicated before anybody looked: this proves nothing today")
	}
	if use.Messages != 1 {
		t.Errorf("it counts %+v, and the leader has 1 message", use)
	}
	outcome := b.Apply(t.Context(), []topology.Step{{Verb: topology.VerbDelete, ID: topic.ID(), IfUnused: true}})[0]
	(&failure{Class: topology.ClassInUse, Operation: opDelete, Words: []string{"up to 1 message "}}).check(t, "guarded delete", outcome.Err)
}
