package graph

import (
	"github.com/warrener-dev/warrener/internal/topology"
)

// Source is one claim, and what the picture needs to know besides.
type Source struct {
	Claim topology.Claim
	// Broker is what people call the broker that the claim is for. Claims of one
	// broker and one virtual host are drawn in one frame, whichever connection
	// they use. Empty: the connection.
	Broker string
	State  State
}

// State is what is known of the custom resource behind a claim. The texts are
// for people; an empty one says that there is no such thing.
type State struct {
	// Known says that somebody has looked: without it there is no colour.
	Known bool
	// Problem says why the resource is not Ready, Drift how the broker differs
	// from it, DeadLetters what waits where its dead letters end.
	Problem, Drift, DeadLetters string
}

// Graph is a topology as one draws it. Nodes and edges are in a fixed order, so
// that the same claims make the same picture.
type Graph struct {
	Groups []Group `json:"groups"`
	Nodes  []Node  `json:"nodes"`
	Edges  []Edge  `json:"edges"`
}

// Group is a frame: a virtual host of a RabbitMQ, or a Kafka cluster.
type Group struct {
	Title string `json:"title"`
}

// Kinds of nodes.
const (
	Exchange = "exchange"
	Queue    = "queue"
	Topic    = "topic"
)

// Node is an exchange, a queue or a topic. It is identified by its index in
// Graph.Nodes.
type Node struct {
	Group int    `json:"group"`
	Kind  string `json:"kind"`
	// Name on the broker; Note is the line below it.
	Name string `json:"name"`
	Note string `json:"note"`
	// Partitions of a topic; 0 if they are not declared.
	Partitions int32 `json:"partitions,omitempty"`
	// Outside: something refers to it, and nothing in the picture declares it.
	Outside bool `json:"outside,omitempty"`
	// In are the nodes that this one is derived from: it is seen while one of
	// them is open. Empty: it is always seen.
	In []int `json:"in,omitempty"`
	// Inside says in a few words what opens with this node; "" if nothing.
	Inside string `json:"inside,omitempty"`
	// ForDeadLetters: dead letters of Nodes[In...] end here.
	ForDeadLetters bool `json:"forDeadLetters,omitempty"`

	Badges  []Badge `json:"badges,omitempty"`
	Details []Field `json:"details"`
}

// Badge is a state worth a colour.
type Badge struct {
	Kind string `json:"kind"` // problem, drift, dead or fine
	// Text is the message behind it; "" if there is no more to say.
	Text string `json:"text,omitempty"`
}

// Kinds of badges.
const (
	BadgeProblem = "problem"
	BadgeDrift   = "drift"
	BadgeDead    = "dead"
	BadgeFine    = "fine"
)

// Field is a line of what is told about a node.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Kinds of edges: how messages get from one node to another.
const (
	// Binds: a binding.
	Binds = "binding"
	// Dies: what dies in a queue is dead-lettered there.
	Dies = "dead"
	// Waits: the same of a queue in which messages wait for their next try.
	Waits = "wait"
	// Strays: the alternate exchange.
	Strays = "alternate"
	// Consumes: the consumer publishes there what it could not handle.
	Consumes = "consumer"
)

// Edge leads from one node to another. All bindings between two nodes are one.
type Edge struct {
	From   int     `json:"from"`
	To     int     `json:"to"`
	Kind   string  `json:"kind"`
	Routes []Route `json:"routes"`
	// In are the nodes of whose inside the edge is a part: it is seen while one
	// of them is open. Empty: always, and an end that is not seen is then drawn at
	// the node that it is derived from.
	In     []int   `json:"in,omitempty"`
	Badges []Badge `json:"badges,omitempty"`
}

// Route is one binding, or one other reason for an edge.
type Route struct {
	// Label is what stands at the arrow, Text all of it.
	Label string `json:"label"`
	Text  string `json:"text"`
	// Owner is the custom resource that asks for it.
	Owner string `json:"owner,omitempty"`
}
