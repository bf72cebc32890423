package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/golden"
)

// desk is a command line in front of a cluster in memory.
type desk struct {
	t      *testing.T
	client *fake.FakeDynamicClient
	keys   string // what is typed
	out    bytes.Buffer
	err    bytes.Buffer
}

func newDesk(t *testing.T, objects ...runtime.Object) *desk {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{
		rabbitMQConnections: "RabbitMQConnectionList", kafkaConnections: "KafkaConnectionList", brokerInventories: "BrokerInventoryList",
	}
	resources := map[string]schema.GroupVersionResource{"RabbitMQConnection": rabbitMQConnections, "KafkaConnection": kafkaConnections, "BrokerInventory": brokerInventories}
	for _, kind := range objectKinds {
		name := kind.empty().KindName()
		kinds[kind.resource], resources[name] = name+"List", kind.resource
	}
	var raw []runtime.Object
	for _, object := range objects {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			t.Fatal(err)
		}
		item := &unstructured.Unstructured{Object: content}
		switch o := object.(type) {
		case v1alpha1.Connection:
			item.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(o.KindName()))
		case v1alpha1.Object:
			item.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(o.KindName()))
		default:
			item.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("BrokerInventory"))
		}
		raw = append(raw, item)
	}
	scheme := runtime.NewScheme()
	client := fake.NewSimpleDynamicClientWithCustomListKinds(scheme, kinds)
	for _, object := range raw {
		item := object.(*unstructured.Unstructured)
		if err := client.Tracker().Create(resources[item.GetKind()], item, item.GetNamespace()); err != nil {
			t.Fatal(err)
		}
	}
	return &desk{t: t, client: client}
}

// run carries out a command line in namespace orders.
func (d *desk) run(args ...string) int {
	d.t.Helper()
	d.out.Reset()
	d.err.Reset()
	a := &app{Streams: Streams{In: strings.NewReader(d.keys), Out: &d.out, Err: &d.err}, program: "warrener"}
	return a.run(d.t.Context(), args, func(*app) (*cluster, error) {
		return &cluster{client: d.client, namespace: "orders"}, nil
	})
}

// annotations are those that were set, by connection.
func (d *desk) annotations() map[string]string {
	out := map[string]string{}
	for _, action := range d.client.Actions() {
		patch, ok := action.(clienttesting.PatchAction)
		if !ok {
			continue
		}
		var content struct {
			Metadata struct {
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(patch.GetPatch(), &content); err != nil {
			d.t.Fatal(err)
		}
		for name, value := range content.Metadata.Annotations {
			out[fmt.Sprintf("%s/%s %s", patch.GetNamespace(), patch.GetName(), name)] = value
		}
	}
	return out
}

func condition(status metav1.ConditionStatus, reason, message string) []metav1.Condition {
	return []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message}}
}

func rabbit(namespace, name string, status v1alpha1.ConnectionStatus) *v1alpha1.RabbitMQConnection {
	return &v1alpha1.RabbitMQConnection{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Status: status}
}

func kafka(namespace, name string, status v1alpha1.ConnectionStatus) *v1alpha1.KafkaConnection {
	return &v1alpha1.KafkaConnection{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Status: status}
}

// troubledShop holds three deletions and has left two objects behind.
func troubledShop() *v1alpha1.RabbitMQConnection {
	since := metav1.NewTime(time.Now().Add(-3 * time.Hour))
	return rabbit("orders", "shop", v1alpha1.ConnectionStatus{
		Conditions: condition(metav1.ConditionTrue, "Succeeded", "RabbitMQ 4.0.5"),
		ClusterID:  "rabbitmq-cluster-id-Ymyo", Version: "4.0.5", Owned: 42, PendingDeletions: 7, LeftBehindCount: 2,
		LeftBehind: []v1alpha1.LeftBehind{
			{Object: "exchange shop/work.dlx", Owner: "Queue orders/work", Reason: "queue shop/work stays: it holds messages", Since: &since},
			{Object: "queue shop/work", Owner: "Queue orders/work", Reason: "it holds messages", Since: &since},
		},
		HeldDeletions: &v1alpha1.HeldDeletions{
			Window: "20261122-004536-5", Count: 5, Owners: []string{"Queue orders/a", "Queue orders/b", "Queue orders/c", "Queue orders/d"},
		},
	})
}

