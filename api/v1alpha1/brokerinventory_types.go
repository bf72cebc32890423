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

// InventoryOwner is a custom resource that owns a broker object: its kind, namespace and name, so that
// one that is deleted and applied again goes on owning.
type InventoryOwner struct {
	// kind of the custom resource.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`

	// namespace of the custom resource.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// name of the custom resource.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// InventoryConnection is the connection through which a broker object is reached.
type InventoryConnection struct {
	// namespace of the connection.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// name of the connection.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// InventoryEntry is one broker object that custom resources own, or owned when they were deleted.
type InventoryEntry struct {
	// kind of the broker object, such as queue.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`

	// scope is the virtual host; empty on Kafka.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Scope string `json:"scope,omitempty"`

	// name of the broker object within its kind and scope; of a binding, all that identifies it.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Name string `json:"name,omitempty"`

	// owners are the custom resources that own the object; several where objects are shared.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	Owners []InventoryOwner `json:"owners,omitempty"`

	// deletionPolicy to follow when the last owner is gone.
	// +required
	DeletionPolicy DeletionPolicy `json:"deletionPolicy"`

	// connection through which the object is reached, also when no owner is there any more to name it.
	// +required
	Connection InventoryConnection `json:"connection"`

	// deletedAt is when the last owner was found gone. Set while the deletion is pending and while the
	// object is left behind.
	// +optional
	DeletedAt *metav1.Time `json:"deletedAt,omitempty"`

	// leftBehind says why the object stays although its last owner is gone. Empty while the deletion is
	// pending.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LeftBehind string `json:"leftBehind,omitempty"`

	// handOverTo repeats the annotation topology.warrener.dev/hand-over-to of the last owner.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	HandOverTo string `json:"handOverTo,omitempty"`

	// fields are the parts of the object that are owned, where an object is owned in part, such as the
	// config keys of a topic. Empty: the whole object.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=512
	Fields []string `json:"fields,omitempty"`
}

// BrokerInventory is a shard of the controller's record of what it owns on one broker cluster. An entry
// is written before the broker object is created and removed after its deletion is confirmed. It holds
// for the cluster in clusterID and for no other. Not to be edited: what is lost from it is never deleted.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=brokerinventories,singular=brokerinventory,shortName=winv
// +kubebuilder:printcolumn:name="Broker",type=string,JSONPath=`.brokerType`
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.clusterID`
// +kubebuilder:printcolumn:name="Shard",type=integer,JSONPath=`.shard`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type BrokerInventory struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// clusterID identifies the broker cluster that this inventory holds for.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	ClusterID string `json:"clusterID"`

	// brokerType is RabbitMQ or Kafka.
	// +required
	BrokerType BrokerType `json:"brokerType"`

	// shard is the number of this part of the inventory, from 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Shard int32 `json:"shard"`

	// shards is, in shard 0, the number of shards that the inventory has. No shard is added without
	// changing shard 0 first.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Shards int32 `json:"shards,omitempty"`

	// holder is the controller process that read the inventory last. It rewrites every shard when it
	// does, so that whoever read it before cannot write it any more.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Holder string `json:"holder,omitempty"`

	// entries, sorted by kind, scope and name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8192
	Entries []InventoryEntry `json:"entries,omitempty"`
}

// BrokerInventoryList is a list of BrokerInventory.
//
// +kubebuilder:object:root=true
type BrokerInventoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []BrokerInventory `json:"items"`
}
