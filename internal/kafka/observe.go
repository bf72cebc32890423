package kafka

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

// configsPerRequest bounds the topics of one DescribeConfigs request. A topic's
// answer has some 2 kB, defaults included, and cannot be had without them.
const configsPerRequest = 1000

var (
	_ topology.Observer = (*Broker)(nil)
	_ topology.Applier  = (*Broker)(nil)
)

// Observe implements topology.Observer: one request for who is up, one for the topics, one for
// moving replicas, one per configsPerRequest topics of All and IDs for their config, two per broker for Depths,
// and what Usage needs. What was changed by others a moment ago may not show yet; what Apply has
// changed does, as a rule (see reader).
//
// With Selection.All, topics that the user may not describe are left out by the
// broker without a word; asked for by name they are in Unread. Internal topics
// come without config, and so do those of Selection.Departing: of a thousand topics it takes
// ten times as long to read as all else.
func (b *Broker) Observe(ctx context.Context, selection topology.Selection) (*topology.Snapshot, error) {
	snapshot := &topology.Snapshot{
		Objects:   map[topology.ID]topology.Resource{},
		Unread:    map[topology.ID]error{},
		Usage:     map[topology.ID]topology.Usage{},
		Selection: selection,
	}
	whole, usageOf := topicNames(selection.IDs), topicNames(selection.Usage)
	names, departing := topicNames(selection.IDs, selection.Usage), topicNames(selection.Departing)
	if !selection.All && len(names) == 0 {
		return snapshot, nil
	}
	if selection.All {
		names = nil
	}
	if err := b.chooseReader(ctx); err != nil {
		return nil, err
	}
	found, unread, err := b.readTopics(ctx, names)
	if err != nil {
		return nil, err
	}
	for name, why := range unread {
		snapshot.Unread[topology.TopicID(name)] = why
	}
	target := b.targetReplicas(ctx, found)
	live := make(map[string]*topology.Topic, len(found))
	var managed []string
	for name, t := range found {
		if _, asked := slices.BinarySearch(whole, name); !asked && !selection.All {
			continue
		}
		live[name] = liveTopic(t, target)
		snapshot.Objects[live[name].ID()] = live[name]
		if _, goes := slices.BinarySearch(departing, name); !goes && !internal(t) {
			managed = append(managed, name)
		}
	}
	slices.Sort(managed)
	if err := b.readConfigs(ctx, managed, live, snapshot); err != nil {
		return nil, err
	}
	for name, use := range b.readUsage(ctx, found, usageOf) {
		snapshot.Usage[topology.TopicID(name)] = use.Usage
	}
	snapshot.Depths = b.readDepths(ctx, found, topicNames(selection.Depths))
	return snapshot, nil
}