func calm() *v1alpha1.KafkaConnection {
	return kafka("orders", "events", v1alpha1.ConnectionStatus{
		Conditions: condition(metav1.ConditionTrue, "Succeeded", "Kafka 4.3"), ClusterID: "5L6g3nShT-eMCtK--X86sw", Version: "4.3.1", Owned: 3,
	})
}

func (d *desk) shows(reason, out, err string) {
	d.t.Helper()
	if diff := cmp.Diff(out, d.out.String()); diff != "" {
		d.t.Errorf("%s: stdout (-want +got):\n%s", reason, diff)
	}
	if diff := cmp.Diff(err, d.err.String()); diff != "" {
		d.t.Errorf("%s: stderr (-want +got):\n%s", reason, diff)
	}
}

func (d *desk) ends(want int, args ...string) {
	d.t.Helper()
	if code := d.run(args...); code != want {
		d.t.Errorf("%q ended with %d, not %d: %s", args, code, want, d.err.String())
	}
}

func TestStatus(t *testing.T) {
	down := rabbit("billing", "old", v1alpha1.ConnectionStatus{Conditions: condition(metav1.ConditionFalse, "AuthenticationFailed", "the broker does not accept the credentials")})
	unseen := kafka("billing", "unseen", v1alpha1.ConnectionStatus{})
	d := newDesk(t, troubledShop(), calm(), down, unseen)
	d.ends(ExitDone, "status", "-A")
	d.shows("all namespaces", `NAMESPACE   CONNECTION   READY     BROKER           CLUSTER                  OWNED   PENDING   LEFT BEHIND   HELD
billing     old          False     RabbitMQ         -                        0       0         0             0
billing     unseen       Unknown   Kafka            -                        0       0         0             0
orders      events       True      Kafka 4.3.1      5L6g3nShT-eMCtK--X86sw   3       0         0             0
orders      shop         True      RabbitMQ 4.0.5   Ymyo                     42      7         2             5

RabbitMQ billing/old is not ready: AuthenticationFailed
  the broker does not accept the credentials

Kafka billing/unseen is not ready: NotSeen
  no controller has looked at it yet

RabbitMQ orders/shop holds 5 deletions back: unusually many went at once
  of             Queue orders/a, Queue orders/b, Queue orders/c and 2 more
  to keep them   apply the custom resources again
  to delete      warrener allow-deletes rabbitmqconnection/shop -n orders

RabbitMQ orders/shop left 2 objects behind
  which and why  warrener status --left-behind -n orders
`, "")
	d.ends(ExitFound, "status", "--exit-code")

	well := newDesk(t, calm())
	well.ends(ExitDone, "status", "--exit-code")
	well.shows("one namespace", "CONNECTION   READY   BROKER        CLUSTER                  OWNED   PENDING   LEFT BEHIND   HELD\n"+
		"events       True    Kafka 4.3.1   5L6g3nShT-eMCtK--X86sw   3       0         0             0\n", "")
	well.ends(ExitDone, "status", "-o", "yaml")
	well.shows("for programs", `connections:
- clusterID: 5L6g3nShT-eMCtK--X86sw
  kind: KafkaConnection
  leftBehind: 0
  message: Kafka 4.3
  name: events
  namespace: orders
  owned: 3
  pendingDeletions: 0
  ready: "True"
  reason: Succeeded
  version: 4.3.1
resources: []
waiting: []
`, "")
	none := newDesk(t)
	none.ends(ExitDone, "status")
	none.shows("no connections", "", "There are no connections in namespace orders. -A looks at all namespaces.\n")
	none.ends(ExitDone, "status", "-o", "json")
	none.shows("no connections, for programs", "{\n  \"connections\": [],\n  \"resources\": [],\n  \"waiting\": []\n}\n", "")
	none.ends(ExitFailed, "status", "-o", "xml")
	none.ends(ExitFailed, "status", "everything")
}

// toApprove is a queue with a plan of some steps, for three hours.
func toApprove(name string, steps int, approved string) *v1alpha1.Queue {
	q := &v1alpha1.Queue{ObjectMeta: metav1.ObjectMeta{Namespace: "orders", Name: name, Generation: 2}}
	q.Status = v1alpha1.ObjectStatus{
		ObservedGeneration: 2, Conditions: condition(metav1.ConditionFalse, v1alpha1.ReasonAwaitingApproval, fmt.Sprintf("%d steps wait for approval", steps)),
		Plan: &v1alpha1.Plan{Hash: "221ed7771d2e45e4", Generation: 2, TotalSteps: int32(steps)}, ApprovedPlan: approved,
	}
	q.Status.Conditions[0].LastTransitionTime = metav1.NewTime(time.Now().Add(-3 * time.Hour))
	for i := range steps {
		q.Status.Plan.Steps = append(q.Status.Plan.Steps, v1alpha1.PlanStep{Action: "Delete", Object: fmt.Sprintf("binding shop/orders -> queue %s key %d", name, i)})
	}
	return q
}

