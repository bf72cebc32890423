package importer

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// maxBindings is how many sources an object has room for, and a source for keys.
const maxBindings = 128

// sourceOf is one binding as a spec says it.
func sourceOf(b *topology.Binding) (v1alpha1.BindingSource, error) {
	out := v1alpha1.BindingSource{Source: b.Source}
	match, matches := b.Arguments[argMatch]
	if !matches {
		arguments, err := freeArguments(b.Arguments)
		out.Arguments = arguments
		if b.RoutingKey != "" {
			out.RoutingKeys = []string{b.RoutingKey}
		}
		return out, err
	}
	word, ok := match.(string)
	if !ok || !slices.Contains([]string{"all", "any", "all-with-x", "any-with-x"}, word) {
		return out, errors.New("x-match: " + topology.RenderValue(match) + " is no way to match that a manifest knows")
	}
	if b.RoutingKey != "" {
		return out, errors.New("a binding by headers with a routing key, and a manifest has one or the other")
	}
	values := maps.Clone(b.Arguments)
	delete(values, argMatch)
	if len(values) == 0 {
		return out, errors.New("x-match without a header, which takes every message or none")
	}
	headers, err := freeArguments(values)
	out.Headers = &v1alpha1.HeaderBinding{Values: headers}
	if word != string(v1alpha1.HeaderMatchAll) { // the default
		out.Headers.Match = v1alpha1.HeaderMatch(word)
	}
	return out, err
}

// group joins bindings of one destination: keys of one source and the same
// arguments stand together. They are sorted.
func group(bindings []*topology.Binding) []v1alpha1.BindingSource {
	sorted := slices.SortedFunc(slices.Values(bindings), func(a, b *topology.Binding) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Arguments.Canonical(), b.Arguments.Canonical()), cmp.Compare(a.RoutingKey, b.RoutingKey))
	})
	var out []v1alpha1.BindingSource
	for i := 0; i < len(sorted); {
		first := sorted[i]
		source, err := sourceOf(first)
		if err != nil {
			panic("importer: a binding that was to be left out: " + err.Error()) // the caller sorted them out
		}
		var keys []string
		for ; i < len(sorted) && len(keys) < maxBindings && together(first, sorted[i]); i++ {
			keys = append(keys, sorted[i].RoutingKey)
		}
		if len(keys) > 1 || keys[0] != "" { // a single empty key is what no key means
			source.RoutingKeys = keys
		}
		out = append(out, source)
	}
	return out
}

func together(a, b *topology.Binding) bool {
	return a.Source == b.Source && a.Arguments.Canonical() == b.Arguments.Canonical()
}
