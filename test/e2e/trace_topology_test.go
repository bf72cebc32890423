package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/internal/trace"
)

// traceQueues are the queues of every random topology: what leads to them is
// what matters.
var traceQueues = []string{"q0", "q1", "q2", "q3", "a", "a.b"}

// traced is a random topology, with messages for it.
type traced struct {
	Seed      int
	Exchanges []*topology.Exchange
	Bindings  []*topology.Binding
	Messages  []trace.Message
}

// resources are the exchanges and bindings.
func (t *traced) resources() []topology.Resource {
	var out []topology.Resource
	for _, x := range t.Exchanges {
		out = append(out, x)
	}
	for _, b := range t.Bindings {
		out = append(out, b)
	}
	return out
}

// String is for the person who looks into a failure.
func (t *traced) String() string {
	var b strings.Builder
	for _, x := range t.Exchanges {
		fmt.Fprintf(&b, "  %s %s internal=%v %s\n", x.Name, x.Type, x.Internal, x.Arguments.Canonical())
	}
	for _, binding := range t.Bindings {
		fmt.Fprintf(&b, "  %s\n", binding.ID())
	}
	return b.String()
}

// words that keys and patterns are made of; the empty word is one of them.
var keyWords = []string{"", "a", "b", "ab", "q0"}

func randomKey(t *rapid.T, label string) string {
	return joined(t, label, append([]string{"*", "#"}, keyWords...), 4)
}

// randomPattern is a binding key with at most so many #: RabbitMQ 4.3 refuses more
// than two on topic exchanges.
func randomPattern(t *rapid.T, label string, most int) string {
	pattern := joined(t, label, append([]string{"*", "*", "*", "#", "#", "#"}, keyWords...), 5)
	for found, rest := 0, pattern; ; found++ {
		before, after, more := strings.Cut(rest, "#")
		if !more {
			return pattern
		}
		if found == most {
			return strings.TrimSuffix(pattern, rest) + before + strings.ReplaceAll(after, "#", "*")
		}
		rest = after
	}
}

func joined(t *rapid.T, label string, from []string, most int) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(from), 0, most).Draw(t, label), ".")
}

// headerValues collide on purpose: 1, 1.0 and "1" are different, or are not.
var headerValues = []any{int64(0), int64(1), int64(1), int64(2), 1.0, 1.5, 0.0, "1", "a", "a", "", "true", true, false, nil}

var headerNames = []string{"a", "b", "c", "x-a", "x-b", "X-a", "y-x"}

func randomHeaders(t *rapid.T, label string, most int) topology.Arguments {
	out := topology.Arguments{}
	for range rapid.IntRange(0, most).Draw(t, label+" count") {
		out[rapid.SampledFrom(headerNames).Draw(t, label+" name")] = rapid.SampledFrom(headerValues).Draw(t, label+" value")
	}
	return out
}

// chance is true about n times of a hundred. An integer would be drawn small more
// often than not.
func chance(t *rapid.T, label string, n int) bool {
	return rapid.SampledFrom(percents).Draw(t, label) < n
}

var percents = rand.New(rand.NewPCG(1, 1)).Perm(100)

// randomTopology draws a topology for a virtual host. Names begin with a prefix
// of its own, so that many can share the virtual host.
func randomTopology(virtualHost string, seed, mostHashes int) *traced {
	return rapid.Custom(func(t *rapid.T) *traced {
		out := &traced{Seed: seed}
		name := func(i int) string { return fmt.Sprintf("t%d.%d", seed, i) }
		count := rapid.IntRange(1, 5).Draw(t, "exchanges")
		anyName := func(label string) string { return name(rapid.IntRange(0, count-1).Draw(t, label)) }
		kinds := []string{"topic", "topic", "headers", "headers", "direct", "fanout"}
		for i := range count {
			x := &topology.Exchange{
				VirtualHost: virtualHost, Name: name(i), Type: rapid.SampledFrom(kinds).Draw(t, "type"), Arguments: topology.Arguments{},
				Internal: i > 0 && chance(t, "internal", 20),
			}
			switch {
			case chance(t, "alternate", 45):
				x.Arguments["alternate-exchange"] = anyName("alternate exchange")
			case chance(t, "odd alternate", 15):
				x.Arguments["alternate-exchange"] = rapid.SampledFrom([]string{name(count), ""}).Draw(t, "odd alternate exchange")
			}
			out.Exchanges = append(out.Exchanges, x)
		}
		known := map[topology.ID]bool{}
		for range rapid.IntRange(3, 20).Draw(t, "bindings") {
			b := randomBinding(t, virtualHost, out.Exchanges, mostHashes)
			if !known[b.ID()] {
				known[b.ID()] = true
				out.Bindings = append(out.Bindings, b)
			}
		}
		for range 8 {
			out.Messages = append(out.Messages, randomMessage(t, out))
		}
		return out
	}).Example(seed)
}

func randomBinding(t *rapid.T, virtualHost string, exchanges []*topology.Exchange, mostHashes int) *topology.Binding {
	source := rapid.SampledFrom(exchanges).Draw(t, "source")
	b := &topology.Binding{VirtualHost: virtualHost, Source: source.Name}
	if chance(t, "to an exchange", 45) {
		b.DestinationType, b.Destination = topology.DestinationExchange, rapid.SampledFrom(exchanges).Draw(t, "destination").Name
	} else {
		b.DestinationType, b.Destination = topology.DestinationQueue, rapid.SampledFrom(traceQueues).Draw(t, "queue")
	}
	if source.Type == "topic" {
		b.RoutingKey = randomPattern(t, "pattern", mostHashes)
	} else {
		b.RoutingKey = randomKey(t, "key")
	}
	if source.Type == "headers" || chance(t, "arguments", 10) {
		b.Arguments = randomHeaders(t, "argument", 3)
		if match := rapid.SampledFrom([]string{"", "all", "any", "all-with-x", "any-with-x"}).Draw(t, "x-match"); match != "" {
			b.Arguments["x-match"] = match
		}
	}
	return b
}

func randomMessage(t *rapid.T, in *traced) trace.Message {
	m := trace.Message{Key: randomKey(t, "routing key"), Headers: randomHeaders(t, "header", 4)}
	open := slices.DeleteFunc(slices.Clone(in.Exchanges), func(x *topology.Exchange) bool { return x.Internal })
	m.Exchange = rapid.SampledFrom(open).Draw(t, "exchange").Name
	if chance(t, "default exchange", 12) {
		m.Exchange = ""
	}
	if len(in.Bindings) > 0 && chance(t, "a key that is bound", 40) {
		b := rapid.SampledFrom(in.Bindings).Draw(t, "bound")
		m.Key = strings.NewReplacer("*", "a", "#", "a.b").Replace(b.RoutingKey)
		for header, value := range b.Arguments {
			if header != "x-match" {
				m.Headers[header] = value
			}
		}
	}
	for _, copies := range []struct {
		header string
		often  int
	}{{"CC", 25}, {"BCC", 12}} {
		if !chance(t, copies.header, copies.often) {
			continue
		}
		var keys []any
		for range rapid.IntRange(0, 3).Draw(t, copies.header+" keys") {
			key := randomKey(t, copies.header+" key")
			if chance(t, copies.header+" a queue", 30) {
				key = rapid.SampledFrom(traceQueues).Draw(t, copies.header+" queue")
			}
			keys = append(keys, key)
		}
		m.Headers[copies.header] = append([]any{}, keys...)
	}
	return m
}
