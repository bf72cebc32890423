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

// ExchangeType is a RabbitMQ exchange type, in RabbitMQ's spelling. Types of plugins begin with x-.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule="self in ['direct', 'fanout', 'topic', 'headers'] || self.matches('^x-.+$')",message="write direct, fanout, topic, headers, or the type of a plugin, which begins with x-"
type ExchangeType string

const (
	// ExchangeTypeDirect routes by the equal key.
	ExchangeTypeDirect ExchangeType = "direct"
	// ExchangeTypeFanout routes to everything that is bound.
	ExchangeTypeFanout ExchangeType = "fanout"
	// ExchangeTypeTopic routes by patterns of keys.
	ExchangeTypeTopic ExchangeType = "topic"
	// ExchangeTypeHeaders routes by the headers.
	ExchangeTypeHeaders ExchangeType = "headers"
)

// ExchangeSpec declares a RabbitMQ exchange and what is bound to it.
//
// +kubebuilder:validation:XValidation:rule="self.connectionRef == oldSelf.connectionRef",message="connectionRef cannot be changed: create a new Exchange with the other connection and delete this one"
// +kubebuilder:validation:XValidation:rule=`(has(self.virtualHost) ? self.virtualHost : "") == (has(oldSelf.virtualHost) ? oldSelf.virtualHost : "")`,message="virtualHost cannot be changed, added or removed: create a new Exchange in the other virtual host and delete this one"
type ExchangeSpec struct {
	// connectionRef names the RabbitMQConnection. Immutable.
	// +required
	ConnectionRef ConnectionReference `json:"connectionRef"`

	// virtualHost that the exchange lives in. Immutable. Default: the connection's. At most 255 bytes of
	// UTF-8; the count here is in characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	VirtualHost string `json:"virtualHost,omitempty"`

	// name of the exchange. Immutable. Default: metadata.name. Names that begin with amq. belong to the
	// broker. At most 255 bytes of UTF-8; the count here is in characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\r\\n]')",message="a name cannot contain a line break: RabbitMQ would remove it"
	Name string `json:"name,omitempty"`

	// type of the exchange: direct, fanout, topic, headers, or the type of a plugin, such as
	// x-consistent-hash. The broker cannot change it on an existing exchange.
	// +required
	Type ExchangeType `json:"type"`

	// durable exchanges survive a restart of the broker (durable). Default: true.
	// +optional
	// +kubebuilder:default=true
	Durable *bool `json:"durable,omitempty"`

	// autoDelete makes the broker delete the exchange when its last binding is removed (auto_delete).
	// Default: false.
	// +optional
	AutoDelete bool `json:"autoDelete,omitempty"`

	// internal exchanges take messages from other exchanges only, not from clients (internal). Default: false.
	// +optional
	Internal bool `json:"internal,omitempty"`

	// alternateExchange receives the messages that no binding matches (alternate-exchange). Default:
	// none, such messages are dropped or returned. At most 255 bytes of UTF-8; the count here is in characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	AlternateExchange string `json:"alternateExchange,omitempty"`

	// bindings are the exchanges whose messages go to this exchange (exchange-to-exchange bindings, this
	// exchange being the destination). At most 128. Default: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	Bindings []BindingSource `json:"bindings,omitempty"`

	// arguments are further arguments of the exchange, as JSON: an integer stays an integer. An argument
	// that a field covers (alternate-exchange) belongs in the field. At most 64. Default: none.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Arguments Arguments `json:"arguments,omitempty"`

	// deletionPolicy says what deleting this object does to the exchange. DeleteIfUnused (the default)
	// deletes it if no binding to anything else remains; Delete deletes it anyway; Retain keeps it.
	// +optional
	// +kubebuilder:default=DeleteIfUnused
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	Policies `json:",inline"`
}

// Exchange declares a RabbitMQ exchange.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=exchanges,singular=exchange,categories=warrener,shortName=wex
// +kubebuilder:selectablefield:JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Exchange",type=string,JSONPath=`.status.brokerName`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Connection",type=string,priority=1,JSONPath=`.spec.connectionRef.name`
// +kubebuilder:printcolumn:name="Virtual host",type=string,priority=1,JSONPath=`.spec.virtualHost`
// +kubebuilder:validation:XValidation:rule="(has(self.spec.name) ? self.spec.name : self.metadata.name) == (has(oldSelf.spec.name) ? oldSelf.spec.name : oldSelf.metadata.name)",message="name cannot be changed: create a new Exchange with the new name and delete this one"
// +kubebuilder:validation:XValidation:rule="!(has(self.spec.name) ? self.spec.name : self.metadata.name).startsWith('amq.')",message="names that begin with amq. belong to the broker: choose another name"
type Exchange struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what shall exist on the broker.
	// +required
	Spec ExchangeSpec `json:"spec"`

	// status is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ObjectStatus `json:"status,omitzero"`
}

// ExchangeList is a list of Exchange.
//
// +kubebuilder:object:root=true
type ExchangeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Exchange `json:"items"`
}

// IsDurable returns durable with its default filled in.
func (s *ExchangeSpec) IsDurable() bool { return trueUnless(s.Durable) }

// KindName implements Object.
func (*Exchange) KindName() string { return KindExchange }

// GetConnectionRef implements Object.
func (e *Exchange) GetConnectionRef() ConnectionReference { return e.Spec.ConnectionRef }

// GetVirtualHost implements RabbitMQObject.
func (e *Exchange) GetVirtualHost() string { return e.Spec.VirtualHost }

// BrokerName implements Object.
func (e *Exchange) BrokerName() string { return nameOr(e.Spec.Name, e.Name) }

// GetPolicies implements Object.
func (e *Exchange) GetPolicies() EffectivePolicies {
	return e.Spec.Policies.effective(e.Spec.DeletionPolicy, DeleteIfUnused)
}

// IsSuspended implements Object.
func (e *Exchange) IsSuspended() bool { return e.Spec.Suspend }

// GetStatus implements Object.
func (e *Exchange) GetStatus() *ObjectStatus { return &e.Status }

// Objects implements ObjectList.
func (l *ExchangeList) Objects() []Object {
	return pointersTo(l.Items, func(e *Exchange) Object { return e })
}
