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

// Overflow is RabbitMQ's x-overflow argument, in RabbitMQ's spelling.
//
// +kubebuilder:validation:Enum=drop-head;reject-publish;reject-publish-dlx
type Overflow string

const (
	// OverflowDropHead drops, or dead-letters, the oldest message.
	OverflowDropHead Overflow = "drop-head"
	// OverflowRejectPublish refuses the new message.
	OverflowRejectPublish Overflow = "reject-publish"
	// OverflowRejectPublishDLX refuses the new message and dead-letters it; classic queues only.
	OverflowRejectPublishDLX Overflow = "reject-publish-dlx"
)

// LeaderLocator is RabbitMQ's x-queue-leader-locator argument, in RabbitMQ's spelling.
//
// +kubebuilder:validation:Enum=client-local;balanced
type LeaderLocator string

const (
	// LeaderLocatorClientLocal puts the leader on the node that the declaration arrives at.
	LeaderLocatorClientLocal LeaderLocator = "client-local"
	// LeaderLocatorBalanced spreads the leaders over the nodes.
	LeaderLocatorBalanced LeaderLocator = "balanced"
)

// QueueSettings says where the settings of a queue stand that RabbitMQ takes from a policy too.
//
// +kubebuilder:validation:Enum=Arguments;Policy
type QueueSettings string

const (
	// SettingsArguments puts them into the arguments of the queue, which are fixed at creation and which no
	// policy overrules.
	SettingsArguments QueueSettings = "Arguments"
	// SettingsPolicy puts them into a policy for this queue alone, which can change in place.
	SettingsPolicy QueueSettings = "Policy"
)

