package importer

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/golden"
)

// What people get to see, and what a plan of it would do to the broker it came
// from: nothing.
func TestGolden(t *testing.T) {
	cases := map[string]struct {
		reason  string
		options Options
		read    func(text []byte) ([]*Source, error)
	}{
		"shop-3.10.json": {reason: "a whole broker with odd names, nested arguments, policies and several virtual hosts", read: readDefinitions("")},
		"orders-4.1.json": {
			reason: "one virtual host, whose objects name none", options: Options{VirtualHost: "orders"}, read: readDefinitions("orders"),
		},
		"lager-4.3.json": {reason: "the layout of the newest broker, and retries in all three ways", read: readDefinitions("")},
		"operator.yaml":  {reason: "resources of the messaging topology operator, in two namespaces", read: readResources},
		"strimzi.yaml":   {reason: "resources of Strimzi", read: readResources},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			sources, err := tc.read(text)
			if err != nil {
				t.Fatal(err)
			}
			var results []*Result
			for _, source := range sources {
				result := Import(source, tc.options)
				if left := Remaining(result, source, tc.options); len(left) > 0 {
					t.Errorf("%s: a plan of what was imported is not empty:\n%s", tc.reason, strings.Join(left, "\n"))
				}
				if silent := Unaccounted(result, source, tc.options); len(silent) > 0 {
					t.Errorf("%s: dropped without a word: %v", tc.reason, silent)
				}
				results = append(results, result)
			}
			got, err := Text(results)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"hunter2", "c2VjcmV0"} {
				if strings.Contains(got, secret) {
					t.Errorf("%s: a secret is printed: %s", tc.reason, secret)
				}
			}
			sameObjects(t, results, got)
			golden.Check(t, strings.TrimSuffix(name, filepath.Ext(name))+".golden.yaml", got)
		})
	}
}

func readDefinitions(virtualHost string) func(text []byte) ([]*Source, error) {
	return func(text []byte) ([]*Source, error) {
		source, err := Definitions(text, virtualHost)
		if source != nil {
			source.Connection.VirtualHost = virtualHost
		}
		return []*Source{source}, err
	}
}

func readResources(text []byte) ([]*Source, error) { return Resources(text, "") }

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// sameObjects decodes what was printed, strictly, and compares.
func sameObjects(t fataler, results []*Result, text string) {
	t.Helper()
	var want []any
	for _, r := range results {
		if r.Connection != nil {
			want = append(want, r.Connection)
		}
		for _, object := range r.Objects() {
			want = append(want, object)
		}
	}
	documents := bytes.Split([]byte(text), []byte("\n---\n"))[1:] // what is before the first is a remark
	if len(documents) != len(want) {
		t.Fatalf("%d documents for %d objects", len(documents), len(want))
	}
	for i, document := range documents {
		got := empty(want[i])
		if err := yaml.UnmarshalStrict(document, got); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Fatalf("what was printed reads differently (-object +read):\n%s\n%s", diff, document)
		}
	}
}

func empty(like any) any {
	switch like.(type) {
	case *v1alpha1.RabbitMQConnection:
		return &v1alpha1.RabbitMQConnection{}
	case *v1alpha1.KafkaConnection:
		return &v1alpha1.KafkaConnection{}
	}
	for _, object := range v1alpha1.NewObjects() {
		if object.KindName() == like.(v1alpha1.Object).KindName() {
			return object
		}
	}
	panic("no such kind")
}