// One screen tells how many resources are as declared, and of each that is not,
// why.
func TestStatusOfResources(t *testing.T) {
	suspended := &v1alpha1.Exchange{ObjectMeta: metav1.ObjectMeta{Namespace: "orders", Name: "old", Generation: 1}, Status: v1alpha1.ObjectStatus{
		ObservedGeneration: 1, Conditions: condition(metav1.ConditionUnknown, v1alpha1.ReasonSuspended, "suspended"),
	}}
	waiting := toApprove("work", 5, "")
	d := newDesk(t, append(platform(), suspended, waiting, toApprove("done", 1, "221ed7771d2e45e4"))...)
	d.ends(ExitDone, "status")
	golden.Check(t, "status/resources.txt", d.out.String())
	d.ends(ExitFound, "status", "--exit-code")
	d.ends(ExitDone, "status", "-o", "yaml")
	since := waiting.Status.Conditions[0].LastTransitionTime.UTC().Format(time.RFC3339)
	golden.Check(t, "status/resources.yaml", strings.ReplaceAll(d.out.String(), since, "SINCE"))

	// A screen is no place for thousands.
	var many []runtime.Object
	for i := range 30 {
		many = append(many, &v1alpha1.Queue{ObjectMeta: metav1.ObjectMeta{Namespace: "orders", Name: fmt.Sprintf("q%02d", i), Generation: 1}})
	}
	d = newDesk(t, many...)
	d.ends(ExitDone, "status")
	if out := d.out.String(); strings.Count(out, "Queue orders/q") != mostTold || !strings.Contains(out, "10 more resources are not ready, and so on: -o json lists them all") {
		t.Errorf("not %d, or not the rest:\n%s", mostTold, out)
	}
}

// A migration whose connection was deleted is on the books and nowhere else.
func TestStatusStranded(t *testing.T) {
	books := &v1alpha1.BrokerInventory{
		ObjectMeta: metav1.ObjectMeta{Namespace: "warrener-system", Name: "kafka-x-0"}, BrokerType: v1alpha1.BrokerTypeKafka, ClusterID: "x",
		Entries: []string{
			`topic "" gone owner=Topic/orders/gone policy=DeleteIfUnused via=orders/old operation=Reassign`,
			`topic "" moves owner=Topic/orders/moves policy=DeleteIfUnused via=orders/events operation=Reassign`,
			`topic "" idle owner=Topic/orders/idle policy=DeleteIfUnused via=orders/old`,
		},
	}
	d := newDesk(t, calm(), books)
	d.ends(ExitFound, "status", "--exit-code")
	d.shows("of a connection that is gone", `CONNECTION   READY   BROKER        CLUSTER                  OWNED   PENDING   LEFT BEHIND   HELD
events       True    Kafka 4.3.1   5L6g3nShT-eMCtK--X86sw   3       0         0             0

Reassign of topic gone stands still without a connection
  Kafka orders/old, through which it ran, is gone
  to go on       apply the connection again, by the same name
`, "")
	d.ends(ExitDone, "status", "-o", "json")
	if out := d.out.String(); !strings.Contains(out, `"stranded": [`) || !strings.Contains(out, `"operation": "Reassign"`) || strings.Contains(out, "topic moves") {
		t.Errorf("for programs: %s", out)
	}

	d = newDesk(t, calm(), books)
	d.client.PrependReactor("list", "brokerinventories", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, fmt.Errorf("forbidden")
	})
	d.ends(ExitDone, "status", "--exit-code")
}

