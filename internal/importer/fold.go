package importer

import (
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// form is one way to declare a queue.
type form struct {
	queue *v1alpha1.Queue
	// derived objects come with the queue, and need no manifest of their own.
	derived []topology.ID
	// shared forms create dead-letter objects under names of somebody's choice.
	// They stand for these objects only if nobody else uses them.
	shared bool
}

// fold is a queue with the forms that fit it, the shortest first.
type fold struct{ forms []form }

func (f *fold) chosen() *form { return &f.forms[0] }

// fold finds the shortest form of every queue.
func (h *host) fold(left map[topology.ID]string) map[string]*fold {
	folds := map[string]*fold{}
	for _, name := range h.queueList {
		q := h.queues[name]
		if _, out := left[q.ID()]; out {
			continue
		}
		f, reason := h.formsOf(q)
		if len(f.forms) == 0 {
			left[q.ID()] = reason
			h.note(q.ID(), "left out%s: %s", withBindings(len(h.to[q.ID()])), reason)
			continue
		}
		folds[name] = f
	}
	for h.unfold(folds) {
		continue
	}
	return folds
}

// formsOf lists the forms that give back exactly what is there. If there is none,
// the reason is why the plainest one does not.
func (h *host) formsOf(q *topology.Queue) (f *fold, reason string) {
	f = &fold{}
	for _, arguments := range h.settingsOf(q) {
		spec, err := queueSpec(q, arguments.table)
		if err != nil {
			reason = err.Error()
			continue
		}
		spec.ConnectionRef, spec.VirtualHost, spec.DeletionPolicy = h.ref(q.ID()), h.virtualHost(h.name), h.retained(q.ID())
		spec.Settings = arguments.settings
		for _, c := range h.candidates(q, spec) {
			object := &v1alpha1.Queue{ObjectMeta: h.meta(q.ID()), Spec: *c}
			var wants []topology.Want
			if wants, reason = h.fits(object); reason != "" {
				continue
			}
			if next := h.formOf(q, object, wants); next != nil {
				f.forms = append(f.forms, *next)
			}
		}
	}
	return f, reason
}

// formOf is nil if the form would stand for objects that are left to others.
func (h *host) formOf(q *topology.Queue, object *v1alpha1.Queue, wants []topology.Want) *form {
	out := &form{queue: object}
	for _, want := range wants {
		id := want.Resource.ID()
		if id == q.ID() || id.Kind == topology.KindPolicy {
			continue
		}
		if h.namespaceOf(id) != h.namespaceOf(q.ID()) || h.source.Known[id].Retain != h.source.Known[q.ID()].Retain {
			return nil
		}
		out.derived = append(out.derived, id)
	}
	d := object.Spec.DeadLetter
	named := d != nil && d.Creates() && (d.Exchange != nil || d.Queue != "")
	out.shared = named && (object.Spec.Retry == nil || object.Spec.Retry.Strategy != v1alpha1.RetryTiers)
	return out
}

// written is where the settings of a queue stand.
type written struct {
	settings v1alpha1.QueueSettings
	table    topology.Arguments
}

// settingsOf lists where the settings of a queue may stand: in a policy for this
// queue alone, if there is one that Warrener would make, else in its arguments.
func (h *host) settingsOf(q *topology.Queue) []written {
	plain := written{table: q.Arguments}
	policy := h.policies[topology.QueuePolicyName(q.Name)]
	if policy == nil || h.namespaceOf(policy.ID()) != h.namespaceOf(q.ID()) {
		return []written{plain}
	}
	both := maps.Clone(q.Arguments)
	if both == nil {
		both = topology.Arguments{}
	}
	for key, value := range policy.Definition {
		if _, twice := both["x-"+key]; twice {
			return []written{plain}
		}
		both["x-"+key] = value
	}
	return []written{{settings: v1alpha1.SettingsPolicy, table: both}, plain}
}

// candidates are the specs to try, the shortest first. The plain one, which
// stands for nothing but the queue, is the last.
func (h *host) candidates(q *topology.Queue, plain *v1alpha1.QueueSpec) []*v1alpha1.QueueSpec {
	var out []*v1alpha1.QueueSpec
	add := func(spec *v1alpha1.QueueSpec) {
		if spec != nil {
			out = append(out, spec)
		}
	}
	add(h.tiers(q, plain))
	folded := h.deadLetter(q, plain)
	for _, base := range []*v1alpha1.QueueSpec{folded, plain} {
		if base != nil {
			add(h.native(base))
			add(h.published(q, base))
		}
	}
	add(folded)
	add(plain)
	return out
}

// unfold takes the shortest form from queues that it does not suit, seen with
// all others; false if it suits all.
func (h *host) unfold(folds map[string]*fold) bool {
	derived := map[topology.ID]bool{}
	for _, f := range folds {
		for _, id := range f.chosen().derived {
			derived[id] = true
		}
	}
	changed := false
	for _, name := range slices.Sorted(maps.Keys(folds)) {
		f := folds[name]
		if len(f.forms) == 1 || !h.unsuitable(name, f.chosen(), folds, derived) {
			continue
		}
		f.forms = f.forms[1:]
		changed = true
	}
	return changed
}

func (h *host) unsuitable(name string, chosen *form, folds map[string]*fold, derived map[topology.ID]bool) bool {
	if len(chosen.derived) > 0 && derived[topology.QueueID(h.name, name)] {
		return true // another queue stands for this one
	}
	if !chosen.shared {
		return false
	}
	underived := func(bindings []*topology.Binding) bool {
		return slices.ContainsFunc(bindings, func(b *topology.Binding) bool { return !derived[b.ID()] })
	}
	for _, id := range chosen.derived {
		switch id.Kind {
		case topology.KindExchange:
			if len(h.to[id]) > 0 || underived(h.from[id]) || h.alternates[id.Name] {
				return true
			}
			if slices.ContainsFunc(h.deadLetteredTo[id.Name], func(queue string) bool {
				f := folds[queue]
				return f == nil || !slices.Contains(f.chosen().derived, id)
			}) {
				return true
			}
		case topology.KindQueue:
			if underived(h.to[id]) {
				return true
			}
		}
	}
	return false
}
