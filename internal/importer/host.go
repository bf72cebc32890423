package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// host is the import of one virtual host.
type host struct {
	*run
	name      string
	exchanges map[string]*topology.Exchange
	queues    map[string]*topology.Queue
	policies  map[string]*topology.BrokerPolicy
	queueList []string // sorted names of all queues, also of those that are left out
	to, from  map[topology.ID][]*topology.Binding
	// deadLetteredTo lists the queues that name an exchange for their dead letters, and policies.
	deadLetteredTo map[string][]string
	// alternates are exchanges that another one names as its alternate.
	alternates map[string]bool
	// derived objects are wanted by a queue that stands for them.
	derived map[topology.ID]bool
}

func newHost(r *run, name string) *host {
	h := &host{
		run: r, name: name,
		exchanges: map[string]*topology.Exchange{}, queues: map[string]*topology.Queue{}, policies: map[string]*topology.BrokerPolicy{},
		to: map[topology.ID][]*topology.Binding{}, from: map[topology.ID][]*topology.Binding{},
		deadLetteredTo: map[string][]string{}, alternates: map[string]bool{}, derived: map[topology.ID]bool{},
	}
	for id, resource := range r.live {
		if id.Scope != name {
			continue
		}
		switch o := resource.(type) {
		case *topology.Exchange:
			h.exchanges[o.Name] = o
			if alternate, ok := o.Arguments[argAlternateExchange].(string); ok {
				h.alternates[alternate] = true
			}
		case *topology.Queue:
			h.queues[o.Name] = o
			if exchange, ok := o.Arguments[argDeadLetterExchange].(string); ok {
				h.deadLetteredTo[exchange] = append(h.deadLetteredTo[exchange], o.Name)
			}
		case *topology.Binding:
			h.to[o.DestinationID()] = append(h.to[o.DestinationID()], o)
			h.from[o.SourceID()] = append(h.from[o.SourceID()], o)
		case *topology.BrokerPolicy:
			h.policies[o.Name] = o
			if exchange, ok := o.DeadLetterExchange(); ok {
				// A policy for one queue speaks for that queue, any other for none that is known.
				h.deadLetteredTo[exchange] = append(h.deadLetteredTo[exchange], strings.TrimPrefix(o.Name, topology.QueuePolicyName("")))
			}
		}
	}
	h.queueList = slices.Sorted(maps.Keys(h.queues))
	return h
}

// objects are the custom resources of the virtual host, in order.
func (h *host) objects() []v1alpha1.Object {
	var out []v1alpha1.Object
	if v := h.virtualHostObject(); v != nil {
		out = append(out, v)
	}
	left := h.leaveOut()
	folds := h.fold(left)
	for _, f := range folds {
		for _, id := range f.chosen().derived {
			h.derived[id] = true
		}
	}
	queues := map[string]*v1alpha1.Queue{}
	for _, name := range slices.Sorted(maps.Keys(folds)) {
		if h.derived[topology.QueueID(h.name, name)] {
			continue
		}
		queues[name] = folds[name].chosen().queue
	}
	exchanges := h.exchangeObjects(left)
	loose := h.bind(left, exchanges, queues)
	for _, name := range slices.Sorted(maps.Keys(exchanges)) {
		e := exchanges[name]
		h.toBeNamed(e, topology.ExchangeID(h.name, name), name)
		out = append(out, e)
	}
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		q := queues[name]
		id := topology.QueueID(h.name, name)
		h.toBeNamed(q, id, name)
		out = append(out, q)
		if q.Spec.Retry != nil && q.Spec.Retry.Strategy == v1alpha1.RetryPublished {
			h.note(id, "its retries are taken to go from the shortest delay to the longest, each once: only its consumers know (spec.retry.delays)")
		}
	}
	out = append(out, loose...)
	h.notePolicies(queues)
	return out
}

