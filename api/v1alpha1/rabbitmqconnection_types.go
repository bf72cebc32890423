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

// RabbitMQAuthenticationType says how Warrener identifies itself to RabbitMQ.
//
// +kubebuilder:validation:Enum=Basic
type RabbitMQAuthenticationType string

// RabbitMQAuthenticationBasic is HTTP basic authentication with a user name and a password.
const RabbitMQAuthenticationBasic RabbitMQAuthenticationType = "Basic"

// RabbitMQAuthentication is a union, told apart by its type.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'Basic' || has(self.secretRef)",message="type: Basic needs secretRef, the name of a Secret with the keys username and password"
type RabbitMQAuthentication struct {
	// type is Basic: a user name and a password.
	// +required
	Type RabbitMQAuthenticationType `json:"type"`

	// secretRef names the Secret with the keys username and password. The user needs the tag
	// administrator, or the tag management and permission to configure what is declared.
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
}

// RabbitMQConnectionSpec says how to reach a RabbitMQ cluster.
//
// +kubebuilder:validation:XValidation:rule="self.virtualHost == oldSelf.virtualHost",message="virtualHost cannot be changed: create a new connection for the other virtual host, or name the virtual host in each object"
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || self.endpoint.startsWith('https://')",message="tls needs an endpoint that begins with https://"
type RabbitMQConnectionSpec struct {
	// endpoint is the URL of the management API, such as https://rabbitmq.messaging.svc:15671. A path
	// prefix is kept. Credentials do not belong here but in the Secret. At most 2048 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ""`,message="write the URL of the management API, such as https://rabbitmq.messaging.svc:15671"
	// +kubebuilder:validation:XValidation:rule="!self.contains('@') && !self.contains('?') && !self.contains('#')",message="write the URL without user, password, query and fragment: credentials belong in authentication.secretRef"
	Endpoint string `json:"endpoint"`

	// authentication says how Warrener identifies itself.
	// +required
	Authentication RabbitMQAuthentication `json:"authentication"`

	// tls says whom to trust and how to identify oneself; only with an https endpoint. Default: the
	// authorities of the controller's image, no client certificate.
	// +optional
	TLS *TLS `json:"tls,omitempty"`

	// virtualHost is the virtual host of the objects that name none. Immutable. Default: "/". At most 255
	// bytes of UTF-8; the count here is in characters.
	// +optional
	// +kubebuilder:default="/"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	VirtualHost string `json:"virtualHost,omitempty"`

	// clientEndpoints are the URLs that applications connect to, such as
	// amqps://rabbitmq.messaging.svc:5671. Warrener only passes them on. At most 16, of 512 characters each.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.all(e, e.matches('^[a-z][a-z0-9+.-]*://[^@[:space:]]+$'))",message="write each client endpoint as a URL without user and password, such as amqps://rabbitmq.messaging.svc:5671"
	ClientEndpoints []string `json:"clientEndpoints,omitempty"`

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

// RabbitMQConnection says how to reach the management API of a RabbitMQ cluster, and who may use it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=rabbitmqconnections,singular=rabbitmqconnection,categories=warrener,shortName=wrc
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.spec.endpoint`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Owned",type=integer,priority=1,JSONPath=`.status.owned`
// +kubebuilder:printcolumn:name="Left behind",type=integer,priority=1,JSONPath=`.status.leftBehindCount`
// +kubebuilder:printcolumn:name="Cluster",type=string,priority=1,JSONPath=`.status.clusterID`
type RabbitMQConnection struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says how to reach the cluster.
	// +required
	Spec RabbitMQConnectionSpec `json:"spec"`

	// status is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ConnectionStatus `json:"status,omitzero"`
}

// RabbitMQConnectionList is a list of RabbitMQConnection.
//
// +kubebuilder:object:root=true
type RabbitMQConnectionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []RabbitMQConnection `json:"items"`
}

// DefaultVirtualHost is the virtual host of a connection that names none.
const DefaultVirtualHost = "/"

// GetVirtualHost returns the virtual host of the objects that name none.
func (c *RabbitMQConnection) GetVirtualHost() string {
	return nameOr(c.Spec.VirtualHost, DefaultVirtualHost)
}

// KindName implements Connection.
func (*RabbitMQConnection) KindName() string { return KindRabbitMQConnection }

// BrokerType implements Connection.
func (*RabbitMQConnection) BrokerType() BrokerType { return BrokerTypeRabbitMQ }

// GetAllowedNamespaces implements Connection.
func (c *RabbitMQConnection) GetAllowedNamespaces() AllowedNamespaces {
	return c.Spec.AllowedNamespaces
}

// GetTLS implements Connection.
func (c *RabbitMQConnection) GetTLS() *TLS { return c.Spec.TLS }

// GetCredentialsSecret implements Connection.
func (c *RabbitMQConnection) GetCredentialsSecret() string {
	if c.Spec.Authentication.SecretRef == nil {
		return ""
	}
	return c.Spec.Authentication.SecretRef.Name
}

// GetInterval implements Connection.
func (c *RabbitMQConnection) GetInterval() *metav1.Duration { return c.Spec.Interval }

// GetApproval implements Connection.
func (c *RabbitMQConnection) GetApproval() ApprovalPolicy { return StricterApproval(c.Spec.Approval) }

// IsSuspended implements Connection.
func (c *RabbitMQConnection) IsSuspended() bool { return c.Spec.Suspend }

// GetStatus implements Connection.
func (c *RabbitMQConnection) GetStatus() *ConnectionStatus { return &c.Status }

// Connections implements ConnectionList.
func (l *RabbitMQConnectionList) Connections() []Connection {
	return pointersTo(l.Items, func(c *RabbitMQConnection) Connection { return c })
}
