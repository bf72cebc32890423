package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// named stands for a topic that Warrener makes for another.
func named(topic string) *v1alpha1.Topic {
	return &v1alpha1.Topic{Spec: v1alpha1.TopicSpec{Name: topic}}
}

// set renders the topics of the scene whose name begins so, without the prefix:
// "orders.dlt 3 retention.ms=-1", sorted.
func (s *kafkaScene) set(begin string) []string {
	s.t.Helper()
	details, err := s.broker.Admin(s.t).ListTopics(s.t.Context())
	must(s.t, err)
	var out []string
	for name, detail := range details {
		short, ours := strings.CutPrefix(name, s.prefix)
		if !ours || !strings.HasPrefix(short, begin) {
			continue
		}
		line := fmt.Sprintf("%s %d", short, len(detail.Partitions))
		configs := s.configs(named(name))
		for _, key := range slices.Sorted(maps.Keys(configs)) {
			line += " " + key + "=" + configs[key]
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// holds waits until the scene's topics are exactly these.
func (s *kafkaScene) holds(what, begin string, wanted ...string) {
	s.t.Helper()
	slices.Sort(wanted)
	within(s.t, what, func(context.Context) (bool, string) {
		diff := cmp.Diff(wanted, s.set(begin))
		return diff == "", "(-wanted +found)\n" + diff
	})
}

// records counts those that a topic holds.
func (s *kafkaScene) records(topic string) (n int64) {
	s.t.Helper()
	start, err := s.admin.ListStartOffsets(s.t.Context(), topic)
	must(s.t, err)
	end, err := s.admin.ListEndOffsets(s.t.Context(), topic)
	must(s.t, err)
	end.Each(func(last kadm.ListedOffset) {
		must(s.t, last.Err)
		first, _ := start.Lookup(topic, last.Partition)
		n += last.Offset - first.Offset
	})
	return n
}

// purge removes the records of a topic, as retention does.
func (s *kafkaScene) purge(topic string) {
	s.t.Helper()
	end, err := s.admin.ListEndOffsets(s.t.Context(), topic)
	must(s.t, err)
	answers, err := s.admin.DeleteRecords(s.t.Context(), end.Offsets())
	must(s.t, err)
	must(s.t, answers.Error())
}

func retried(t *v1alpha1.Topic, delays ...time.Duration) *v1alpha1.Topic {
	t.Spec.Retry = &v1alpha1.TopicRetry{Delays: durations(delays...)}
	return t
}

// Retries of a topic are topics with as many partitions and configs of their
// own, under the names that were asked for.
func TestTopicRetry(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	orders := retried(s.topic("orders", 3, map[string]string{"retention.ms": "604800000"}), 5*time.Second, 90*time.Second)
	orders.Spec.Retry.Topics.Config = map[string]string{"retention.ms": "86400000"}
	orders.Spec.Retry.DeadLetter.Config = map[string]string{"retention.ms": "-1", "cleanup.policy": "delete"}
	spring := retried(s.topic("spring", 2, nil), time.Second, 2*time.Second)
	spring.Spec.Retry.Topics.Name, spring.Spec.Retry.DeadLetter.Name = "{topic}-retry-{index}", "{topic}-dlt"
	shared := retried(s.topic("shared", 2, nil), time.Second, time.Second)
	shared.Spec.Retry.Topics.Name = "{topic}-retry-{delayMs}"
	s.create(orders, spring, shared)
	s.ready(orders, spring, shared)
	s.holds("the topics of orders", "orders", "orders 3 retention.ms=604800000",
		"orders.retry.5s 3 retention.ms=86400000", "orders.retry.1m30s 3 retention.ms=86400000",
		"orders.dlt 3 cleanup.policy=delete retention.ms=-1")
	s.holds("the topics of spring", "spring", "spring 2", "spring-retry-0 2", "spring-retry-1 2", "spring-dlt 2")
	s.holds("the topics of shared", "shared", "shared 2", "shared-retry-1000 2", "shared.dlt 2")

	// What is changed by hand is set back there too.
	s.alter(named(orders.BrokerName()+".dlt"), map[string]string{"retention.ms": "1000"})
	s.holds("the retention of dead letters to be set back", "orders.dlt", "orders.dlt 3 cleanup.policy=delete retention.ms=-1")
}

// The topics for retries and dead letters grow with their topic, whatever they
// hold, and never without it: they have no fewer partitions, ever.
func TestTopicRetryGrows(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	orders := retried(s.topic("orders", 3, nil), 5*time.Second)
	s.create(orders)
	s.ready(orders)
	retry, dlt := orders.BrokerName()+".retry.5s", orders.BrokerName()+".dlt"
	s.produce(named(retry), 4)
	s.produce(named(dlt), 2)
	resize := func(partitions int32) {
		edit(s.stage, orders, func(t *v1alpha1.Topic) { t.Spec.Partitions = &partitions })
	}

	resize(6) // it is empty, they are not
	s.ready(orders)
	s.holds("all to have grown", "orders", "orders 6", "orders.retry.5s 6", "orders.dlt 6")

	s.produce(orders, 5)
	edit(s.stage, orders, func(t *v1alpha1.Topic) {
		*t.Spec.Partitions = 9
		t.Spec.Retry.Delays = durations(5*time.Second, time.Minute)
	})
	says(t, s.stalled(orders, v1alpha1.ReasonPartitionGrowthRefused), "topic "+orders.BrokerName(), "partitions: 6 on the broker, 9 declared",
		"the topic holds messages", "set partitionGrowth: Always")
	s.holds("none to have grown, and the new one to be there", "orders", "orders 6", "orders.retry.5s 6", "orders.retry.1m 9", "orders.dlt 6")

	// Taken back: the one that was made for 9 partitions serves 6 as well.
	resize(6)
	s.ready(orders)
	s.holds("the new one to stay as it is", "orders", "orders 6", "orders.retry.5s 6", "orders.retry.1m 9", "orders.dlt 6")

	edit(s.stage, orders, func(t *v1alpha1.Topic) {
		*t.Spec.Partitions = 9
		t.Spec.PartitionGrowth = v1alpha1.PartitionGrowthAlways
	})
	s.ready(orders)
	s.holds("all to have grown with consent", "orders", "orders 9", "orders.retry.5s 9", "orders.retry.1m 9", "orders.dlt 9")
	for topic, wanted := range map[string]int64{retry: 4, dlt: 2, orders.BrokerName(): 5} {
		if n := s.records(topic); n != wanted {
			t.Errorf("%s holds %d records, and %d were put there", topic, n, wanted)
		}
	}
}

// A retry topic that is declared no longer stays while it holds records, which
// the status tells; it goes when they are gone, and may be declared again before.
func TestTopicRetryDelaysChange(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	orders := retried(s.topic("orders", 2, nil), time.Second, 5*time.Second, time.Minute)
	orders.Spec.DeletionPolicy = v1alpha1.DeleteAlways // is about the end of the object
	s.create(orders)
	s.ready(orders)
	old := orders.BrokerName() + ".retry.5s"
	s.produce(named(old), 7)
	id := s.describe(named(old))

	edit(s.stage, orders, func(t *v1alpha1.Topic) { t.Spec.Retry.Delays = durations(time.Second, 10*time.Second) })
	draining := "topic " + old + " is declared no longer and goes when it is empty: it holds 7 messages"
	s.tells(orders, draining)
	s.holds("the new one, and the old one that holds records", "orders", "orders 2", "orders.retry.1s 2", "orders.retry.10s 2", "orders.retry.5s 2", "orders.dlt 2")

	edit(s.stage, orders, func(t *v1alpha1.Topic) { t.Spec.Retry.Delays = durations(time.Second, 5*time.Second) })
	s.ready(orders)
	s.holds("the old one to be back", "orders", "orders 2", "orders.retry.1s 2", "orders.retry.5s 2", "orders.dlt 2")
	if diff := cmp.Diff(id, s.describe(named(old))); diff != "" || s.records(old) != 7 {
		t.Errorf("it is not the topic that it was, with its 7 records (-before +after):\n%s", diff)
	}

	edit(s.stage, orders, func(t *v1alpha1.Topic) { t.Spec.Retry.Delays = durations(time.Second) })
	s.tells(orders, draining)
	s.purge(old)
	// What drains is looked at every 30 s at least.
	within(t, "the old one to go when it is empty", func(context.Context) (bool, string) {
		found := strings.Join(s.set("orders"), " ")
		return !strings.Contains(found, "retry.5s"), found
	})
	within(t, "the status to say no more of it", func(context.Context) (bool, string) {
		s.get(orders)
		return !strings.Contains(describe(orders), "draining"), describe(orders)
	})
}

// tells waits until a Ready object says something.
func (s *stage) tells(object *v1alpha1.Topic, part string) {
	s.t.Helper()
	within(s.t, object.Name+" to tell of what drains", func(context.Context) (bool, string) {
		s.get(object)
		return strings.Contains(describe(object), "Ready=True") && strings.Contains(describe(object), part), describe(object)
	})
}
