package trace

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Types of exchanges, as the broker spells them.
const (
	typeDirect  = "direct"
	typeFanout  = "fanout"
	typeTopic   = "topic"
	typeHeaders = "headers"
)

// Hop is an exchange on the way of a message.
type Hop struct {
	Exchange string `json:"exchange"`
	Type     string `json:"type,omitempty"`
	// Missing says that the exchange is not there: nothing comes through it.
	Missing bool `json:"missing,omitempty"`
	// Again says that the message has passed the exchange already, or will by
	// another way; it passes once, and its routes are shown there.
	Again bool `json:"again,omitempty"`
	// NotPredictable says why nobody can tell which of the routes it takes.
	NotPredictable string `json:"notPredictable,omitempty"`
	// Routes that the message takes from here.
	Routes []Route `json:"routes,omitempty"`
	// Unmatched is how many bindings of the exchange do not take the message.
	Unmatched int `json:"unmatched,omitempty"`
	// Alternate exchange, which takes the message since no binding does.
	Alternate *Hop `json:"alternateExchange,omitempty"`
}

// Route is a binding that takes a message: to a queue, or to an exchange.
type Route struct {
	BindingKey string             `json:"bindingKey"`
	Arguments  topology.Arguments `json:"arguments,omitempty"`
	Queue      string             `json:"queue,omitempty"`
	// Missing says that the queue is not there.
	Missing bool `json:"missing,omitempty"`
	Hop     *Hop `json:"to,omitempty"`
}

// routing is the way of one letter through the exchanges.
type routing struct {
	world  *World
	letter *letter
	seen   map[string]bool
	// ways is how each queue was first reached: the exchanges on the way.
	ways map[string][]string
	// open are exchanges of which nobody can tell what they do, with the way to
	// them.
	open []openHop
}

type openHop struct {
	hop *Hop
	way []string
}

// routed is where a letter goes.
type routed struct {
	// hop is the tree of exchanges.
	hop *Hop
	// queues that get it for certain, and that may get it besides; sorted.
	queues, possible []string
	// ways to each of them: the exchanges on the way.
	ways map[string][]string
	// missing queues that a binding or the default exchange leads to.
	missing []string
}

// route routes a letter as its exchange does. Each queue gets it once, by however
// many ways.
func (w *World) route(l *letter) routed {
	r := &routing{world: w, letter: l, seen: map[string]bool{}, ways: map[string][]string{}}
	var out routed
	if l.exchange == "" {
		out.hop = r.byQueueName()
	} else {
		out.hop = r.visit(l.exchange, nil)
	}
	out.queues = r.arrived()
	for len(r.open) > 0 {
		next := r.open[0]
		r.open = r.open[1:]
		r.maybe(next)
	}
	for _, queue := range r.arrived() {
		if _, certain := slices.BinarySearch(out.queues, queue); !certain {
			out.possible = append(out.possible, queue)
		}
	}
	out.ways = r.ways
	out.missing = out.hop.missingQueues()
	return out
}

// arrived lists the queues that have been reached and are there.
func (r *routing) arrived() []string { return slices.Sorted(maps.Keys(r.ways)) }

// byQueueName is the default exchange: every key is the name of a queue.
func (r *routing) byQueueName() *Hop {
	hop := &Hop{Exchange: "", Type: typeDirect}
	for _, key := range r.letter.sortedKeys() {
		_, there := r.world.queues[key]
		hop.Routes = append(hop.Routes, Route{BindingKey: key, Queue: key, Missing: !there})
		if there {
			r.ways[key] = []string{""}
		}
	}
	return hop
}

