package compile

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

const samples = "../../config/samples"

// What people copy must be without fault: strictly decoded, valid, without a
// warning, and without two objects that claim the same.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples found: %v", err)
	}
	connections := map[topology.ConnectionKey]bool{}
	var objects []v1alpha1.Object
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			obj, connection := decodeSample(t, file, document)
			if obj != nil {
				objects = append(objects, obj)
			}
			if connection != nil {
				connections[topology.ConnectionKey{Kind: connection.KindName(), Namespace: connection.GetNamespace(), Name: connection.GetName()}] = true
			}
		}
	}
	checkSamples(t, objects, connections)
}

func checkSamples(t *testing.T, objects []v1alpha1.Object, connections map[topology.ConnectionKey]bool) {
	t.Helper()
	owners := map[topology.ID]string{}
	seen := map[string]bool{}
	var claims []topology.Claim
	for _, obj := range objects {
		claim := Claim(obj, ConnectionDefaults{VirtualHost: "shop"})
		name := claim.Owner.String()
		seen[obj.KindName()] = true
		claims = append(claims, claim)
		if claim.Invalid != nil || len(claim.Warnings) > 0 {
			t.Errorf("%s: invalid: %v, warnings: %q", name, claim.Invalid, claim.Warnings)
		}
		if !connections[claim.Connection] {
			t.Errorf("%s: the samples have no %s", name, claim.Connection)
		}
		for _, want := range claim.Want {
			id := want.Resource.ID()
			if other, taken := owners[id]; taken && !want.Shareable {
				t.Errorf("%s is claimed by %s and by %s", id, other, name)
			}
			owners[id] = name
		}
	}
	for _, obj := range v1alpha1.NewObjects() {
		if !seen[obj.KindName()] {
			t.Errorf("the samples have no %s", obj.KindName())
		}
	}
	for _, claim := range claims {
		for _, want := range claim.Want {
			for _, need := range want.Resource.Needs() {
				if _, declared := owners[need]; !declared {
					t.Errorf("%s: %s needs %s, which the samples do not declare", claim.Owner, want.Resource.ID(), need)
				}
			}
		}
	}
}

// decodeSample reads one document; both results are nil for kinds of Kubernetes
// itself.
func decodeSample(t *testing.T, file string, document []byte) (v1alpha1.Object, v1alpha1.Connection) {
	t.Helper()
	var header metav1.TypeMeta
	if err := yaml.Unmarshal(document, &header); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if header.APIVersion != v1alpha1.GroupVersion.String() {
		return nil, nil
	}
	for _, obj := range v1alpha1.NewObjects() {
		if obj.KindName() == header.Kind {
			decodeStrictly(t, file, document, obj)
			return obj, nil
		}
	}
	for _, connection := range v1alpha1.NewConnections() {
		if connection.KindName() == header.Kind {
			decodeStrictly(t, file, document, connection)
			return nil, connection
		}
	}
	t.Fatalf("%s: no such kind: %s", file, header.Kind)
	return nil, nil
}

func decodeStrictly(t *testing.T, file string, document []byte, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(document, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func TestSamplesAreComplete(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(samples, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var kustomization struct{ Resources []string }
	if err := yaml.Unmarshal(text, &kustomization); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if name != "kustomization.yaml" && !slices.Contains(kustomization.Resources, name) {
			t.Errorf("%s does not stand in kustomization.yaml, and so is never applied", name)
		}
	}
}