func (h *host) virtualHostObject() v1alpha1.Object {
	id := topology.VirtualHostID(h.name)
	live, ok := h.live[id].(*topology.VirtualHost)
	if !ok {
		return nil
	}
	_, declared := h.source.Known[id]
	if h.source.Known != nil && !declared {
		return nil
	}
	v := &v1alpha1.VirtualHost{ObjectMeta: h.meta(id), Spec: v1alpha1.VirtualHostSpec{ConnectionRef: h.ref(id), Name: h.name}}
	const brokersOwn = "Default virtual host"
	if live.Description != nil && *live.Description != "" && (h.name != v1alpha1.DefaultVirtualHost || *live.Description != brokersOwn) {
		v.Spec.Description = *live.Description
		if len([]rune(v.Spec.Description)) > 1024 {
			h.note(id, "its description is longer than the 1024 characters that a manifest has room for: left out")
			v.Spec.Description = ""
		}
	}
	v.Spec.Tags = slices.Clone(live.Tags)
	if len(v.Spec.Tags) > 32 || slices.ContainsFunc(v.Spec.Tags, func(t string) bool { return t == "" || strings.Contains(t, ",") }) {
		h.note(id, "tags that a manifest cannot hold are left out: %q", live.Tags)
		v.Spec.Tags = nil
	}
	if live.DefaultQueueType != nil && *live.DefaultQueueType != topology.QueueTypeClassic { // classic is the broker's own default
		v.Spec.DefaultQueueType = v1alpha1.QueueType(*live.DefaultQueueType)
	}
	limits := v1alpha1.VirtualHostLimits{MaxConnections: limit(live.MaxConnections), MaxQueues: limit(live.MaxQueues)}
	if limits != (v1alpha1.VirtualHostLimits{}) {
		v.Spec.Limits = &limits
	}
	plain := v.Spec.Description == "" && len(v.Spec.Tags) == 0 && v.Spec.DefaultQueueType == "" && v.Spec.Limits == nil
	if h.name == v1alpha1.DefaultVirtualHost && plain && !declared {
		return nil // it is there on every broker
	}
	if _, reason := h.fits(v); reason != "" {
		h.note(id, "no manifest can say this: %s", reason)
		return nil
	}
	h.toBeNamed(v, id, h.name)
	return v
}

// limit is a limit that limits: brokers write none as -1, too.
func limit(n *int64) *int64 {
	if n == nil || *n < 0 || *n > 1<<32-1 {
		return nil
	}
	return n
}

// leaveOut says why objects are not imported, by object; "" for those of the
// broker itself, which nobody has to be told of.
func (h *host) leaveOut() map[topology.ID]string {
	left := map[topology.ID]string{}
	for name, q := range h.queues {
		switch id := q.ID(); {
		case strings.HasPrefix(name, "amq."):
			left[id] = "the broker named it for a client, which declares another one next time"
		case q.Exclusive:
			left[id] = "exclusive to the connection that declared it"
		case q.AutoDelete:
			left[id] = "the broker deletes it with its last consumer (auto-delete), and clients declare it when they need it"
		}
	}
	for name, e := range h.exchanges {
		switch id := e.ID(); {
		case isSystemExchange(name):
			left[id] = ""
		case e.AutoDelete:
			left[id] = "the broker deletes it with its last binding (auto-delete), and clients declare it when they need it"
		}
	}
	for _, id := range sortedIDs(left) {
		if reason := left[id]; reason != "" {
			bindings := len(h.to[id])
			if id.Kind == topology.KindExchange {
				bindings += len(h.from[id])
			}
			h.note(id, "left out%s: %s", withBindings(bindings), reason)
		}
	}
	return left
}

func isSystemExchange(name string) bool { return name == "" || strings.HasPrefix(name, "amq.") }

func withBindings(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " with its binding"
	}
	return fmt.Sprintf(" with its %d bindings", n)
}

func (h *host) exchangeObjects(left map[topology.ID]string) map[string]*v1alpha1.Exchange {
	out := map[string]*v1alpha1.Exchange{}
	for _, name := range slices.Sorted(maps.Keys(h.exchanges)) {
		live := h.exchanges[name]
		id := live.ID()
		if _, out := left[id]; out || h.derived[id] {
			continue
		}
		e := &v1alpha1.Exchange{ObjectMeta: h.meta(id), Spec: v1alpha1.ExchangeSpec{
			ConnectionRef: h.ref(id), VirtualHost: h.virtualHost(h.name), Name: name,
			Type: v1alpha1.ExchangeType(live.Type), Internal: live.Internal, DeletionPolicy: h.retained(id),
		}}
		if !live.Durable {
			e.Spec.Durable = new(bool)
		}
		t := &table{rest: maps.Clone(live.Arguments)}
		e.Spec.AlternateExchange = t.word(argAlternateExchange)
		e.Spec.Arguments = t.others()
		var reason string
		if err := t.err(); err != nil {
			reason = err.Error()
		} else {
			_, reason = h.fits(e)
		}
		if reason != "" {
			left[id] = reason
			h.note(id, "left out%s: %s", withBindings(len(h.to[id])+len(h.from[id])), reason)
			continue
		}
		out[name] = e
	}
	return out
}

