package controllers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// check compares; reason is what a reader is told who finds it failing.
func check(t *testing.T, reason string, want, got any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}

// newClient is an API server in memory.
func newClient(t *testing.T, funcs interceptor.Funcs, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(funcs).WithObjects(objects...)
	for _, object := range v1alpha1.NewObjects() {
		builder = builder.WithStatusSubresource(object).WithIndex(object, connectionField, indexByConnection)
	}
	for _, connection := range v1alpha1.NewConnections() {
		builder = builder.WithStatusSubresource(connection)
	}
	return builder.Build()
}

func queueObject(name string) *v1alpha1.Queue {
	return &v1alpha1.Queue{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Generation: 1},
		Spec:       v1alpha1.QueueSpec{ConnectionRef: v1alpha1.ConnectionReference{Name: "broker"}, Type: v1alpha1.QueueTypeClassic},
	}
}

func connectionObject() *v1alpha1.RabbitMQConnection {
	return &v1alpha1.RabbitMQConnection{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "broker", UID: "uid-broker", Generation: 1},
		Spec: v1alpha1.RabbitMQConnectionSpec{
			Endpoint:       "http://rabbitmq.invalid:15672",
			Authentication: v1alpha1.RabbitMQAuthentication{Type: v1alpha1.RabbitMQAuthenticationBasic, SecretRef: &v1alpha1.LocalSecretReference{Name: "login"}},
		},
	}
}

func loginSecret() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "login"},
		Data:       map[string][]byte{"username": []byte("warrener"), "password": []byte("hunter2")},
	}
}

func owner(name string) topology.OwnerKey {
	return topology.OwnerKey{Kind: v1alpha1.KindQueue, Namespace: "shop", Name: name}
}

func connectionKey() topology.ConnectionKey {
	return topology.ConnectionKey{Kind: v1alpha1.KindRabbitMQConnection, Namespace: "shop", Name: "broker"}
}

// ready is the verdict on a queue that is as declared.
func ready(name string) engine.Verdict {
	return engine.Verdict{
		Owner: topology.Owner{OwnerKey: owner(name), UID: "uid-" + name, Generation: 1},
		Ready: true, Reason: engine.ReasonSucceeded, Message: "queue shop/" + name + " is as declared",
		Owns: []topology.ID{topology.QueueID("shop", name)},
	}
}

// events keeps what is recorded, one line each.
type events struct {
	mu    sync.Mutex
	lines []string
}

func (e *events) Eventf(about, behalf runtime.Object, kind, reason, action, note string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	line := kind + " " + reason + " " + action + " on " + nameOf(about)
	if behalf != nil {
		line += " for " + nameOf(behalf)
	}
	e.lines = append(e.lines, line+": "+fmt.Sprintf(note, args...))
}

func nameOf(object runtime.Object) string {
	if reference, ok := object.(*corev1.ObjectReference); ok {
		return reference.Namespace + "/" + reference.Name
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return err.Error()
	}
	return accessor.GetNamespace() + "/" + accessor.GetName()
}

func (e *events) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.lines
	e.lines = nil
	return out
}

// queued notes what is put into the workqueue.
type queued struct {
	mu    sync.Mutex
	waits map[Request]time.Duration
}

func (q *queued) add(request Request, after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waits == nil {
		q.waits = map[Request]time.Duration{}
	}
	q.waits[request] = after
}

// newRegistry is a registry in front of an API server in memory.
func newRegistry(c client.Client) (*Registry, *events, *queued) {
	e, q := &events{}, &queued{}
	r := &Registry{
		options: Options{InventoryNamespace: "warrener-system", Interval: time.Minute, Identity: "me"},
		client:  c, reader: c, log: logr.Discard(), events: e, intake: newIntake(), queue: q.add,
		sessions: map[topology.ConnectionKey]*session{}, clusters: map[clusterKey]*engine.Cluster{},
	}
	clock := func() time.Time { return noon }
	published := newContracts(c, c, clock)
	published.render = r.contractOf
	r.status = newStatusWriter(c, published, logr.Discard(), clock)
	r.status.retry = func(topology.OwnerKey) {}
	r.status.transition = func(v1alpha1.Object, v1alpha1.ObjectStatus, v1alpha1.ObjectStatus) {}
	return r, e, q
}

// silent is a broker with nothing on it that answers a probe, and reads unless
// told otherwise. whileReading, if set, happens meanwhile.
type silent struct {
	probing, reading error
	whileReading     func()
}

func (b *silent) probe(context.Context) (identity, error) {
	return identity{clusterID: "one", version: "4.3.0"}, b.probing
}

func (b *silent) Observe(_ context.Context, sel topology.Selection) (*topology.Snapshot, error) {
	if b.whileReading != nil {
		b.whileReading()
	}
	return &topology.Snapshot{Selection: sel}, b.reading
}

func (b *silent) Apply(_ context.Context, wave []topology.Step) []topology.Outcome {
	out := make([]topology.Outcome, len(wave))
	for i, step := range wave {
		out[i] = topology.Outcome{Step: step, Err: &topology.Error{Class: topology.ClassRejected, Object: step.ID, Reason: "read-only"}}
	}
	return out
}

func (b *silent) Close() {}
