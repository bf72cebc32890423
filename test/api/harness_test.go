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

// Package api_test runs the schemas of config/crd against a real API server: what is refused, with
// which words, what is accepted, and what is filled in.
package api_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

const crdFolder = "../../config/crd/bases"

func TestMain(m *testing.M) { harness.Main(m) }

// server is the API server of this package with the CRDs installed; one serves all tests.
var server struct {
	sync.Once
	config *rest.Config
	client client.Client
}

// needsServer starts the API server at its first call, and skips the test where there is none.
func needsServer(t *testing.T) (*rest.Config, client.Client) {
	t.Helper()
	plane := harness.SharedControlPlane(t)
	server.Do(func() {
		plane.InstallCRDs(t, crdFolder)
		scheme := runtime.NewScheme()
		if err := v1alpha1.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
		kube, err := client.New(plane.Config, client.Options{Scheme: scheme})
		if err != nil {
			t.Fatal(err)
		}
		server.config, server.client = plane.Config, kube
	})
	if server.client == nil {
		t.Fatal("the CRDs could not be installed: see the first failure")
	}
	return server.config, server.client
}

// base are the smallest valid manifests. A test case is one of them and a patch, a null removing a field.
var base = map[string]string{
	"RabbitMQConnection": `{endpoint: "https://rabbitmq.messaging.svc:15671", authentication: {type: Basic, secretRef: {name: rabbitmq}}}`,
	"KafkaConnection":    `{bootstrapServers: ["kafka-0.kafka:9092"]}`,
	"VirtualHost":        `{connectionRef: {name: shop}}`,
	"Exchange":           `{connectionRef: {name: shop}, type: topic}`,
	"Queue":              `{connectionRef: {name: shop}, type: classic}`,
	"ExchangeBinding":    `{connectionRef: {name: shop}, source: orders, destination: audit, destinationType: queue}`,
	"Topic":              `{connectionRef: {name: events}}`,
}

// manifest builds an object of a kind: the base, then the patches of the spec in their order.
func manifest(t *testing.T, kind, name string, patches ...string) *unstructured.Unstructured {
	t.Helper()
	spec := table(t, base[kind])
	for _, patch := range patches {
		spec = merge(spec, table(t, patch))
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetAPIVersion("topology.warrener.dev/v1alpha1")
	object.SetKind(kind)
	object.SetNamespace("default")
	object.SetName(name)
	return object
}

func table(t *testing.T, text string) map[string]any {
	t.Helper()
	json, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	object := &unstructured.Unstructured{}
	// Decoded the way a client decodes it, so that integers are int64.
	if err := object.UnmarshalJSON([]byte(`{"kind":"x","apiVersion":"x","spec":` + string(json) + `}`)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	spec, _, err := unstructured.NestedMap(object.Object, "spec")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return spec
}

func merge(into, patch map[string]any) map[string]any {
	for key, value := range patch {
		under, isTable := into[key].(map[string]any)
		over, patches := value.(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isTable && patches:
			into[key] = merge(under, over)
		default:
			into[key] = value
		}
	}
	return into
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

func objectName(t *testing.T) string {
	name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(t.Name()), "-"), "-")
	if len(name) > 200 {
		name = name[len(name)-200:]
	}
	return strings.Trim(name, "-")
}

// wantRefusal checks that a write was refused as invalid, in these words.
func wantRefusal(t *testing.T, err error, reason, words string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s: accepted, want a refusal that says %q", reason, words)
	case !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err):
		t.Errorf("%s: %v, want a refusal as invalid", reason, err)
	case !strings.Contains(err.Error(), words):
		t.Errorf("%s: refused with\n\t%v\nwant it to say\n\t%s", reason, err, words)
	}
}

func create(t *testing.T, object *unstructured.Unstructured) error {
	t.Helper()
	_, kube := needsServer(t)
	err := kube.Create(context.Background(), object)
	if err == nil {
		t.Cleanup(func() {
			if err := kube.Delete(context.Background(), object); client.IgnoreNotFound(err) != nil {
				t.Errorf("delete %s: %v", object.GetName(), err)
			}
		})
	}
	return err
}

// rule is a CEL rule of a CRD, told apart by kind, place and message.
type rule struct{ kind, field, message string }

var listIndex = regexp.MustCompile(`\[\d+\]`)

// rulesRefusing returns the rules that an error names.
func rulesRefusing(kind string, err error) []rule {
	status, ok := err.(apierrors.APIStatus)
	if !ok || status.Status().Details == nil {
		return nil
	}
	var rules []rule
	for _, cause := range status.Status().Details.Causes {
		field := listIndex.ReplaceAllString(cause.Field, "[]")
		if field == "<nil>" {
			field = ""
		}
		rules = append(rules, rule{kind, field, cause.Message})
	}
	return rules
}

// rulesOfCRDs returns every CEL rule of the CRDs on disk.
func rulesOfCRDs(t *testing.T) []rule {
	t.Helper()
	files, err := filepath.Glob(crdFolder + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs in %s (%v)", crdFolder, err)
	}
	var rules []rule
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crd := map[string]any{}
		if err := yaml.Unmarshal(text, &crd); err != nil {
			t.Fatal(err)
		}
		kind, _, _ := unstructured.NestedString(crd, "spec", "names", "kind")
		versions, _, _ := unstructured.NestedSlice(crd, "spec", "versions")
		for _, version := range versions {
			schema, _, _ := unstructured.NestedMap(version.(map[string]any), "schema", "openAPIV3Schema")
			rules = append(rules, rulesOfSchema(kind, "", schema)...)
		}
	}
	return rules
}

func rulesOfSchema(kind, field string, schema map[string]any) []rule {
	var rules []rule
	validations, _, _ := unstructured.NestedSlice(schema, "x-kubernetes-validations")
	for _, validation := range validations {
		message, _ := validation.(map[string]any)["message"].(string)
		rules = append(rules, rule{kind, field, message})
	}
	properties, _, _ := unstructured.NestedMap(schema, "properties")
	for name, property := range properties {
		rules = append(rules, rulesOfSchema(kind, strings.TrimPrefix(field+"."+name, "."), property.(map[string]any))...)
	}
	if items, ok, _ := unstructured.NestedMap(schema, "items"); ok {
		rules = append(rules, rulesOfSchema(kind, field+"[]", items)...)
	}
	return rules
}
