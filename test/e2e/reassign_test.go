package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// replicas are where the partitions of a topic are, by number.
func (s *kafkaScene) replicas(name string) [][]int32 {
	s.t.Helper()
	details, err := s.broker.Admin(s.t).ListTopics(s.t.Context(), name)
	must(s.t, err)
	out := make([][]int32, len(details[name].Partitions))
	for _, p := range details[name].Partitions {
		out[p.Partition] = p.Replicas
	}
	return out
}

// replicated fails the test if a partition has another number of replicas.
func (s *kafkaScene) replicated(factor int, names ...string) {
	s.t.Helper()
	for _, name := range names {
		for p, replicas := range s.replicas(name) {
			if len(replicas) != factor {
				s.t.Errorf("%s: partition %d is on %v, want %d replicas", name, p, replicas, factor)
			}
		}
	}
}

// throttles lists what is set on brokers and on a topic to hold replication
// back.
func (s *kafkaScene) throttles(t *v1alpha1.Topic) map[string]string {
	s.t.Helper()
	out := map[string]string{}
	brokers, err := s.admin.DescribeBrokerConfigs(s.t.Context(), 1, 2, 3)
	must(s.t, err)
	for _, broker := range brokers {
		for _, c := range broker.Configs {
			if strings.HasSuffix(c.Key, ".throttled.rate") && c.Value != nil {
				out["broker "+broker.Name+" "+c.Key] = c.MaybeValue()
			}
		}
	}
	if s.describe(t) == nil {
		return out
	}
	for key, value := range s.configs(t) {
		if strings.HasSuffix(key, ".throttled.replicas") {
			out[key] = value
		}
	}
	return out
}

// throttled waits for the throttle of a topic to be there in full, or to be
// gone without a trace.
func (s *kafkaScene) throttled(t *v1alpha1.Topic, wanted bool) {
	s.t.Helper()
	full := 0
	if wanted {
		full = 2*3 + 2
	}
	within(s.t, fmt.Sprintf("a throttle: %t", wanted), func(context.Context) (bool, string) {
		found := s.throttles(t)
		return len(found) == full, fmt.Sprint(found)
	})
}

// unthrottle takes the rates off all brokers by hand.
func (s *kafkaScene) unthrottle() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := s.admin.AlterBrokerConfigs(ctx, []kadm.AlterConfig{
		{Op: kadm.DeleteConfig, Name: "leader.replication.throttled.rate"}, {Op: kadm.DeleteConfig, Name: "follower.replication.throttled.rate"},
	}, 1, 2, 3)
	if err != nil {
		s.t.Errorf("take the rates off: %v", err)
	}
}

