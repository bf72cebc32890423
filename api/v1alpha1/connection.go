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
	"k8s.io/apimachinery/pkg/runtime"
)

// BrokerType tells the two families of brokers apart.
//
// +kubebuilder:validation:Enum=RabbitMQ;Kafka
type BrokerType string

// The broker types.
const (
	BrokerTypeRabbitMQ BrokerType = "RabbitMQ"
	BrokerTypeKafka    BrokerType = "Kafka"
)

// Connection is a custom resource that says how to reach a broker: RabbitMQConnection, KafkaConnection.
//
// +kubebuilder:object:generate=false
type Connection interface {
	metav1.Object
	runtime.Object

	// KindName is the kind, also on an object whose TypeMeta is empty, as decoded lists leave it.
	KindName() string
	BrokerType() BrokerType
	GetAllowedNamespaces() AllowedNamespaces
	// GetTLS returns the TLS settings, nil where there are none.
	GetTLS() *TLS
	// GetCredentialsSecret returns the name of the Secret with user name and password, "" where the
	// connection uses none.
	GetCredentialsSecret() string
	// GetInterval returns the time between two drift checks, nil for the controller's default.
	GetInterval() *metav1.Duration
	// GetApproval returns what is required of all objects that use the connection.
	GetApproval() ApprovalPolicy
	// IsSuspended says whether nothing is to be read or written through the connection.
	IsSuspended() bool
	// GetStatus returns the status for reading and writing; never nil.
	GetStatus() *ConnectionStatus
}

// ConnectionList is a list of one kind of Connection.
//
// +kubebuilder:object:generate=false
type ConnectionList interface {
	metav1.ListInterface
	runtime.Object
	// Connections returns pointers to the items, in order.
	Connections() []Connection
}

// NewConnections returns one empty object of every kind of Connection.
func NewConnections() []Connection {
	return []Connection{&RabbitMQConnection{}, &KafkaConnection{}}
}

// NewConnection returns an empty object of a kind; nil if no kind of Connection is called so.
func NewConnection(kind string) Connection {
	for _, connection := range NewConnections() {
		if connection.KindName() == kind {
			return connection
		}
	}
	return nil
}

// NewConnectionLists returns one empty list of every kind of Connection, in the order of NewConnections.
func NewConnectionLists() []ConnectionList {
	return []ConnectionList{&RabbitMQConnectionList{}, &KafkaConnectionList{}}
}

var (
	_ Connection = (*RabbitMQConnection)(nil)
	_ Connection = (*KafkaConnection)(nil)
)