// QueueSpec declares a RabbitMQ queue, what is bound to it and where its dead letters go.
//
// +kubebuilder:validation:XValidation:rule="self.connectionRef == oldSelf.connectionRef",message="connectionRef cannot be changed: create a new Queue with the other connection and delete this one"
// +kubebuilder:validation:XValidation:rule=`(has(self.virtualHost) ? self.virtualHost : "") == (has(oldSelf.virtualHost) ? oldSelf.virtualHost : "")`,message="virtualHost cannot be changed, added or removed: create a new Queue in the other virtual host and delete this one"
// +kubebuilder:validation:XValidation:rule="self.type == 'classic' || !has(self.durable) || self.durable",message="quorum queues and streams are always durable: remove durable: false, or write type: classic"
// +kubebuilder:validation:XValidation:rule="self.type == 'classic' || !has(self.autoDelete) || !self.autoDelete",message="quorum queues and streams cannot be deleted automatically: remove autoDelete, or write type: classic"
// +kubebuilder:validation:XValidation:rule="self.type == 'classic' || !has(self.maxPriority)",message="maxPriority is for classic queues: remove it, or write type: classic"
// +kubebuilder:validation:XValidation:rule="self.type == 'quorum' || !has(self.deliveryLimit)",message="deliveryLimit is for quorum queues: remove it, or write type: quorum"
// +kubebuilder:validation:XValidation:rule="self.type != 'classic' || !has(self.initialGroupSize)",message="initialGroupSize is for quorum queues and streams, a classic queue has one replica: remove it, or write type: quorum"
// +kubebuilder:validation:XValidation:rule="self.type == 'stream' || !has(self.maxAge)",message="maxAge is for streams: write messageTTL instead, or type: stream"
// +kubebuilder:validation:XValidation:rule="self.type == 'stream' || !has(self.maxSegmentSizeBytes)",message="maxSegmentSizeBytes is for streams: remove it, or write type: stream"
// +kubebuilder:validation:XValidation:rule="self.type != 'stream' || !has(self.messageTTL)",message="a stream has no message TTL: write maxAge, such as 7D, instead of messageTTL"
// +kubebuilder:validation:XValidation:rule="self.type != 'stream' || !has(self.expires)",message="a stream does not expire: remove expires, or write another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'stream' || !has(self.maxLength)",message="a stream is limited by bytes and age: write maxLengthBytes or maxAge instead of maxLength"
// +kubebuilder:validation:XValidation:rule="self.type != 'stream' || !has(self.overflow)",message="a stream discards its oldest segments, nothing else: remove overflow"
// +kubebuilder:validation:XValidation:rule="self.type != 'stream' || !has(self.singleActiveConsumer) || !self.singleActiveConsumer",message="on a stream, single active consumer is chosen by the consumer: remove singleActiveConsumer"
// +kubebuilder:validation:XValidation:rule="self.type != 'stream' || !has(self.deadLetter)",message="a stream keeps what is rejected and dead-letters nothing: remove deadLetter, or write type: quorum"
// +kubebuilder:validation:XValidation:rule="self.type == 'classic' || !has(self.overflow) || self.overflow != 'reject-publish-dlx'",message="overflow: reject-publish-dlx is for classic queues: write reject-publish or drop-head"
// +kubebuilder:validation:XValidation:rule="!has(self.deadLetter) || !has(self.deadLetter.strategy) || self.deadLetter.strategy != 'at-least-once' || (self.type == 'quorum' && (has(self.overflow) ? self.overflow == 'reject-publish' : has(self.retry) && self.retry.strategy == 'Tiers'))",message="deadLetter.strategy: at-least-once needs type: quorum and overflow: reject-publish, else RabbitMQ silently uses at-most-once"
// +kubebuilder:validation:XValidation:rule="self.type != 'stream' || !has(self.retry)",message="a stream keeps what is rejected, and its consumer decides where to read on: remove retry, or write type: quorum"
// +kubebuilder:validation:XValidation:rule="!has(self.retry) || !((has(self.durable) && !self.durable) || (has(self.autoDelete) && self.autoDelete) || has(self.expires))",message="what waits for a retry is lost when the broker deletes the queue: remove durable: false, autoDelete and expires, or remove retry"
// +kubebuilder:validation:XValidation:rule="!has(self.retry) || self.retry.strategy == 'Native' || self.type != 'classic' || !has(self.overflow) || self.overflow != 'reject-publish'",message="a full classic queue with overflow: reject-publish refuses the messages that come back for a retry, and they are lost: write overflow: reject-publish-dlx, or type: quorum"
// +kubebuilder:validation:XValidation:rule="!has(self.retry) || self.retry.strategy != 'Native' || self.type == 'quorum'",message="retry.strategy: Native is for quorum queues: write type: quorum, or strategy: Tiers"
// +kubebuilder:validation:XValidation:rule="!has(self.retry) || self.retry.strategy != 'Native' || !has(self.deliveryLimit)",message="under retry.strategy: Native, retry.maxRetries is the delivery limit, and another one would cut the retries short: remove deliveryLimit"
// +kubebuilder:validation:XValidation:rule="!has(self.retry) || self.retry.strategy != 'Tiers' || self.type != 'quorum' || !has(self.overflow) || self.overflow == 'reject-publish'",message="under retry.strategy: Tiers a quorum queue dead-letters at-least-once, which drop-head would silently turn into at-most-once: remove overflow, or write overflow: reject-publish"
// +kubebuilder:validation:XValidation:rule="!has(self.retry) || self.retry.strategy != 'Tiers' || !has(self.deadLetter) || !has(self.deadLetter.strategy) || self.deadLetter.strategy == 'at-least-once'",message="under retry.strategy: Tiers, at-most-once loses what waits when the broker restarts: remove deadLetter.strategy"
// +kubebuilder:validation:XValidation:rule="!has(self.retry) || self.retry.strategy != 'Tiers' || !has(self.deadLetter) || !(has(self.deadLetter.exchange) || has(self.deadLetter.exchangeType) || has(self.deadLetter.routingKey) || (has(self.deadLetter.create) && !self.deadLetter.create))",message="under retry.strategy: Tiers the exchanges <name>.failed and <name>.giveup decide what is retried and what goes to the dead-letter queue: remove create: false, exchange, exchangeType and routingKey from deadLetter"
// +kubebuilder:validation:XValidation:rule="!has(self.updatePolicy) || self.updatePolicy != 'Migrate' || has(self.migration)",message="updatePolicy: Migrate cannot protect what is published to the queue through the default exchange in the moment of its replacement: write migration.defaultExchangePublishers: None if nobody does so, Paused if they pause meanwhile, or AcceptLoss"
// +kubebuilder:validation:XValidation:rule="!has(self.migration) || (has(self.updatePolicy) && self.updatePolicy == 'Migrate')",message="migration is about updatePolicy: Migrate: remove migration, or write that policy"
// +kubebuilder:validation:XValidation:rule="self.type != 'stream' || !has(self.updatePolicy) || self.updatePolicy != 'Migrate'",message="a stream keeps what is read, so nothing can be moved from one to another without doubling it: remove updatePolicy: Migrate, or declare another stream"
type QueueSpec struct {
	// connectionRef names the RabbitMQConnection. Immutable.
	// +required
	ConnectionRef ConnectionReference `json:"connectionRef"`

	// virtualHost that the queue lives in. Immutable. Default: the connection's. At most 255 bytes of
	// UTF-8; the count here is in characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	VirtualHost string `json:"virtualHost,omitempty"`

	// name of the queue. Immutable. Default: metadata.name. Names that begin with amq. belong to the
	// broker. At most 255 bytes of UTF-8; the count here is in characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\r\\n]')",message="a name cannot contain a line break: RabbitMQ would remove it"
	Name string `json:"name,omitempty"`

	// type of the queue: classic, quorum or stream (x-queue-type). The broker cannot change it on a queue
	// that exists: updatePolicy says what happens then.
	// +required
	Type QueueType `json:"type"`

	// durable queues survive a restart of the broker (durable). Quorum queues and streams are always
	// durable. Default: true.
	// +optional
	// +kubebuilder:default=true
	Durable *bool `json:"durable,omitempty"`

	// autoDelete makes the broker delete the queue when its last consumer leaves (auto_delete). Classic
	// queues only. Default: false.
	// +optional
	AutoDelete bool `json:"autoDelete,omitempty"`

	// messageTTL is how long a message may wait (x-message-ttl), in whole milliseconds up to
	// 4294967295ms (about 49 days), such as 60s; 0s drops, or dead-letters, what cannot be delivered at
	// once. Not for streams. Default: for ever.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(\\\\.[0-9]{1,3})?h|[0-9]{1,7}(\\\\.[0-9]{1,3})?m|[0-9]{1,9}(\\\\.[0-9]{1,3})?s|[0-9]{1,12}ms)+$') && duration(self) <= duration('4294967295ms')",message="write whole milliseconds up to 4294967295ms (about 49 days), such as 500ms, 1.5s or 24h: RabbitMQ has no finer unit"
	MessageTTL *metav1.Duration `json:"messageTTL,omitempty"`

	// expires is how long the queue may be unused, without consumers and redeclarations, until the broker
	// deletes it with its messages (x-expires), in whole milliseconds from 1ms to 4294967295ms (about 49
	// days). Not for streams. Default: for ever.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(\\\\.[0-9]{1,3})?h|[0-9]{1,7}(\\\\.[0-9]{1,3})?m|[0-9]{1,9}(\\\\.[0-9]{1,3})?s|[0-9]{1,12}ms)+$') && duration(self) > duration('0s') && duration(self) <= duration('4294967295ms')",message="write whole milliseconds from 1ms to 4294967295ms (about 49 days), such as 30m or 24h: RabbitMQ has no finer unit"
	Expires *metav1.Duration `json:"expires,omitempty"`

	// maxLength is the number of ready messages that the queue holds (x-max-length). Not for streams.
	// Default: no limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9007199254740991
	MaxLength *int64 `json:"maxLength,omitempty"`

	// maxLengthBytes is the size of all bodies of ready messages, or of a stream, in bytes
	// (x-max-length-bytes). Default: no limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9007199254740991
	MaxLengthBytes *int64 `json:"maxLengthBytes,omitempty"`

	// overflow is what happens when the queue is full (x-overflow): drop-head, reject-publish or, on
	// classic queues, reject-publish-dlx. Not for streams. Default: the broker's, drop-head.
	// +optional
	Overflow Overflow `json:"overflow,omitempty"`

	// deliveryLimit is the number of failed deliveries after which a message is dead-lettered or dropped
	// (x-delivery-limit); -1, from RabbitMQ 4.0 on, means never. Quorum queues only. Default: the
	// broker's: none before RabbitMQ 4.0, 20 since.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	// +kubebuilder:validation:Maximum=9007199254740991
	DeliveryLimit *int64 `json:"deliveryLimit,omitempty"`

	// settings says where the settings stand that RabbitMQ takes from a policy too. Arguments (the default)
	// puts all of them into the arguments of the queue, which are fixed at creation and which no policy
	// overrules. Policy puts messageTTL, expires, maxLength, maxLengthBytes, maxAge and, without retry,
	// overflow, deadLetter and deliveryLimit into a policy for this queue alone (warrener.<name>, priority
	// 1000), where they can be changed while the queue is in use. Changing settings is a change of arguments.
	// +optional
	// +kubebuilder:default=Arguments
	Settings QueueSettings `json:"settings,omitempty"`

	// maxPriority is the highest message priority, from 1 to 255 (x-max-priority); few levels are
	// cheaper. Classic queues only. Default: no priorities.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=255
	MaxPriority *int32 `json:"maxPriority,omitempty"`

	// singleActiveConsumer delivers to one consumer at a time (x-single-active-consumer). Not for
	// streams. Default: false.
	// +optional
	SingleActiveConsumer bool `json:"singleActiveConsumer,omitempty"`

	// leaderLocator is where the leader is placed at creation (x-queue-leader-locator): client-local or
	// balanced. Default: the broker's, client-local.
	// +optional
	LeaderLocator LeaderLocator `json:"leaderLocator,omitempty"`

	// initialGroupSize is the number of replicas at creation, from 1 to 255 (x-quorum-initial-group-size;
	// x-initial-cluster-size on a stream). Quorum queues and streams only. Default: the broker's.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=255
	InitialGroupSize *int32 `json:"initialGroupSize,omitempty"`

	// maxAge is how long a stream keeps its data (x-max-age), as a number and a unit: Y years, M months,
	// D days, h hours, m minutes, s seconds, such as 7D. Streams only. Default: no limit.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]+[YMDhms]$')",message="write a number and one unit of Y, M, D, h, m or s, such as 7D for seven days"
	MaxAge string `json:"maxAge,omitempty"`

	// maxSegmentSizeBytes is the size of one file of a stream, in bytes, at most 3000000000
	// (x-stream-max-segment-size-bytes); data is discarded by whole files. Streams only. Default: the
	// broker's, 500000000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3000000000
	MaxSegmentSizeBytes *int64 `json:"maxSegmentSizeBytes,omitempty"`

	// deadLetter says where messages go that are rejected, expire, overflow or exceed the delivery limit;
	// {} creates an exchange <name>.dlx and a queue <name>.dead. Not for streams. Default: such messages
	// are dropped; with retry under Tiers and Native, {}.
	// +optional
	DeadLetter *DeadLetter `json:"deadLetter,omitempty"`

	// retry says how often and after which delays a message is tried again that a consumer could not handle;
	// after the last attempt it is a dead letter. Not for streams. Default: none.
	// +optional
	Retry *Retry `json:"retry,omitempty"`

	// consumer is what the contract recommends to consumers. Default: nothing.
	// +optional
	Consumer *QueueConsumer `json:"consumer,omitempty"`

	// contract has a ConfigMap written with what applications need to know of the queue. Default: none.
	// +optional
	Contract *Contract `json:"contract,omitempty"`

	// bindings are the exchanges whose messages go to this queue. At most 128. Default: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	Bindings []BindingSource `json:"bindings,omitempty"`

	// arguments are further arguments of the queue, as JSON: an integer stays an integer. An argument
	// that a field covers (such as x-message-ttl) belongs in the field. At most 64. Default: none.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Arguments Arguments `json:"arguments,omitempty"`

	// deletionPolicy says what deleting this object does to the queue. DeleteIfUnused (the default)
	// deletes it if it holds no message and has no consumer; Delete deletes it with its messages; Retain
	// keeps it. What deadLetter and retry created goes or stays with it. Taking such a thing out of the spec
	// is no deletion of this object: whatever the policy, it goes when it is empty.
	// +optional
	// +kubebuilder:default=DeleteIfUnused
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// updatePolicy says what happens when something changes that the broker cannot change on a queue that
	// exists: its type, its durability, its arguments, and with them deadLetter and retry. Refuse (the default)
	// leaves the queue as it is and explains; Recreate deletes it once it is empty and has no consumer, creates
	// it anew and restores its bindings, others' too; Migrate replaces it while it is in use, without losing a
	// message. It holds for the queues that deadLetter and retry create, too. Whatever it says, a change that
	// the broker can make needs none of it.
	// +optional
	// +kubebuilder:default=Refuse
	UpdatePolicy UpdatePolicy `json:"updatePolicy,omitempty"`

	// migration is what updatePolicy: Migrate needs to know, and is required with it. Default: none.
	// +optional
	Migration *QueueMigration `json:"migration,omitempty"`

	Policies `json:",inline"`
}