// fill writes megabytes to partition 0 of a topic.
func (s *kafkaScene) fill(t *v1alpha1.Topic, megabytes int) {
	s.t.Helper()
	client := s.broker.Client(s.t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for range 2 * megabytes {
		must(s.t, client.ProduceSync(s.t.Context(), &kgo.Record{Topic: t.BrokerName(), Value: make([]byte, 512<<10)}).FirstErr())
	}
}

func assigned(partitions ...[]int32) []v1alpha1.ReplicaAssignment {
	var out []v1alpha1.ReplicaAssignment
	for _, replicas := range partitions {
		out = append(out, v1alpha1.ReplicaAssignment{Replicas: replicas})
	}
	return out
}

// The replication factor of a topic, and of what serves it, follows the
// declaration both ways; assignments are taken as they are. What nobody declared
// stays.
func TestReplicasFollow(t *testing.T) {
	t.Parallel()
	s := newKafkaSceneOn(t, harness.SharedKafka3(t))
	orders := s.topic("orders", 4, map[string]string{"retention.ms": "86400000"})
	// Leaders that are spread evenly; Kafka spreads them over the brokers that are there at that moment.
	leaders := [][]int32{{1}, {2}, {3}, {1}}
	orders.Spec.Assignments = assigned(leaders...)
	orders.Spec.Retry = &v1alpha1.TopicRetry{}
	s.create(orders)
	s.ready(orders)
	s.alter(orders, map[string]string{"max.message.bytes": "2000000"})
	for _, factor := range []int16{3, 2} {
		edit(s.stage, orders, func(orders *v1alpha1.Topic) {
			orders.Spec.ReplicationFactor, orders.Spec.Assignments = &factor, nil
		})
		s.ready(orders)
		s.replicated(int(factor), orders.BrokerName(), orders.BrokerName()+".dlt")
		for p, replicas := range s.replicas(orders.BrokerName()) {
			if replicas[0] != leaders[p][0] {
				t.Errorf("factor %d: partition %d began on %v and is on %v", factor, p, leaders[p], replicas)
			}
		}
	}

	edit(s.stage, orders, func(orders *v1alpha1.Topic) { orders.Spec.ReplicationFactor = new(int16(4)) })
	says(t, s.stalled(orders, v1alpha1.ReasonBrokerRejected), "replicationFactor 4 needs as many brokers", "3 brokers (1, 2, 3)")
	edit(s.stage, orders, func(orders *v1alpha1.Topic) { orders.Spec.ReplicationFactor = new(int16(2)) })
	s.ready(orders)

	places := [][]int32{{3, 1}, {3, 1}, {2, 3}, {1, 2}}
	edit(s.stage, orders, func(orders *v1alpha1.Topic) {
		orders.Spec.ReplicationFactor, orders.Spec.Assignments = nil, assigned(places...)
	})
	s.ready(orders)
	if diff := cmp.Diff(places, s.replicas(orders.BrokerName())); diff != "" {
		t.Errorf("assignments (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"retention.ms": "86400000", "max.message.bytes": "2000000"}, s.configs(orders)); diff != "" {
		t.Errorf("configs (-want +got)\n%s", diff)
	}
}

// A throttled move goes on where a killed controller left it, can be called off,
// and ends with its topic. Nothing of the throttle stays.
func TestThrottledMove(t *testing.T) {
	t.Parallel()
	broker := harness.SharedKafka3(t)
	broker.Exclusive(t, "throttle")
	s := newKafkaSceneOn(t, broker)
	s.unthrottle()          // where a test was killed
	t.Cleanup(s.unthrottle) // where this one failed
	heavy := s.topic("heavy", 1, nil)
	heavy.Spec.Assignments = assigned([]int32{1})
	heavy.Spec.DeletionPolicy = v1alpha1.DeleteAlways
	s.create(heavy)
	s.ready(heavy)
	s.fill(heavy, 4)

	move := func(bytesPerSecond int64, to ...int32) {
		t.Helper()
		edit(s.stage, heavy, func(heavy *v1alpha1.Topic) {
			heavy.Spec.Assignments = assigned(to)
			heavy.Spec.Reassignment = &v1alpha1.Reassignment{ThrottleBytesPerSecond: &bytesPerSecond}
		})
	}
	// At this rate it would take minutes.
	const slow, quick = 8 << 10, 8 << 20
	move(slow, 1, 2)
	s.throttled(heavy, true)
	within(t, "progress in the status", func(context.Context) (bool, string) {
		s.get(heavy)
		ready := meta.FindStatusCondition(heavy.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == v1alpha1.ReasonProgressing && strings.Contains(ready.Message, "throttled to 8.0 KiB/s"), describe(heavy)
	})
	s.controller.Kill()
	if left := s.throttles(heavy); len(left) == 0 {
		t.Fatal("the move was over before the controller was killed")
	}
	s.controller.Start(t)
	move(quick, 1, 2)
	s.ready(heavy)
	s.throttled(heavy, false)
	if diff := cmp.Diff([][]int32{{1, 2}}, s.replicas(heavy.BrokerName())); diff != "" {
		t.Errorf("after the kill (-want +got)\n%s", diff)
	}

	move(slow, 1, 2, 3)
	s.throttled(heavy, true)
	edit(s.stage, heavy, func(heavy *v1alpha1.Topic) { heavy.Spec.Assignments = assigned([]int32{1, 2}) })
	s.ready(heavy)
	s.throttled(heavy, false)
	if diff := cmp.Diff([][]int32{{1, 2}}, s.replicas(heavy.BrokerName())); diff != "" {
		t.Errorf("called off (-want +got)\n%s", diff)
	}

	move(slow, 3)
	s.throttled(heavy, true)
	s.remove(heavy)
	within(t, "the topic to go", func(context.Context) (bool, string) {
		found := s.describe(heavy)
		return found == nil, fmt.Sprint(found)
	})
	s.throttled(heavy, false)
}
