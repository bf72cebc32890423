package scale

import (
	"context"
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
	mu     sync.Mutex
	ready  map[string]bool
	writes map[string]int // after the creation
	done   chan struct{}
	want   int
}

func watchReady(tb testing.TB, c client.WithWatch, namespace string, want int) *readiness {
	tb.Helper()
	r := &readiness{ready: map[string]bool{}, writes: map[string]int{}, done: make(chan struct{}), want: want}
	for _, list := range v1alpha1.NewObjectLists() {
		watcher, err := c.Watch(tb.Context(), list.(client.ObjectList), client.InNamespace(namespace))
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(watcher.Stop)
		go func() {
			for event := range watcher.ResultChan() {
				if o, ok := event.Object.(v1alpha1.Object); ok {
					r.note(event.Type, o)
				}
			}
		}()
	}
	return r
}

func (r *readiness) note(kind watch.EventType, o v1alpha1.Object) {
	ok := kind != watch.Deleted && isReady(o)
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

// written is how many writes there were after the creations.
func (r *readiness) written() (total int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.writes {
		total += n
	}
	return total
}
