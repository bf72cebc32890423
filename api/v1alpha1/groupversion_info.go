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

// Package v1alpha1 is the API of Warrener: custom resources that declare the topology of RabbitMQ and
// Kafka clusters.
//
// RabbitMQConnection and KafkaConnection say how to reach a broker. VirtualHost, Exchange, Queue,
// ExchangeBinding and Topic say what shall exist on it; these five implement [Object], so that a
// controller or a command treats them alike. BrokerInventory is the controller's own record of what it
// created and is not meant to be written by people.
//
// Values that a broker defines keep the broker's spelling ("reject-publish"); values that Warrener
// defines are CamelCase. The package imports apimachinery only.
//
// +kubebuilder:object:generate=true
// +groupName=topology.warrener.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion names this version of the API.
var GroupVersion = schema.GroupVersion{Group: "topology.warrener.dev", Version: "v1alpha1"}

var (
	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers every kind of this package.
	AddToScheme = schemeBuilder.AddToScheme
)

// The kinds, as they stand in manifests.
const (
	KindRabbitMQConnection = "RabbitMQConnection"
	KindKafkaConnection    = "KafkaConnection"
	KindVirtualHost        = "VirtualHost"
	KindExchange           = "Exchange"
	KindQueue              = "Queue"
	KindExchangeBinding    = "ExchangeBinding"
	KindTopic              = "Topic"
	KindBrokerInventory    = "BrokerInventory"
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&RabbitMQConnection{}, &RabbitMQConnectionList{},
		&KafkaConnection{}, &KafkaConnectionList{},
		&VirtualHost{}, &VirtualHostList{},
		&Exchange{}, &ExchangeList{},
		&Queue{}, &QueueList{},
		&ExchangeBinding{}, &ExchangeBindingList{},
		&Topic{}, &TopicList{},
		&BrokerInventory{}, &BrokerInventoryList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
