package scale

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// readiness watches until a number of objects is Ready, like a user would, and
// counts how often each was written; it costs the API server one watch per kind.
type readiness struct {
	// only objects whose name begins so count.
	prefix string
	want   int
	// generation that an object must have at least to count.
	generation int64

	mu     sync.Mutex
	ready  map[string]bool
	writes map[string]int // after the creation
	done   chan struct{}
	stop   func() // ends the watching
}

// watchReady watches all objects of a namespace.
func watchReady(tb testing.TB, c client.WithWatch, namespace string, want int) *readiness {
	tb.Helper()
	r := &readiness{want: want}
	r.watch(tb, c, namespace)
	return r
}

func (r *readiness) watch(tb testing.TB, c client.WithWatch, namespace string) {
	tb.Helper()
	r.ready, r.writes, r.done = map[string]bool{}, map[string]int{}, make(chan struct{})
	ctx, stop := context.WithCancel(tb.Context())
	r.stop = stop
	for _, list := range v1alpha1.NewObjectLists() {
		follow(ctx, tb, c, list.(client.ObjectList), namespace, "", func(kind watch.EventType, o client.Object) {
			r.note(kind, o.(v1alpha1.Object))
		})
	}
}

func (r *readiness) note(kind watch.EventType, o v1alpha1.Object) {
	if !strings.HasPrefix(o.GetName(), r.prefix) {
		return
	}
	ok := kind != watch.Deleted && isReady(o) && o.GetGeneration() >= r.generation
	r.mu.Lock()
	defer r.mu.Unlock()
	key := o.KindName() + "/" + o.GetName()
	if kind == watch.Modified {
		r.writes[key]++
	}
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

func isReady(o v1alpha1.Object) bool {
	status := o.GetStatus()
	return status.ObservedGeneration == o.GetGeneration() && meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady)
}

func (r *readiness) wait(tb testing.TB, longest time.Duration) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), longest)
	defer cancel()
	select {
	case <-r.done:
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		tb.Fatalf("%d of %d objects Ready after %s", len(r.ready), r.want, longest)
	}
}

// all tells whether they are Ready.
func (r *readiness) all() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// written is how many writes there were after the creations.
func (r *readiness) written() (total int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.writes {
		total += n
	}
	return total
}

func isConnectionReady(c v1alpha1.Connection) bool {
	status := c.GetStatus()
	return status.ObservedGeneration == c.GetGeneration() && meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady)
}
