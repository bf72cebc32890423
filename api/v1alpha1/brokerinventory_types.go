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

	// ownUID repeats metadata.uid. An inventory that was restored from a backup has another one: what it
	// says may not be true any more, so it counts as lost, and nothing is deleted because of it.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	OwnUID string `json:"ownUID,omitempty"`

	// holder is the controller process that read the inventory last. It rewrites every shard when it
	// does, so that whoever read it before cannot write it any more.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Holder string `json:"holder,omitempty"`

	// entries are one line a broker object: its kind, scope (virtual host) and name, then the custom
	// resources that own it, the deletion policy to follow once they are gone, the connection through
	// which it is reached and, where an object is owned in part, the fields. left-behind says why an
	// object stays although no owner is left, and since when. Sorted.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8192
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=131072
	Entries []string `json:"entries,omitempty"`

	// departures are, in shard 0, one line a custom resource that is gone: since when, and whether its
	// deletion is held (with its place in the window) or was allowed by a person. Those of the last ten
	// minutes are counted. Sorted.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=65536
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Departures []string `json:"departures,omitempty"`

	// deletionWindow is, in shard 0, the window of held deletions that was opened last. It is open while
	// a departure is held.
	// +optional
	DeletionWindow *DeletionWindow `json:"deletionWindow,omitempty"`
}

// DeletionWindow names deletions that are held together.
type DeletionWindow struct {
	// name is the time at which the window opened, in UTC, such as 20261122-004536.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name"`

	// last is the highest place that a deletion got in the window. The name, a dash and this number are
	// the id that allows all of them.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Last int32 `json:"last,omitempty"`
}

// BrokerInventoryList is a list of BrokerInventory.
//
// +kubebuilder:object:root=true
type BrokerInventoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []BrokerInventory `json:"items"`
}
