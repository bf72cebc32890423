package graph

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/warrener-dev/warrener/internal/topology"
)

// place is a node before it has a number.
type place struct {
	group string
	id    topology.ID
}

// builder collects what all claims say of a place.
type builder struct {
	nodes map[place]*draft
	edges map[bundle]*Edge
	// arrows are the edges before their ends have numbers, in the order of claims.
	arrows []arrow
}

// draft is a node in the making.
type draft struct {
	node     Node
	resource topology.Resource // nil: nothing declares it
	// own says that a custom resource is named for it, parents which places it is
	// derived from.
	own     bool
	parents []place
	// inside are the places that are derived from this one.
	inside []place
	// serves is where the claims' dead letters end.
	owners []string
}

// arrow is a route from place to place, by the custom resource that asks for it.
type arrow struct {
	from, to place
	kind     string
	route    Route
	by       place // the node of that resource; zero if it has none
	state    State
}

// Build draws the map of what the claims want; nothing that a broker has, and
// nothing that a claim does not name. Claims of other things than exchanges,
// queues, bindings and topics give frames at most.
func Build(sources []Source) *Graph {
	sources = slices.Clone(sources)
	slices.SortStableFunc(sources, func(a, b Source) int { return a.Claim.Owner.Compare(b.Claim.Owner.OwnerKey) })
	b := &builder{nodes: map[place]*draft{}, edges: map[bundle]*Edge{}}
	for i := range sources {
		b.declare(&sources[i])
	}
	for i := range sources {
		b.derive(&sources[i])
	}
	for i := range sources {
		b.connect(&sources[i])
	}
	return b.finish()
}

// title is the frame of a resource.
func title(source *Source, id topology.ID) string {
	broker := source.Broker
	if broker == "" {
		broker = source.Claim.Connection.String()
	}
	if id.Scope == "" {
		return broker
	}
	return broker + " · virtual host " + id.Scope
}

func at(source *Source, id topology.ID) place { return place{title(source, id), id} }

// ownPlace is the exchange, queue or topic that the custom resource is named
// for; false if it is none of these, such as a binding.
func ownPlace(source *Source) (place, bool) {
	for _, want := range source.Claim.Want {
		if id := want.Resource.ID(); !want.Shareable && isNode(id) {
			return at(source, id), true
		}
	}
	return place{}, false
}

func isNode(id topology.ID) bool {
	return id.Kind == topology.KindExchange || id.Kind == topology.KindQueue || id.Kind == topology.KindTopic
}

// declare enters what custom resources are named for.
func (b *builder) declare(source *Source) {
	for _, want := range source.Claim.Want {
		if id := want.Resource.ID(); !want.Shareable && isNode(id) {
			d := b.enter(at(source, id), want.Resource)
			d.own = true
			d.owners = append(d.owners, source.Claim.Owner.String())
			d.badges(source.State)
		}
	}
}

// enter makes the node of a resource, unless there is one: the first claim
// describes it.
func (b *builder) enter(where place, resource topology.Resource) *draft {
	d, known := b.nodes[where]
	if !known {
		d = &draft{resource: resource}
		b.nodes[where] = d
	}
	return d
}

// derive enters what comes of a field of a custom resource.
func (b *builder) derive(source *Source) {
	parent, named := ownPlace(source)
	for _, want := range source.Claim.Want {
		id := want.Resource.ID()
		if !want.Shareable || !isNode(id) {
			continue
		}
		where := at(source, id)
		d := b.enter(where, want.Resource)
		d.owners = append(d.owners, source.Claim.Owner.String())
		if d.own || !named {
			continue
		}
		d.parents = append(d.parents, parent)
		b.nodes[parent].inside = append(b.nodes[parent].inside, where)
		if id == source.Claim.DeadLetters {
			d.node.ForDeadLetters = true
			d.badges(State{Known: source.State.Known, DeadLetters: source.State.DeadLetters})
		}
	}
}

// badges shows a state. What is fine says so only if nothing else is to say.
func (d *draft) badges(state State) { d.node.Badges = withBadges(d.node.Badges, state) }

func withBadges(badges []Badge, state State) []Badge {
	add := func(kind, text string) {
		if text != "" {
			badges = append(badges, Badge{kind, text})
		}
	}
	add(BadgeProblem, state.Problem)
	add(BadgeDrift, state.Drift)
	add(BadgeDead, state.DeadLetters)
	if state.Known && len(badges) == 0 {
		badges = append(badges, Badge{Kind: BadgeFine})
	}
	if len(badges) > 1 {
		badges = slices.DeleteFunc(badges, func(badge Badge) bool { return badge.Kind == BadgeFine })
	}
	return badges
}

// finish numbers everything.
func (b *builder) finish() *Graph {
	b.meet()
	places := make([]place, 0, len(b.nodes))
	for where := range b.nodes {
		places = append(places, where)
	}
	slices.SortFunc(places, func(x, y place) int { return cmp.Or(cmp.Compare(x.group, y.group), x.id.Compare(y.id)) })

	g := &Graph{Groups: []Group{}, Nodes: []Node{}, Edges: []Edge{}}
	number := map[place]int{}
	for i, where := range places {
		number[where] = i
		if len(g.Groups) == 0 || g.Groups[len(g.Groups)-1].Title != where.group {
			g.Groups = append(g.Groups, Group{Title: where.group})
		}
	}
	group := -1
	for i, where := range places {
		if i == 0 || where.group != places[i-1].group {
			group++
		}
		g.Nodes = append(g.Nodes, b.node(where, group, number))
	}
	for _, arrow := range b.arrows {
		b.bundle(arrow, number)
	}
	for _, edge := range b.edges {
		g.Edges = append(g.Edges, *edge)
	}
	slices.SortFunc(g.Edges, func(x, y Edge) int {
		return cmp.Or(cmp.Compare(x.From, y.From), cmp.Compare(x.To, y.To), cmp.Compare(x.Kind, y.Kind), slices.Compare(x.In, y.In))
	})
	return g
}

func (b *builder) node(where place, group int, number map[place]int) Node {
	d := b.nodes[where]
	n := d.node
	n.Group, n.Name = group, where.id.Name
	n.Kind = string(where.id.Kind)
	n.In = numbers(d.parents, number)
	n.Inside = b.insideText(d)
	n.Outside = d.resource == nil
	n.Note, n.Details = describe(where.id, d.resource, d.owners)
	if topic, ok := d.resource.(*topology.Topic); ok {
		n.Partitions = topic.WantedPartitions()
	}
	return n
}

func numbers(places []place, number map[place]int) []int {
	var out []int
	for _, where := range places {
		out = append(out, number[where])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// insideText counts what opens with a node: "3 retries · dead letters".
func (b *builder) insideText(d *draft) string {
	waiting, dead, other := 0, false, 0
	for _, where := range d.inside {
		switch {
		case b.nodes[where].node.ForDeadLetters:
			dead = true
		case where.id.Kind == topology.KindExchange:
			other++
		default:
			waiting++
		}
	}
	text := ""
	switch {
	case waiting == 1:
		text = "1 retry"
	case waiting > 1:
		text = strconv.Itoa(waiting) + " retries"
	}
	switch {
	case dead && text != "":
		text += " · dead letters"
	case dead:
		text = "dead letters"
	case text == "" && other > 0:
		text = strconv.Itoa(other) + " more"
	}
	return text
}
