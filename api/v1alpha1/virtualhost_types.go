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

// QueueType is a RabbitMQ queue type, in RabbitMQ's spelling.
//
// +kubebuilder:validation:Enum=classic;quorum;stream
type QueueType string

const (
	// QueueTypeClassic keeps messages on one node.
	QueueTypeClassic QueueType = "classic"
	// QueueTypeQuorum replicates messages by Raft.
	QueueTypeQuorum QueueType = "quorum"
	// QueueTypeStream is a replicated log.
	QueueTypeStream QueueType = "stream"
)

// VirtualHostLimits caps what clients may open and declare in a virtual host.
type VirtualHostLimits struct {
	// maxConnections is the number of client connections (max-connections); 0 admits none. Default: no limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	MaxConnections *int64 `json:"maxConnections,omitempty"`

	// maxQueues is the number of queues (max-queues); 0 admits none. Default: no limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	MaxQueues *int64 `json:"maxQueues,omitempty"`
}

// VirtualHostSpec declares a RabbitMQ virtual host.
//
// +kubebuilder:validation:XValidation:rule="self.connectionRef == oldSelf.connectionRef",message="connectionRef cannot be changed: create a new VirtualHost with the other connection and delete this one"
type VirtualHostSpec struct {
	// connectionRef names the RabbitMQConnection. Immutable.
	// +required
	ConnectionRef ConnectionReference `json:"connectionRef"`

	// name of the virtual host. Immutable. Default: metadata.name. At most 255 bytes of UTF-8; the count
	// here is in characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\r\\n]')",message="a name cannot contain a line break"
	Name string `json:"name,omitempty"`

	// description for people, shown by the management UI (description). At most 1024 characters. Default: none.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// tags for people and tools (tags). At most 32, of 255 characters each, without commas, since
	// RabbitMQ writes them as a list with commas. Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.all(t, !t.contains(','))",message="a tag cannot contain a comma: write one tag an entry"
	Tags []string `json:"tags,omitempty"`

	// defaultQueueType is the type of queues that clients declare without one (default_queue_type):
	// classic, quorum or stream. Default: the broker's own, then not looked at.
	// +optional
	DefaultQueueType QueueType `json:"defaultQueueType,omitempty"`

	// limits caps what clients may open and declare (the vhost-limits of the virtual host). Default: none.
	// +optional
	Limits *VirtualHostLimits `json:"limits,omitempty"`

	// deletionPolicy says what deleting this object does to the virtual host. Retain (the default) keeps
	// it; DeleteIfUnused deletes it if it is empty; Delete deletes it with everything in it.
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	Policies `json:",inline"`
}

// VirtualHost declares a RabbitMQ virtual host.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=virtualhosts,singular=virtualhost,categories=warrener,shortName=wvh
// +kubebuilder:printcolumn:name="Virtual host",type=string,JSONPath=`.status.brokerName`
// +kubebuilder:printcolumn:name="Default queue type",type=string,JSONPath=`.spec.defaultQueueType`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Connection",type=string,priority=1,JSONPath=`.spec.connectionRef.name`
// +kubebuilder:validation:XValidation:rule="(has(self.spec.name) ? self.spec.name : self.metadata.name) == (has(oldSelf.spec.name) ? oldSelf.spec.name : oldSelf.metadata.name)",message="name cannot be changed: create a new VirtualHost with the new name and delete this one"
type VirtualHost struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what shall exist on the broker.
	// +required
	Spec VirtualHostSpec `json:"spec"`

	// status is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ObjectStatus `json:"status,omitzero"`
}

// VirtualHostList is a list of VirtualHost.
//
// +kubebuilder:object:root=true
type VirtualHostList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []VirtualHost `json:"items"`
}

// KindName implements Object.
func (*VirtualHost) KindName() string { return KindVirtualHost }

// GetConnectionRef implements Object.
func (v *VirtualHost) GetConnectionRef() ConnectionReference { return v.Spec.ConnectionRef }

// BrokerName implements Object.
func (v *VirtualHost) BrokerName() string { return nameOr(v.Spec.Name, v.Name) }

// GetPolicies implements Object.
func (v *VirtualHost) GetPolicies() EffectivePolicies {
	return v.Spec.Policies.effective(v.Spec.DeletionPolicy, Retain)
}

// IsSuspended implements Object.
func (v *VirtualHost) IsSuspended() bool { return v.Spec.Suspend }

// GetStatus implements Object.
func (v *VirtualHost) GetStatus() *ObjectStatus { return &v.Status }

// Objects implements ObjectList.
func (l *VirtualHostList) Objects() []Object {
	return pointersTo(l.Items, func(v *VirtualHost) Object { return v })
}
