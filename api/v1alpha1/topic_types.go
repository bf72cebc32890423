/*
Copyright The Warrener Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReplicaAssignment says which brokers hold one partition.
type ReplicaAssignment struct {
	// replicas are the broker ids that hold the partition, the preferred leader first. From 1 to 16, each once.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Minimum=0
	// +kubebuilder:validation:items:Maximum=2147483647
	// +kubebuilder:validation:XValidation:rule="self.all(r, self.exists_one(s, s == r))",message="write each broker id once per partition"
	Replicas []int32 `json:"replicas"`
}

// Reassignment is how replicas are moved between brokers.
type Reassignment struct {
	// throttleBytesPerSecond bounds what each broker sends, and receives, for replicas that are moved: bytes
	// per second, from 1024. More must be allowed than producers write, or the move never ends. Kafka has one
	// rate a broker: topics that move at the same time share the first one's. It is taken away when the move
	// is over or called off. Default: no bound.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	ThrottleBytesPerSecond *int64 `json:"throttleBytesPerSecond,omitempty"`
}

// PartitionGrowth says when partitions may be added to a topic that exists.
//
// +kubebuilder:validation:Enum=WhenEmpty;Always;Never
type PartitionGrowth string

const (
	// PartitionGrowthWhenEmpty adds partitions while the topic holds no message.
	PartitionGrowthWhenEmpty PartitionGrowth = "WhenEmpty"
	// PartitionGrowthAlways adds partitions, whatever the topic holds.
	PartitionGrowthAlways PartitionGrowth = "Always"
	// PartitionGrowthNever refuses more partitions than there are.
	PartitionGrowthNever PartitionGrowth = "Never"
)

// TopicSpec declares a Kafka topic.
//
// +kubebuilder:validation:XValidation:rule="self.connectionRef == oldSelf.connectionRef",message="connectionRef cannot be changed: create a new Topic with the other connection and delete this one"
// +kubebuilder:validation:XValidation:rule="!has(self.assignments) || !has(self.replicationFactor)",message="assignments say how many replicas there are: remove replicationFactor, or remove assignments"
// +kubebuilder:validation:XValidation:rule="!has(self.assignments) || !has(self.partitions) || size(self.assignments) == self.partitions",message="write one entry in assignments per partition, or remove partitions"
// +kubebuilder:validation:XValidation:rule="!has(self.retry) || has(self.partitions) || has(self.assignments)",message="the topics that retry creates have as many partitions as this one: write partitions"
type TopicSpec struct {
	// connectionRef names the KafkaConnection. Immutable.
	// +required
	ConnectionRef ConnectionReference `json:"connectionRef"`

	// name of the topic: letters, digits, ".", "_" and "-", at most 249. Immutable. Default:
	// metadata.name. Names that begin with __ belong to Kafka and its tools.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9._-]+$') && !(self in ['.', '..'])",message="a topic name has letters, digits, '.', '_' and '-' only, and is neither '.' nor '..'"
	Name string `json:"name,omitempty"`

	// partitions is the number of partitions (num.partitions), from 1 to 100000. Kafka can add
	// partitions and never remove them; more partitions move keys to other partitions. Default: the
	// broker's at creation, then not looked at.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	Partitions *int32 `json:"partitions,omitempty"`

	// partitionGrowth says when a higher number of partitions is carried out. More partitions move keys to
	// other partitions and end per-key ordering. WhenEmpty (the default) adds them while the topic holds
	// no message; Always adds them at once; Never refuses.
	// +optional
	// +kubebuilder:default=WhenEmpty
	PartitionGrowth PartitionGrowth `json:"partitionGrowth,omitempty"`

	// replicationFactor is the number of replicas of each partition (default.replication.factor), from 1
	// to 32767; not more than there are brokers. A change moves replicas: see reassignment. Not together
	// with assignments. Default: the broker's at creation, then not looked at.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32767
	ReplicationFactor *int16 `json:"replicationFactor,omitempty"`

	// assignments place each partition on brokers, one entry a partition, in order from partition 0. A change
	// moves replicas: see reassignment. Not together with replicationFactor. At most 1000. Default: the
	// brokers choose.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:XValidation:rule="self.all(a, size(a.replicas) == size(self[0].replicas))",message="write the same number of replicas for every partition"
	Assignments []ReplicaAssignment `json:"assignments,omitempty"`

	// reassignment says how replicas are moved when replicationFactor or assignments change. Default:
	// without a throttle.
	// +optional
	Reassignment *Reassignment `json:"reassignment,omitempty"`

	// config are the topic's own configs, as strings in Kafka's spelling, such as retention.ms: "604800000".
	// A key that stands here is kept at its value; one that is removed here is unset on the topic; one
	// that never stood here is not looked at. Throttles of replication do not belong here: see reassignment.
	// At most 128 keys of at most 249 characters, values of at
	// most 8192. Default: none.
	// +optional
	// +kubebuilder:validation:MaxProperties=128
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) > 0 && size(k) <= 249 && size(self[k]) <= 8192)",message="a config key has from 1 to 249 characters, its value at most 8192"
	// +kubebuilder:validation:XValidation:rule="!('leader.replication.throttled.replicas' in self) && !('follower.replication.throttled.replicas' in self)",message="throttled replicas come and go with each reassignment: remove them, and write reassignment.throttleBytesPerSecond"
	Config map[string]string `json:"config,omitempty"`

	// retry creates topics for retries, one for each delay, and one for dead letters; {} creates the latter
	// only. Default: none.
	// +optional
	Retry *TopicRetry `json:"retry,omitempty"`

	// consumer is what the contract recommends to consumers. Default: nothing.
	// +optional
	Consumer *TopicConsumer `json:"consumer,omitempty"`

	// contract has a ConfigMap written with what applications need to know of the topic. Default: none.
	// +optional
	Contract *Contract `json:"contract,omitempty"`

	// deletionPolicy says what deleting this object does to the topic. DeleteIfUnused (the default)
	// deletes it if it holds no message and no consumer group is active on it; Delete deletes it with its
	// messages; Retain keeps it. What retry created goes or stays with it; what is taken out of retry goes
	// when it is empty, whatever the policy.
	// +optional
	// +kubebuilder:default=DeleteIfUnused
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	Policies `json:",inline"`
}

// Topic declares a Kafka topic.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=topics,singular=topic,categories=warrener,shortName=wt
// +kubebuilder:printcolumn:name="Topic",type=string,JSONPath=`.status.brokerName`
// +kubebuilder:printcolumn:name="Partitions",type=integer,JSONPath=`.spec.partitions`
// +kubebuilder:printcolumn:name="Replication",type=integer,JSONPath=`.spec.replicationFactor`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Connection",type=string,priority=1,JSONPath=`.spec.connectionRef.name`
// +kubebuilder:validation:XValidation:rule="(has(self.spec.name) ? self.spec.name : self.metadata.name) == (has(oldSelf.spec.name) ? oldSelf.spec.name : oldSelf.metadata.name)",message="name cannot be changed: create a new Topic with the new name and delete this one"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.name) || !self.spec.name.startsWith('__')",message="names that begin with __ belong to Kafka and its tools: choose another name"
// +kubebuilder:validation:XValidation:rule="has(self.spec.name) || size(self.metadata.name) <= 249",message="metadata.name is too long for a topic, which has at most 249 characters: write spec.name"
type Topic struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what shall exist on the broker.
	// +required
	Spec TopicSpec `json:"spec"`

	// status is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ObjectStatus `json:"status,omitzero"`
}

// TopicList is a list of Topic.
//
// +kubebuilder:object:root=true
type TopicList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Topic `json:"items"`
}

// KindName implements Object.
func (*Topic) KindName() string { return KindTopic }

// GetConnectionRef implements Object.
func (t *Topic) GetConnectionRef() ConnectionReference { return t.Spec.ConnectionRef }

// BrokerName implements Object.
func (t *Topic) BrokerName() string { return nameOr(t.Spec.Name, t.Name) }

// GetPolicies implements Object.
func (t *Topic) GetPolicies() EffectivePolicies {
	return t.Spec.Policies.effective(t.Spec.DeletionPolicy, DeleteIfUnused)
}

// PartitionGrowth returns the policy with its default filled in.
func (t *Topic) PartitionGrowth() PartitionGrowth {
	if t.Spec.PartitionGrowth == "" {
		return PartitionGrowthWhenEmpty
	}
	return t.Spec.PartitionGrowth
}

// IsSuspended implements Object.
func (t *Topic) IsSuspended() bool { return t.Spec.Suspend }

// GetStatus implements Object.
func (t *Topic) GetStatus() *ObjectStatus { return &t.Status }

// Objects implements ObjectList.
func (l *TopicList) Objects() []Object {
	return pointersTo(l.Items, func(t *Topic) Object { return t })
}
