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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// writers is how many requests the harness has under way at the API server.
const writers = 16

// size of a workload.
type size struct{ queues, exchanges, bindings int }

// sizeOf has as many objects, and for each exchange ten queues and ten bindings.
func sizeOf(objects int) size {
	exchanges := max(objects/21, 1)
	return size{queues: 10 * exchanges, exchanges: exchanges, bindings: 10 * exchanges}
}

func (s size) objects() int { return s.queues + s.exchanges + s.bindings }

// workload makes the custom resources: exchanges and queues first, each binding
// from some exchange to some queue.
func workload(namespace string, s size) []v1alpha1.Object {
	connection := v1alpha1.ConnectionReference{Name: "broker"}
	var out []v1alpha1.Object
	for i := range s.exchanges {
		out = append(out, &v1alpha1.Exchange{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("exchange-%d", i)},
			Spec:       v1alpha1.ExchangeSpec{ConnectionRef: connection, Type: exchangeType()},
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

// inParallel runs f on every object with a bounded number of writers.
func inParallel[T any](tb testing.TB, items []T, f func(T) error) {
	tb.Helper()
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
		tb.Fatal(*err)
	}
}

// createAll creates objects as fast as the API server takes them.
func createAll(tb testing.TB, c client.Client, objects []v1alpha1.Object) {
	inParallel(tb, objects, func(o v1alpha1.Object) error { return c.Create(tb.Context(), o) })
}

// patchStatus says Ready in a status, as a controller would: the one write that
// no controller can do without.
func patchStatus(ctx context.Context, c client.Client, o v1alpha1.Object) error {
	base := o.DeepCopyObject().(v1alpha1.Object)
	status := o.GetStatus()
	status.ObservedGeneration = o.GetGeneration()
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: o.GetGeneration(),
		Reason: v1alpha1.ReasonSucceeded, Message: "queue shop/name is as declared",
	})
	return c.Status().Patch(ctx, o, client.MergeFrom(base))
}
