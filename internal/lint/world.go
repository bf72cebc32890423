package lint

import (
	"maps"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/manifest"
	"github.com/warrener-dev/warrener/internal/topology"
)

// world is everything that the manifests declare.
type world struct {
	options  Options
	set      *manifest.Set
	objects  []*object
	policies []*policy
	// subjects are all that can have findings, in the order of the manifests.
	subjects    []*subject
	byItem      map[*manifest.Item]*subject
	connections map[topology.ConnectionKey]v1alpha1.Connection
	brokers     map[string]*broker
}

// object is a custom resource with what it asks for.
type object struct {
	*subject
	obj    v1alpha1.Object
	claim  topology.Claim
	broker *broker
	// virtualHost of the object; without meaning on Kafka.
	virtualHost string
}

// broker is one broker cluster, as far as the manifests tell it from others.
type broker struct {
	wants     map[topology.ID][]want
	order     []topology.ID // of wants, as they were first declared
	exchanges map[topology.ID]*topology.Exchange
	queues    map[topology.ID]*queue
	from      map[topology.ID][]*topology.Binding // by source
}

// want is one declaration of a broker object.
type want struct {
	topology.Want
	by *object
}

// queue is a queue with the settings that its policy gives it.
type queue struct {
	*topology.Queue
	arguments topology.Arguments
}

func newWorld(set *manifest.Set, options Options) *world {
	w := &world{
		options: options, set: set, connections: set.Connections(),
		byItem: map[*manifest.Item]*subject{}, brokers: map[string]*broker{},
	}
	for _, item := range set.Items {
		s := newSubject(item.String(), item.Position, item.Line, item.Meta().GetAnnotations())
		w.subjects = append(w.subjects, s)
		w.byItem[item] = s
	}
	claims := set.Claims(compile.ConnectionDefaults{Version: options.RabbitMQVersion})
	for i, item := range set.Objects() {
		o := &object{subject: w.byItem[item], obj: item.Object, claim: claims[i], broker: w.brokerOf(claims[i].Connection)}
		wants := make([]want, len(o.claim.Want)) // one piece of memory for what is many small ones else
		for j, wanted := range o.claim.Want {
			wants[j] = want{wanted, o}
			o.broker.add(wants[j : j+1 : j+1])
		}
		if lives, ok := o.obj.(v1alpha1.RabbitMQObject); ok {
			o.virtualHost = w.virtualHostOf(lives, o.claim.Connection)
		}
		w.objects = append(w.objects, o)
	}
	w.readPolicies()
	return w
}

func (w *world) leavesOut(rule string) bool { return slices.Contains(w.options.Without, rule) }

// atLeast tells whether the RabbitMQ that is used is not older.
func (w *world) atLeast(major, minor int) bool {
	return compile.AtLeast(w.options.RabbitMQVersion, major, minor)
}

// brokerOf finds the cluster behind a connection: two connections to one endpoint
// share it.
func (w *world) brokerOf(key topology.ConnectionKey) *broker {
	name := key.String()
	switch c := w.connections[key].(type) {
	case *v1alpha1.RabbitMQConnection:
		name = strings.TrimRight(c.Spec.Endpoint, "/")
	case *v1alpha1.KafkaConnection:
		servers := slices.Sorted(slices.Values(c.Spec.BootstrapServers))
		name = strings.Join(servers, ",")
	}
	b, known := w.brokers[name]
	if !known {
		b = &broker{
			wants: map[topology.ID][]want{}, exchanges: map[topology.ID]*topology.Exchange{},
			queues: map[topology.ID]*queue{}, from: map[topology.ID][]*topology.Binding{},
		}
		w.brokers[name] = b
	}
	return b
}

func (w *world) virtualHostOf(o v1alpha1.RabbitMQObject, key topology.ConnectionKey) string {
	if name := o.GetVirtualHost(); name != "" {
		return name
	}
	if c, ok := w.connections[key].(*v1alpha1.RabbitMQConnection); ok {
		return c.GetVirtualHost()
	}
	return v1alpha1.DefaultVirtualHost
}

// add takes in one want.
func (b *broker) add(one []want) {
	wanted := one[0]
	id := wanted.Resource.ID()
	others := b.wants[id]
	if len(others) == 0 {
		b.order = append(b.order, id)
		b.wants[id] = one
	} else {
		b.wants[id] = append(others, wanted)
	}
	switch r := wanted.Resource.(type) {
	case *topology.Exchange:
		if b.exchanges[id] == nil || !wanted.Shareable {
			b.exchanges[id] = r
		}
	case *topology.Queue:
		if b.queues[id] == nil || !wanted.Shareable {
			b.queues[id] = &queue{r, r.Arguments}
		}
	case *topology.Binding:
		if len(others) == 0 {
			source := topology.ExchangeID(r.VirtualHost, r.Source)
			b.from[source] = append(b.from[source], r)
		}
	case *topology.BrokerPolicy: // wanted after its queue
		if q := b.queues[r.QueueID()]; q != nil {
			q.arguments = maps.Clone(q.arguments)
			for key, value := range r.Definition {
				q.arguments["x-"+key] = value
			}
		}
	}
}

// exchange finds an exchange, those that every broker has included; nil if nobody
// declares it.
func (b *broker) exchange(virtualHost, name string) *topology.Exchange {
	if e := b.exchanges[topology.ExchangeID(virtualHost, name)]; e != nil {
		return e
	}
	kind, own := map[string]string{
		"amq.direct": "direct", "amq.fanout": "fanout", "amq.topic": "topic", "amq.headers": "headers", "amq.match": "headers",
	}[name]
	if !own {
		return nil
	}
	return &topology.Exchange{VirtualHost: virtualHost, Name: name, Type: kind, Durable: true}
}

// source is a binding as somebody has written it.
type source struct {
	path                         string
	spec                         *v1alpha1.BindingSource
	destinationType, destination string
}

// bindings of an object, wherever its kind has them.
func (o *object) bindings() []source {
	var out []source
	inline := func(list []v1alpha1.BindingSource, kind string) {
		for i := range list {
			out = append(out, source{entry("spec.bindings", i), &list[i], kind, o.obj.BrokerName()})
		}
	}
	switch obj := o.obj.(type) {
	case *v1alpha1.Queue:
		inline(obj.Spec.Bindings, topology.DestinationQueue)
	case *v1alpha1.Exchange:
		inline(obj.Spec.Bindings, topology.DestinationExchange)
	case *v1alpha1.ExchangeBinding:
		out = append(out, source{"spec", &obj.Spec.BindingSource, string(obj.Spec.DestinationType), obj.Spec.Destination})
	}
	return out
}
