package compile

import (
	"maps"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

func exchangeBinding(b *v1alpha1.ExchangeBinding, d *draft) {
	spec := &b.Spec
	d.name("spec.destination", spec.Destination)
	oneOf(d, "spec.destinationType", spec.DestinationType, v1alpha1.DestinationQueue, v1alpha1.DestinationExchange)
	d.bindings("spec", &spec.BindingSource, string(spec.DestinationType), spec.Destination)
}

// bindings wants what one source gives to one destination: a binding for each
// routing key; one for headers; one with an empty key for neither. Two resources
// may declare the same binding, and own it together.
func (d *draft) bindings(path string, source *v1alpha1.BindingSource, destinationType, destination string) {
	if source.Source == "" {
		d.problem(path+".source", "is empty, and the default exchange cannot be bound: every queue receives from it under its own name; name another exchange")
	} else {
		d.name(path+".source", source.Source)
	}
	if source.Headers != nil && len(source.RoutingKeys) > 0 {
		d.problem(path, "write either routingKeys or headers, not both: two entries with the same source make two bindings")
	}
	args := topology.Arguments{}
	d.freeArguments(args, path, path+".arguments", source.Arguments, bindingArguments)
	if source.Headers != nil {
		d.headers(args, path+".headers", source.Headers)
	}
	keys := source.RoutingKeys
	if len(keys) == 0 {
		keys = []string{""}
	}
	for i, key := range keys {
		d.shortString(index(path+".routingKeys", i), key)
		d.wantShared(&topology.Binding{
			VirtualHost: d.virtualHost, Source: source.Source, RoutingKey: key, Arguments: args,
			Destination: destination, DestinationType: destinationType,
		})
	}
}

// headers adds what a headers exchange matches by: the values, and x-match
// always, so that what is read back is what was written.
func (d *draft) headers(into topology.Arguments, path string, headers *v1alpha1.HeaderBinding) {
	match := headers.EffectiveMatch()
	oneOf(d, path+".match", match, v1alpha1.HeaderMatchAll, v1alpha1.HeaderMatchAny, v1alpha1.HeaderMatchAllWithX, v1alpha1.HeaderMatchAnyWithX)
	if len(headers.Values) == 0 {
		d.problem(path+".values", "is empty, which would match every message or none: write at least one header")
	}
	compared := false
	for _, name := range slices.Sorted(maps.Keys(headers.Values)) {
		where := at(path+".values", name)
		d.shortString(where, name)
		if name == argMatch {
			d.problem(where, "x-match is how values are compared, not a header: write %s.match", path)
			continue
		}
		if _, twice := into[name]; twice {
			d.problem(where, "stands in arguments too, and both are one table to RabbitMQ: remove one of them")
			continue
		}
		if value, ok := d.value(where, headers.Values[name]); ok {
			into[name] = value
		}
		compared = compared || !strings.HasPrefix(name, "x-")
	}
	into[argMatch] = string(match)
	withoutX := match == v1alpha1.HeaderMatchAll || match == v1alpha1.HeaderMatchAny
	if withoutX && !compared && len(headers.Values) > 0 {
		takes := "every message"
		if match == v1alpha1.HeaderMatchAny {
			takes = "no message"
		}
		d.warn(path+".match", "%s ignores headers that begin with x-, so this binding takes %s: write %s-with-x", match, takes, match)
	}
}
