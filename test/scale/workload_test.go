package scale

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// writers is how many requests the harness has under way at the API server.
const writers = 16

// size of a workload.
type size struct{ queues, exchanges, bindings int }

func (s size) objects() int { return s.queues + s.exchanges + s.bindings }

// workload makes the custom resources: exchanges and queues first, each binding
// from some exchange to some queue.
func workload(namespace string, s size) []v1alpha1.Object {
	connection := v1alpha1.ConnectionReference{Name: "broker"}
	var out []v1alpha1.Object
	for i := range s.exchanges {
		out = append(out, &v1alpha1.Exchange{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("exchange-%d", i)},
			Spec:       v1alpha1.ExchangeSpec{ConnectionRef: connection, Type: "topic"},
		})
	}
	for i := range s.queues {
		out = append(out, &v1alpha1.Queue{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("queue-%d", i)},
			Spec:       v1alpha1.QueueSpec{ConnectionRef: connection, Type: v1alpha1.QueueTypeClassic},
		})
	}
	for i := range s.bindings {
		out = append(out, &v1alpha1.ExchangeBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("binding-%d", i)},
			Spec: v1alpha1.ExchangeBindingSpec{
				ConnectionRef: connection,
				BindingSource: v1alpha1.BindingSource{
					Source: fmt.Sprintf("exchange-%d", i%s.exchanges), RoutingKeys: []string{fmt.Sprintf("key.%d", i)},
				},
				Destination: fmt.Sprintf("queue-%d", i%s.queues), DestinationType: v1alpha1.DestinationQueue,
			},
		})
	}
	return out
}

// connection makes the Secret and the connection of a workload.
func connection(namespace string, broker *harness.RabbitMQ, endpoint, virtualHost string, interval time.Duration) []client.Object {
	return []client.Object{
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "broker"},
			StringData: map[string]string{"username": broker.User, "password": broker.Password},
		},
		&v1alpha1.RabbitMQConnection{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "broker"},
			Spec: v1alpha1.RabbitMQConnectionSpec{
				Endpoint: endpoint, VirtualHost: virtualHost, Interval: &metav1.Duration{Duration: interval},
				Authentication: v1alpha1.RabbitMQAuthentication{
					Type: v1alpha1.RabbitMQAuthenticationBasic, SecretRef: &v1alpha1.LocalSecretReference{Name: "broker"},
				},
			},
		},
	}
}

func newClient(b testing.TB, config *rest.Config) client.WithWatch {
	b.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			b.Fatal(err)
		}
	}
	own := rest.CopyConfig(config)
	own.QPS = -1
	c, err := client.NewWithWatch(own, client.Options{Scheme: scheme})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// inParallel runs f on every object with a bounded number of writers.
func inParallel[T any](b testing.TB, items []T, f func(T) error) {
	b.Helper()
	work := make(chan T)
	var workers sync.WaitGroup
	var failed atomic.Pointer[error]
	for range writers {
		workers.Go(func() {
			for item := range work {
				if err := f(item); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	for _, item := range items {
		work <- item
	}
	close(work)
	workers.Wait()
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
}

// createAll creates objects as fast as the API server takes them.
func createAll(b testing.TB, c client.Client, objects []v1alpha1.Object) {
	inParallel(b, objects, func(o v1alpha1.Object) error { return c.Create(b.Context(), o) })
}

// limit creates the objects and patches each status once: what no controller
// can undercut.
func limit(b testing.TB, c client.Client, objects []v1alpha1.Object) time.Duration {
	start := time.Now()
	inParallel(b, objects, func(o v1alpha1.Object) error {
		if err := c.Create(b.Context(), o); err != nil {
			return err
		}
		base := o.DeepCopyObject().(v1alpha1.Object)
		status := o.GetStatus()
		status.ObservedGeneration = o.GetGeneration()
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: o.GetGeneration(),
			Reason: v1alpha1.ReasonSucceeded, Message: "queue shop/name is as declared",
		})
		return c.Status().Patch(b.Context(), o, client.MergeFrom(base))
	})
	return time.Since(start)
}

// readiness watches until a number of objects is Ready, like a user would, and
// costs the API server one watch per kind.
type readiness struct {
	mu    sync.Mutex
	ready map[string]bool
	done  chan struct{}
	want  int
}

func watchReady(b testing.TB, c client.WithWatch, namespace string, want int) *readiness {
	b.Helper()
	r := &readiness{ready: map[string]bool{}, done: make(chan struct{}), want: want}
	for _, list := range v1alpha1.NewObjectLists() {
		watcher, err := c.Watch(b.Context(), list.(client.ObjectList), client.InNamespace(namespace))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(watcher.Stop)
		go func() {
			for event := range watcher.ResultChan() {
				if o, ok := event.Object.(v1alpha1.Object); ok {
					r.note(o)
				}
			}
		}()
	}
	return r
}

func (r *readiness) note(o v1alpha1.Object) {
	status := o.GetStatus()
	ok := status.ObservedGeneration == o.GetGeneration() && meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady)
	r.mu.Lock()
	defer r.mu.Unlock()
	key := o.KindName() + "/" + o.GetName()
	if !ok {
		delete(r.ready, key)
		return
	}
	r.ready[key] = true
	if len(r.ready) == r.want {
		select {
		case <-r.done:
		default:
			close(r.done)
		}
	}
}

func (r *readiness) wait(b testing.TB, longest time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), longest)
	defer cancel()
	select {
	case <-r.done:
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		b.Fatalf("%d of %d objects Ready after %s", len(r.ready), r.want, longest)
	}
}
