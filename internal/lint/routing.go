package lint

import (
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// unroutable is about exchanges from which no message comes to a queue.
func unroutable(w *world, found finder) {
	for _, o := range w.objects {
		exchange, ok := o.obj.(*v1alpha1.Exchange)
		if !ok {
			continue
		}
		if to := o.broker.route(o.virtualHost, exchange.BrokerName(), letter{}); to.nothing() {
			found(o.subject, "spec.name", "no queue is bound to it, directly or through other exchanges, and no alternate exchange leads to one: what is published here is dropped; bind a queue, or write alternateExchange")
		}
	}
}

// misfit is about bindings that the type of their source does not read.
func misfit(w *world, found finder) {
	for _, o := range w.objects {
		for _, b := range o.bindings() {
			source := o.broker.exchange(o.virtualHost, b.spec.Source)
			if source == nil || strings.HasPrefix(source.Type, "x-") {
				continue
			}
			if b.spec.Headers != nil && source.Type != "headers" {
				found(o.subject, b.path+".headers", "%s is a %s exchange, which looks at no header: write routingKeys, or bind to a headers exchange", source.Name, source.Type)
			}
			for i, key := range b.spec.RoutingKeys {
				switch {
				case key == "":
				case source.Type == "direct" && isPattern(key):
					found(o.subject, entry(b.path+".routingKeys", i), "%s is a direct exchange, to which * and # are plain characters: only messages with the key %q come here; write the keys one by one, or make it a topic exchange", source.Name, key)
				case source.Type == "fanout" || source.Type == "headers":
					found(o.subject, entry(b.path+".routingKeys", i), "%s is a %s exchange, which looks at no routing key: remove the keys, or bind to a direct or topic exchange", source.Name, source.Type)
				}
			}
		}
	}
}

// isPattern tells whether a key has a wildcard where a topic exchange would see
// one: as a whole word.
func isPattern(key string) bool {
	for word := range strings.SplitSeq(key, ".") {
		if word == "*" || word == "#" {
			return true
		}
	}
	return false
}

// wrongAlternate is about a name of the alternate exchange that the broker does
// not know.
func wrongAlternate(w *world, found finder) {
	const name = "x-alternate-exchange"
	for _, o := range w.objects {
		if exchange, ok := o.obj.(*v1alpha1.Exchange); ok {
			if _, set := exchange.Spec.Arguments[name]; set {
				found(o.subject, "spec.arguments["+name+"]", "RabbitMQ stores this argument and does nothing with it, so what cannot be routed is dropped: write spec.alternateExchange")
			}
		}
	}
	for _, p := range w.policies {
		if _, set := p.Spec.Definition[name]; set {
			found(p.subject, "spec.definition."+name, "RabbitMQ does not know this key: write alternate-exchange")
		}
	}
}