// topicNames lists the names of topics among ids, sorted and once each.
func topicNames(lists ...[]topology.ID) []string {
	var names []string
	for _, ids := range lists {
		for _, id := range ids {
			if id.Kind == topology.KindTopic {
				names = append(names, id.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readTopics is readMetadata without the brokers.
func (b *Broker) readTopics(ctx context.Context, names []string) (map[string]metadataTopic, map[string]error, error) {
	m, err := b.readMetadata(ctx, names)
	return m.found, m.unread, err
}

// metadata is what one request tells of topics and of the brokers that are up.
// What is in neither map does not exist.
type metadata struct {
	found   map[string]metadataTopic
	unread  map[string]error
	brokers []kmsg.MetadataResponseBroker
}

// readMetadata reads the named topics, or all for nil. Metadata asked through
// kadm would be up to seconds old, and fail for one topic that is not
// authorised.
func (b *Broker) readMetadata(ctx context.Context, names []string) (metadata, error) {
	request := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		request.Topics = append(request.Topics, t)
	}
	response, err := askReader[*kmsg.MetadataResponse](ctx, b, opObserve, request)
	if err != nil {
		return metadata{}, err
	}
	m := metadata{found: map[string]metadataTopic{}, unread: map[string]error{}, brokers: response.Brokers}
	for _, t := range response.Topics {
		if t.Topic == nil {
			continue
		}
		switch name := *t.Topic; t.ErrorCode {
		case 0:
			m.found[name] = t
		case kerr.UnknownTopicOrPartition.Code, kerr.InvalidTopicException.Code:
			// Absent; a name that Kafka refuses cannot exist.
		default:
			m.unread[name] = b.codeError(opObserve, topology.TopicID(name), t.ErrorCode, nil)
		}
	}
	return m, nil
}

// readConfigs fills in the config of live topics. Topics whose config cannot be
// read leave the snapshot's objects: half of a topic would be taken for all.
func (b *Broker) readConfigs(ctx context.Context, names []string, live map[string]*topology.Topic, snapshot *topology.Snapshot) error {
	read, unread, err := b.readKeys(ctx, names, func(string) []string { return nil })
	if err != nil {
		return err
	}
	for _, name := range names {
		if topic := read[name]; topic != nil {
			live[name].Config, live[name].Hidden = topic.Config, topic.Hidden
			continue
		}
		id, why := topology.TopicID(name), unread[name]
		if why == nil {
			why = b.failure(topology.ClassTransient, opReadConfig, id, reasonNotAnswered, nil)
		}
		snapshot.Unread[id] = why
		delete(snapshot.Objects, id)
	}
	return nil
}

// readKeys reads some config keys of each topic, or all for nil, of which it gives those that are
// set on the topic itself. Topics that cannot be read are in the second map.
func (b *Broker) readKeys(ctx context.Context, topics []string, keysOf func(topic string) []string) (map[string]*topology.Topic, map[string]error, error) {
	read, unread := map[string]*topology.Topic{}, map[string]error{}
	for chunk := range slices.Chunk(topics, configsPerRequest) {
		request := kmsg.NewPtrDescribeConfigsRequest()
		for _, name := range chunk {
			request.Resources = append(request.Resources, describeKeys(kmsg.ConfigResourceTypeTopic, name, keysOf(name)...))
		}
		response, err := askReader[*kmsg.DescribeConfigsResponse](ctx, b, opReadConfig, request)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range response.Resources {
			if r.ErrorCode != 0 {
				unread[r.ResourceName] = b.configError(topology.TopicID(r.ResourceName), r.ErrorCode, r.ErrorMessage)
				continue
			}
			read[r.ResourceName] = &topology.Topic{Name: r.ResourceName}
			readConfig(read[r.ResourceName], r.Configs)
		}
	}
	return read, unread, nil
}

func describeKeys(kind kmsg.ConfigResourceType, name string, keys ...string) kmsg.DescribeConfigsRequestResource {
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, name, keys
	return r
}

// configError: one broker had the topic and the next one does not (yet, or any
// more). Neither is a reason to create it again.
func (b *Broker) configError(id topology.ID, code int16, message *string) error {
	err := b.codeError(opReadConfig, id, code, message)
	var classified *topology.Error
	if code == kerr.UnknownTopicOrPartition.Code && errors.As(err, &classified) {
		classified.Class = topology.ClassPending
	}
	return err
}

// targetReplicas asks where a running reassignment leads to: until it is done,
// metadata lists the replicas that are added and those that are removed. A user
// who may not know (Describe on the cluster) gets what metadata says.
func (b *Broker) targetReplicas(ctx context.Context, found map[string]metadataTopic) replicasOf {
	asIs := func(_ string, p kmsg.MetadataResponseTopicPartition) []int32 { return p.Replicas }
	suspects := map[string]int{}
	for name, t := range found {
		if !internal(t) && unevenReplicas(t) {
			suspects[name] = len(t.Partitions)
		}
	}
	if len(suspects) == 0 {
		return asIs
	}
	moving, err := b.listReassignments(ctx, suspects)
	if err != nil {
		return asIs
	}
	return func(topic string, p kmsg.MetadataResponseTopicPartition) []int32 {
		for _, m := range moving[topic] {
			if m.Partition == p.Partition {
				return without(m.Replicas, m.RemovingReplicas)
			}
		}
		return p.Replicas
	}
}

// unevenReplicas tells topics that may be moving: a replica that is added is
// not in sync at first, and one partition's list is longer than another's.
func unevenReplicas(t metadataTopic) bool {
	for _, p := range t.Partitions {
		if len(p.ISR) != len(p.Replicas) || len(p.Replicas) != len(t.Partitions[0].Replicas) {
			return true
		}
	}
	return false
}
