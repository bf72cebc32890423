package kafka

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

// metadataTopic is one topic as a Metadata response has it.
type metadataTopic = kmsg.MetadataResponseTopic

// internal tells topics that belong to Kafka or to what runs on it. They can be
// looked at, and are nobody's to manage.
func internal(t metadataTopic) bool {
	return t.IsInternal || t.Topic != nil && strings.HasPrefix(*t.Topic, "__")
}

// replicasOf gives the replicas of partition p that the cluster is heading for.
type replicasOf func(topic string, p kmsg.MetadataResponseTopicPartition) []int32

// liveTopic reads a topic. Its config comes from another request.
func liveTopic(t metadataTopic, target replicasOf) *topology.Topic {
	live := &topology.Topic{
		Name:       *t.Topic,
		Partitions: int32(len(t.Partitions)),
		TopicID:    idText(t.TopicID),
	}
	live.Assignments = make([][]int32, len(t.Partitions))
	for _, p := range t.Partitions {
		if int(p.Partition) < len(live.Assignments) { // a gap in the numbers is no answer of a sane broker
			live.Assignments[p.Partition] = target(live.Name, p)
		}
	}
	for i, replicas := range live.Assignments {
		// The smallest counts: a factor is reached when every partition has it.
		if count := int16(len(replicas)); i == 0 || count < live.ReplicationFactor {
			live.ReplicationFactor = count
		}
	}
	return live
}

// readConfig keeps what was set on the topic itself: defaults, and what is set
// on the brokers, are not the topic's.
func readConfig(live *topology.Topic, entries []kmsg.DescribeConfigsResponseResourceConfig) {
	for _, entry := range entries {
		if entry.Source != kmsg.ConfigSourceDynamicTopicConfig {
			continue
		}
		if entry.Value == nil {
			// A sensitive value is set and not told. Kafka itself has no such
			// topic config; keys that only a vendor's broker knows come so.
			live.Hidden = append(live.Hidden, entry.Name)
			continue
		}
		if live.Config == nil {
			live.Config = map[string]string{}
		}
		live.Config[entry.Name] = *entry.Value
	}
	slices.Sort(live.Hidden)
}

// idText renders a topic id as Kafka's own tools do.
func idText(id [16]byte) string {
	if id == ([16]byte{}) {
		return "" // a broker before 2.8
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// parseID is the inverse; zero for what is no id.
func parseID(text string) (id [16]byte) {
	if raw, err := base64.RawURLEncoding.DecodeString(text); err == nil && len(raw) == len(id) {
		copy(id[:], raw)
	}
	return id
}

// creation is the entry of one topic in a CreateTopics request. What is not
// declared is left to the broker (-1); assignments exclude both counts.
func creation(want *topology.Topic) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = want.Name, -1, -1
	if len(want.Assignments) == 0 {
		if want.Partitions != 0 {
			t.NumPartitions = want.Partitions
		}
		if want.ReplicationFactor != 0 {
			t.ReplicationFactor = want.ReplicationFactor
		}
	}
	for i, replicas := range want.Assignments {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = int32(i), replicas
		t.ReplicaAssignment = append(t.ReplicaAssignment, a)
	}
	for _, key := range slices.Sorted(maps.Keys(want.Config)) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = key, kmsg.StringPtr(want.Config[key])
		t.Configs = append(t.Configs, c)
	}
	return t
}

// configChanges is the entry of one topic in an IncrementalAlterConfigs request:
// only the keys that the step changes. Every other key stays as it is.
func configChanges(step topology.Step, want *topology.Topic) kmsg.IncrementalAlterConfigsRequestResource {
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, want.Name
	for _, key := range alteredKeys(step) {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op = key, kmsg.IncrementalAlterConfigOpDelete
		if value, declared := want.Config[key]; declared {
			c.Op, c.Value = kmsg.IncrementalAlterConfigOpSet, kmsg.StringPtr(value)
		}
		r.Configs = append(r.Configs, c)
	}
	return r
}

// alteredKeys lists the config keys that a step changes.
func alteredKeys(step topology.Step) []string {
	var keys []string
	for _, change := range step.Changes {
		if key, isConfig := topology.ConfigKey(change.Path); isConfig {
			keys = append(keys, key)
		}
	}
	return keys
}

// growth is the entry of one topic in a CreatePartitions request.
func growth(want, live *topology.Topic) kmsg.CreatePartitionsRequestTopic {
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = want.Name, want.WantedPartitions()
	if len(want.Assignments) > int(live.Partitions) {
		for _, replicas := range want.Assignments[live.Partitions:] {
			a := kmsg.NewCreatePartitionsRequestTopicAssignment()
			a.Replicas = replicas
			t.Assignment = append(t.Assignment, a)
		}
	}
	return t
}

// unsendable explains why a topic cannot be put into a request at all. A broker
// answers a longer string by closing the connection, on everybody in the batch.
func unsendable(want *topology.Topic) string {
	const most = 32767
	if len(want.Name) > most {
		return fmt.Sprintf("the name has %d bytes, and a name may have 249", len(want.Name))
	}
	for _, key := range slices.Sorted(maps.Keys(want.Config)) {
		if len(key) > most || len(want.Config[key]) > most {
			return fmt.Sprintf("config %.100s: the value has %d bytes, and the protocol carries %d", key, len(want.Config[key]), most)
		}
	}
	return ""
}
