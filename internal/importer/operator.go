package importer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// operator gathers custom resources of RabbitMQ's messaging topology operator, by
// the cluster that they name.
type operator struct {
	clusters map[clusterReference]*operatorCluster
}

type operatorCluster struct {
	objects map[topology.ID]topology.Resource
	known   map[topology.ID]Known
	notes   []Note
}

func newOperator() *operator { return &operator{clusters: map[clusterReference]*operatorCluster{}} }

// clusterReference is how a resource names its cluster: as a RabbitmqCluster, or
// by a Secret that has the address.
type clusterReference struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Secret with the keys uri, username and password.
	Secret struct {
		Name string `json:"name"`
	} `json:"connectionSecret"`
}

// operatorSpec has the fields of all the kinds that matter here. Defaults are the
// operator's: a queue that does not say so is not durable.
type operatorSpec struct {
	Cluster          clusterReference `json:"rabbitmqClusterReference"`
	Name             string           `json:"name"`
	VHost            string           `json:"vhost"`
	Type             string           `json:"type"`
	Durable          bool             `json:"durable"`
	AutoDelete       bool             `json:"autoDelete"`
	Arguments        json.RawMessage  `json:"arguments"`
	Source           string           `json:"source"`
	Destination      string           `json:"destination"`
	DestinationType  string           `json:"destinationType"`
	RoutingKey       string           `json:"routingKey"`
	Pattern          string           `json:"pattern"`
	ApplyTo          string           `json:"applyTo"`
	Priority         int64            `json:"priority"`
	Definition       json.RawMessage  `json:"definition"`
	Tags             []string         `json:"tags"`
	DefaultQueueType string           `json:"defaultQueueType"`
	Limits           *struct {
		Connections *int64 `json:"connections"`
		Queues      *int64 `json:"queues"`
	} `json:"limits"`
	DeletionPolicy string `json:"deletionPolicy"`
}

// add takes a resource in; false if there is no kind for it.
func (o *operator) add(r *resource) (bool, error) {
	var spec operatorSpec
	if len(r.Spec) > 0 {
		if err := json.Unmarshal(r.Spec, &spec); err != nil {
			return false, err
		}
	}
	if r.Kind == "RabbitmqCluster" {
		return false, nil // the cluster itself
	}
	arguments, err := tableOf(spec.Arguments)
	if err != nil {
		return false, fmt.Errorf("spec.arguments: %w", err)
	}
	definition, err := tableOf(spec.Definition)
	if err != nil {
		return false, fmt.Errorf("spec.definition: %w", err)
	}
	spec.VHost = cmp.Or(spec.VHost, v1alpha1.DefaultVirtualHost)
	c := o.cluster(r, spec.Cluster)
	switch r.Kind {
	case "Queue":
		declared, _ := arguments[argQueueType].(string)
		c.add(r, spec, &topology.Queue{
			VirtualHost: spec.VHost, Name: spec.Name, Type: cmp.Or(spec.Type, declared),
			Durable: spec.Durable, AutoDelete: spec.AutoDelete, Arguments: without(arguments, argQueueType),
		})
	case "Exchange":
		c.add(r, spec, &topology.Exchange{
			VirtualHost: spec.VHost, Name: spec.Name, Type: cmp.Or(spec.Type, string(v1alpha1.ExchangeTypeDirect)),
			Durable: spec.Durable, AutoDelete: spec.AutoDelete, Arguments: arguments,
		})
	case "Binding":
		if spec.Source == "" {
			c.notes = append(c.notes, Note{VirtualHost: spec.VHost, Subject: r.String(), Text: "left out: every queue is bound to the default exchange, under its own name"})
			return true, nil
		}
		c.add(r, spec, &topology.Binding{
			VirtualHost: spec.VHost, Source: spec.Source, Destination: spec.Destination,
			DestinationType: cmp.Or(spec.DestinationType, topology.DestinationQueue), RoutingKey: spec.RoutingKey, Arguments: arguments,
		})
	case "Policy":
		c.add(r, spec, &topology.BrokerPolicy{
			VirtualHost: spec.VHost, Name: spec.Name, Pattern: spec.Pattern, ApplyTo: cmp.Or(spec.ApplyTo, "all"),
			Priority: spec.Priority, Definition: definition,
		})
	case "Vhost":
		c.add(r, spec, virtualHostOf(&spec))
		addVirtualHost(c.objects, spec.Name)
		return true, nil
	default:
		c.notes = append(c.notes, Note{Subject: r.String(), Text: "left out: Warrener has no kind for it, leave it to the operator"})
		return true, nil
	}
	addVirtualHost(c.objects, spec.VHost)
	return true, nil
}

