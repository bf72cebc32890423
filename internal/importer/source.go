package importer

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Source is what one broker has, from wherever it was read.
type Source struct {
	// Origin says in a few words where it was read, for people.
	Origin     string
	Connection Connection
	// Version of the broker, such as 4.0.5. Empty: not known, taken for the newest.
	Version string
	// Live is what is to be imported. System objects may be in it.
	Live *topology.Snapshot
	// Partial says that what is not there may be on the broker all the same: an
	// export of 4.3 leaves internal exchanges out, and not all has a custom resource.
	Partial bool
	// Known names the custom resources that objects had before; nil if they
	// had none.
	Known map[topology.ID]Known
	// Notes is what the source has and no custom resource can say.
	Notes []Note
}

// Known is a custom resource that declared an object before.
type Known struct {
	Namespace, Name string
	// Retain says that the object was to stay when its resource goes.
	Retain bool
}

// Connection is what the connection's manifest says. Credentials are no part of
// it.
type Connection struct {
	Broker          v1alpha1.BrokerType
	Name, Namespace string
	// Endpoint of RabbitMQ's management API, without user and password; or
	// Servers of Kafka.
	Endpoint string
	Servers  []string
	// Placeholder says that the address is not known, and has to be put in.
	Placeholder bool
	// Secret with the keys username and password; "" if Kafka asks for none.
	Secret string
	// Mechanism is how Kafka is logged in to; "" if not at all.
	Mechanism v1alpha1.KafkaAuthenticationType
	TLS       bool
	// VirtualHost of the objects that name none. Default: "/".
	VirtualHost string
	// Omit leaves the manifest out: the connection is there already.
	Omit bool
}

// complete fills in what is not known of a connection.
func (c *Connection) complete() {
	c.Name = cmp.Or(c.Name, defaultName(c.Broker))
	c.VirtualHost = cmp.Or(c.VirtualHost, v1alpha1.DefaultVirtualHost)
	switch {
	case c.Broker == v1alpha1.BrokerTypeRabbitMQ:
		c.Secret = cmp.Or(c.Secret, c.Name+"-credentials")
		if c.Endpoint == "" {
			c.Endpoint, c.Placeholder = "https://rabbitmq.example.com:15671", true
		}
	case len(c.Servers) == 0:
		c.Servers, c.Placeholder = []string{"kafka.example.com:9092"}, true
	}
	if c.Broker == v1alpha1.BrokerTypeKafka && c.Mechanism != "" {
		c.Secret = cmp.Or(c.Secret, c.Name+"-credentials")
	}
}

// defaults of the objects that are imported.
func (s *Source) defaults(options Options) compile.ConnectionDefaults {
	c := s.Connection
	c.complete()
	return compile.ConnectionDefaults{
		Key:         topology.ConnectionKey{Kind: connectionKind(c.Broker), Namespace: cmp.Or(c.Namespace, options.Namespace), Name: c.Name},
		VirtualHost: c.VirtualHost, Version: s.Version,
	}
}

// Note is something that was not imported, or that a reader has to know.
type Note struct {
	// VirtualHost that it is about; "" if none.
	VirtualHost string
	// Subject is a broker object, or what else it is about.
	Subject string
	Text    string
}

// String renders `queue shop/tmp: exclusive to its connection`.
func (n Note) String() string { return n.Subject + ": " + n.Text }

func noteOf(id topology.ID, format string, args ...any) Note {
	host := id.Scope
	if id.Kind == topology.KindVirtualHost {
		host = id.Name
	}
	return Note{VirtualHost: host, Subject: id.String(), Text: fmt.Sprintf(format, args...)}
}

func sortNotes(notes []Note) {
	slices.SortStableFunc(notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.VirtualHost, b.VirtualHost), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Text, b.Text))
	})
}

// snapshotOf makes a snapshot of objects that were read elsewhere than on a
// broker: everything is known of it.
func snapshotOf(objects map[topology.ID]topology.Resource) *topology.Snapshot {
	var policies []*topology.BrokerPolicy
	for _, id := range sortedIDs(objects) {
		if p, ok := objects[id].(*topology.BrokerPolicy); ok {
			policies = append(policies, p)
		}
	}
	return &topology.Snapshot{
		Objects: objects, Unread: map[topology.ID]error{},
		Selection: topology.Selection{All: true, Policies: true}, Policies: topology.NewPolicyBook(policies, nil),
	}
}

// predeclared exchanges, which no file lists and every virtual host has.
var predeclared = map[string]string{
	"": "direct", "amq.direct": "direct", "amq.fanout": "fanout", "amq.topic": "topic",
	"amq.headers": "headers", "amq.match": "headers", "amq.rabbitmq.trace": "topic",
}

// addVirtualHost adds a virtual host with what every virtual host has; one that
// is there already stays.
func addVirtualHost(objects map[topology.ID]topology.Resource, name string) {
	host := &topology.VirtualHost{Name: name}
	if _, there := objects[host.ID()]; !there {
		objects[host.ID()] = host
	}
	for exchange, kind := range predeclared {
		e := &topology.Exchange{VirtualHost: name, Name: exchange, Type: kind, Durable: true}
		objects[e.ID()] = e
	}
}

func sortedIDs[V any](m map[topology.ID]V) []topology.ID {
	ids := make([]topology.ID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, topology.ID.Compare)
	return ids
}
