package compile

import (
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

func topic(t *v1alpha1.Topic, d *draft) {
	spec := &t.Spec
	d.topicName(nameField(spec.Name), t.BrokerName())
	d.partitionGrowth = topology.PartitionGrowth(t.PartitionGrowth())
	oneOf(d, "spec.partitionGrowth", d.partitionGrowth, topology.GrowWhenEmpty, topology.GrowAlways, topology.GrowNever)

	wanted := &topology.Topic{Name: t.BrokerName(), Config: maps.Clone(spec.Config)}
	// 0 means "not declared" in the vocabulary, and must not slip in from here.
	if spec.Partitions != nil {
		if *spec.Partitions < 1 {
			d.problem("spec.partitions", "%d partitions cannot hold a message: write at least 1, or leave it out for the broker's default", *spec.Partitions)
		}
		wanted.Partitions = *spec.Partitions
	}
	if spec.ReplicationFactor != nil {
		if *spec.ReplicationFactor < 1 {
			d.problem("spec.replicationFactor", "%d replicas cannot hold a message: write at least 1, or leave it out for the broker's default", *spec.ReplicationFactor)
		}
		wanted.ReplicationFactor = *spec.ReplicationFactor
	}
	if r := spec.Reassignment; r != nil && r.ThrottleBytesPerSecond != nil {
		if *r.ThrottleBytesPerSecond < 1 {
			d.problem("spec.reassignment.throttleBytesPerSecond", "%d bytes per second move nothing: write at least 1024, or leave it out for no throttle", *r.ThrottleBytesPerSecond)
		}
		wanted.Throttle = *r.ThrottleBytesPerSecond
	}
	if len(spec.Assignments) > 0 {
		d.assignments(spec, wanted)
	}
	d.configKeys("spec.config", spec.Config)
	d.want(wanted)
	d.contract(t)
	if spec.Retry != nil {
		d.topicRetry(t, wanted)
	}
}

// assignments say both how many partitions and how many replicas there are.
func (d *draft) assignments(spec *v1alpha1.TopicSpec, wanted *topology.Topic) {
	if spec.ReplicationFactor != nil {
		d.problem("spec.replicationFactor", "assignments say how many replicas there are: remove replicationFactor, or remove assignments")
	}
	if spec.Partitions != nil && int(*spec.Partitions) != len(spec.Assignments) {
		d.problem("spec.assignments", "%d entries for %d partitions: write one entry per partition, or remove partitions", len(spec.Assignments), *spec.Partitions)
	}
	for i, partition := range spec.Assignments {
		where := index("spec.assignments", i) + ".replicas"
		if len(partition.Replicas) == 0 {
			d.problem(where, "is empty: write at least one broker id")
		}
		if len(partition.Replicas) != len(spec.Assignments[0].Replicas) {
			d.problem(where, "write the same number of replicas for every partition")
		}
		wanted.Assignments = append(wanted.Assignments, slices.Clone(partition.Replicas))
	}
	wanted.Partitions = int32(len(spec.Assignments)) // at most 1000 by the schema, and limited by memory otherwise
}
