package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

var _ topology.Operator = (*Broker)(nil)

// Steps of a reassignment, for status.
const (
	stepReassigning  = "Reassigning"
	stepUnthrottling = "Unthrottling"
)

// lookAgain is how long to wait for replicas to be copied. Small partitions are
// in sync in a fraction of it, and then a batch waits for no longer than that.
const lookAgain = 2 * time.Second

// Advance implements topology.Operator for reassignments: it turns what is on a
// wrong way, begins the next moves as far as mostMoving allows, and takes the
// throttle away when all is done. How far it is stands on the broker, so that it
// does not matter who called it last.
//
// It needs Alter, Describe, AlterConfigs and DescribeConfigs on the cluster; the
// last two for a throttle only.
func (b *Broker) Advance(ctx context.Context, op topology.Operation) (topology.Progress, error) {
	want, ok := op.Want.(*topology.Topic)
	if !ok || op.Kind != topology.OperationReassign {
		return topology.Progress{}, b.failure(topology.ClassRejected, opReassign, op.ID(),
			fmt.Sprintf("an operation %s of a %T: please report this as a bug", op.Kind, op.Want), nil)
	}
	// A throttle of one topic's concerns them all.
	b.reassigning.Lock()
	defer b.reassigning.Unlock()
	now, err := b.readReplicas(ctx, want.ID())
	if err != nil {
		return topology.Progress{}, err
	}
	agenda, err := planMoves(want, now.places, now.nodes)
	if err != nil {
		return topology.Progress{}, b.failure(topology.ClassRejected, opReassign, want.ID(), err.Error(), nil)
	}
	throttle, err := b.readThrottle(ctx, want, now)
	if err != nil {
		return topology.Progress{}, err
	}
	progress := topology.Progress{
		Step: stepReassigning, After: lookAgain,
		Moved: int64(agenda.inPlace), Left: int64(agenda.left()),
	}
	if agenda.left() == 0 {
		if !throttle.isOurs() {
			return topology.Progress{Done: true, Moved: progress.Moved}, nil
		}
		progress.Step, progress.After = stepUnthrottling, time.Second
		progress.Message = "all replicas are where they are declared; the throttle is being taken away"
		return progress, throttle.remove(ctx)
	}
	if err := throttle.adjust(ctx, now.copying(agenda.next)); err != nil {
		return topology.Progress{}, err
	}
	if err := b.begin(ctx, want.ID(), agenda.next); err != nil {
		return topology.Progress{}, err
	}
	progress.Message = strings.Join(slices.DeleteFunc([]string{
		fmt.Sprintf("replicas are being moved: %d of %s in place, %d on the way", agenda.inPlace, count(int64(len(now.places)), "partition"), agenda.moving+len(agenda.next)),
		b.describeCopying(ctx, want.Name, now),
		throttle.describe(),
		now.describeMissing(want, agenda),
		"set the field back to cancel",
	}, func(part string) bool { return part == "" }), "; ")
	return progress, nil
}

// replicaState is where the replicas of a topic are.
type replicaState struct {
	name   string
	nodes  []node
	places []place
}

func (b *Broker) readReplicas(ctx context.Context, id topology.ID) (replicaState, error) {
	now := replicaState{name: id.Name}
	cluster, err := b.readMetadata(ctx, []string{id.Name})
	if err != nil {
		return now, about(err, id)
	}
	topic, exists := cluster.found[id.Name]
	switch {
	case cluster.unread[id.Name] != nil:
		return now, cluster.unread[id.Name]
	case !exists:
		return now, b.failure(topology.ClassPending, opReassign, id, "the topic is not there: looking again", nil)
	}
	for _, broker := range cluster.brokers {
		n := node{id: broker.NodeID}
		if broker.Rack != nil {
			n.rack = *broker.Rack
		}
		now.nodes = append(now.nodes, n)
	}
	now.places = make([]place, len(topic.Partitions))
	for _, p := range topic.Partitions {
		if int(p.Partition) >= len(now.places) {
			return now, b.failure(topology.ClassTransient, opReassign, id, "the broker's list of partitions has a gap: looking again", nil)
		}
		now.places[p.Partition].replicas = p.Replicas
	}
	return now, b.readMoving(ctx, id, now.places)
}

