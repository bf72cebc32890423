package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// importers are the brokers that the tests of import play on: one, or all in long
// runs.
func importers(t *testing.T) []*harness.RabbitMQ {
	t.Helper()
	if harness.Long() {
		return harness.RabbitMQs(t)
	}
	return []*harness.RabbitMQ{harness.RabbitMQAt(t, "4.3")}
}

// imported has import write a folder, and checks that a plan of it is empty.
func imported(t *testing.T, broker *harness.RabbitMQ, from []string, ofPlan ...string) (folder string) {
	t.Helper()
	t.Setenv("WARRENER_RABBITMQ_USERNAME", broker.User)
	t.Setenv("WARRENER_RABBITMQ_PASSWORD", broker.Password)
	folder = filepath.Join(t.TempDir(), "topology")
	answer := harness.CLI(t, withoutCluster, append([]string{"import", "--output-dir", folder}, from...)...)
	if answer.Code != 0 {
		t.Fatalf("import ended with %d\n%s%s", answer.Code, answer.Out, answer.Err)
	}
	planned := harness.CLI(t, withoutCluster, append([]string{"plan", "-f", folder}, ofPlan...)...)
	if planned.Code != 0 {
		t.Errorf("a plan of what was imported ended with %d, want 0: nothing to do\n%s%s", planned.Code, planned.Out, planned.Err)
	}
	return folder
}

// documentsOf reads the manifests of a folder.
func documentsOf(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	must(t, err)
	var out []*unstructured.Unstructured
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, document := range bytes.Split(text, []byte("\n---\n"))[1:] {
			raw, err := yaml.YAMLToJSON(document)
			must(t, err)
			object := &unstructured.Unstructured{}
			must(t, object.UnmarshalJSON(raw))
			out = append(out, object)
		}
	}
	return out
}

// contents are the specs of a folder by kind and name, without the connection.
func contents(t *testing.T, folder string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, object := range documentsOf(t, folder) {
		if object.GetKind() != v1alpha1.KindRabbitMQConnection {
			out[object.GetKind()+" "+object.GetName()] = object.Object["spec"]
		}
	}
	return out
}

// accepted has an API server judge the manifests of a folder.
func accepted(t *testing.T, folder string) {
	t.Helper()
	plane := harness.SharedControlPlane(t)
	plane.InstallCRDs(t, filepath.Join(harness.Root(t), "config", "crd", "bases"))
	namespace, kube := plane.NewNamespace(t), harness.NewClient(t, plane.Config)
	for _, object := range documentsOf(t, folder) {
		object.SetNamespace(namespace)
		spec, _ := json.Marshal(object.Object["spec"])
		if err := kube.Create(t.Context(), object, client.DryRunAll); err != nil {
			t.Errorf("the API server refuses %s %s: %v\n%s", object.GetKind(), object.GetName(), err, spec)
		}
	}
}

// What the samples make comes back as manifests of which a plan has nothing to
// do, and which fold as the samples do.
func TestImportOfSamples(t *testing.T) {
	for _, broker := range importers(t) {
		t.Run("RabbitMQ "+broker.Version, func(t *testing.T) {
			kafka := harness.SharedKafka(t)
			prefix, virtualHost := kafka.NewTopicPrefix(t), broker.NewVirtualHost(t)
			overlay := sampleOverlay(t, broker, virtualHost, kafka, prefix)
			applied := harness.CLI(t, withoutCluster, "apply", "-k", overlay, "--yes", "--timeout", "3m")
			if applied.Code != 0 {
				t.Fatalf("apply ended with %d\n%s%s", applied.Code, applied.Out, applied.Err)
			}
			folder := imported(t, broker, []string{"--rabbitmq-url", broker.ManagementURL, "--virtual-host", virtualHost})
			accepted(t, folder)
			retries := 0
			for _, object := range documentsOf(t, folder) {
				if _, folded, _ := unstructured.NestedMap(object.Object, "spec", "retry"); folded {
					retries++
				}
				if name := object.GetName(); strings.Contains(name, ".retry.") || strings.HasSuffix(name, ".giveup") {
					t.Errorf("%s %s should have folded into its queue", object.GetKind(), name)
				}
			}
			if retries == 0 {
				t.Error("no retry has folded, and the samples have some")
			}
			topics := imported(t, broker, []string{"--kafka-brokers", strings.Join(kafka.Bootstrap, ","), "--topics", "^" + prefix})
			accepted(t, topics)
			if found := len(documentsOf(t, topics)); found < 3 {
				t.Errorf("%d manifests of the samples' topics, want their connection and several topics", found)
			}
		})
	}
}

