package migration

import (
	"maps"
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Where a message gets to in the model of a broker.

// lead makes a binding lead, and unlead ends that, as RabbitMQ 4.0 does: a topic
// exchange counts the bindings of a key, whether or not it has had them before,
// or has them, and forgets the key with all that it leads to when it has counted
// down to zero. So whoever deletes one that never led ends another one.
func (b *model) lead(binding *topology.Binding) {
	b.routes[binding.ID()] = binding
	if b.exchanges[binding.Source].Type == "topic" {
		b.nodes[node{binding.Source, binding.RoutingKey}]++
	}
}

func (b *model) unlead(binding *topology.Binding) {
	if x := b.exchanges[binding.Source]; x == nil || x.Type != "topic" {
		delete(b.routes, binding.ID())
		return
	}
	at := node{binding.Source, binding.RoutingKey}
	if b.nodes[at] == 0 {
		return
	}
	delete(b.routes, binding.ID())
	if b.nodes[at]--; b.nodes[at] == 0 {
		maps.DeleteFunc(b.routes, func(_ topology.ID, other *topology.Binding) bool {
			return other.Source == at.source && other.RoutingKey == at.key
		})
	}
}

// routeByKey is route for a message that only bindings with this key match.
func (b *model) routeByKey(exchange, key string) map[string]bool {
	out := map[string]bool{}
	for _, binding := range b.routes {
		switch {
		case binding.Source != exchange || binding.RoutingKey != key:
		case binding.DestinationType == topology.DestinationQueue:
			out[binding.Destination] = true
		default:
			maps.Copy(out, b.route(binding.Destination, map[string]bool{exchange: true}))
		}
	}
	return out
}

// route lists the queues that a message gets to, each once.
func (b *model) route(exchange string, seen map[string]bool) map[string]bool {
	out := map[string]bool{}
	if seen[exchange] || b.exchanges[exchange] == nil {
		return out
	}
	seen[exchange] = true
	matched := false
	for _, binding := range b.routes {
		if binding.Source != exchange {
			continue
		}
		matched = true
		if binding.DestinationType == topology.DestinationQueue {
			out[binding.Destination] = true
		} else {
			maps.Copy(out, b.route(binding.Destination, seen))
		}
	}
	if alternate, ok := b.exchanges[exchange].Arguments["alternate-exchange"].(string); ok && !matched {
		maps.Copy(out, b.route(alternate, seen))
	}
	return out
}

// half does to a binding of a topic exchange what a broker does that is cut off
// in the middle: the list changes, and where messages go does not.
func (b *model) half(a Action) {
	before, counts := maps.Clone(b.routes), maps.Clone(b.nodes)
	_ = b.run(a)
	if c, ok := a.(Create); ok && c.Uncut {
		return
	}
	if b.topical(a) {
		b.routes, b.nodes = before, counts
	}
}

// topical tells whether an action is about a binding of a topic exchange.
func (b *model) topical(a Action) bool {
	id := topology.ID{}
	switch a := a.(type) {
	case Create:
		id = a.Resource.ID()
	case Delete:
		id = a.ID
	}
	source, _, err := topology.BindingEnds(id)
	return err == nil && b.exchanges[source.Name] != nil && b.exchanges[source.Name].Type == "topic"
}

// check is what has to hold after every single action.
func (b *model) check(t *testing.T, when string) {
	t.Helper()
	names := NamesOf(modelQueueName)
	one := func(source string, ways map[string]bool) {
		if len(ways) != 1 || !ways[modelQueueName] && !ways[names.Park] && !ways[names.Tail] {
			t.Fatalf("%s: what is published to %s goes to %v", when, source, ways)
		}
	}
	for name := range b.exchanges {
		if !strings.HasPrefix(name, Prefix) {
			ways := b.route(name, map[string]bool{})
			delete(ways, besideName)
			one(name, ways)
		}
	}
	for _, s := range modelSources {
		ways := b.routeByKey(s.Source, s.RoutingKey)
		if b.beside != nil && !ways[besideName] {
			t.Fatalf("%s: nothing gets from %s with the key %s to %s any more", when, s.Source, s.RoutingKey, besideName)
		}
		delete(ways, besideName)
		one(s.Source+" with the key "+s.RoutingKey, ways)
	}
	if len(b.lost) > 0 {
		t.Fatalf("%s: lost: %v", when, b.lost)
	}
}