// LocalSecretReference names a Secret in the namespace of the connection.
type LocalSecretReference struct {
	// name of the Secret, in the namespace of the connection. At most 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// CAReferenceKind says where certificates of authorities are kept.
//
// +kubebuilder:validation:Enum=Secret;ConfigMap
type CAReferenceKind string

// The kinds that may hold certificates of authorities.
const (
	CAReferenceSecret    CAReferenceKind = "Secret"
	CAReferenceConfigMap CAReferenceKind = "ConfigMap"
)

// CAReference names a key of a Secret or ConfigMap that holds PEM certificates.
type CAReference struct {
	// kind of the object: Secret or ConfigMap.
	// +required
	Kind CAReferenceKind `json:"kind"`

	// name of the object, in the namespace of the connection. At most 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key whose value is one or more PEM certificates. Default: ca.crt. At most 253 characters.
	// +optional
	// +kubebuilder:default="ca.crt"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// DefaultCAKey is the key that a CAReference without a key means.
const DefaultCAKey = "ca.crt"

// TLS says whom to trust and how to identify oneself. An empty object trusts the authorities of the
// controller's image.
type TLS struct {
	// caRef names the certificates of the authorities to trust. Default: those of the controller's image.
	// +optional
	CARef *CAReference `json:"caRef,omitempty"`

	// clientCertificateSecretRef names a Secret of type kubernetes.io/tls whose tls.crt and tls.key
	// identify Warrener to the broker. Default: no client certificate.
	// +optional
	ClientCertificateSecretRef *LocalSecretReference `json:"clientCertificateSecretRef,omitempty"`

	// serverName is the name that the broker's certificate must carry, and the one that is sent as SNI.
	// Default: the host that is connected to. At most 253 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`
}

// NamespacesFrom says which namespaces' objects a connection serves.
//
// +kubebuilder:validation:Enum=Same;All;Selector
type NamespacesFrom string

const (
	// NamespacesFromSame admits objects in the connection's own namespace.
	NamespacesFromSame NamespacesFrom = "Same"
	// NamespacesFromAll admits objects in every namespace.
	NamespacesFromAll NamespacesFrom = "All"
	// NamespacesFromSelector admits objects in the namespaces whose labels match.
	NamespacesFromSelector NamespacesFrom = "Selector"
)

// AllowedNamespaces says which namespaces' objects may use a connection.
//
// +kubebuilder:validation:XValidation:rule="(has(self.from) && self.from == 'Selector') == has(self.selector)",message="selector belongs to from: Selector, and from: Selector needs a selector"
type AllowedNamespaces struct {
	// from is Same (the default): objects in the connection's namespace; All: objects in every
	// namespace; or Selector: objects in the namespaces that the selector matches.
	// +optional
	// +kubebuilder:default=Same
	From NamespacesFrom `json:"from,omitempty"`

	// selector chooses namespaces by their labels. Only with from: Selector.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// ConnectionStatus is the status of both kinds of connection. Nothing in it changes while nothing happens.
type ConnectionStatus struct {
	// observedGeneration is the metadata.generation of the spec that the conditions speak of; -1 as long
	// as Warrener has not seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready; Reconciling or Stalled while one of them is true; DeletionHeld while deletions are
	// held.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// clusterID identifies the broker cluster: Kafka's cluster id; RabbitMQ's internal cluster id or,
	// where that cannot be read, the endpoint in its normal form.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	ClusterID string `json:"clusterID,omitempty"`

	// version of the broker, as it reports it.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Version string `json:"version,omitempty"`

	// owned is the number of broker objects that Warrener owns through this connection.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Owned int32 `json:"owned,omitempty"`

	// pendingDeletions is the number of broker objects whose custom resource is gone and that are still
	// to be deleted, because the broker is away or because the deletions are held.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PendingDeletions int32 `json:"pendingDeletions,omitempty"`

	// leftBehindCount is the number of broker objects that stay although their custom resource is gone.
	// +optional
	// +kubebuilder:validation:Minimum=0
	LeftBehindCount int32 `json:"leftBehindCount,omitempty"`

	// leftBehind names the first 50 of them. Applying the custom resource again takes an object back.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	LeftBehind []LeftBehind `json:"leftBehind,omitempty"`

	// heldDeletions are there while deletions wait for a person, because unusually many custom resources
	// went at once.
	// +optional
	HeldDeletions *HeldDeletions `json:"heldDeletions,omitempty"`

	// lastHandledForget repeats the first word of the annotation topology.warrener.dev/forget-left-behind
	// that was answered last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledForget string `json:"lastHandledForget,omitempty"`

	// lastHandledReconcileAt repeats the value of the annotation topology.warrener.dev/reconcile-at that
	// was answered last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// HeldDeletions tells which deletions wait for a person.
type HeldDeletions struct {
	// window is the id to put into the annotation topology.warrener.dev/allow-deletes. It covers what is
	// held at this moment; what joins later makes another id.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Window string `json:"window"`

	// count is the number of custom resources whose deletion is held.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Count int32 `json:"count,omitempty"`

	// owners names the first 50 of them, such as "Queue team-a/order-process". Applying a custom resource
	// again takes it out.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MaxLength=512
	Owners []string `json:"owners,omitempty"`
}

// MaxHeldDeletions is the number of names that HeldDeletions.Owners holds.
const MaxHeldDeletions = 50

// MaxLeftBehind is the number of entries that ConnectionStatus.LeftBehind holds.
const MaxLeftBehind = 50

// MaxOwns is the number of entries that ObjectStatus.Owns holds.
const MaxOwns = 64

// LeftBehind is a broker object that stays although its custom resource is gone.
type LeftBehind struct {
	// object is the broker object, such as "queue shop/order.process".
	// +required
	// +kubebuilder:validation:MaxLength=4096
	Object string `json:"object"`

	// owner is the custom resource that is gone, such as "Queue team-a/order-process".
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Owner string `json:"owner,omitempty"`

	// reason says why the broker object stays.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// since is when it came to be left behind.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}