// bind puts the bindings into their destinations. It returns those that have
// none to stand in.
func (h *host) bind(left map[topology.ID]string, exchanges map[string]*v1alpha1.Exchange, queues map[string]*v1alpha1.Queue) []v1alpha1.Object {
	var loose []v1alpha1.Object
	for _, destination := range sortedIDs(h.to) {
		if reason, out := left[destination]; out && reason != "" {
			continue // told with the destination
		}
		inline, apart := h.sortOut(destination, left)
		sources := group(inline)
		room := min(len(sources), maxBindings)
		home := h.namespaceOf(destination)
		switch {
		case destination.Kind == topology.KindQueue && queues[destination.Name] != nil:
			queues[destination.Name].Spec.Bindings = sources[:room]
		case destination.Kind == topology.KindExchange && exchanges[destination.Name] != nil:
			exchanges[destination.Name].Spec.Bindings = sources[:room]
		default:
			room = 0
		}
		for _, source := range sources[room:] {
			loose = append(loose, h.looseBinding(destination, source, home))
		}
		for _, namespace := range slices.Sorted(maps.Keys(apart)) {
			for _, source := range group(apart[namespace]) {
				loose = append(loose, h.looseBinding(destination, source, namespace))
			}
		}
	}
	return loose
}

// sortOut leaves out what another object stands for and what cannot be said, and
// keeps bindings apart that other namespaces declare.
func (h *host) sortOut(destination topology.ID, left map[topology.ID]string) (inline []*topology.Binding, apart map[string][]*topology.Binding) {
	apart = map[string][]*topology.Binding{}
	home := h.namespaceOf(destination)
	for _, b := range h.to[destination] {
		if reason := left[b.SourceID()]; h.derived[b.ID()] || reason != "" {
			continue // told with the source
		}
		if reason := h.unspeakable(b); reason != "" {
			h.note(b.ID(), "left out: %s", reason)
			continue
		}
		for _, end := range []topology.ID{b.SourceID(), b.DestinationID()} {
			if _, there := h.live[end]; !there {
				h.note(b.ID(), "needs %s, which is not among what was imported: it has to be there already", end)
			}
		}
		if namespace := h.namespaceOf(b.ID()); namespace != home {
			apart[namespace] = append(apart[namespace], b)
		} else {
			inline = append(inline, b)
		}
	}
	return inline, apart
}

// unspeakable says why no manifest can say a binding; "" if one can.
func (h *host) unspeakable(b *topology.Binding) string {
	source, err := sourceOf(b)
	if err != nil {
		return err.Error()
	}
	_, reason := h.fits(h.binding(b.DestinationID(), source, ""))
	return reason
}

func (h *host) binding(destination topology.ID, source v1alpha1.BindingSource, namespace string) *v1alpha1.ExchangeBinding {
	kind := v1alpha1.DestinationQueue
	if destination.Kind == topology.KindExchange {
		kind = v1alpha1.DestinationExchange
	}
	b := &v1alpha1.ExchangeBinding{Spec: v1alpha1.ExchangeBindingSpec{
		VirtualHost: h.virtualHost(h.name), BindingSource: source, Destination: destination.Name, DestinationType: kind,
	}}
	b.Namespace = namespace
	b.Spec.ConnectionRef.Name = h.source.Connection.Name
	if home := h.connectionNamespace(); home != namespace {
		b.Spec.ConnectionRef.Namespace = home
	}
	return b
}

func (h *host) looseBinding(destination topology.ID, source v1alpha1.BindingSource, namespace string) v1alpha1.Object {
	b := h.binding(destination, source, namespace)
	h.unnamed = append(h.unnamed, candidate{object: b, wish: ValidName(source.Source + "-to-" + destination.Name), host: h.name})
	return b
}

// notePolicies reports the policies that stay where they are.
func (h *host) notePolicies(queues map[string]*v1alpha1.Queue) {
	taken := map[string]bool{}
	for name, q := range queues {
		if q.Spec.Settings == v1alpha1.SettingsPolicy {
			taken[topology.QueuePolicyName(name)] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.policies)) {
		p := h.policies[name]
		if taken[name] {
			continue
		}
		keys := slices.Sorted(maps.Keys(p.Definition))
		h.note(p.ID(), "stays as it is, outside of the manifests (%s; pattern %q, applies to %s, priority %d): Warrener keeps policies for one queue only, see docs/settings.md",
			strings.Join(keys, ", "), p.Pattern, p.ApplyTo, p.Priority)
	}
}
