package kafka

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Timestamps that stand for a place in the log, by Kafka's protocol.
const (
	latest   = -1
	earliest = -2
)

// pastHighWatermark is the replica id of a client that wants the end of the log,
// with the records that have not been replicated yet: a producer that waits for
// the leader alone has been told that those are safe.
const pastHighWatermark = -2

// usage is what one topic is used for; why explains an Unknown.
type usage struct {
	topology.Usage
	why error
}

// readUsage counts messages and consumers of the named topics. It never fails:
// what it cannot find out is Unknown. Topics that are not in found do not exist
// and have no entry.
//
// Messages are end offset - start offset, an upper bound: compaction, aborted
// transactions and their markers leave gaps. Consumers that assign partitions
// to themselves, without a group, leave no trace on the broker.
func (b *Broker) readUsage(ctx context.Context, found map[string]metadataTopic, names []string) map[string]usage {
	used := make(map[string]usage, len(names))
	for _, name := range names {
		if _, ok := found[name]; ok {
			used[name] = usage{}
		}
	}
	if len(used) == 0 {
		return used
	}
	b.countMessages(ctx, found, used)
	consumers, why := b.countConsumers(ctx)
	for name, use := range used {
		use.Consumers = consumers[name]
		if use.why == nil {
			use.why = why
		}
		use.Unknown = use.why != nil
		used[name] = use
	}
	return used
}

// readDepths counts messages only. What cannot be read is left out, topics that
// were not observed among it.
func (b *Broker) readDepths(ctx context.Context, found map[string]metadataTopic, names []string) map[topology.ID]topology.Depth {
	used := make(map[string]usage, len(names))
	for _, name := range names {
		if _, ok := found[name]; ok {
			used[name] = usage{}
		}
	}
	b.countMessages(ctx, found, used)
	depths := make(map[topology.ID]topology.Depth, len(used))
	for name, use := range used {
		if use.why == nil {
			depths[topology.TopicID(name)] = topology.Depth{Messages: use.Messages, Consumers: topology.UnknownCount}
		}
	}
	return depths
}

// countMessages asks the leader of every partition for both ends of the log.
func (b *Broker) countMessages(ctx context.Context, found map[string]metadataTopic, used map[string]usage) {
	for leader, topics := range byLeader(found, used) {
		for _, end := range []struct{ timestamp, sign int64 }{{earliest, -1}, {latest, +1}} {
			offsets, failed := b.listOffsets(ctx, leader, topics, end.timestamp)
			for name, offset := range offsets {
				use := used[name]
				use.Messages += end.sign * offset
				used[name] = use
			}
			for name, why := range failed {
				use := used[name]
				use.why = why
				used[name] = use
			}
		}
	}
	for name, use := range used {
		if use.why != nil {
			use.Messages = 0 // one end of a log says nothing
			used[name] = use
		}
	}
}

// byLeader gives every broker the topics with the partitions that it leads.
func byLeader(found map[string]metadataTopic, used map[string]usage) map[int32][]metadataTopic {
	out := map[int32][]metadataTopic{}
	for name := range used {
		leads := map[int32][]kmsg.MetadataResponseTopicPartition{}
		for _, p := range found[name].Partitions {
			leads[p.Leader] = append(leads[p.Leader], p)
		}
		for leader, partitions := range leads {
			t := found[name]
			t.Partitions = partitions
			out[leader] = append(out[leader], t)
		}
	}
	return out
}

// listOffsets sums one end of the log over the partitions of each topic.
func (b *Broker) listOffsets(ctx context.Context, leader int32, topics []metadataTopic, timestamp int64) (map[string]int64, map[string]error) {
	sums, failed := map[string]int64{}, map[string]error{}
	fail := func(name, reason string) {
		failed[name] = b.failure(topology.ClassTransient, opReadOffsets, topology.TopicID(name), reason, nil)
	}
	if leader < 0 {
		for _, t := range topics {
			fail(*t.Topic, "a partition has no leader")
		}
		return nil, failed
	}
	response, err := askOn[*kmsg.ListOffsetsResponse](ctx, b, b.node(leader), opReadOffsets, offsetsRequest(topics, timestamp))
	if err != nil {
		for _, t := range topics {
			failed[*t.Topic] = err
		}
		return nil, failed
	}
	answered := map[string]int{}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			answered[t.Topic]++
			sums[t.Topic] += p.Offset
			if err := b.codeError(opReadOffsets, topology.TopicID(t.Topic), p.ErrorCode, nil); err != nil {
				failed[t.Topic] = err
			}
		}
	}
	for _, t := range topics {
		if answered[*t.Topic] != len(t.Partitions) {
			fail(*t.Topic, reasonNotAnswered)
		}
	}
	return sums, failed
}

func offsetsRequest(topics []metadataTopic, timestamp int64) *kmsg.ListOffsetsRequest {
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = pastHighWatermark
	for _, t := range topics {
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = *t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			// With that id any replica answers, and only the leader knows the
			// end: another epoch is refused.
			rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p.Partition, timestamp, p.LeaderEpoch
			rt.Partitions = append(rt.Partitions, rp)
		}
		request.Topics = append(request.Topics, rt)
	}
	return request
}

// inUse tells why a topic must not be deleted while that would destroy
// something; nil if nothing would be lost.
func (b *Broker) inUse(id topology.ID, use usage) error {
	var reasons []string
	if use.Messages > 0 {
		reasons = append(reasons, fmt.Sprintf("it holds up to %s (end offset - start offset; compaction and transactions leave offsets without a message)", count(use.Messages, "message")))
	}
	if use.Consumers > 0 {
		reasons = append(reasons, count(use.Consumers, "consumer")+" of consumer groups read it")
	}
	if len(reasons) > 0 {
		return b.failure(topology.ClassInUse, opDelete, id, strings.Join(reasons, ", and "), nil)
	}
	if use.why != nil {
		return b.failure(topology.ClassOf(use.why), opDelete, id, "cannot tell whether it is used: "+use.why.Error(), use.why)
	}
	return nil
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
