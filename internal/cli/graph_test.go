package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/golden"
)

func TestGraphOfManifests(t *testing.T) {
	d := newDesk(t)
	if code := d.run("graph", "-k", "../../config/samples"); code != ExitDone {
		t.Fatalf("exit code %d: %s", code, d.err.String())
	}
	golden.Check(t, "graph/samples.mmd", d.out.String())
}

// The picture in docs/graph.md is one of the samples as they are.
func TestGraphInDocs(t *testing.T) {
	d := newDesk(t)
	if code := d.run("graph", "-k", "../../config/samples", "-o", "svg"); code != ExitDone {
		t.Fatalf("exit code %d: %s", code, d.err.String())
	}
	golden.Check(t, "../../../docs/graph.svg", d.out.String())
}

// platform has two connections to one cluster, and an object in each state.
func platform() []runtime.Object {
	ready := func(status metav1.ConditionStatus, reason, message string) v1alpha1.ObjectStatus {
		return v1alpha1.ObjectStatus{ObservedGeneration: 1, Conditions: condition(status, reason, message)}
	}
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "orders", Name: name, Generation: 1}
	}
	reached := v1alpha1.ConnectionStatus{ClusterID: "one", Version: "4.0.5"}

	exchange := &v1alpha1.Exchange{ObjectMeta: meta("orders"), Status: ready(metav1.ConditionTrue, "Succeeded", "")}
	exchange.Spec.ConnectionRef, exchange.Spec.Type = v1alpha1.ConnectionReference{Name: "a"}, "topic"

	drifted := &v1alpha1.Queue{ObjectMeta: meta("bills"), Status: ready(metav1.ConditionTrue, "Succeeded", "")}
	drifted.Spec.ConnectionRef, drifted.Spec.Type = v1alpha1.ConnectionReference{Name: "b"}, "quorum"
	drifted.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"paid"}}}
	drifted.Status.Conditions = append(drifted.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionDrifted, Status: metav1.ConditionTrue, Message: "x-max-length: 1 on the broker, 2 declared"})

	dying := &v1alpha1.Queue{ObjectMeta: meta("parcels"), Status: ready(metav1.ConditionTrue, "Succeeded", "")}
	dying.Spec.ConnectionRef, dying.Spec.Type, dying.Spec.DeadLetter = v1alpha1.ConnectionReference{Name: "a"}, "quorum", &v1alpha1.DeadLetter{}
	dying.Status.Conditions = append(dying.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionDeadLettersPresent, Status: metav1.ConditionTrue, Message: "messages wait"})

	held := &v1alpha1.Topic{ObjectMeta: meta("lines"), Status: ready(metav1.ConditionFalse, "Conflict", "Topic other/lines owns it")}
	held.Spec.ConnectionRef = v1alpha1.ConnectionReference{Name: "k"}

	invalid := &v1alpha1.Queue{ObjectMeta: meta("wrong")}
	invalid.Spec.ConnectionRef, invalid.Spec.Type, invalid.Spec.Name = v1alpha1.ConnectionReference{Name: "a"}, "quorum", "amq.mine"
	return []runtime.Object{rabbit("orders", "a", reached), rabbit("orders", "b", reached), exchange, drifted, dying, held, invalid}
}

func TestGraphOfACluster(t *testing.T) {
	d := newDesk(t, platform()...)
	if code := d.run("graph"); code != ExitDone {
		t.Fatalf("exit code %d: %s", code, d.err.String())
	}
	golden.Check(t, "graph/cluster.mmd", d.out.String())
}

func TestGraphIsWrittenInTheFormatOfTheName(t *testing.T) {
	d := newDesk(t, platform()...)
	for name, begin := range map[string]string{"a.html": "<!doctype html>", "b.SVG": "<svg ", "c.mmd": "flowchart", "d.gv": "digraph"} {
		file := filepath.Join(t.TempDir(), name)
		if code := d.run("graph", "-o", file); code != ExitDone {
			t.Fatalf("%s: exit code %d: %s", name, code, d.err.String())
		}
		text, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(text), begin) {
			t.Errorf("%s begins with %.40q, want %q; %v", name, text, begin, err)
		}
		if want := "wrote " + file + ": 1 exchange · 3 queues · 1 topic\n"; d.err.String() != want || d.out.Len() > 0 {
			t.Errorf("%s: stderr %q, want %q; stdout %q", name, d.err.String(), want, d.out.String())
		}
	}
}

func TestGraphExplains(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("apiVersion: topology.warrener.dev/v1alpha1\nkind: Queue\nmetadata: {name: a}\nspec: {colour: red}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"graph"}, "there is nothing to draw in namespace orders: -n names another one, -A takes all, and -f reads manifests"},
		{[]string{"graph", "-o", "a.png"}, "write html, svg, mermaid or dot"},
		{[]string{"graph", "-f", "nowhere.yaml"}, "nowhere.yaml"},
		{[]string{"graph", "-f", broken}, "unknown field"},
	} {
		d := newDesk(t)
		code := d.run(test.args...)
		if broke := test.args[len(test.args)-1] == broken; code != ExitFailed && !broke || !strings.Contains(d.err.String(), test.want) {
			t.Errorf("%q: exit code %d, stderr %q, want %q", test.args, code, d.err.String(), test.want)
		}
	}
}