func TestStatusLeftBehind(t *testing.T) {
	d := newDesk(t, troubledShop())
	d.ends(ExitDone, "status", "--left-behind")
	d.shows("what a status names", `OBJECT                   FORMER OWNER        SINCE   CONNECTION   WHY IT STAYS
queue shop/work          Queue orders/work   3h      shop         it holds messages
exchange shop/work.dlx   Queue orders/work   3h      shop         goes or stays with queue shop/work

  to take one back      apply its custom resource again
  to have it deleted    make it unused: the controller looks again at each drift check
  to strike it off the list, and leave it on the broker
                        warrener forget 'Queue orders/work' -n orders
`, "")
	d.ends(ExitFound, "status", "--left-behind", "--exit-code")

	// The inventory names what a status does not, and what a connection left that
	// is gone itself.
	cut := rabbit("orders", "shop", v1alpha1.ConnectionStatus{LeftBehindCount: 2, LeftBehind: []v1alpha1.LeftBehind{
		{Object: "queue shop/a", Owner: "Queue orders/a", Reason: "it holds messages"},
	}})
	books := &v1alpha1.BrokerInventory{
		ObjectMeta: metav1.ObjectMeta{Namespace: "warrener-system", Name: "rabbitmq-x-0"}, BrokerType: v1alpha1.BrokerTypeRabbitMQ, ClusterID: "x",
		Entries: []string{
			`queue shop a owner=Queue/orders/a policy=DeleteIfUnused via=orders/shop left-behind="it holds messages"`,
			`queue shop b owner=Queue/orders/b policy=DeleteIfUnused via=orders/shop left-behind="it has consumers"`,
			`queue shop c owner=Queue/orders/c policy=DeleteIfUnused via=orders/old left-behind="it has consumers"`,
			`queue shop d owner=Queue/orders/d policy=DeleteIfUnused via=orders/shop`,
		},
	}
	d = newDesk(t, cut, books)
	d.ends(ExitDone, "status", "--left-behind", "-A")
	d.shows("with the inventory", `OBJECT         FORMER OWNER     SINCE   CONNECTION          WHY IT STAYS
queue shop/c   Queue orders/c   -       orders/old (gone)   it has consumers
queue shop/a   Queue orders/a   -       orders/shop         it holds messages
queue shop/b   Queue orders/b   -       orders/shop         it has consumers

  to take one back      apply its custom resource again
  to have it deleted    make it unused: the controller looks again at each drift check
  to strike it off the list, and leave it on the broker
                        warrener forget 'Queue orders/c' -n orders
`, "")

	d = newDesk(t, cut)
	d.client.PrependReactor("list", "brokerinventories", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, fmt.Errorf("forbidden")
	})
	d.ends(ExitDone, "status", "--left-behind")
	if got := d.err.String(); !strings.Contains(got, "Not named here: 1 more object.") || !strings.Contains(got, "forbidden") {
		t.Errorf("what could not be read is not told: %s", got)
	}
}

func TestAllowDeletes(t *testing.T) {
	const annotation = "orders/shop " + v1alpha1.AnnotationAllowDeletes
	d := newDesk(t, troubledShop(), calm())
	d.keys = "y\n"
	d.ends(ExitDeclined, "allow-deletes", "shop")
	d.shows("what it would do", `rabbitmqconnection/shop in namespace orders holds 5 deletions (window 20261122-004536-5), of

  Queue orders/a
  Queue orders/b
  Queue orders/c
  Queue orders/d
  and 1 more

Each goes by its deletionPolicy: DeleteIfUnused leaves behind what holds messages or has consumers, Delete does not.
`, "Delete what 5 custom resources declared from the broker? Only yes goes on: not confirmed: nothing was done\n")
	if got := d.annotations(); len(got) > 0 {
		t.Errorf("it was declined, and %v was set", got)
	}
	d.keys = "yes\n"
	d.ends(ExitDone, "allow-deletes", "wrc/shop", "--timeout", "0")
	if got := d.annotations(); got[annotation] != "20261122-004536-5" {
		t.Errorf("%v was set", got)
	}
	d.ends(ExitFailed, "allow-deletes", "shop", "--yes", "--timeout", "1ms")
	if !strings.Contains(d.err.String(), "has not answered within 1ms") {
		t.Errorf("it does not say that nobody answers: %s", d.err.String())
	}
	d.ends(ExitDone, "allow-deletes", "events")
	d.shows("nothing is held", "", "kafkaconnection/events holds no deletions.\n")
	d.ends(ExitFailed, "allow-deletes", "nowhere")
	d.shows("no such connection", "", "warrener: there is no connection \"nowhere\" in namespace orders: -n names another namespace\n")

	twice := newDesk(t, rabbit("orders", "x", v1alpha1.ConnectionStatus{}), kafka("orders", "x", v1alpha1.ConnectionStatus{}))
	twice.ends(ExitFailed, "allow-deletes", "x")
	twice.ends(ExitDone, "allow-deletes", "kafkaconnection/x")
}

