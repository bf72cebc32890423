package trace

import (
	"fmt"

	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Topics are those of a Kafka cluster, and how the messages of some are tried again.
type Topics struct {
	topics  map[string]*topology.Topic
	retries map[string]*compile.TopicRetry
}

// NewTopics makes Topics of wanted or live objects, in any order. Of two of one
// name the later one counts.
func NewTopics(resources []topology.Resource, retries []*compile.TopicRetry) *Topics {
	t := &Topics{topics: map[string]*topology.Topic{}, retries: map[string]*compile.TopicRetry{}}
	for _, resource := range resources {
		if topic, ok := resource.(*topology.Topic); ok {
			t.topics[topic.Name] = topic
		}
	}
	for _, retry := range retries {
		t.retries[retry.Topic] = retry
	}
	return t
}

// Record is what is published to Kafka.
type Record struct {
	Topic string
	// Key; nil: none.
	Key []byte
}

// TopicTrace is where a record goes.
type TopicTrace struct {
	Topic string `json:"topic"`
	// Key; null: none.
	Key         *string     `json:"key"`
	Partitioner Partitioner `json:"partitioner"`
	Outcome     Outcome     `json:"outcome"`
	Why         string      `json:"why,omitempty"`
	// At is the topic itself, Retries are those that the consumer publishes a copy
	// to, in order, and DeadLetter is where it is after the last attempt.
	At         *TopicStep  `json:"at,omitempty"`
	Retries    []TopicStep `json:"retries,omitempty"`
	DeadLetter *TopicStep  `json:"deadLetter,omitempty"`
}

// TopicStep is a topic on the way of a record.
type TopicStep struct {
	Topic string `json:"topic"`
	// AtMs is when the record comes to the topic, in milliseconds after it was
	// published, if each consumer fails at once. ForMs is how long it waits there.
	AtMs  int64 `json:"atMs"`
	ForMs int64 `json:"forMs,omitempty"`
	// Delivery is the attempt that follows, from 1; 0 in the dead-letter topic.
	Delivery   int   `json:"delivery,omitempty"`
	Partitions int32 `json:"partitions,omitempty"`
	// Partition of the key; nil if it cannot be told, and NotPredictable says why.
	Partition      *int32 `json:"partition,omitempty"`
	NotPredictable string `json:"notPredictable,omitempty"`
}

// Trace follows a record whose consumer fails with it every time.
func (t *Topics) Trace(r Record, p Partitioner) *TopicTrace {
	out := &TopicTrace{Topic: r.Topic, Partitioner: p, Outcome: Refused}
	if r.Key != nil {
		key := string(r.Key)
		out.Key = &key
	}
	if _, there := t.topics[r.Topic]; !there {
		out.Why = fmt.Sprintf("there is no topic %q: the producer gets UNKNOWN_TOPIC_OR_PARTITION, unless the brokers create topics by themselves", r.Topic)
		return out
	}
	first := t.step(r.Topic, r.Key, p)
	first.Delivery = 1
	out.At, out.Outcome = &first, Routed
	if first.Partition == nil {
		out.Outcome, out.Why = NotPredictable, first.NotPredictable
	}
	retry := t.retries[r.Topic]
	if retry == nil {
		return out
	}
	var at int64
	for i, s := range retry.Steps {
		step := t.step(s.Topic, r.Key, p)
		step.AtMs, step.ForMs, step.Delivery = at, s.Delay.Milliseconds(), i+2
		at += step.ForMs
		out.Retries = append(out.Retries, step)
	}
	dead := t.step(retry.DeadLetterTopic, r.Key, p)
	dead.AtMs = at
	out.DeadLetter = &dead
	return out
}

func (t *Topics) step(name string, key []byte, p Partitioner) TopicStep {
	step := TopicStep{Topic: name}
	topic, there := t.topics[name]
	switch {
	case !there:
		step.NotPredictable = "the topic is not there"
		return step
	case topic.WantedPartitions() == 0:
		step.NotPredictable = "how many partitions it has is not declared: trace it on the live brokers"
		return step
	}
	step.Partitions = topic.WantedPartitions()
	partition, why := p.Partition(key, step.Partitions)
	if step.NotPredictable = why; why == "" {
		step.Partition = &partition
	}
	return step
}
