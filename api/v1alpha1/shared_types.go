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

	// owns lists the broker objects that this object owns, such as "queue shop/order.process", for
	// people to read. It is cut at 64 entries; the BrokerInventory holds them all.
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
