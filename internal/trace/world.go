package trace

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// World is one virtual host of a RabbitMQ broker, as a message sees it. It is
// immutable, and safe for concurrent use.
type World struct {
	virtualHost string
	version     version
	exchanges   map[string]*topology.Exchange
	queues      map[string]*topology.Queue
	bindings    map[string][]*topology.Binding // by source
	policies    *topology.PolicyBook
	retries     map[string]*compile.Retry // by queue
}

// Options say what a World is made of.
type Options struct {
	// VirtualHost whose objects count; others are left out.
	VirtualHost string
	// Version of the broker, such as 4.0.5. Empty: the newest.
	Version string
	// Resources are wanted or live objects, in any order. The exchanges that every
	// virtual host has need not be among them.
	Resources []topology.Resource
	// Listed says that Resources come from a broker's listing. It writes an argument
	// of a binding that is null, and so asks whether a header is there, as the text
	// "undefined", and is read that way.
	Listed bool
	// Policies of the virtual host. Nil: those among Resources.
	Policies *topology.PolicyBook
	// Retries that consumers carry out by publishing copies, which no object of
	// the broker tells.
	Retries []*compile.Retry
}

// NewWorld makes a World.
func NewWorld(options Options) *World {
	w := &World{
		virtualHost: options.VirtualHost,
		version:     parseVersion(options.Version),
		exchanges:   predeclared(options.VirtualHost),
		queues:      map[string]*topology.Queue{},
		bindings:    map[string][]*topology.Binding{},
		policies:    options.Policies,
		retries:     map[string]*compile.Retry{},
	}
	var policies []*topology.BrokerPolicy
	bound := map[topology.ID]bool{}
	for _, resource := range options.Resources {
		if resource.ID().Scope != options.VirtualHost {
			continue
		}
		switch r := resource.(type) {
		case *topology.Exchange:
			w.exchanges[r.Name] = r
		case *topology.Queue:
			w.queues[r.Name] = r
		case *topology.Binding:
			// Several resources may want the same binding, and it is one.
			if id := r.ID(); r.Source != "" && !bound[id] {
				bound[id] = true
				if options.Listed {
					r = withNulls(r)
				}
				w.bindings[r.Source] = append(w.bindings[r.Source], r)
			}
		case *topology.BrokerPolicy:
			policies = append(policies, r)
		}
	}
	for _, all := range w.bindings {
		slices.SortFunc(all, func(a, b *topology.Binding) int {
			return cmp.Or(
				strings.Compare(a.DestinationType, b.DestinationType), strings.Compare(a.Destination, b.Destination),
				strings.Compare(a.RoutingKey, b.RoutingKey), strings.Compare(a.Arguments.Canonical(), b.Arguments.Canonical()),
			)
		})
	}
	if w.policies == nil {
		w.policies = topology.NewPolicyBook(policies, nil)
	}
	for _, retry := range options.Retries {
		w.retries[retry.Queue] = retry
	}
	return w
}

// withNulls is a listed binding with the nulls that it was made with.
func withNulls(listed *topology.Binding) *topology.Binding {
	out := *listed
	out.Arguments = maps.Clone(listed.Arguments)
	for name, value := range out.Arguments {
		if value == "undefined" {
			out.Arguments[name] = nil
		}
	}
	return &out
}

// predeclared are the exchanges that every virtual host has. The default exchange
// has no name.
func predeclared(virtualHost string) map[string]*topology.Exchange {
	out := map[string]*topology.Exchange{}
	for name, kind := range map[string]string{
		"": typeDirect, "amq.direct": typeDirect, "amq.fanout": typeFanout, "amq.topic": typeTopic,
		"amq.headers": typeHeaders, "amq.match": typeHeaders,
	} {
		out[name] = &topology.Exchange{VirtualHost: virtualHost, Name: name, Type: kind, Durable: true}
	}
	out["amq.rabbitmq.trace"] = &topology.Exchange{VirtualHost: virtualHost, Name: "amq.rabbitmq.trace", Type: typeTopic, Durable: true, Internal: true}
	return out
}

// alternate is where messages go that an exchange routes nowhere; false if it has
// no such exchange.
func (w *World) alternate(x *topology.Exchange) (name string, has bool) {
	const argument, key = "alternate-exchange", "alternate-exchange"
	value, set := x.Arguments[argument]
	if !set {
		settings, _ := w.policies.ApplyingToExchange(x.ID())
		value = settings[key]
	}
	name, has = value.(string)
	return name, has
}

// version of a broker, as far as its behaviour depends on it.
type version struct{ major, minor int }

// parseVersion reads 4.0.5; what cannot be read is the newest.
func parseVersion(text string) version {
	newest := version{1 << 30, 0}
	majorText, rest, _ := strings.Cut(text, ".")
	minorText, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(majorText)
	if err != nil {
		return newest
	}
	minor, err := strconv.Atoi(strings.TrimRightFunc(minorText, func(r rune) bool { return r < '0' || r > '9' }))
	if err != nil {
		minor = 0
	}
	return version{major, minor}
}

func (v version) atLeast(major, minor int) bool {
	return v.major > major || v.major == major && v.minor >= minor
}
