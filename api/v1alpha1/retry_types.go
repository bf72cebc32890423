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
	"k8s.io/apimachinery/pkg/util/intstr"
)

// RetryStrategy says who makes a message wait between two attempts.
//
// +kubebuilder:validation:Enum=Tiers;Published;Native
type RetryStrategy string

const (
	// RetryTiers leaves all to the broker: the consumer rejects; the broker waits, counts and gives up.
	RetryTiers RetryStrategy = "Tiers"
	// RetryPublished leaves it to the consumer, which publishes to a delay queue, and to the dead queue.
	RetryPublished RetryStrategy = "Published"
	// RetryNative is the delayed retry of quorum queues, from RabbitMQ 4.3 on.
	RetryNative RetryStrategy = "Native"
)

// DelayQueues says who creates the delay queues of the strategy Published.
//
// +kubebuilder:validation:Enum=Managed;ClientDeclared
type DelayQueues string

const (
	// DelayQueuesManaged are created by Warrener.
	DelayQueuesManaged DelayQueues = "Managed"
	// DelayQueuesClientDeclared are declared by the clients, with arguments of their own.
	DelayQueuesClientDeclared DelayQueues = "ClientDeclared"
)

// MaxRetries is the highest number of retries: each is a tier, and a tier is a queue.
const MaxRetries = 20

// Backoff makes delays that grow: initial, initial × factor, initial × factor², ... up to max.
//
// +kubebuilder:validation:XValidation:rule="!has(self.max) || duration(self.max) >= duration(self.initial)",message="max is shorter than initial: write a longer max, or a shorter initial"
type Backoff struct {
	// initial is the delay before the first retry, in whole milliseconds from 1ms to 4294967295ms (about
	// 49 days), such as 1s.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(\\\\.[0-9]{1,3})?h|[0-9]{1,7}(\\\\.[0-9]{1,3})?m|[0-9]{1,9}(\\\\.[0-9]{1,3})?s|[0-9]{1,12}ms)+$') && duration(self) > duration('0s') && duration(self) <= duration('4294967295ms')",message="write whole milliseconds from 1ms to 4294967295ms (about 49 days), such as 500ms, 1s or 5m: RabbitMQ has no finer unit"
	Initial metav1.Duration `json:"initial"`

	// factor that each delay is multiplied by to get the next, from 1 to 100: an integer, or a string with
	// up to three decimals, such as "1.5". Delays are rounded to whole milliseconds. Not under Native, where the
	// delay is initial × the number of failed deliveries. Default: 2.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 && self <= 100 : self.matches('^[0-9]{1,3}([.][0-9]{1,3})?$') && double(self) >= 1.0 && double(self) <= 100.0",message="write a factor from 1 to 100: an integer such as 2, or a string with up to three decimals such as \"1.5\""
	Factor *intstr.IntOrString `json:"factor,omitempty"`

	// max is the longest delay, in whole milliseconds up to 4294967295ms (about 49 days). Default: no
	// limit but that.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(\\\\.[0-9]{1,3})?h|[0-9]{1,7}(\\\\.[0-9]{1,3})?m|[0-9]{1,9}(\\\\.[0-9]{1,3})?s|[0-9]{1,12}ms)+$') && duration(self) > duration('0s') && duration(self) <= duration('4294967295ms')",message="write whole milliseconds from 1ms to 4294967295ms (about 49 days), such as 500ms, 1s or 5m: RabbitMQ has no finer unit"
	Max *metav1.Duration `json:"max,omitempty"`
}

