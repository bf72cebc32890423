package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// The arguments that lead messages somewhere, as the broker spells them.
const (
	argAlternate     = "alternate-exchange"
	argDeadExchange  = "x-dead-letter-exchange"
	argDeadKey       = "x-dead-letter-routing-key"
	policyDeadKey    = "dead-letter-routing-key"
	policyAlternate  = "alternate-exchange"
	argTTL           = "x-message-ttl"
	argMatch         = "x-match"
	defaultReference = ""
)

// connect adds the ways that messages can take by this claim.
func (b *builder) connect(source *Source) {
	by, _ := ownPlace(source)
	c := connector{builder: b, source: source, by: by}
	for _, want := range source.Claim.Want {
		switch r := want.Resource.(type) {
		case *topology.Binding:
			c.add(r.SourceID(), r.DestinationID(), Binds, bindingRoute(r))
		case *topology.Exchange:
			c.alternate(r.ID(), r.Arguments, argAlternate)
		case *topology.Queue:
			c.deadLetters(r.ID(), r.Arguments, argDeadExchange, argDeadKey, r.Arguments[argTTL])
		case *topology.BrokerPolicy:
			if r.Queue != "" {
				c.deadLetters(r.QueueID(), r.Definition, topology.PolicyDeadLetterExchange, policyDeadKey, r.Definition[topology.PolicyMessageTTL])
			}
		}
	}
	c.consumers()
}

// connector adds the arrows of one claim.
type connector struct {
	*builder
	source *Source
	by     place
}

func (c *connector) add(from, to topology.ID, kind string, route Route) {
	route.Owner = c.source.Claim.Owner.String()
	c.arrows = append(c.arrows, arrow{
		from: at(c.source, from), to: at(c.source, to), kind: kind, route: route, by: c.by, state: c.source.State,
	})
}

func (c *connector) alternate(exchange topology.ID, arguments topology.Arguments, key string) {
	if name, ok := arguments[key].(string); ok && name != "" {
		c.add(exchange, topology.ExchangeID(exchange.Scope, name), Strays, Route{Label: "unrouted", Text: "alternate exchange: what no binding takes"})
	}
}

// deadLetters follows a queue's dead letters. Through the default exchange they
// go straight to the queue that the key names; without a key it is the
// message's own, which nobody knows here.
func (c *connector) deadLetters(queue topology.ID, arguments topology.Arguments, exchangeKey, routingKey string, ttl any) {
	exchange, named := arguments[exchangeKey].(string)
	if !named {
		return
	}
	key, keyed := arguments[routingKey].(string)
	route, kind := Route{Text: "dead letters keep their key"}, Dies
	if keyed {
		route = Route{Label: key, Text: "dead letters, with key " + key}
	}
	// A queue that was derived, and where messages live only for so long, is one
	// to wait in.
	if millis, expires := ttl.(int64); expires && c.isInside(queue) {
		kind = Waits
		route = Route{Label: "after " + span(millis), Text: "after " + span(millis)}
		if keyed {
			route.Text += ", with key " + key
		}
	}
	switch {
	case exchange != defaultReference:
		c.add(queue, topology.ExchangeID(queue.Scope, exchange), kind, route)
	case keyed && key != "":
		route.Text += ", through the default exchange"
		c.add(queue, topology.QueueID(queue.Scope, key), kind, route)
	}
}

// isInside tells whether a place is derived from another, and is not for dead
// letters.
func (c *connector) isInside(id topology.ID) bool {
	d := c.nodes[at(c.source, id)]
	return d != nil && len(d.parents) > 0 && !d.node.ForDeadLetters
}

// consumers adds what the consumer has to do itself. A broker moves nothing from
// topic to topic, and nothing into a derived queue that no binding and no
// dead-letter argument leads to.
func (c *connector) consumers() {
	if c.by == (place{}) {
		return
	}
	fed := map[place]bool{}
	for _, arrow := range c.arrows {
		fed[arrow.to] = true
	}
	last := c.by.id
	for _, want := range c.source.Claim.Want {
		id := want.Resource.ID()
		where := at(c.source, id)
		d := c.nodes[where]
		if !want.Shareable || !isNode(id) || id.Kind == topology.KindExchange || fed[where] || where == c.by {
			continue
		}
		word := "try again"
		if id == c.source.Claim.DeadLetters {
			word = "give up"
		} else if d.own {
			continue
		}
		c.add(last, id, Consumes, Route{Label: word, Text: "the consumer publishes what failed"})
		if id.Kind == topology.KindTopic {
			last = id
		}
	}
}

func bindingRoute(binding *topology.Binding) Route {
	text := "key " + topology.RenderValue(binding.RoutingKey)
	label := binding.RoutingKey
	if len(binding.Arguments) == 0 {
		return Route{Label: label, Text: text}
	}
	match, _ := binding.Arguments[argMatch].(string)
	var conditions []string
	for _, name := range slices.Sorted(maps.Keys(binding.Arguments)) {
		if name != argMatch {
			value := topology.RenderValue(binding.Arguments[name])
			if s, ok := binding.Arguments[name].(string); ok {
				value = s
			}
			conditions = append(conditions, name+"="+value)
		}
	}
	joint := " and "
	if strings.HasPrefix(match, "any") {
		joint = " or "
	}
	headers := strings.Join(conditions, joint)
	if headers == "" {
		headers = match
	}
	if label != "" {
		label += " "
	}
	return Route{Label: label + headers, Text: fmt.Sprintf("%s, arguments %s", text, binding.Arguments.Canonical())}
}

// meet gives a node to every end of an arrow that has none.
func (b *builder) meet() {
	for _, arrow := range b.arrows {
		b.enter(arrow.from, nil)
		b.enter(arrow.to, nil)
	}
}

// bundle is what makes one edge of several routes.
type bundle struct {
	from, to int
	kind     string
	inside   bool
}

// bundle adds an arrow to the edge that it is a part of.
func (b *builder) bundle(a arrow, number map[place]int) {
	// An arrow is part of a node's inside if the claim of that node asks for it,
	// and one of its ends is derived from the node.
	inside := a.by != (place{}) && (slices.Contains(b.nodes[a.from].parents, a.by) || slices.Contains(b.nodes[a.to].parents, a.by))
	key := bundle{number[a.from], number[a.to], a.kind, inside}
	edge := b.edges[key]
	if edge == nil {
		edge = &Edge{From: key.from, To: key.to, Kind: a.kind}
		b.edges[key] = edge
	}
	if inside {
		edge.In = append(edge.In, number[a.by])
		slices.Sort(edge.In)
		edge.In = slices.Compact(edge.In)
	}
	a.route.Label = withoutPrefix(a.route.Label, b.nodes, a)
	same := func(r Route) bool { return r.Label == a.route.Label && r.Text == a.route.Text }
	if !slices.ContainsFunc(edge.Routes, same) {
		edge.Routes = append(edge.Routes, a.route)
	}
	if a.by == (place{}) { // a binding of its own has no other place for its state
		edge.Badges = withBadges(edge.Badges, a.state)
	}
}

// withoutPrefix shortens the keys that Warrener makes for retries to what tells
// them apart: warrener.order.invoice.attempt.3 is attempt.3 inside order.invoice.
func withoutPrefix(label string, nodes map[place]*draft, a arrow) string {
	if a.by == (place{}) || len(nodes[a.from].parents) == 0 {
		return label
	}
	return strings.TrimPrefix(label, "warrener."+a.by.id.Name+".")
}
