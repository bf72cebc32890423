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

// Object is a custom resource that declares something on a broker: VirtualHost, Exchange, Queue,
// ExchangeBinding and Topic.
//
// +kubebuilder:object:generate=false
type Object interface {
	metav1.Object
	runtime.Object

	// KindName is the kind, also on an object whose TypeMeta is empty, as decoded lists leave it.
	KindName() string
	// GetConnectionRef returns the reference as it is written; see ConnectionKey.
	GetConnectionRef() ConnectionReference
	// BrokerName is the name on the broker: spec.name or, without it, metadata.name. For an
	// ExchangeBinding, which has no name on the broker, it is a text for people.
	BrokerName() string
	// GetPolicies returns the policies with every default filled in.
	GetPolicies() EffectivePolicies
	// IsSuspended says whether the object is to be left alone.
	IsSuspended() bool
	// GetStatus returns the status for reading and writing; never nil.
	GetStatus() *ObjectStatus
}

// RabbitMQObject is an Object that lives in a virtual host.
//
// +kubebuilder:object:generate=false
type RabbitMQObject interface {
	Object
	// GetVirtualHost returns the virtual host, "" if the connection's is meant.
	GetVirtualHost() string
}

// ObjectList is a list of one kind of Object.
//
// +kubebuilder:object:generate=false
type ObjectList interface {
	metav1.ListInterface
	runtime.Object
	// Objects returns pointers to the items, in order.
	Objects() []Object
}

// ObjectKey is the namespace and name of a custom resource.
//
// +kubebuilder:object:generate=false
type ObjectKey struct {
	Namespace string
	Name      string
}

// String returns "namespace/name".
func (k ObjectKey) String() string { return k.Namespace + "/" + k.Name }

// ConnectionKey says which connection an object belongs to, the default namespace filled in.
func ConnectionKey(o Object) ObjectKey {
	ref := o.GetConnectionRef()
	if ref.Namespace == "" {
		ref.Namespace = o.GetNamespace()
	}
	return ObjectKey{Namespace: ref.Namespace, Name: ref.Name}
}

// objectKinds are all kinds of Object.
var objectKinds = []struct {
	name  string
	empty func() Object
}{
	{KindVirtualHost, func() Object { return &VirtualHost{} }},
	{KindExchange, func() Object { return &Exchange{} }},
	{KindQueue, func() Object { return &Queue{} }},
	{KindExchangeBinding, func() Object { return &ExchangeBinding{} }},
	{KindTopic, func() Object { return &Topic{} }},
}

// NewObjects returns one empty object of every kind of Object, for registering watches and indexes.
func NewObjects() []Object {
	out := make([]Object, 0, len(objectKinds))
	for _, kind := range objectKinds {
		out = append(out, kind.empty())
	}
	return out
}

// NewObject returns an empty object of a kind; nil if no kind of Object is called so.
func NewObject(kind string) Object {
	for _, known := range objectKinds {
		if known.name == kind {
			return known.empty()
		}
	}
	return nil
}

// NewObjectLists returns one empty list of every kind of Object, in the order of NewObjects.
func NewObjectLists() []ObjectList {
	return []ObjectList{&VirtualHostList{}, &ExchangeList{}, &QueueList{}, &ExchangeBindingList{}, &TopicList{}}
}

var (
	_ RabbitMQObject = (*Exchange)(nil)
	_ RabbitMQObject = (*Queue)(nil)
	_ RabbitMQObject = (*ExchangeBinding)(nil)
	_ Object         = (*VirtualHost)(nil)
	_ Object         = (*Topic)(nil)
)

// nameOr returns the declared name or, without one, the name of the custom resource.
func nameOr(declared, metadataName string) string {
	if declared != "" {
		return declared
	}
	return metadataName
}

// trueUnless reads a boolean whose default is true.
func trueUnless(b *bool) bool { return b == nil || *b }

// pointersTo returns a pointer to every item, as the interface T.
func pointersTo[T, E any](items []E, as func(*E) T) []T {
	pointers := make([]T, len(items))
	for i := range items {
		pointers[i] = as(&items[i])
	}
	return pointers
}
