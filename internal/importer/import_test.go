package importer

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// samples are the objects of config/samples.
func samples(t *testing.T) []v1alpha1.Object {
	t.Helper()
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	var out []v1alpha1.Object
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			var header metav1.TypeMeta
			if err := yaml.Unmarshal(document, &header); err != nil {
				t.Fatal(err)
			}
			for _, object := range v1alpha1.NewObjects() {
				if object.KindName() == header.Kind {
					if err := yaml.UnmarshalStrict(document, object); err != nil {
						t.Fatal(err)
					}
					out = append(out, object)
				}
			}
		}
	}
	return out
}

// applied is what a broker of a version has when objects are applied to it, and
// nothing else is there.
func applied(broker v1alpha1.BrokerType, version, host string, objects ...v1alpha1.Object) *Source {
	live := map[topology.ID]topology.Resource{}
	for _, object := range objects {
		claim := compile.Claim(object, compile.ConnectionDefaults{VirtualHost: host, Version: version})
		if claim.Invalid != nil {
			continue
		}
		for _, want := range claim.Want {
			live[want.Resource.ID()] = want.Resource
		}
	}
	var hosts []string
	for id, resource := range live {
		if broker == v1alpha1.BrokerTypeRabbitMQ != (id.Kind != topology.KindTopic) {
			delete(live, id)
			continue
		}
		live[id] = asRead(resource)
		if id.Scope != "" {
			hosts = append(hosts, id.Scope)
		}
	}
	for _, host := range hosts {
		addVirtualHost(live, host)
	}
	return &Source{Origin: "a test", Version: version, Live: snapshotOf(live), Connection: Connection{Broker: broker, VirtualHost: host}}
}

// asRead is an object as an adapter reads it: without what only wishes have.
func asRead(resource topology.Resource) topology.Resource {
	switch o := resource.(type) {
	case *topology.Queue:
		out := *o
		out.After = nil
		return &out
	case *topology.Binding:
		out := *o
		out.Alone = false
		return &out
	case *topology.BrokerPolicy:
		out := *o
		out.Queue, out.QueueType, out.After = "", "", nil
		return &out
	case *topology.Topic:
		out := *o
		out.Follows, out.Throttle = "", 0
		return &out
	}
	return resource
}

// What the samples declare comes back as the samples declare it: the dead letters
// and the retries of each queue are fields again. Only what no broker knows is lost.
func TestSamplesComeBack(t *testing.T) {
	objects := samples(t)
	for _, broker := range []v1alpha1.BrokerType{v1alpha1.BrokerTypeRabbitMQ, v1alpha1.BrokerTypeKafka} {
		source := applied(broker, "4.3.6", "shop", objects...)
		result := Import(source, Options{})
		if left := Remaining(result, source, Options{}); len(left) > 0 {
			t.Errorf("%s: a plan of what was imported is not empty:\n%s", broker, strings.Join(left, "\n"))
		}
		if silent := Unaccounted(result, source, Options{}); len(silent) > 0 {
			t.Errorf("%s: dropped without a word: %v", broker, silent)
		}
		for _, note := range result.AllNotes() {
			t.Errorf("%s: a note on something that the samples declare: %s", broker, note)
		}
		got := map[string]string{}
		for _, object := range result.Objects() {
			got[object.KindName()+" "+object.BrokerName()] = essence(t, object)
		}
		for _, object := range objects {
			kafka := object.KindName() == v1alpha1.KindTopic
			if kafka != (broker == v1alpha1.BrokerTypeKafka) {
				continue
			}
			name := object.KindName() + " " + object.BrokerName()
			if object.KindName() == v1alpha1.KindExchangeBinding {
				continue // stands in its destination
			}
			want := essence(t, object)
			if diff := cmp.Diff(want, got[name]); diff != "" && !strings.Contains(want, "ClientDeclared") {
				t.Errorf("%s comes back as something else (-sample +imported):\n%s", name, diff)
			}
			delete(got, name)
		}
		for _, name := range slices.Sorted(maps.Keys(got)) {
			if !strings.HasPrefix(name, "Queue order.refund.") {
				t.Errorf("%s is imported, and no sample declares it", name)
			}
		}
	}
}

// essence is what a broker knows of an object.
func essence(t *testing.T, object v1alpha1.Object) string {
	t.Helper()
	object = object.DeepCopyObject().(v1alpha1.Object)
	object.SetName(ValidName(object.BrokerName()))
	switch o := object.(type) {
	case *v1alpha1.Queue:
		o.Spec.Consumer, o.Spec.Contract, o.Spec.DeletionPolicy, o.Spec.UpdatePolicy, o.Spec.Migration = nil, nil, "", "", nil
		o.Spec.Policies, o.Spec.Bindings, o.Spec.ConnectionRef = v1alpha1.Policies{}, nil, v1alpha1.ConnectionReference{}
		o.Spec.Name = ""
		if o.Spec.Durable != nil && *o.Spec.Durable {
			o.Spec.Durable = nil
		}
		if r := o.Spec.Retry; r != nil {
			q := &v1alpha1.Queue{Spec: v1alpha1.QueueSpec{Name: "q", Retry: r}}
			steps := compile.RetryOf(q).Steps
			o.Spec.Retry = listed(r.Strategy, nil)
			for _, step := range steps {
				o.Spec.Retry.Delays = append(o.Spec.Retry.Delays, metav1.Duration{Duration: step.Delay})
			}
			if r.ClientDeclares() {
				o.Spec.Retry.DelayQueues = r.DelayQueues
			}
		}
	case *v1alpha1.Exchange:
		o.Spec.Bindings, o.Spec.DeletionPolicy, o.Spec.Policies, o.Spec.ConnectionRef, o.Spec.Name = nil, "", v1alpha1.Policies{}, v1alpha1.ConnectionReference{}, ""
	case *v1alpha1.VirtualHost:
		o.Spec.DeletionPolicy, o.Spec.Policies, o.Spec.ConnectionRef, o.Spec.Name = "", v1alpha1.Policies{}, v1alpha1.ConnectionReference{}, ""
	case *v1alpha1.Topic:
		o.Spec.Consumer, o.Spec.Contract, o.Spec.DeletionPolicy, o.Spec.PartitionGrowth, o.Spec.Reassignment = nil, nil, "", "", nil
		o.Spec.Policies, o.Spec.ConnectionRef, o.Spec.Name = v1alpha1.Policies{}, v1alpha1.ConnectionReference{}, ""
	}
	text, err := renderYAML(object)
	if err != nil {
		t.Fatal(err)
	}
	_, spec, _ := strings.Cut(text, "spec:")
	return spec
}