// readMoving notes what is under way.
func (b *Broker) readMoving(ctx context.Context, id topology.ID, places []place) error {
	moving, err := b.listReassignments(ctx, map[string]int{id.Name: len(places)})
	if err != nil {
		return about(err, id)
	}
	for _, p := range moving[id.Name] {
		if int(p.Partition) < len(places) {
			places[p.Partition] = place{replicas: p.Replicas, adding: p.AddingReplicas, removing: p.RemovingReplicas, moving: true}
		}
	}
	return nil
}

type movingPartition = kmsg.ListPartitionReassignmentsResponseTopicPartition

// listReassignments asks what is under way: of some topics, with the number of
// their partitions, or on the whole cluster for nil.
func (b *Broker) listReassignments(ctx context.Context, topics map[string]int) (map[string][]movingPartition, error) {
	request := kmsg.NewPtrListPartitionReassignmentsRequest()
	request.TimeoutMillis = b.writeTimeout()
	for name, partitions := range topics {
		t := kmsg.NewListPartitionReassignmentsRequestTopic()
		t.Topic = name
		for p := range partitions {
			t.Partitions = append(t.Partitions, int32(p))
		}
		request.Topics = append(request.Topics, t)
	}
	response, err := ask[*kmsg.ListPartitionReassignmentsResponse](ctx, b, opListReassignments, request)
	if err != nil {
		return nil, err
	}
	if err := b.codeError(opListReassignments, topology.ID{}, response.ErrorCode, response.ErrorMessage); err != nil {
		return nil, err
	}
	moving := make(map[string][]movingPartition, len(response.Topics))
	for _, t := range response.Topics {
		moving[t.Topic] = t.Partitions
	}
	return moving, nil
}

// copying lists all moves that copy data, those of next among them.
func (now replicaState) copying(next []move) []move {
	var out []move
	turned := map[int32]bool{}
	for _, m := range next {
		turned[m.partition] = true
		if len(m.adding()) > 0 {
			out = append(out, m)
		}
	}
	for i, p := range now.places {
		if !turned[int32(i)] && len(p.adding) > 0 {
			out = append(out, move{partition: int32(i), to: p.heads(), from: p.holds()})
		}
	}
	return out
}

// begin sends moves off. Kafka answers by partition, and what it refuses of some
// does not keep the others.
func (b *Broker) begin(ctx context.Context, id topology.ID, moves []move) error {
	if len(moves) == 0 {
		return nil
	}
	request := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	request.TimeoutMillis = b.writeTimeout()
	t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	t.Topic = id.Name
	for _, m := range moves {
		p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		p.Partition, p.Replicas = m.partition, m.to
		t.Partitions = append(t.Partitions, p)
	}
	request.Topics = append(request.Topics, t)
	response, err := ask[*kmsg.AlterPartitionAssignmentsResponse](ctx, b, opReassign, request)
	if err != nil {
		return about(err, id)
	}
	if err := b.codeError(opReassign, id, response.ErrorCode, response.ErrorMessage); err != nil {
		return err
	}
	var failed []error
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == kerr.NoReassignmentInProgress.Code {
				continue // it came to its end before it was called off: the next look will tell
			}
			if err := b.codeError(opReassign, id, p.ErrorCode, p.ErrorMessage); err != nil {
				failed = append(failed, aboutPartition(err, p.Partition))
			}
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return failed[0]
}

func aboutPartition(err error, partition int32) error {
	if classified, ok := errors.AsType[*topology.Error](err); ok {
		single := *classified
		single.Reason = fmt.Sprintf("partition %d: %s", partition, single.Reason)
		return &single
	}
	return err
}

// describeMissing names brokers that are waited for and that are not up.
func (now replicaState) describeMissing(want *topology.Topic, a agenda) string {
	missing := map[int32]bool{}
	note := func(replicas []int32) {
		for _, id := range replicas {
			if !slices.ContainsFunc(now.nodes, func(n node) bool { return n.id == id }) {
				missing[id] = true
			}
		}
	}
	for _, m := range a.next {
		note(m.adding())
	}
	for i, p := range now.places {
		if p.moving {
			note(p.adding)
		}
		if i < len(want.Assignments) && p.moving {
			note(want.Assignments[i])
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "waits for " + describeIDs(slices.Collect(maps.Keys(missing))) + ", not up now"
}
