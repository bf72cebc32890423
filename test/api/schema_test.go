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

package api_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

func TestNames(t *testing.T) {
	config, _ := needsServer(t)
	discover, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	resources, err := discover.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	type names struct {
		Short      string
		Category   string
		Namespaced bool
	}
	want := map[string]names{
		"Queue":              {"wq", "warrener", true},
		"Exchange":           {"wex", "warrener", true},
		"ExchangeBinding":    {"wxb", "warrener", true},
		"VirtualHost":        {"wvh", "warrener", true},
		"Topic":              {"wt", "warrener", true},
		"RabbitMQConnection": {"wrc", "warrener", true},
		"KafkaConnection":    {"wkc", "warrener", true},
		"BrokerInventory":    {"winv", "", true},
	}
	got := map[string]names{}
	for _, resource := range resources.APIResources {
		if len(resource.ShortNames) != 1 {
			continue // a subresource
		}
		category := ""
		if len(resource.Categories) > 0 {
			category = resource.Categories[0]
		}
		got[resource.Kind] = names{resource.ShortNames[0], category, resource.Namespaced}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	_, kube := needsServer(t)
	policies := map[string]any{"deletionPolicy": "DeleteIfUnused", "adoptionPolicy": "IfIdentical", "driftPolicy": "Correct"}
	cases := map[string]struct {
		patch string
		want  map[string]any // besides the base and the patch
	}{
		"RabbitMQConnection": {`{tls: {caRef: {kind: Secret, name: ca}}}`, map[string]any{"virtualHost": "/", "allowedNamespaces": map[string]any{"from": "Same"},
			"tls": map[string]any{"caRef": map[string]any{"key": "ca.crt"}}}},
		"KafkaConnection": {`{}`, map[string]any{"allowedNamespaces": map[string]any{"from": "Same"}}},
		"VirtualHost":     {`{}`, merge(copyOf(policies), map[string]any{"deletionPolicy": "Retain"})},
		"Exchange":        {`{}`, merge(copyOf(policies), map[string]any{"durable": true})},
		"Queue":           {`{deadLetter: {}}`, merge(copyOf(policies), map[string]any{"durable": true, "settings": "Arguments", "updatePolicy": "Refuse", "deadLetter": map[string]any{"create": true}})},
		"ExchangeBinding": {`{headers: {values: {a: 1}}}`, merge(copyOf(policies), map[string]any{"headers": map[string]any{"match": "all"}})},
		"Topic":           {`{}`, merge(copyOf(policies), map[string]any{"partitionGrowth": "WhenEmpty"})},
	}
	for kind, tc := range cases {
		t.Run(kind, func(t *testing.T) {
			object := manifest(t, kind, "defaults", tc.patch)
			want := merge(manifest(t, kind, "defaults", tc.patch).Object["spec"].(map[string]any), tc.want)
			if err := create(t, object); err != nil {
				t.Fatal(err)
			}
			if err := kube.Get(context.Background(), client.ObjectKeyFromObject(object), object); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, object.Object["spec"]); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
			generation, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
			if generation != -1 {
				t.Errorf("status.observedGeneration of an object that nobody has seen = %d, want -1, or kstatus takes it for current", generation)
			}
		})
	}
}

func copyOf(table map[string]any) map[string]any { return merge(map[string]any{}, table) }

// What kubectl sends is JSON text, and the API server reads it before Warrener does.
func TestArgumentsThroughServer(t *testing.T) {
	_, kube := needsServer(t)
	queue := manifest(t, "Queue", "arguments")
	if err := create(t, queue); err != nil {
		t.Fatal(err)
	}
	patch := `{"spec":{"arguments":{"integer":9007199254740993,"float":1.5,"integral float":60000.0,"exponent":6e4,"string":"60000","table":{"a":[1,true,{"b":-1}]}}}}`
	if err := kube.Patch(context.Background(), queue, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
	var read v1alpha1.Queue
	if err := kube.Get(context.Background(), client.ObjectKeyFromObject(queue), &read); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, value := range read.Spec.Arguments {
		got[name] = value.String()
	}
	want := map[string]string{"integer": "9007199254740993", "float": "1.5", "integral float": "60000", "exponent": "60000", "string": `"60000"`, "table": `{"a":[1,true,{"b":-1}]}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

// Created through the Go types, an object gets the same default status.
func TestDefaultStatusOfTypedObject(t *testing.T) {
	_, kube := needsServer(t)
	queue := &v1alpha1.Queue{Spec: v1alpha1.QueueSpec{ConnectionRef: v1alpha1.ConnectionReference{Name: "shop"}, Type: v1alpha1.QueueTypeQuorum,
		Arguments: v1alpha1.Arguments{"x-a": v1alpha1.MustValue(int64(9007199254740993)), "x-b": v1alpha1.MustValue(1.5), "x-c": v1alpha1.MustValue([]any{map[string]any{"a": "1"}, true})}}}
	queue.Namespace, queue.Name = "default", "typed"
	if err := kube.Create(context.Background(), queue); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kube.Delete(context.Background(), queue) })
	want := queue.Spec.DeepCopy().Arguments
	var read v1alpha1.Queue
	if err := kube.Get(context.Background(), client.ObjectKeyFromObject(queue), &read); err != nil {
		t.Fatal(err)
	}
	if read.Status.ObservedGeneration != -1 {
		t.Errorf("observedGeneration = %d, want -1", read.Status.ObservedGeneration)
	}
	if diff := cmp.Diff(want, read.Spec.Arguments); diff != "" {
		t.Errorf("arguments through the API server (-want +got):\n%s", diff)
	}
}

// An inventory is written by the controller, through the Go types.
func TestInventoryRoundTrip(t *testing.T) {
	_, kube := needsServer(t)
	inventory := &v1alpha1.BrokerInventory{ClusterID: "c", BrokerType: v1alpha1.BrokerTypeRabbitMQ, Entries: []string{
		`queue "/a b" "or/der %é" owner=Queue/default/a policy=DeleteIfUnused via=default/shop`,
		`topic "" events policy=Retain via=default/events field=config.retention.ms left-behind="it holds messages"`,
	}}
	inventory.Namespace, inventory.Name = "default", "inventory-0"
	want := inventory.DeepCopy()
	if err := kube.Create(context.Background(), inventory); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kube.Delete(context.Background(), inventory) })
	var read v1alpha1.BrokerInventory
	if err := kube.Get(context.Background(), client.ObjectKeyFromObject(inventory), &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Entries, read.Entries); diff != "" {
		t.Errorf("entries through the API server (-want +got):\n%s", diff)
	}
}
