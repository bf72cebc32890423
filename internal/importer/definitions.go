package importer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// definitions is a file that RabbitMQ exports: of a whole broker, or of one
// virtual host, whose objects then name none. The versions from 3.10 to 4.3
// differ in what a virtual host says of itself.
type definitions struct {
	Version        string                `json:"rabbitmq_version"`
	ProductVersion string                `json:"product_version"`
	VHost          string                `json:"vhost"` // of an export of one virtual host, from 4.1 on
	Metadata       virtualHostMetadata   `json:"metadata"`
	Description    string                `json:"description"`
	QueueType      string                `json:"default_queue_type"`
	Limits         json.RawMessage       `json:"limits"`
	VirtualHosts   *[]definedVirtualHost `json:"vhosts"`
	Queues         []definedQueue        `json:"queues"`
	Exchanges      []definedExchange     `json:"exchanges"`
	Bindings       []definedBinding      `json:"bindings"`
	Policies       []definedPolicy       `json:"policies"`
	Parameters     []definedParameter    `json:"parameters"`
	Global         []definedParameter    `json:"global_parameters"`
	Users          []json.RawMessage     `json:"users"`
	Permissions    []json.RawMessage     `json:"permissions"`
	TopicRights    []json.RawMessage     `json:"topic_permissions"`
}

type virtualHostMetadata struct {
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
	QueueType   string   `json:"default_queue_type"`
}

type definedVirtualHost struct {
	Name        string              `json:"name"`
	Description string              `json:"description"`
	Tags        []string            `json:"tags"`
	QueueType   string              `json:"default_queue_type"`
	Metadata    virtualHostMetadata `json:"metadata"`
}

type definedQueue struct {
	Name       string             `json:"name"`
	VHost      string             `json:"vhost"`
	Type       string             `json:"type"`
	Durable    bool               `json:"durable"`
	AutoDelete bool               `json:"auto_delete"`
	Arguments  topology.Arguments `json:"arguments"`
}

type definedExchange struct {
	Name       string             `json:"name"`
	VHost      string             `json:"vhost"`
	Type       string             `json:"type"`
	Durable    bool               `json:"durable"`
	AutoDelete bool               `json:"auto_delete"`
	Internal   bool               `json:"internal"`
	Arguments  topology.Arguments `json:"arguments"`
}

type definedBinding struct {
	VHost           string             `json:"vhost"`
	Source          string             `json:"source"`
	Destination     string             `json:"destination"`
	DestinationType string             `json:"destination_type"`
	RoutingKey      string             `json:"routing_key"`
	Arguments       topology.Arguments `json:"arguments"`
}

type definedPolicy struct {
	Name       string             `json:"name"`
	VHost      string             `json:"vhost"`
	Pattern    string             `json:"pattern"`
	ApplyTo    string             `json:"apply-to"`
	Priority   int64              `json:"priority"`
	Definition topology.Arguments `json:"definition"`
}

type definedParameter struct {
	Component string          `json:"component"`
	Name      string          `json:"name"`
	VHost     string          `json:"vhost"`
	Value     json.RawMessage `json:"value"`
}

// IsDefinitions tells whether a text looks like a definitions file.
func IsDefinitions(text []byte) bool {
	var probe map[string]json.RawMessage
	if json.Unmarshal(text, &probe) != nil {
		return false
	}
	for _, key := range []string{"queues", "exchanges", "bindings", "vhosts"} {
		if _, there := probe[key]; there && probe["kind"] == nil {
			return true
		}
	}
	return false
}

// Definitions reads a definitions file. The virtual host is what an export of one
// virtual host is about, which the file may not tell; "" is the file's own, or
// else "/".
func Definitions(text []byte, virtualHost string) (*Source, error) {
	var file definitions
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("not a definitions file: %w", err)
	}
	d := &defined{file: &file, only: cmp.Or(virtualHost, file.VHost, v1alpha1.DefaultVirtualHost), objects: map[topology.ID]topology.Resource{}}
	d.virtualHosts()
	d.all()
	d.parameters()
	d.rights()
	return &Source{
		Origin: "a definitions file", Version: cmp.Or(file.ProductVersion, file.Version),
		Live: snapshotOf(d.objects), Notes: d.notes, Partial: true,
		Connection: Connection{Broker: v1alpha1.BrokerTypeRabbitMQ},
	}, nil
}

// defined is a definitions file on its way into a snapshot.
type defined struct {
	file    *definitions
	only    string
	objects map[topology.ID]topology.Resource
	notes   []Note
}

func (d *defined) add(r topology.Resource) {
	d.objects[r.ID()] = r
}

// host is the virtual host of an object.
func (d *defined) host(named string) string {
	host := named
	if named == "" {
		host = d.only
	}
	if _, there := d.objects[topology.VirtualHostID(host)]; !there {
		addVirtualHost(d.objects, host)
	}
	return host
}

func (d *defined) virtualHosts() {
	if d.file.VirtualHosts == nil {
		d.describe(d.only, d.file.Description, nil, d.file.QueueType, d.file.Metadata)
		return
	}
	for _, v := range *d.file.VirtualHosts {
		d.describe(v.Name, v.Description, v.Tags, v.QueueType, v.Metadata)
	}
}

