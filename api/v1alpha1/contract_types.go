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

// Contract tells applications what they would hard-code else: names, delays, how a retry is triggered. It
// never holds a credential. docs/contract.md lists the keys.
type Contract struct {
	// configMap is the name of the ConfigMap to write, in the namespace of this object. It is written once
	// this object is Ready, and deleted with it. One that belongs to somebody else is left as it is, and the
	// condition ContractPublished says so. At most 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="write the name of a ConfigMap: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	ConfigMap string `json:"configMap"`
}

// QueueConsumer is what the consumers of a queue are told in its contract. Nothing of it is set on the broker.
type QueueConsumer struct {
	// prefetch is the recommended number of unacknowledged messages per consumer (basic.qos), from 1 to
	// 65535. Default: none recommended.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Prefetch *int32 `json:"prefetch,omitempty"`
}

// TopicConsumer is what the consumers of a topic are told in its contract. Nothing of it is set on the broker.
type TopicConsumer struct {
	// group is the recommended group.id. At most 249 characters. Default: none recommended.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	Group string `json:"group,omitempty"`
}

// ContractConfigMap names the ConfigMap that an object wants its contract in; "" if it wants none.
func ContractConfigMap(o Object) string {
	var contract *Contract
	switch o := o.(type) {
	case *Queue:
		contract = o.Spec.Contract
	case *Topic:
		contract = o.Spec.Contract
	}
	if contract == nil {
		return ""
	}
	return contract.ConfigMap
}
