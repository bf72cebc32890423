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

// DestinationType is what a binding leads to, in RabbitMQ's spelling.
//
// +kubebuilder:validation:Enum=queue;exchange
type DestinationType string

// The destination types.
const (
	DestinationQueue    DestinationType = "queue"
	DestinationExchange DestinationType = "exchange"
)

// ExchangeBindingSpec declares bindings from one exchange to one queue or exchange.
//
// +kubebuilder:validation:XValidation:rule="self.connectionRef == oldSelf.connectionRef",message="connectionRef cannot be changed: create a new ExchangeBinding with the other connection and delete this one"
// +kubebuilder:validation:XValidation:rule=`(has(self.virtualHost) ? self.virtualHost : "") == (has(oldSelf.virtualHost) ? oldSelf.virtualHost : "")`,message="virtualHost cannot be changed, added or removed: create a new ExchangeBinding in the other virtual host and delete this one"
// +kubebuilder:validation:XValidation:rule="self.destination == oldSelf.destination && self.destinationType == oldSelf.destinationType",message="destination and destinationType cannot be changed: create a new ExchangeBinding with the other destination and delete this one"
type ExchangeBindingSpec struct {
	// connectionRef names the RabbitMQConnection. Immutable.
	// +required
	ConnectionRef ConnectionReference `json:"connectionRef"`

	// virtualHost that both ends live in. Immutable. Default: the connection's. At most 255 bytes of
	// UTF-8; the count here is in characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	VirtualHost string `json:"virtualHost,omitempty"`

	// The source, keys, headers and arguments may change: the new bindings are made before the old ones
	// are removed.
	BindingSource `json:",inline"`

	// destination is the queue or exchange that messages go to (destination). Immutable. At most 255
	// bytes of UTF-8; the count here is in characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Destination string `json:"destination"`

	// destinationType is queue or exchange (destination_type). Immutable.
	// +required
	DestinationType DestinationType `json:"destinationType"`

	// deletionPolicy says what deleting this object does to the bindings. DeleteIfUnused (the default)
	// and Delete remove them, a binding holds nothing; Retain keeps them.
	// +optional
	// +kubebuilder:default=DeleteIfUnused
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	Policies `json:",inline"`
}

// ExchangeBinding declares bindings from an exchange to a queue or an exchange that somebody else
// declares. Bindings of your own queue are better kept in the queue.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=exchangebindings,singular=exchangebinding,categories=warrener,shortName=wxb
// +kubebuilder:selectablefield:JSONPath=`.spec.destination`
// +kubebuilder:printcolumn:name="Source",type=string,JSONPath=`.spec.source`
// +kubebuilder:printcolumn:name="Destination",type=string,JSONPath=`.spec.destination`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.destinationType`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Connection",type=string,priority=1,JSONPath=`.spec.connectionRef.name`
// +kubebuilder:printcolumn:name="Virtual host",type=string,priority=1,JSONPath=`.spec.virtualHost`
type ExchangeBinding struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what shall exist on the broker.
	// +required
	Spec ExchangeBindingSpec `json:"spec"`

	// status is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ObjectStatus `json:"status,omitzero"`
}

// ExchangeBindingList is a list of ExchangeBinding.
//
// +kubebuilder:object:root=true
type ExchangeBindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []ExchangeBinding `json:"items"`
}

// KindName implements Object.
func (*ExchangeBinding) KindName() string { return KindExchangeBinding }

// GetConnectionRef implements Object.
func (b *ExchangeBinding) GetConnectionRef() ConnectionReference { return b.Spec.ConnectionRef }

// GetVirtualHost implements RabbitMQObject.
func (b *ExchangeBinding) GetVirtualHost() string { return b.Spec.VirtualHost }

// BrokerName implements Object: "source -> destination", for people, since a binding has no name.
func (b *ExchangeBinding) BrokerName() string { return b.Spec.Source + " -> " + b.Spec.Destination }

// GetPolicies implements Object.
func (b *ExchangeBinding) GetPolicies() EffectivePolicies {
	return b.Spec.Policies.effective(b.Spec.DeletionPolicy, DeleteIfUnused)
}

// IsSuspended implements Object.
func (b *ExchangeBinding) IsSuspended() bool { return b.Spec.Suspend }

// GetStatus implements Object.
func (b *ExchangeBinding) GetStatus() *ObjectStatus { return &b.Status }

// Objects implements ObjectList.
func (l *ExchangeBindingList) Objects() []Object {
	return pointersTo(l.Items, func(b *ExchangeBinding) Object { return b })
}