// Queue declares a RabbitMQ queue.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=queues,singular=queue,categories=warrener,shortName=wq
// +kubebuilder:selectablefield:JSONPath=`.spec.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.deadLetter.queue`
// +kubebuilder:printcolumn:name="Queue",type=string,JSONPath=`.status.brokerName`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Connection",type=string,priority=1,JSONPath=`.spec.connectionRef.name`
// +kubebuilder:printcolumn:name="Virtual host",type=string,priority=1,JSONPath=`.spec.virtualHost`
// +kubebuilder:validation:XValidation:rule="(has(self.spec.name) ? self.spec.name : self.metadata.name) == (has(oldSelf.spec.name) ? oldSelf.spec.name : oldSelf.metadata.name)",message="name cannot be changed: create a new Queue with the new name and delete this one"
// +kubebuilder:validation:XValidation:rule="!(has(self.spec.name) ? self.spec.name : self.metadata.name).startsWith('amq.')",message="names that begin with amq. belong to the broker: choose another name"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.deadLetter) || !has(self.spec.deadLetter.queue) || self.spec.deadLetter.queue != (has(self.spec.name) ? self.spec.name : self.metadata.name)",message="deadLetter.queue cannot be this queue itself: name another queue"
type Queue struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what shall exist on the broker.
	// +required
	Spec QueueSpec `json:"spec"`

	// status is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ObjectStatus `json:"status,omitzero"`
}