func (r *routing) visit(name string, way []string) *Hop {
	x, there := r.world.exchanges[name]
	if !there {
		return &Hop{Exchange: name, Missing: true}
	}
	hop := &Hop{Exchange: name, Type: x.Type}
	if r.seen[name] {
		hop.Again = true
		return hop
	}
	r.seen[name] = true
	way = append(slices.Clone(way), name)
	takes, known := r.matcher(x)
	if !known {
		hop.NotPredictable = "what an exchange of type " + x.Type + " does depends on more than its bindings"
		r.open = append(r.open, openHop{hop, way})
		return hop
	}
	all := r.world.bindings[name]
	matched := slices.DeleteFunc(slices.Clone(all), func(b *topology.Binding) bool { return !takes(b) })
	hop.Unmatched = len(all) - len(matched)
	r.follow(hop, matched, way)
	if len(matched) == 0 {
		r.alternative(hop, x, way)
	}
	return hop
}

// maybe goes on where nobody can tell what an exchange does: along all of its
// bindings, and to its alternate exchange.
func (r *routing) maybe(next openHop) {
	x := r.world.exchanges[next.hop.Exchange]
	r.follow(next.hop, r.world.bindings[x.Name], next.way)
	r.alternative(next.hop, x, next.way)
}

func (r *routing) follow(hop *Hop, bindings []*topology.Binding, way []string) {
	for _, b := range bindings {
		route := Route{BindingKey: b.RoutingKey, Arguments: b.Arguments}
		if b.DestinationType == topology.DestinationExchange {
			route.Hop = r.visit(b.Destination, way)
		} else {
			route.Queue = b.Destination
			_, there := r.world.queues[b.Destination]
			route.Missing = !there
			if _, before := r.ways[b.Destination]; there && !before {
				r.ways[b.Destination] = way
			}
		}
		hop.Routes = append(hop.Routes, route)
	}
}

// alternative goes on to the alternate exchange. The default exchange leads
// nowhere there: only who publishes to it reaches queues by their names.
func (r *routing) alternative(hop *Hop, x *topology.Exchange, way []string) {
	if name, has := r.world.alternate(x); has {
		hop.Alternate = r.visit(name, way)
	}
}

// matcher tells which bindings of an exchange take the letter; known is false for
// types that are not built in.
func (r *routing) matcher(x *topology.Exchange) (takes func(*topology.Binding) bool, known bool) {
	l := r.letter
	switch x.Type {
	case typeFanout:
		return func(*topology.Binding) bool { return true }, true
	case typeDirect:
		return func(b *topology.Binding) bool { return slices.Contains(l.keys, b.RoutingKey) }, true
	case typeTopic:
		keys := make([][]string, 0, len(l.keys))
		for _, key := range l.keys {
			keys = append(keys, words(key))
		}
		return func(b *topology.Binding) bool {
			pattern := words(b.RoutingKey)
			return slices.ContainsFunc(keys, func(key []string) bool { return matchWords(pattern, key) })
		}, true
	case typeHeaders:
		visible := l.visible(r.world.version)
		return func(b *topology.Binding) bool { return matchHeaders(r.world.version, b.Arguments, visible) }, true
	}
	return nil, false
}

// missingQueues lists queues that are not there, of the whole tree, sorted.
func (h *Hop) missingQueues() []string {
	var out []string
	h.walk(func(hop *Hop) {
		for _, route := range hop.Routes {
			if route.Missing {
				out = append(out, route.Queue)
			}
		}
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// walk visits a tree of exchanges.
func (h *Hop) walk(visit func(*Hop)) {
	visit(h)
	for _, route := range h.Routes {
		if route.Hop != nil {
			route.Hop.walk(visit)
		}
	}
	if h.Alternate != nil {
		h.Alternate.walk(visit)
	}
}

// unpredictable lists what nobody can predict, exchange by exchange.
func (h *Hop) unpredictable() []string {
	var out []string
	h.walk(func(hop *Hop) {
		if hop.NotPredictable != "" {
			out = append(out, "exchange "+cmp.Or(hop.Exchange, "(default)")+": "+hop.NotPredictable)
		}
	})
	slices.SortFunc(out, strings.Compare)
	return out
}