// A broker that others have filled, by a definitions file: odd names, nested
// arguments, policies, several virtual hosts. Both the file and the broker import.
func TestImportOfDefinitions(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(harness.Root(t), "internal", "importer", "testdata", "shop-3.10.json"))
	must(t, err)
	for _, broker := range importers(t) {
		t.Run("RabbitMQ "+broker.Version, func(t *testing.T) {
			for host, part := range definitionsByHost(t, text) {
				virtualHost := broker.NewVirtualHost(t)
				file := upload(t, broker, virtualHost, part)
				live := imported(t, broker, []string{"--rabbitmq-url", broker.ManagementURL, "--virtual-host", virtualHost})
				accepted(t, live)
				read := imported(t, broker, []string{"-f", file, "--virtual-host", virtualHost}, "--rabbitmq-url", broker.ManagementURL)
				ofBroker, ofFile := contents(t, live), contents(t, read)
				const internal = "Exchange unrouted" // 4.3 exports none
				delete(ofBroker, internal)
				delete(ofFile, internal)
				if diff := cmp.Diff(ofBroker, ofFile); diff != "" {
					t.Errorf("virtual host %s: the broker and its definitions make different manifests (-broker +definitions):\n%s", host, diff)
				}
				if len(documentsOf(t, live)) < len(part["queues"])/2 {
					t.Errorf("virtual host %s: most of its queues are gone", host)
				}
			}
		})
	}
}

// definitionsByHost cuts a definitions file, without what needs a plugin or what
// only old brokers take.
func definitionsByHost(t *testing.T, text []byte) map[string]map[string][]map[string]any {
	t.Helper()
	var file map[string]json.RawMessage
	must(t, json.Unmarshal(text, &file))
	out := map[string]map[string][]map[string]any{}
	for _, key := range []string{"queues", "exchanges", "bindings", "policies"} {
		var items []map[string]any
		must(t, json.Unmarshal(file[key], &items))
		for _, item := range items {
			encoded := fmt.Sprint(item)
			if strings.Contains(encoded, "ha-mode") || strings.Contains(encoded, "amq.gen") || item["source"] == "later" || item["destination"] == "hidden" || item["type"] == "x-delayed-message" {
				continue
			}
			host := item["vhost"].(string)
			delete(item, "vhost")
			if out[host] == nil {
				out[host] = map[string][]map[string]any{}
			}
			out[host][key] = append(out[host][key], item)
		}
	}
	return out
}

// upload fills a virtual host, and returns its definitions as the broker exports
// them.
func upload(t *testing.T, broker *harness.RabbitMQ, virtualHost string, part map[string][]map[string]any) (file string) {
	t.Helper()
	path := "/api/definitions/" + url.PathEscape(virtualHost)
	broker.Must(t, http.MethodPost, path, part, nil)
	var exported json.RawMessage
	broker.Must(t, http.MethodGet, path, nil, &exported)
	var listed struct {
		Queues []json.RawMessage `json:"queues"`
	}
	must(t, json.Unmarshal(exported, &listed))
	const fleeting = 2 // of a server's own making, or gone by now
	if len(listed.Queues)+fleeting < len(part["queues"]) {
		t.Fatalf("the broker took %d of %d queues", len(listed.Queues), len(part["queues"]))
	}
	file = filepath.Join(t.TempDir(), "definitions.json")
	must(t, os.WriteFile(file, exported, 0o600))
	return file
}
