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

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DeadLetterStrategy is RabbitMQ's x-dead-letter-strategy argument, in RabbitMQ's spelling.
//
// +kubebuilder:validation:Enum=at-most-once;at-least-once
type DeadLetterStrategy string

const (
	// DeadLetterAtMostOnce may lose a message between the queue and its dead-letter exchange.
	DeadLetterAtMostOnce DeadLetterStrategy = "at-most-once"
	// DeadLetterAtLeastOnce keeps a message until the queues behind the dead-letter exchange confirm it.
	DeadLetterAtLeastOnce DeadLetterStrategy = "at-least-once"
)

// DeadLetterQueueType is the type of a queue for dead letters: a queue type that can be read empty.
//
// +kubebuilder:validation:Enum=classic;quorum
type DeadLetterQueueType string

// DeadLetter says where messages go that are rejected, expire, overflow or exceed the delivery limit.
// By default Warrener creates the dead-letter exchange, a dead-letter queue and the binding between
// them; objects that several queues want alike are shared, and the last of them deletes them.
//
// +kubebuilder:validation:XValidation:rule="!has(self.create) || self.create || has(self.exchange)",message="create: false only refers to an existing exchange: name it in exchange"
// +kubebuilder:validation:XValidation:rule="!has(self.create) || self.create || !(has(self.exchangeType) || has(self.queue) || has(self.queueType) || has(self.messageTTL) || has(self.maxLength))",message="create: false creates nothing: remove exchangeType, queue, queueType, messageTTL and maxLength, or remove create: false"
// +kubebuilder:validation:XValidation:rule=`(has(self.create) && !self.create) || !has(self.exchange) || self.exchange != ""`,message="the default exchange (an empty name) cannot be created: name another exchange, or write create: false"
// +kubebuilder:validation:XValidation:rule="(has(self.create) && !self.create) || !has(self.exchange) || !self.exchange.startsWith('amq.')",message="exchanges whose name begins with amq. belong to the broker: name another exchange, or write create: false"
// +kubebuilder:validation:XValidation:rule="!has(self.queue) || !self.queue.startsWith('amq.')",message="queues whose name begins with amq. belong to the broker: name another dead-letter queue"
type DeadLetter struct {
	// create the dead-letter exchange, the dead-letter queue and the binding. With false, only refer to
	// an exchange that is declared elsewhere. Default: true.
	// +optional
	// +kubebuilder:default=true
	Create *bool `json:"create,omitempty"`

	// exchange is the dead-letter exchange (x-dead-letter-exchange). Default: the queue's name followed
	// by ".dlx". With create: false it is required, and "" means the default exchange. At most 255 bytes
	// of UTF-8; the count here is in characters.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Exchange *string `json:"exchange,omitempty"`

	// exchangeType is the type of the dead-letter exchange that is created: direct (the default), fanout
	// or topic.
	// +optional
	// +kubebuilder:validation:Enum=direct;fanout;topic
	ExchangeType string `json:"exchangeType,omitempty"`

	// queue is the name of the dead-letter queue that is created. Default: the queue's name followed by
	// ".dead". At most 255 bytes of UTF-8; the count here is in characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Queue string `json:"queue,omitempty"`

	// queueType is the type of the dead-letter queue that is created: classic or quorum. Default: the
	// type of this queue.
	// +optional
	QueueType DeadLetterQueueType `json:"queueType,omitempty"`

	// routingKey is the key that dead letters get (x-dead-letter-routing-key) and that the dead-letter
	// queue is bound with. Default: the queue's name; with create: false, the key that the message
	// arrived with. At most 255 bytes of UTF-8; the count here is in characters.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	RoutingKey *string `json:"routingKey,omitempty"`

	// messageTTL is how long the dead-letter queue that is created keeps a message (x-message-ttl), in
	// whole milliseconds up to 4294967295ms (about 49 days), such as 168h. Default: for ever.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(\\\\.[0-9]{1,3})?h|[0-9]{1,7}(\\\\.[0-9]{1,3})?m|[0-9]{1,9}(\\\\.[0-9]{1,3})?s|[0-9]{1,12}ms)+$') && duration(self) <= duration('4294967295ms')",message="write whole milliseconds up to 4294967295ms (about 49 days), such as 500ms, 1.5s or 24h: RabbitMQ has no finer unit"
	MessageTTL *metav1.Duration `json:"messageTTL,omitempty"`

	// maxLength is the number of messages that the dead-letter queue that is created holds
	// (x-max-length); the oldest are dropped. Default: no limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9007199254740991
	MaxLength *int64 `json:"maxLength,omitempty"`

	// strategy is at-most-once or at-least-once (x-dead-letter-strategy). At-least-once needs a quorum
	// queue with overflow: reject-publish. Default: the broker's, at-most-once; under retry.strategy: Tiers, a
	// quorum queue has both.
	// +optional
	Strategy DeadLetterStrategy `json:"strategy,omitempty"`
}

// Creates says whether the dead-letter exchange, queue and binding are created, or only referred to.
func (d *DeadLetter) Creates() bool { return trueUnless(d.Create) }