// Ctrl-C at a question is a no, and is heard although nobody types anything.
func TestInterruptAtTheQuestion(t *testing.T) {
	d := newDesk(t, troubledShop())
	silent, typing := io.Pipe()
	defer func() { _ = typing.Close() }()
	ctx, interrupt := context.WithCancel(t.Context())
	d.client.PrependReactor("list", "rabbitmqconnections", func(clienttesting.Action) (bool, runtime.Object, error) {
		interrupt()
		return false, nil, nil
	})
	a := &app{Streams: Streams{In: silent, Out: &d.out, Err: &d.err}, program: "warrener"}
	code := a.run(ctx, []string{"allow-deletes", "shop"}, func(*app) (*cluster, error) {
		return &cluster{client: d.client, namespace: "orders"}, nil
	})
	if code != ExitDeclined || !strings.HasSuffix(d.err.String(), "not confirmed: nothing was done\n") || len(d.annotations()) > 0 {
		t.Errorf("it ended with %d: %s", code, d.err.String())
	}
}

func TestForget(t *testing.T) {
	const annotation = "orders/shop " + v1alpha1.AnnotationForgetLeftBehind
	for name, tc := range map[string]struct {
		args []string
		code int
		want string // what is asked for, after the mark
	}{
		"object":   {[]string{"queue shop/work", "--yes"}, ExitDone, "Queue orders/work"},
		"owner":    {[]string{"Queue orders/work", "--yes"}, ExitDone, "Queue orders/work"},
		"all":      {[]string{"--all", "--yes"}, ExitDone, "Queue orders/work"},
		"held":     {[]string{"Queue orders/b", "--yes"}, ExitDone, "Queue orders/b"},
		"unknown":  {[]string{"queue shop/work", "queue shop/typo", "--yes"}, ExitFailed, ""},
		"nothing":  {nil, ExitFailed, ""},
		"both":     {[]string{"--all", "queue shop/work"}, ExitFailed, ""},
		"declined": {[]string{"--all"}, ExitDeclined, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, troubledShop(), calm())
			d.ends(tc.code, append([]string{"forget", "--timeout", "0"}, tc.args...)...)
			_, asked, _ := strings.Cut(d.annotations()[annotation], "\n")
			if asked != tc.want || tc.want == "" && len(d.annotations()) > 0 {
				t.Errorf("asked for %q: %v", asked, d.annotations())
			}
		})
	}
}

// Colour is for terminals, and for those who want it.
func TestColour(t *testing.T) {
	var out bytes.Buffer
	rows := [][]cell{{{"näme", plain}, {"False", red}, {"x", plain}}}
	paper{out: &out, coloured: true}.table([]string{"A", "B", "C"}, rows)
	want := "\x1b[1mA\x1b[0m      \x1b[1mB\x1b[0m       \x1b[1mC\x1b[0m\nnäme   \x1b[31mFalse\x1b[0m   x\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if (&app{Streams: Streams{Out: &out}}).page().coloured {
		t.Error("a file is coloured")
	}
	terminal, err := os.Open("/dev/ptmx")
	if err != nil {
		t.Skip("there is no terminal here")
	}
	defer terminal.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !(&app{Streams: Streams{Out: terminal}}).page().coloured {
		t.Error("a terminal is not coloured")
	}
	t.Setenv("NO_COLOR", "1")
	if (&app{Streams: Streams{Out: terminal}}).page().coloured {
		t.Error("NO_COLOR is not honoured")
	}
}

// The command that people type is in the texts that tell them what to type.
func TestProgramName(t *testing.T) {
	for program, want := range map[string]string{"/usr/bin/kubectl-warrener": "kubectl warrener status -A", "bin/warrener": "warrener status -A"} {
		var out bytes.Buffer
		if code := Run(t.Context(), []string{program, "status", "--help"}, Streams{In: strings.NewReader(""), Out: &out, Err: &out}); code != ExitDone {
			t.Errorf("help ended with %d", code)
		}
		if !strings.Contains(out.String(), "  "+want+"\n") {
			t.Errorf("%s does not say %q:\n%s", program, want, out.String())
		}
	}
}
