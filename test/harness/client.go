package harness

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// NewClient is a client of an API server, without limits to its rate, that knows
// Kubernetes' own kinds and Warrener's.
func NewClient(t testing.TB, config *rest.Config) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	own := rest.CopyConfig(config)
	own.QPS = -1
	c, err := client.NewWithWatch(own, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// NewLists are empty lists of all of Warrener's kinds.
func NewLists() []client.ObjectList {
	out := []client.ObjectList{&v1alpha1.BrokerInventoryList{}}
	for _, list := range v1alpha1.NewObjectLists() {
		out = append(out, list.(client.ObjectList))
	}
	for _, list := range v1alpha1.NewConnectionLists() {
		out = append(out, list.(client.ObjectList))
	}
	return out
}

// ResourceVersions tells of each of Warrener's objects in a namespace in which state
// it is, connections and the inventory included: what was written has another one.
func ResourceVersions(t testing.TB, c client.Client, namespace string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, list := range NewLists() {
		if err := c.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		if err := meta.EachListItem(list, func(o runtime.Object) error {
			object := o.(client.Object)
			out[reflect.TypeOf(object).Elem().Name()+"/"+object.GetName()] = object.GetResourceVersion()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Selects tells whether an API server finds an object by the value of a field, such as
// spec.name.
func Selects(object runtime.Object, field, value string) bool {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err) // a kind of our own
	}
	var content map[string]any
	read := json.NewDecoder(bytes.NewReader(text))
	read.UseNumber() // which may be longer than any type of Go
	if err := read.Decode(&content); err != nil {
		panic(err)
	}
	found, _, err := unstructured.NestedString(content, strings.Split(field, ".")...)
	return err == nil && found == value
}
