package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// consume joins a group with the given options and polls until the test ends.
func consume(t *testing.T, k *harness.Kafka, options ...kgo.Opt) {
	t.Helper()
	client := k.Client(t, options...)
	go func() {
		for t.Context().Err() == nil { // ends before the client is closed
			client.PollFetches(t.Context())
		}
	}()
}

func TestUsage(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *harness.Kafka{
		"OneNode": harness.SharedKafka, "ThreeNodes": harness.SharedKafka3,
	} {
		t.Run(name, func(t *testing.T) { testUsage(t, start(t)) })
	}
}

func testUsage(t *testing.T, shared *harness.Kafka) {
	prefix := shared.NewTopicPrefix(t)
	b := connect(t, Options{BootstrapServers: shared.Bootstrap})
	names := map[string]topology.Usage{ // what is to be seen in the end
		"empty":    {},
		"filled":   {Messages: 30},
		"trimmed":  {Messages: 4},
		"emptied":  {},
		"classic":  {Messages: 1, Consumers: 2},
		"consumer": {Consumers: 1},
		"share":    {Consumers: 1},
		"aborted":  {Messages: 2}, // a record that nobody reads, and the marker: who knows
		"left":     {},            // a group read it once
	}
	var wants []*topology.Topic
	var ids []topology.ID
	for name := range names {
		wants = append(wants, &topology.Topic{Name: prefix + name, Partitions: 3})
		ids = append(ids, topology.TopicID(prefix+name))
	}
	converge(t, b, wants...)
	producer := shared.Client(t, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for name, n := range map[string]int{"filled": 30, "trimmed": 10, "emptied": 5, "classic": 1} {
		for range n {
			if err := producer.ProduceSync(within(t, 20*time.Second), &kgo.Record{Topic: prefix + name, Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatalf("produce to %s: %v", name, err)
			}
		}
	}
	abort(t, shared, prefix+"aborted")
	trim(t, shared, prefix+"trimmed", 2) // of 4, 3 and 3
	trim(t, shared, prefix+"emptied", 99)
	for range 2 {
		consume(t, shared, kgo.ConsumeTopics(prefix+"classic"), kgo.ConsumerGroup(prefix+"classic"))
	}
	consume(t, shared, kgo.ConsumeTopics(prefix+"consumer"), kgo.ConsumerGroup(prefix+"consumer"), kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	consume(t, shared, kgo.ConsumeTopics(prefix+"share"), kgo.ShareGroup(prefix+"share"))
	once := shared.Client(t, kgo.ConsumeTopics(prefix+"left"), kgo.ConsumerGroup(prefix+"left"))
	polled, cancel := context.WithTimeout(t.Context(), time.Second)
	once.PollFetches(polled)
	cancel()
	once.Close()

	var got map[string]topology.Usage
	read := func() bool {
		snapshot := observe(t, b, topology.Selection{Usage: append(ids, topology.TopicID(prefix+"nowhere"))})
		if n := len(snapshot.Objects); n > 0 {
			t.Fatalf("%d topics were read whole, and their usage alone was asked for", n)
		}
		got = map[string]topology.Usage{}
		for id, use := range snapshot.Usage {
			got[id.Name[len(prefix):]] = use
		}
		return cmp.Equal(names, got)
	}
	for range 300 {
		if read() {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Fatalf("usage (-want +got)\n%s", diff)
	}

	var wave []topology.Step
	for name := range names {
		wave = append(wave, topology.Step{Verb: topology.VerbDelete, ID: topology.TopicID(prefix + name), IfUnused: true})
	}
	wants2 := map[string]*failure{
		"filled":   {Class: topology.ClassInUse, Operation: opDelete, Words: []string{"up to 30 messages"}},
		"trimmed":  {Class: topology.ClassInUse, Operation: opDelete, Words: []string{"up to 4 messages"}},
		"aborted":  {Class: topology.ClassInUse, Operation: opDelete, Words: []string{"up to 2 messages", "transactions leave offsets without a message"}},
		"classic":  {Class: topology.ClassInUse, Operation: opDelete, Words: []string{"up to 1 message ", "2 consumers"}},
		"consumer": {Class: topology.ClassInUse, Operation: opDelete, Words: []string{"1 consumer "}},
		"share":    {Class: topology.ClassInUse, Operation: opDelete, Words: []string{"1 consumer "}},
	}
	for _, outcome := range b.Apply(t.Context(), wave) {
		name := outcome.Step.ID.Name[len(prefix):]
		wants2[name].check(t, "guarded delete of "+name, outcome.Err)
	}
	harness.Eventually(t, "the unused ones are gone and the used ones are there", func() bool {
		return len(observe(t, b, topology.Selection{IDs: ids}).Objects) == len(wants2)
	})
}

// abort writes a record in a transaction that is called off.
func abort(t *testing.T, k *harness.Kafka, topic string) {
	t.Helper()
	client := k.Client(t, kgo.TransactionalID(topic))
	ctx := within(t, 30*time.Second)
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := client.EndTransaction(ctx, kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
}

// trim deletes the records before offset in every partition, or all there are.
func trim(t *testing.T, k *harness.Kafka, topic string, offset int64) {
	t.Helper()
	admin := k.Admin(t)
	ends, err := admin.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	offsets := ends.Offsets()
	for partition, end := range offsets[topic] {
		end.At = min(end.At, offset)
		offsets[topic][partition] = end
	}
	if _, err := admin.DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
}

func TestMembersOfAllKinds(t *testing.T) {
	kafkaAssignment := func(topics ...string) []byte {
		a := kmsg.NewConsumerMemberAssignment()
		for _, name := range topics {
			a.Topics = append(a.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: name, Partitions: []int32{0}})
		}
		return a.AppendTo(nil)
	}
	subscription := func(topics ...string) []byte {
		s := kmsg.NewConsumerMemberMetadata()
		s.Topics = topics
		return s.AppendTo(nil)
	}
	for name, c := range map[string]struct {
		reason   string
		members  func(kmsg.Response) []described
		response kmsg.Response
		want     [][]string
	}{
		"Stable": {
			reason:  "what a stable member only subscribed to, another one reads",
			members: classicMembers, response: &kmsg.DescribeGroupsResponse{Groups: []kmsg.DescribeGroupsResponseGroup{{
				State: "Stable", Members: []kmsg.DescribeGroupsResponseGroupMember{{MemberAssignment: kafkaAssignment("a"), ProtocolMetadata: subscription("a", "b")}},
			}}}, want: [][]string{{"a"}},
		},
		"Rebalancing": {
			reason:  "a rebalance takes assignments away for a moment, not the use",
			members: classicMembers, response: &kmsg.DescribeGroupsResponse{Groups: []kmsg.DescribeGroupsResponseGroup{{
				State: "PreparingRebalance", Members: []kmsg.DescribeGroupsResponseGroupMember{{ProtocolMetadata: subscription("a", "b")}},
			}}}, want: [][]string{{"a", "b"}},
		},
		"Consumer": {
			reason:  "what a member is about to get counts too",
			members: consumerMembers, response: &kmsg.ConsumerGroupDescribeResponse{Groups: []kmsg.ConsumerGroupDescribeResponseGroup{{
				Members: []kmsg.ConsumerGroupDescribeResponseGroupMember{{
					Assignment:       kmsg.Assignment{TopicPartitions: []kmsg.AssignmentTopicPartition{{Topic: "a"}}},
					TargetAssignment: kmsg.Assignment{TopicPartitions: []kmsg.AssignmentTopicPartition{{Topic: "b"}}},
				}},
			}}}, want: [][]string{{"a", "b"}},
		},
		"Streams": {
			reason:  "tasks are assigned by subtopology: everybody counts for every source",
			members: streamsMembers, response: &kmsg.StreamsGroupDescribeResponse{Groups: []kmsg.StreamsGroupDescribeResponseGroup{{
				Topology: &kmsg.StreamsGroupDescribeResponseGroupTopology{Subtopologies: []kmsg.StreamsGroupDescribeResponseGroupTopologySubtopology{
					{SourceTopics: []string{"a"}}, {RepartitionSourceTopics: []kmsg.TopicInfo{{Topic: "b"}}},
				}},
				Members: make([]kmsg.StreamsGroupDescribeResponseGroupMember, 2),
			}}}, want: [][]string{{"a", "b"}, {"a", "b"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.members(c.response)[0].members); diff != "" {
				t.Errorf("%s (-want +got)\n%s", c.reason, diff)
			}
		})
	}
}