func (d *defined) describe(name, description string, tags []string, queueType string, metadata virtualHostMetadata) {
	v := &topology.VirtualHost{Name: name}
	if text := cmp.Or(metadata.Description, description); text != "" {
		v.Description = &text
	}
	if v.Tags = metadata.Tags; len(tags) > 0 {
		v.Tags = tags
	}
	if kind := cmp.Or(metadata.QueueType, queueType); kind != "" && kind != "undefined" {
		v.DefaultQueueType = &kind
	}
	d.add(v)
	addVirtualHost(d.objects, name)
}

func (d *defined) all() {
	for _, q := range d.file.Queues {
		host := d.host(q.VHost)
		d.add(&topology.Queue{
			VirtualHost: host, Name: q.Name, Type: d.queueType(host, q), Durable: q.Durable, AutoDelete: q.AutoDelete,
			Arguments: without(q.Arguments, argQueueType),
		})
	}
	for _, e := range d.file.Exchanges {
		d.add(&topology.Exchange{
			VirtualHost: d.host(e.VHost), Name: e.Name, Type: e.Type, Durable: e.Durable, AutoDelete: e.AutoDelete,
			Internal: e.Internal, Arguments: e.Arguments,
		})
	}
	for _, b := range d.file.Bindings {
		if b.Source == "" {
			continue // every queue has it
		}
		d.add(&topology.Binding{
			VirtualHost: d.host(b.VHost), Source: b.Source, Destination: b.Destination, DestinationType: b.DestinationType,
			RoutingKey: b.RoutingKey, Arguments: b.Arguments,
		})
	}
	for _, p := range d.file.Policies {
		d.add(&topology.BrokerPolicy{
			VirtualHost: d.host(p.VHost), Name: p.Name, Pattern: p.Pattern, ApplyTo: cmp.Or(p.ApplyTo, "all"),
			Priority: p.Priority, Definition: p.Definition,
		})
	}
}

const argQueueType = "x-queue-type"

// queueType is the type that a broker gives a queue which is imported from this
// file.
func (d *defined) queueType(host string, q definedQueue) string {
	declared, _ := q.Arguments[argQueueType].(string)
	return cmp.Or(declared, q.Type, typeByDefault(d.objects, host, q.Durable && !q.AutoDelete))
}

// typeByDefault is the type of a queue that names none: the virtual host's, if
// the queue can have it.
func typeByDefault(objects map[topology.ID]topology.Resource, host string, lasting bool) string {
	v, ok := objects[topology.VirtualHostID(host)].(*topology.VirtualHost)
	if !ok || v.DefaultQueueType == nil || !lasting {
		return topology.QueueTypeClassic
	}
	return *v.DefaultQueueType
}

func without(table topology.Arguments, key string) topology.Arguments {
	out := maps.Clone(table)
	delete(out, key)
	return out
}

// parameters of the broker's runtime: limits of virtual hosts are the host's, all
// else is reported. Values are not looked at: they may hold credentials.
func (d *defined) parameters() {
	for _, p := range d.file.Parameters {
		host := d.host(p.VHost)
		switch p.Component {
		case "vhost-limits":
			d.limits(host, p.Value)
		case "operator_policy":
			d.notes = append(d.notes, Note{VirtualHost: host, Subject: "operator policy " + host + "/" + p.Name, Text: noOperatorPolicies})
		default:
			d.notes = append(d.notes, ParameterNote(host, p.Component, p.Name))
		}
	}
	d.limits(d.only, d.file.Limits)
	var names []string
	for _, p := range d.file.Global {
		if p.Name != "internal_cluster_id" && p.Name != "cluster_name" && !strings.HasPrefix(p.Name, "cluster_tags") {
			names = append(names, p.Name)
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		d.notes = append(d.notes, Note{Subject: "global parameters", Text: "stay as they are: " + strings.Join(names, ", ")})
	}
}

const noOperatorPolicies = "stays as it is: operator policies belong to whoever runs the broker, and limit what manifests ask for"

// ParameterNote reports a runtime parameter, such as a federation upstream or a
// shovel.
func ParameterNote(virtualHost, component, name string) Note {
	return Note{VirtualHost: virtualHost, Subject: component + " " + virtualHost + "/" + name,
		Text: "stays as it is: Warrener has no kind for it"}
}

// OperatorPolicyNote reports an operator policy.
func OperatorPolicyNote(virtualHost, name string) Note {
	return Note{VirtualHost: virtualHost, Subject: "operator policy " + virtualHost + "/" + name, Text: noOperatorPolicies}
}

func (d *defined) limits(host string, raw json.RawMessage) {
	var limits struct {
		Connections *int64 `json:"max-connections"`
		Queues      *int64 `json:"max-queues"`
	}
	if len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &limits) != nil {
		return // none: RabbitMQ writes an empty table as []
	}
	v := *d.objects[topology.VirtualHostID(host)].(*topology.VirtualHost)
	v.MaxConnections, v.MaxQueues = cmp.Or(limits.Connections, v.MaxConnections), cmp.Or(limits.Queues, v.MaxQueues)
	d.add(&v)
}

// rights are nobody's topology, and hold credentials.
func (d *defined) rights() {
	var parts []string
	for _, list := range []struct {
		what string
		n    int
	}{{"users", len(d.file.Users)}, {"permissions", len(d.file.Permissions)}, {"topic permissions", len(d.file.TopicRights)}} {
		if list.n > 0 {
			parts = append(parts, fmt.Sprintf("%s (%d)", list.what, list.n))
		}
	}
	if len(parts) > 0 {
		d.notes = append(d.notes, Note{Subject: strings.Join(parts, ", "), Text: "left out: Warrener declares topology, and no users"})
	}
}
