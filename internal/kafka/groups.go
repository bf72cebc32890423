package kafka

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Kinds of groups that read topics, as ListGroups spells them. Brokers before
// 3.8 do not tell; all their groups are classic.
const (
	groupClassic  = "classic"
	groupConsumer = "consumer" // KIP-848
	groupShare    = "share"    // KIP-932
	groupStreams  = "streams"  // KIP-1071
)

// node sends requests to one broker, with retries on the way only.
func (b *Broker) node(id int32) requester { return retrying{b.client.Broker(int(id))} }

type retrying struct{ broker *kgo.Broker }

func (r retrying) Request(ctx context.Context, request kmsg.Request) (kmsg.Response, error) {
	return r.broker.RetriableRequest(ctx, request)
}

// countConsumers counts, per topic, the group members that have one of its
// partitions. The error says why there may be more.
//
// Groups are coordinated by the broker that lists them, so each broker is asked
// for its own: one list, and one description per kind of group.
func (b *Broker) countConsumers(ctx context.Context) (map[string]int64, error) {
	doubt := b.groupsHidden(ctx)
	readers := map[string]int64{}
	started := time.Now()
	shards, err := await(ctx, b.options.Timeout, func(ctx context.Context) ([]kgo.ResponseShard, error) {
		return b.client.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()), nil
	})
	if err != nil {
		return nil, b.wholeError(opReadGroups, err, started)
	}
	for _, shard := range shards {
		groups, err := b.listedGroups(shard, started)
		if err == nil {
			err = b.describeGroups(ctx, shard.Meta.NodeID, groups, readers)
		}
		if doubt == nil {
			doubt = err
		}
	}
	return readers, doubt
}

// groupsHidden tells why groups may be missing from a list. A broker leaves out
// those that the user may not describe, and does not say so; all are in the list
// for who may describe the cluster.
func (b *Broker) groupsHidden(ctx context.Context) error {
	request := kmsg.NewPtrDescribeClusterRequest()
	request.IncludeClusterAuthorizedOperations = true
	response, err := ask[*kmsg.DescribeClusterResponse](ctx, b, opReadGroups, request)
	if err != nil {
		return err
	}
	if err := b.codeError(opReadGroups, topology.ID{}, response.ErrorCode, response.ErrorMessage); err != nil {
		return err
	}
	if slices.Contains(kadm.DecodeACLOperations(response.ClusterAuthorizedOperations), kadm.OpDescribe) {
		return nil
	}
	return b.failure(topology.ClassAccessDenied, opReadGroups, topology.ID{},
		b.who()+" does not see every consumer group: it needs the ACL operation Describe on the cluster", nil)
}

// listedGroups sorts the groups that one broker coordinates by their kind.
// Without members there is nobody to describe.
func (b *Broker) listedGroups(shard kgo.ResponseShard, started time.Time) (map[string][]string, error) {
	if shard.Err != nil {
		return nil, b.wholeError(opReadGroups, shard.Err, started)
	}
	response, ok := shard.Resp.(*kmsg.ListGroupsResponse)
	if !ok {
		return nil, b.failure(topology.ClassTransport, opReadGroups, topology.ID{}, "not an answer to ListGroups", nil)
	}
	if err := b.codeError(opReadGroups, topology.ID{}, response.ErrorCode, nil); err != nil {
		return nil, err
	}
	groups := map[string][]string{}
	for _, g := range response.Groups {
		kind := cmp.Or(strings.ToLower(g.GroupType), groupClassic)
		switch {
		case g.GroupState == "Empty" || g.GroupState == "Dead":
		case kind == groupClassic && g.ProtocolType != "consumer":
			// Connect workers, schema registries: they coordinate, and read
			// nothing through this group.
		default:
			groups[kind] = append(groups[kind], g.Group)
		}
	}
	return groups, nil
}

// described is a group of any kind: per member, the topics that it reads.
type described struct {
	code    int16
	message *string
	members [][]string
}

