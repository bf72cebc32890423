package rabbitmq

import (
	"context"

	rabbithole "github.com/michaelklishin/rabbit-hole/v2"

	"github.com/warrener-dev/warrener/internal/topology"
)

var bindingKind = kind{
	collection: "bindings",
	scoped:     true,
	columns:    bindingColumns,
	read:       keepAs[wireBinding],
	locate:     locateBindings,
	create:     declareBinding,
	update:     rebind,
	remove:     deleteBinding,
}

const bindingColumns = "source,vhost,destination,destination_type,routing_key,arguments,properties_key"

// locateBindings gives the listing between a binding's two ends. It answers 200
// with an empty list whether or not the ends, or even the virtual host, exist.
func locateBindings(id topology.ID) (string, error) {
	source, destination, err := topology.BindingEnds(id)
	if err != nil {
		return "", err
	}
	return pairPath(source, destination), addressable(id.Scope, source.Name, destination.Name)
}

func pairPath(source, destination topology.ID) string {
	return join("bindings", source.Scope, "e", source.Name, endWord[destination.Kind], destination.Name)
}

// endWord is how paths abbreviate the type of a destination.
var endWord = map[topology.Kind]string{topology.KindQueue: "q", topology.KindExchange: "e"}

type wireBinding struct {
	Source          string    `json:"source"`
	VirtualHost     string    `json:"vhost"`
	Destination     string    `json:"destination"`
	DestinationType string    `json:"destination_type"`
	RoutingKey      string    `json:"routing_key"`
	Arguments       arguments `json:"arguments"`
	PropertiesKey   string    `json:"properties_key"`
}

func (w wireBinding) binding() *topology.Binding {
	return &topology.Binding{
		VirtualHost: w.VirtualHost, Source: w.Source, Destination: w.Destination, DestinationType: w.DestinationType,
		RoutingKey: w.RoutingKey, PropertiesKeys: []string{w.PropertiesKey},
	}
}

func (w wireBinding) id() (topology.ID, bool) {
	if w.Source == "" {
		return topology.ID{}, false // no object of its own
	}
	return w.binding().ID(), len(w.Arguments.raw) == 0
}

// resource leaves out the bindings of the default exchange, which every queue
// has and nobody can change.
func (w wireBinding) resource() (topology.Resource, error) {
	if w.Source == "" {
		return nil, nil
	}
	table, err := w.Arguments.canonical()
	if err != nil {
		return nil, err
	}
	out := w.binding()
	out.Arguments = table
	return out, nil
}

func declareBinding(ctx context.Context, b *Broker, step topology.Step) error {
	want, ok := step.Want.(*topology.Binding)
	if !ok {
		return wrongResource(step)
	}
	if err := addressable(want.VirtualHost, want.Source, want.Destination); err != nil {
		return err
	}
	if b.imports(ctx, want) {
		return bindUncut(ctx, b, want)
	}
	return bind(ctx, b, want)
}

func bind(ctx context.Context, b *Broker, want *topology.Binding) error {
	_, err := b.call(uncut(ctx), "declare binding").unrepeated().client().DeclareBinding(want.VirtualHost, bindingInfo(want)) //nolint:bodyclose // read to the end in RoundTrip
	b.uncertain.about(want, err)
	return err
}

func bindingInfo(want *topology.Binding) rabbithole.BindingInfo {
	return rabbithole.BindingInfo{
		Source: want.Source, Destination: want.Destination, DestinationType: want.DestinationType,
		RoutingKey: want.RoutingKey, Arguments: rawArguments(want.Arguments),
	}
}

// deleteBinding deletes a binding; one that is uncertain may lead somewhere
// without being listed, and is declared first so that there is one to delete.
func deleteBinding(ctx context.Context, b *Broker, step topology.Step) error {
	var binding *topology.Binding
	if doubt, ok := b.uncertain.of(step.ID); ok {
		binding = doubt.Binding
	}
	if live, ok := step.Live.(*topology.Binding); ok && live.Uncertain {
		binding = live
	}
	if binding != nil {
		if err := declareBinding(ctx, b, topology.Step{Want: binding}); err != nil {
			return err
		}
		step.Live = nil
	}
	return unbind(ctx, b, step)
}

// unbind deletes by the broker's own keys, all of them, as Live has them
// or, without Live, as they are now.
func unbind(ctx context.Context, b *Broker, step topology.Step) error {
	c := b.call(ctx, "delete binding")
	live, ok := step.Live.(*topology.Binding)
	if !ok {
		var err error
		if live, err = findBinding(c, step.ID); err != nil || live == nil {
			return err
		}
	}
	if err := addressable(live.VirtualHost, live.Source, live.Destination); err != nil {
		return err
	}
	client := b.call(uncut(ctx), "delete binding").unrepeated().client()
	for _, key := range live.PropertiesKeys {
		_, err := client.DeleteBinding(live.VirtualHost, rabbithole.BindingInfo{ //nolint:bodyclose // read to the end in RoundTrip
			Source: live.Source, Destination: live.Destination, DestinationType: live.DestinationType, PropertiesKey: pathKey(key),
		})
		b.uncertain.about(live, err)
		if err != nil && !notFound(err) {
			return err
		}
		if err := b.absence(c, step.ID, err); err != nil {
			return err
		}
	}
	return nil
}

// uncut lets a call come to its end, within its time, when the process is told to stop:
// RabbitMQ drops what it is doing when the connection closes. On 4.0 it is left with a
// binding of a topic exchange that is listed and leads nowhere, or the other way round,
// and on all brokers with a quorum queue that is listed and takes no message.
func uncut(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// pathKey is a properties key that can stand in a path, where rabbit-hole
// escapes it once more, as it must: the broker decodes the path and then
// compares with the key as listed, which is itself escaped. A path cannot end
// in "." or "..", but a key may: a trailing "~" (no arguments) means the same.
func pathKey(key string) string {
	if key == "." || key == ".." {
		return key + "~"
	}
	return key
}

// findBinding reads a binding with all its keys; nil if there is none.
func findBinding(c call, id topology.ID) (*topology.Binding, error) {
	path, err := locateBindings(id)
	if err != nil {
		return nil, err
	}
	resources, _, err := readAs[wireBinding](c, path)
	if err != nil {
		return nil, err
	}
	found := newCollector()
	found.add(resources, nil, func(other topology.ID) bool { return other == id })
	live, _ := found.objects[id].(*topology.Binding)
	return live, nil
}