// QueueList is a list of Queue.
//
// +kubebuilder:object:root=true
type QueueList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Queue `json:"items"`
}

// IsDurable returns durable with its default filled in.
func (s *QueueSpec) IsDurable() bool { return trueUnless(s.Durable) }

// KindName implements Object.
func (*Queue) KindName() string { return KindQueue }

// GetConnectionRef implements Object.
func (q *Queue) GetConnectionRef() ConnectionReference { return q.Spec.ConnectionRef }

// GetVirtualHost implements RabbitMQObject.
func (q *Queue) GetVirtualHost() string { return q.Spec.VirtualHost }

// BrokerName implements Object.
func (q *Queue) BrokerName() string { return nameOr(q.Spec.Name, q.Name) }

// GetPolicies implements Object.
func (q *Queue) GetPolicies() EffectivePolicies {
	return q.Spec.Policies.effective(q.Spec.DeletionPolicy, DeleteIfUnused)
}

// IsSuspended implements Object.
func (q *Queue) IsSuspended() bool { return q.Spec.Suspend }

// GetStatus implements Object.
func (q *Queue) GetStatus() *ObjectStatus { return &q.Status }

// Objects implements ObjectList.
func (l *QueueList) Objects() []Object {
	return pointersTo(l.Items, func(q *Queue) Object { return q })
}
