package scale

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// follow tells of all objects of a list, or of the one with a name, and then of
// every write until the context ends: a watch that nobody needs any more would have its
// part of the machine while something else is measured. A watch that the API server
// ends, as it does when a busy machine is slow to read it, goes on where it was.
func follow(ctx context.Context, tb testing.TB, c client.WithWatch, list client.ObjectList, namespace, name string, tell func(watch.EventType, client.Object)) {
	tb.Helper()
	options := client.ListOptions{Namespace: namespace}
	if name != "" {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name)
	}
	if err := c.List(ctx, list, &options); err != nil {
		tb.Fatal(err)
	}
	err := meta.EachListItem(list, func(o runtime.Object) error {
		tell(watch.Added, o.(client.Object))
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	version := list.GetResourceVersion()
	begin := func() (watch.Interface, error) {
		from := options
		from.Raw = &metav1.ListOptions{ResourceVersion: version}
		return c.Watch(ctx, list, &from)
	}
	watcher, err := begin()
	if err != nil {
		tb.Fatal(err)
	}
	go func() {
		for {
			for event := range watcher.ResultChan() {
				o, ok := event.Object.(client.Object)
				if !ok {
					if ctx.Err() == nil {
						tb.Errorf("watch %T: %v", list, event.Object)
					}
					return
				}
				version = o.GetResourceVersion()
				tell(event.Type, o)
			}
			if ctx.Err() != nil {
				return
			}
			if watcher, err = begin(); err != nil {
				if ctx.Err() == nil {
					tb.Errorf("watch %T again: %v", list, err)
				}
				return
			}
		}
	}()
}
