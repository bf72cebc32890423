package e2e

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// calm ends what is under way, makes the declarations such as can be, and waits
// until all is as it must be. It returns the number of sweeps that took.
func (h *history) calm() (rounds int) {
	h.t.Helper()
	if h.left > 0 {
		h.end()
	}
	for changed := true; changed; {
		changed = false
		for _, slot := range slices.Sorted(maps.Keys(h.declared)) {
			d := h.declared[slot]
			if d.event.Suspend {
				h.redeclare(slot, func(e *event) { e.Suspend = false })
				changed = true
			}
			for _, need := range h.world.needs(d.object) {
				if _, there := h.declared[need]; !there {
					h.declare(need, event{What: "declare", Slot: need})
					changed = true
				}
			}
		}
	}
	deadline := time.Now().Add(harness.Patience)
	for {
		rounds++
		h.barrier()
		h.concede()
		problems := h.world.judge()
		h.get(h.connection)
		if n := h.connection.GetStatus().PendingDeletions; len(problems) == 0 && n == 0 {
			return rounds
		} else if time.Now().After(deadline) {
			h.world.writes()
			h.barrier()
			writes, _ := h.world.writes()
			h.t.Fatalf("after %d sweeps, with %d deletions pending:\n%s\nwhat the statuses say:\n%s\nwhat the last sweep wrote: %q",
				rounds, n, strings.Join(problems, "\n"), h.statuses(), writes)
		}
		sleep(h.t.Context(), 500*time.Millisecond)
	}
}

// statuses renders those of the connection and of everything that is declared, and what
// is on the books of what is not.
func (h *history) statuses() string {
	lines := []string{describe(h.connection)}
	owners := map[string]bool{}
	for _, slot := range slices.Sorted(maps.Keys(h.declared)) {
		object := h.declared[slot].object
		h.get(object)
		lines = append(lines, describe(object))
		owners[object.GetName()] = true
	}
	var books v1alpha1.BrokerInventoryList
	must(h.t, h.client.List(h.t.Context(), &books, client.InNamespace(h.home)))
	for _, shard := range books.Items {
		for _, entry := range shard.Entries {
			_, owner, _ := strings.Cut(entry, " owner=")
			owner, _, _ = strings.Cut(owner, " ")
			name := owner[strings.LastIndex(owner, "/")+1:]
			if strings.HasPrefix(name, h.name+"-") && !owners[name] {
				lines = append(lines, fmt.Sprintf("on the books of %s: %s", shard.Name, entry))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// still looks until it sees the same for a while: a pass that is under way to a
// cluster that the connection has left goes to its end, whatever the statuses
// say meanwhile.
func still[T any](h *history, look func() T) T {
	before := look()
	for same := 0; same < 3; same++ {
		sleep(h.t.Context(), 500*time.Millisecond)
		now := look()
		if !cmp.Equal(before, now) {
			before, same = now, 0
		}
	}
	return before
}

func (h *history) redeclare(slot int, change func(*event)) {
	e := h.declared[slot].event
	change(&e)
	h.declare(slot, e)
}

// concede does what a person does about the refusals that are meant for one.
func (h *history) concede() {
	for _, slot := range slices.Sorted(maps.Keys(h.declared)) {
		h.get(h.declared[slot].object)
		switch _, _, reason := readiness(h.declared[slot].object); reason {
		case v1alpha1.ReasonAdoptionRefused:
			h.redeclare(slot, func(e *event) { e.Adoption = 1 })
		case v1alpha1.ReasonAccessDenied:
			h.note("permissions for %s are granted", h.declared[slot].object.GetName())
			h.world.grant()
		case v1alpha1.ReasonDependencyNotReady:
			// What is missing by hand may stay so under driftPolicy: Report.
			for _, need := range h.world.needs(h.declared[slot].object) {
				h.get(h.declared[need].object)
				if _, drift, _ := readiness(h.declared[need].object); drift != "" {
					h.redeclare(need, func(e *event) { e.Drift = 0 })
				}
			}
		case v1alpha1.ReasonImmutableFieldChanged:
			h.note("what stands in the way of %s is removed", h.declared[slot].object.GetName())
			h.world.unblock(slot)
		}
	}
}

// idles fails the test if one more sweep writes anything, be it to the broker or
// to the API server.
func (h *history) idles() {
	h.t.Helper()
	// Whether dead letters wait is asked before a sweep and told after it, some
	// seconds later on a busy machine: once everybody has been told, that is it.
	for known, deadline := map[string]string(nil), time.Now().Add(harness.Patience); ; {
		h.sweep()
		now := h.objectVersions()
		if maps.Equal(known, now) {
			break
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("all is as declared, and statuses are written again and again:\n%s", cmp.Diff(known, now))
		}
		known = now
	}
	for range 10 {
		h.world.writes()
		before := h.objectVersions()
		h.sweep()
		wrote, sure := h.world.writes()
		if len(wrote) > 0 {
			h.t.Errorf("all is as declared, and the controller wrote to the broker: %q", wrote)
		}
		if diff := cmp.Diff(before, h.objectVersions()); diff != "" {
			h.t.Errorf("all is as declared, and statuses were written:\n%s", diff)
		}
		if sure || h.t.Failed() {
			return
		}
	}
	h.t.Error("the controller is killed too often to tell whether it is idle")
}

// sweep has the connection swept, and touches nothing else.
func (h *history) sweep() {
	h.t.Helper()
	stamp := time.Now().Format(time.RFC3339Nano)
	h.stamp(h.connection, stamp)
	h.answers(h.connection, stamp)
	sleep(h.t.Context(), 300*time.Millisecond) // statuses are written behind the sweep
}

// objectVersions has the resource version of all declarations.
func (h *history) objectVersions() map[string]string {
	h.t.Helper()
	out := map[string]string{}
	for _, slot := range slices.Sorted(maps.Keys(h.declared)) {
		object := h.declared[slot].object
		h.get(object)
		out[describe(object)] = object.GetResourceVersion()
	}
	return out
}

// unhindered fails the test if anything in the namespace has a finalizer: its
// end could hang on a broker then.
func (s *stage) unhindered() {
	s.t.Helper()
	for object := range s.everything() {
		if finalizers := object.GetFinalizers(); len(finalizers) > 0 {
			s.t.Errorf("%T %s has the finalizers %q", object, object.GetName(), finalizers)
		}
	}
}

// everything is all custom resources in the namespace.
func (s *stage) everything() iter.Seq[client.Object] {
	s.t.Helper()
	var lists []client.ObjectList
	for _, list := range v1alpha1.NewObjectLists() {
		lists = append(lists, list.(client.ObjectList))
	}
	for _, list := range v1alpha1.NewConnectionLists() {
		lists = append(lists, list.(client.ObjectList))
	}
	return func(yield func(client.Object) bool) {
		for _, list := range lists {
			must(s.t, s.client.List(s.t.Context(), list, client.InNamespace(s.namespace)))
			items, err := meta.ExtractList(list)
			must(s.t, err)
			for _, item := range items {
				if !yield(item.(client.Object)) {
					return
				}
			}
		}
	}
}

// curtain ends a history, for the next one in its namespace. Its declarations
// stay: so many deletions would look like an accident.
func (h *history) curtain() { h.remove(h.connection) }
