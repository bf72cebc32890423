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

// KafkaAuthenticationType says how Warrener identifies itself to Kafka.
//
// +kubebuilder:validation:Enum=Plain;ScramSha256;ScramSha512;TLS
type KafkaAuthenticationType string

const (
	// KafkaAuthenticationPlain is SASL PLAIN.
	KafkaAuthenticationPlain KafkaAuthenticationType = "Plain"
	// KafkaAuthenticationScramSha256 is SASL SCRAM-SHA-256.
	KafkaAuthenticationScramSha256 KafkaAuthenticationType = "ScramSha256"
	// KafkaAuthenticationScramSha512 is SASL SCRAM-SHA-512.
	KafkaAuthenticationScramSha512 KafkaAuthenticationType = "ScramSha512"
	// KafkaAuthenticationTLS is the client certificate of tls.clientCertificateSecretRef.
	KafkaAuthenticationTLS KafkaAuthenticationType = "TLS"
)

// KafkaAuthentication is a union, told apart by its type.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'TLS') != has(self.secretRef)",message="type: Plain, ScramSha256 and ScramSha512 need secretRef, the name of a Secret with the keys username and password; type: TLS has none, it uses tls.clientCertificateSecretRef"
type KafkaAuthentication struct {
	// type is Plain (SASL PLAIN), ScramSha256 (SASL SCRAM-SHA-256), ScramSha512 (SASL SCRAM-SHA-512) or
	// TLS (the client certificate of tls.clientCertificateSecretRef).
	// +required
	Type KafkaAuthenticationType `json:"type"`

	// secretRef names the Secret with the keys username and password. Not with type: TLS.
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
}

// KafkaConnectionSpec says how to reach a Kafka cluster.
//
// +kubebuilder:validation:XValidation:rule="!has(self.authentication) || self.authentication.type != 'TLS' || (has(self.tls) && has(self.tls.clientCertificateSecretRef))",message="authentication.type: TLS needs tls.clientCertificateSecretRef, the name of a Secret with the keys tls.crt and tls.key"
type KafkaConnectionSpec struct {
	// bootstrapServers are the brokers to ask for the others (bootstrap.servers), each as host:port. From
	// 1 to 32, of at most 261 characters each.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=261
	// +kubebuilder:validation:XValidation:rule="self.all(s, s.matches('^[^/@,[:space:]]+:[0-9]{1,5}$'))",message="write each server as host:port, such as kafka-0.kafka:9092"
	BootstrapServers []string `json:"bootstrapServers"`

	// authentication says how Warrener identifies itself. Default: not at all.
	// +optional
	Authentication *KafkaAuthentication `json:"authentication,omitempty"`

	// tls switches TLS on and says whom to trust and how to identify oneself; an empty object trusts the
	// authorities of the controller's image. Default: no TLS.
	// +optional
	TLS *TLS `json:"tls,omitempty"`

	// allowedNamespaces says which namespaces' objects may use this connection. Default: only its own.
	// +optional
	// +kubebuilder:default={"from":"Same"}
	AllowedNamespaces AllowedNamespaces `json:"allowedNamespaces,omitzero"`

	// interval is the time between two drift checks, from 1s to 24h, such as 30s or 5m. Default: the
	// controller's flag.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}(\\\\.[0-9]{1,3})?[hms]|[0-9]{1,9}ms)+$') && duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="write an interval from 1s to 24h, such as 30s or 5m"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// approval Required holds, for all objects that use this connection, the steps that replace a broker object,
	// delete one that is declared no longer, or add partitions to a topic with records, until a person
	// approves them: see docs/approval.md. Default: None, which leaves it to each object.
	// +optional
	Approval ApprovalPolicy `json:"approval,omitempty"`

	// suspend stops every read and write through this connection until it is false again. Default: false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// KafkaConnection says how to reach a Kafka cluster, and who may use it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=kafkaconnections,singular=kafkaconnection,categories=warrener,shortName=wkc
// +kubebuilder:printcolumn:name="Bootstrap",type=string,JSONPath=`.spec.bootstrapServers[0]`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Owned",type=integer,priority=1,JSONPath=`.status.owned`
// +kubebuilder:printcolumn:name="Left behind",type=integer,priority=1,JSONPath=`.status.leftBehindCount`
// +kubebuilder:printcolumn:name="Cluster",type=string,priority=1,JSONPath=`.status.clusterID`
type KafkaConnection struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says how to reach the cluster.
	// +required
	Spec KafkaConnectionSpec `json:"spec"`

	// status is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ConnectionStatus `json:"status,omitzero"`
}

// KafkaConnectionList is a list of KafkaConnection.
//
// +kubebuilder:object:root=true
type KafkaConnectionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []KafkaConnection `json:"items"`
}

// KindName implements Connection.
func (*KafkaConnection) KindName() string { return KindKafkaConnection }

// BrokerType implements Connection.
func (*KafkaConnection) BrokerType() BrokerType { return BrokerTypeKafka }

// GetAllowedNamespaces implements Connection.
func (c *KafkaConnection) GetAllowedNamespaces() AllowedNamespaces { return c.Spec.AllowedNamespaces }

// GetTLS implements Connection.
func (c *KafkaConnection) GetTLS() *TLS { return c.Spec.TLS }

// GetCredentialsSecret implements Connection.
func (c *KafkaConnection) GetCredentialsSecret() string {
	if c.Spec.Authentication == nil || c.Spec.Authentication.SecretRef == nil {
		return ""
	}
	return c.Spec.Authentication.SecretRef.Name
}

// GetInterval implements Connection.
func (c *KafkaConnection) GetInterval() *metav1.Duration { return c.Spec.Interval }

// GetApproval implements Connection.
func (c *KafkaConnection) GetApproval() ApprovalPolicy { return StricterApproval(c.Spec.Approval) }

// IsSuspended implements Connection.
func (c *KafkaConnection) IsSuspended() bool { return c.Spec.Suspend }

// GetStatus implements Connection.
func (c *KafkaConnection) GetStatus() *ConnectionStatus { return &c.Status }

// Connections implements ConnectionList.
func (l *KafkaConnectionList) Connections() []Connection {
	return pointersTo(l.Items, func(c *KafkaConnection) Connection { return c })
}
