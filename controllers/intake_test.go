package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

func TestIntake(t *testing.T) {
	key, first, last := connectionKey(), &departure{}, &departure{}
	for name, c := range map[string]struct {
		reason string
		do     func(*intake)
		want   map[topology.OwnerKey]*departure
	}{
		"Empty":  {reason: "nothing happened", do: func(*intake) {}},
		"Latest": {reason: "the latest news of an object counts", do: func(i *intake) { i.add(key, owner("a"), first); i.add(key, owner("a"), nil) }, want: map[topology.OwnerKey]*departure{owner("a"): nil}},
		"Taken":  {reason: "what is taken is gone", do: func(i *intake) { i.add(key, owner("a"), nil); i.take(key) }},
		"Other":  {reason: "connections are apart", do: func(i *intake) { i.add(topology.ConnectionKey{Name: "other"}, owner("a"), nil) }},
		"GivenBack": {
			reason: "what could not be used comes again",
			do:     func(i *intake) { i.add(key, owner("a"), first); i.giveBack(key, i.take(key)) },
			want:   map[topology.OwnerKey]*departure{owner("a"): first},
		},
		"GivenBackTwice": {
			reason: "a set of nothing is no obstacle",
			do:     func(i *intake) { i.giveBack(key, nil); i.giveBack(key, i.take(key)); i.add(key, owner("a"), nil) },
			want:   map[topology.OwnerKey]*departure{owner("a"): nil},
		},
		"NewerNews": {
			reason: "giving back overrides nothing newer",
			do: func(i *intake) {
				i.add(key, owner("a"), first)
				i.add(key, owner("b"), first)
				taken := i.take(key)
				i.add(key, owner("a"), last)
				i.giveBack(key, taken)
			},
			want: map[topology.OwnerKey]*departure{owner("a"): last, owner("b"): first},
		},
		"Recreated": {
			reason: "an object that is there again has not departed",
			do: func(i *intake) {
				i.add(key, owner("a"), first)
				taken := i.take(key)
				i.add(key, owner("a"), nil)
				i.giveBack(key, taken)
			},
			want: map[topology.OwnerKey]*departure{owner("a"): nil},
		},
		"NotShared": {
			reason: "the giver may go on with its map",
			do: func(i *intake) {
				mine := map[topology.OwnerKey]*departure{owner("a"): nil}
				i.giveBack(key, mine)
				delete(mine, owner("a"))
			},
			want: map[topology.OwnerKey]*departure{owner("a"): nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIntake()
			c.do(i)
			got := i.take(key)
			check(t, c.reason, len(c.want), len(got))
			for k, want := range c.want {
				if found, ok := got[k]; !ok || found != want {
					t.Errorf("%s: %s has %p, want %p", c.reason, k, found, want)
				}
			}
		})
	}
}

func TestChanged(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		edit   func(*v1alpha1.Queue)
		want   bool // likewise asksForMore, but for Allow
	}{
		"Nothing":    {"a resync is no news", func(*v1alpha1.Queue) {}, false},
		"Status":     {"our own writes are no news", func(q *v1alpha1.Queue) { q.Status.BrokerName, q.ResourceVersion = "q", "7" }, false},
		"Label":      {"labels mean nothing to us", func(q *v1alpha1.Queue) { q.Labels = map[string]string{"a": "b"} }, false},
		"Other":      {"nor do other annotations", func(q *v1alpha1.Queue) { q.Annotations = map[string]string{"a": "b"} }, false},
		"Managed":    {"nor does who manages which field", func(q *v1alpha1.Queue) { q.ManagedFields = []metav1.ManagedFieldsEntry{{}} }, false},
		"Generation": {"a new spec", func(q *v1alpha1.Queue) { q.Generation++ }, true},
		"UID":        {"another object of that name", func(q *v1alpha1.Queue) { q.UID = "another" }, true},
		"Reconcile":  {"a request", func(q *v1alpha1.Queue) { q.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"} }, true},
		"HandOver":   {"an heir", func(q *v1alpha1.Queue) { q.Annotations = map[string]string{v1alpha1.AnnotationHandOverTo: "a/b"} }, true},
		"Accept":     {"a consent", func(q *v1alpha1.Queue) { q.Annotations = map[string]string{v1alpha1.AnnotationAcceptCluster: "one"} }, true},
		"Allow":      {"a consent", func(q *v1alpha1.Queue) { q.Annotations = map[string]string{v1alpha1.AnnotationAllowDeletes: "one"} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			old := queueObject("q")
			now := old.DeepCopy()
			c.edit(now)
			check(t, c.reason, c.want, changed(old, now))
			check(t, c.reason+", taken back", c.want, changed(now, old))
			check(t, c.reason+": everything is looked at", c.want && name != "Allow", asksForMore(old, now))
		})
	}
}
