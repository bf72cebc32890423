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

// ConnectionReference names the connection through which a broker object is reached.
type ConnectionReference struct {
	// name of the RabbitMQConnection or, for a Topic, of the KafkaConnection. At most 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// namespace of the connection, at most 63 characters. Default: the namespace of this object. The
	// connection must admit this object's namespace in its allowedNamespaces.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// ObjectStatus is the status of every kind that declares a broker object.
type ObjectStatus struct {
	// observedGeneration is the metadata.generation of the spec that the conditions speak of; -1 as long
	// as Warrener has not seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready; Reconciling or Stalled while one of them is true; Drifted under driftPolicy Report;
	// ContractPublished with a contract; DeadLettersPresent where Warrener creates the place for dead letters.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// brokerName is the name on the broker: spec.name or, without it, metadata.name.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	BrokerName string `json:"brokerName,omitempty"`

	// operations lists changes that take longer than a moment, such as the migration of a queue, while they are
	// under way. It is brought up to date at most every ten seconds. At most 16.
	// +optional
	// +listType=map
	// +listMapKey=object
	// +kubebuilder:validation:MaxItems=16
	Operations []Operation `json:"operations,omitempty"`

	// plan is what would be done if nothing held it: there while a change waits for an approval, or is refused.
	// +optional
	Plan *Plan `json:"plan,omitempty"`

	// approvedPlan is the hash of the plan that a person approves, as status.plan has it. Warrener never writes a
	// hash here, and takes away one that is not of the present plan. Who may write it needs the right to patch the status:
	// the ClusterRole warrener-approver. At most 64 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ApprovedPlan string `json:"approvedPlan,omitempty"`

	// owns lists the broker objects that this object owns, such as "queue shop/order.process", for
	// people to read, and for a controller to see what one that was killed had not come to the end of. It is cut at 64 entries; the BrokerInventory holds them all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=4096
	Owns []string `json:"owns,omitempty"`

	// contractConfigMap is the ConfigMap that the contract was written to last.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ContractConfigMap string `json:"contractConfigMap,omitempty"`

	// lastHandledReconcileAt repeats the value of the annotation topology.warrener.dev/reconcile-at that
	// was answered last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// MaxOperations is how many entries status.operations holds, MaxOperationText how long a text in one is.
const (
	MaxOperations    = 16
	MaxOperationText = 4096
)

// Operation is a change of one broker object that is under way.
type Operation struct {
	// object on the broker, such as "queue shop/order.process". At most 4096 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Object string `json:"object"`

	// kind of the operation: Migrate, Recreate or Reassign.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Kind string `json:"kind"`

	// step names what is being done, in one word. At most 64 characters. Default: it has not begun.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Step string `json:"step,omitempty"`

	// moved counts the messages, or partitions, that are where they shall be.
	// +optional
	Moved int64 `json:"moved,omitempty"`

	// left counts the messages, or partitions, that are not.
	// +optional
	Left int64 `json:"left,omitempty"`

	// startedAt is when it was first seen under way.
	// +required
	StartedAt metav1.Time `json:"startedAt"`

	// message says what is waited for, and what to do if that does not come. At most 4096 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
}