// describeGroups adds the members of one broker's groups to readers.
func (b *Broker) describeGroups(ctx context.Context, node int32, groups map[string][]string, readers map[string]int64) error {
	var doubt error
	keep := func(err error) {
		if doubt == nil {
			doubt = err
		}
	}
	for kind, names := range groups {
		describe, known := describers[kind]
		if !known {
			keep(b.failure(topology.ClassUnsupported, opReadGroups, topology.ID{}, "groups of the unknown kind "+kind+" may read it", nil))
			continue
		}
		request, read := describe(names)
		response, err := askOn[kmsg.Response](ctx, b, b.node(node), opReadGroups, request)
		if err != nil {
			keep(err)
			continue
		}
		for _, g := range read(response) {
			if g.code == kerr.GroupIDNotFound.Code {
				continue // gone since the list
			}
			if err := b.codeError(opReadGroups, topology.ID{}, g.code, g.message); err != nil {
				keep(err)
				continue
			}
			for _, topics := range g.members {
				slices.Sort(topics)
				for _, topic := range slices.Compact(topics) {
					readers[topic]++
				}
			}
		}
	}
	return doubt
}

type describer func(groups []string) (kmsg.Request, func(kmsg.Response) []described)

var describers = map[string]describer{
	groupClassic: func(groups []string) (kmsg.Request, func(kmsg.Response) []described) {
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.Groups = groups
		return r, classicMembers
	},
	groupConsumer: func(groups []string) (kmsg.Request, func(kmsg.Response) []described) {
		r := kmsg.NewPtrConsumerGroupDescribeRequest()
		r.Groups = groups
		return r, consumerMembers
	},
	groupShare: func(groups []string) (kmsg.Request, func(kmsg.Response) []described) {
		r := kmsg.NewPtrShareGroupDescribeRequest()
		r.GroupIDs = groups
		return r, shareMembers
	},
	groupStreams: func(groups []string) (kmsg.Request, func(kmsg.Response) []described) {
		r := kmsg.NewPtrStreamsGroupDescribeRequest()
		r.Groups = groups
		return r, streamsMembers
	},
}

// classicMembers reads assignments, and subscriptions while a rebalance has
// taken the assignments away.
func classicMembers(response kmsg.Response) (groups []described) {
	for _, g := range response.(*kmsg.DescribeGroupsResponse).Groups {
		d := described{code: g.ErrorCode, message: g.ErrorMessage}
		for _, m := range g.Members {
			var topics []string
			assignment, subscription := kmsg.NewConsumerMemberAssignment(), kmsg.NewConsumerMemberMetadata()
			if assignment.ReadFrom(m.MemberAssignment) == nil {
				for _, t := range assignment.Topics {
					topics = append(topics, t.Topic)
				}
			}
			if g.State != "Stable" && subscription.ReadFrom(m.ProtocolMetadata) == nil {
				topics = append(topics, subscription.Topics...)
			}
			d.members = append(d.members, topics)
		}
		groups = append(groups, d)
	}
	return groups
}

func consumerMembers(response kmsg.Response) (groups []described) {
	for _, g := range response.(*kmsg.ConsumerGroupDescribeResponse).Groups {
		d := described{code: g.ErrorCode, message: g.ErrorMessage}
		for _, m := range g.Members {
			var topics []string
			for _, t := range slices.Concat(m.Assignment.TopicPartitions, m.TargetAssignment.TopicPartitions) {
				topics = append(topics, t.Topic)
			}
			d.members = append(d.members, topics)
		}
		groups = append(groups, d)
	}
	return groups
}

func shareMembers(response kmsg.Response) (groups []described) {
	for _, g := range response.(*kmsg.ShareGroupDescribeResponse).Groups {
		d := described{code: g.ErrorCode, message: g.ErrorMessage}
		for _, m := range g.Members {
			var topics []string
			for _, t := range m.Assignment.TopicPartitions {
				topics = append(topics, t.Topic)
			}
			d.members = append(d.members, topics)
		}
		groups = append(groups, d)
	}
	return groups
}

// streamsMembers counts every member for every topic that the topology reads:
// tasks are assigned by subtopology, not by topic.
func streamsMembers(response kmsg.Response) (groups []described) {
	for _, g := range response.(*kmsg.StreamsGroupDescribeResponse).Groups {
		d := described{code: g.ErrorCode, message: g.ErrorMessage}
		var topics []string
		if g.Topology != nil {
			for _, part := range g.Topology.Subtopologies {
				topics = append(topics, part.SourceTopics...)
				for _, t := range part.RepartitionSourceTopics {
					topics = append(topics, t.Topic)
				}
			}
		}
		for range g.Members {
			d.members = append(d.members, slices.Clone(topics))
		}
		groups = append(groups, d)
	}
	return groups
}