func virtualHostOf(spec *operatorSpec) *topology.VirtualHost {
	v := &topology.VirtualHost{Name: spec.Name, Tags: spec.Tags}
	if spec.DefaultQueueType != "" {
		v.DefaultQueueType = &spec.DefaultQueueType
	}
	if spec.Limits != nil {
		v.MaxConnections, v.MaxQueues = spec.Limits.Connections, spec.Limits.Queues
	}
	return v
}

func tableOf(raw json.RawMessage) (topology.Arguments, error) {
	var out topology.Arguments
	if len(raw) == 0 {
		return nil, nil
	}
	return out, out.UnmarshalJSON(raw)
}

func (o *operator) cluster(r *resource, ref clusterReference) *operatorCluster {
	ref.Namespace = cmp.Or(ref.Namespace, r.Metadata.Namespace)
	c := o.clusters[ref]
	if c == nil {
		c = &operatorCluster{objects: map[topology.ID]topology.Resource{}, known: map[topology.ID]Known{}}
		o.clusters[ref] = c
	}
	return c
}

func (c *operatorCluster) add(r *resource, spec operatorSpec, object topology.Resource) {
	id := object.ID()
	if first, twice := c.known[id]; twice {
		c.notes = append(c.notes, noteOf(id, "%s declares it a second time, after %s: left out", r, first.Name))
		return
	}
	c.objects[id] = object
	c.known[id] = Known{Namespace: r.Metadata.Namespace, Name: r.Metadata.Name, Retain: spec.DeletionPolicy == "retain"}
}

func (o *operator) sources() []*Source {
	refs := slices.SortedFunc(maps.Keys(o.clusters), func(a, b clusterReference) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Secret.Name, b.Secret.Name))
	})
	var out []*Source
	for _, ref := range refs {
		c := o.clusters[ref]
		for _, object := range c.objects { // virtual hosts may come after their queues
			if q, ok := object.(*topology.Queue); ok {
				q.Type = cmp.Or(q.Type, typeByDefault(c.objects, q.VirtualHost, q.Durable && !q.AutoDelete))
			}
		}
		out = append(out, &Source{
			Origin: "custom resources of rabbitmq.com", Live: snapshotOf(c.objects), Known: c.known, Notes: c.notes, Partial: true,
			Connection: ref.connection(),
		})
	}
	return out
}

// connection to the cluster, as the cluster operator makes its Service and the
// Secret of its user.
func (ref clusterReference) connection() Connection {
	c := Connection{Broker: v1alpha1.BrokerTypeRabbitMQ, Namespace: ref.Namespace}
	if ref.Name == "" {
		c.Name, c.Secret = cmp.Or(ref.Secret.Name, defaultName(c.Broker)), ref.Secret.Name
		return c
	}
	c.Name, c.Secret = ref.Name, ref.Name+"-default-user"
	c.Endpoint = "http://" + serviceOf(ref.Name, ref.Namespace) + ":15672"
	return c
}

func serviceOf(name, namespace string) string {
	if namespace == "" {
		return name
	}
	return name + "." + namespace + ".svc"
}

// defaultName of a connection.
func defaultName(broker v1alpha1.BrokerType) string {
	if broker == v1alpha1.BrokerTypeKafka {
		return "kafka"
	}
	return "rabbitmq"
}