// Retry says how often a message is tried again after its first delivery, and how long it waits before.
// docs/retry.md says when to choose which strategy.
//
// +kubebuilder:validation:XValidation:rule="has(self.backoff) != has(self.delays)",message="write either backoff, for delays that grow, or delays, one by one"
// +kubebuilder:validation:XValidation:rule="!has(self.backoff) || has(self.maxRetries)",message="backoff goes on for ever: write maxRetries"
// +kubebuilder:validation:XValidation:rule="!has(self.delays) || !has(self.maxRetries) || self.maxRetries >= size(self.delays)",message="delays has more entries than maxRetries: remove those that are never used, or raise maxRetries"
// +kubebuilder:validation:XValidation:rule="!has(self.delayQueues) || self.strategy == 'Published'",message="delayQueues is for strategy: Published, only there the clients know the delay queues: remove it"
// +kubebuilder:validation:XValidation:rule="self.strategy != 'Native' || !has(self.delays)",message="strategy: Native has no list of delays, the delay is initial × the number of failed deliveries: write backoff with initial and max"
// +kubebuilder:validation:XValidation:rule="self.strategy != 'Native' || !has(self.backoff) || !has(self.backoff.factor)",message="strategy: Native has no factor, the delay is initial × the number of failed deliveries: remove factor"
type Retry struct {
	// strategy is Tiers (the consumer rejects, the broker does the rest), Published (the consumer publishes to
	// delay queues) or Native (quorum queues of RabbitMQ 4.3 and later).
	// +required
	Strategy RetryStrategy `json:"strategy"`

	// maxRetries is the number of redeliveries after the first delivery, in every strategy, from 1 to 20.
	// Default: the number of delays; required with backoff.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	MaxRetries *int32 `json:"maxRetries,omitempty"`

	// backoff makes delays that grow. Not together with delays.
	// +optional
	Backoff *Backoff `json:"backoff,omitempty"`

	// delays before the first, second, ... retry, in whole milliseconds from 1ms to 4294967295ms, such as
	// [1s, 10s, 5m]. With a higher maxRetries the last one repeats. From 1 to 20. Not together with backoff.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:Type=string
	// +kubebuilder:validation:items:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.all(d, d.matches('^([0-9]{1,6}(\\\\.[0-9]{1,3})?h|[0-9]{1,7}(\\\\.[0-9]{1,3})?m|[0-9]{1,9}(\\\\.[0-9]{1,3})?s|[0-9]{1,12}ms)+$') && duration(d) > duration('0s') && duration(d) <= duration('4294967295ms'))",message="write whole milliseconds from 1ms to 4294967295ms (about 49 days), such as 500ms, 1s or 5m: RabbitMQ has no finer unit"
	Delays []metav1.Duration `json:"delays,omitempty"`

	// delayQueues says, under Published, who creates the delay queues: Warrener (Managed, the default), or
	// the clients, when they need them and with arguments of their own (ClientDeclared).
	// +optional
	DelayQueues DelayQueues `json:"delayQueues,omitempty"`
}

// ClientDeclares says whether the clients create the delay queues.
func (r *Retry) ClientDeclares() bool { return r.DelayQueues == DelayQueuesClientDeclared }

// DerivedTopic names and configures topics that serve another one.
type DerivedTopic struct {
	// name with placeholders: {topic} is the name of the topic; of retry topics also {delay} (5s, 1m30s), {delayMs}
	// (5000, 90000) and {index} (0, 1, ...). Letters, digits, ".", "_" and "-" besides.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-zA-Z0-9._-]|[{](topic|delay|delayMs|index)[}])+$')",message="a name has letters, digits, '.', '_', '-' and the placeholders {topic}, {delay}, {delayMs} and {index}"
	Name string `json:"name,omitempty"`

	// config are configs of these topics, as config of the topic is, such as retention.ms: "86400000"; the
	// topic's own config is not theirs. At most 128 keys of at most 249 characters, values of at most 8192.
	// Default: none.
	// +optional
	// +kubebuilder:validation:MaxProperties=128
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) > 0 && size(k) <= 249 && size(self[k]) <= 8192)",message="a config key has from 1 to 249 characters, its value at most 8192"
	// +kubebuilder:validation:XValidation:rule="!('leader.replication.throttled.replicas' in self) && !('follower.replication.throttled.replicas' in self)",message="throttled replicas come and go with each reassignment: remove them, and write reassignment.throttleBytesPerSecond"
	Config map[string]string `json:"config,omitempty"`
}

// Default names of topics that serve another one.
const (
	DefaultRetryTopicName      = "{topic}.retry.{delay}"
	DefaultDeadLetterTopicName = "{topic}.dlt"
)

// TopicRetry creates the topics that consumers publish to what they could not handle: one for each delay,
// and one for dead letters. Kafka delays nothing: whoever reads a retry topic waits. All have the
// partition count and the replication factor of the topic, and grow with it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.deadLetter) || !has(self.deadLetter.name) || !self.deadLetter.name.matches('[{](delay|delayMs|index)[}]')",message="there is one topic for dead letters: of the placeholders, deadLetter.name can have {topic} only"
type TopicRetry struct {
	// delays before the first, second, ... retry, in whole milliseconds from 1ms to 4294967295ms, such as
	// [5s, 1m, 10m]; one topic each, or one for those of the same name. At most 20. Default: none, and so no
	// retry topics.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:Type=string
	// +kubebuilder:validation:items:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.all(d, d.matches('^([0-9]{1,6}(\\\\.[0-9]{1,3})?h|[0-9]{1,7}(\\\\.[0-9]{1,3})?m|[0-9]{1,9}(\\\\.[0-9]{1,3})?s|[0-9]{1,12}ms)+$') && duration(d) > duration('0s') && duration(d) <= duration('4294967295ms'))",message="write whole milliseconds from 1ms to 4294967295ms (about 49 days), such as 500ms, 1s or 5m"
	Delays []metav1.Duration `json:"delays,omitempty"`

	// topics names and configures the retry topics. Default: {topic}.retry.{delay}, with the broker's configs.
	// +optional
	Topics DerivedTopic `json:"topics,omitzero"`

	// deadLetter names and configures the topic for dead letters. Default: {topic}.dlt, with the broker's
	// configs.
	// +optional
	DeadLetter DerivedTopic `json:"deadLetter,omitzero"`
}
