package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/internal/trace"
)

// traceOrigin says what an answer rests on.
type traceOrigin struct {
	// Live tells a broker from manifests.
	Live bool `json:"live"`
	// Connection that leads to the broker, as namespace/name; "" if the manifests
	// name none.
	Connection string `json:"connection,omitempty"`
	// Version of the broker; "" for the newest.
	Version string `json:"version,omitempty"`
}

// String is the first line for people.
func (o traceOrigin) String() string {
	text := "Of the manifests"
	if o.Live {
		text = "Of the live broker"
	}
	if o.Connection != "" {
		text += ", connection " + o.Connection
	}
	if o.Version != "" {
		text += ", version " + o.Version
	}
	return text
}

// declared is what manifests want.
type declared struct {
	connections []v1alpha1.Connection
	keeper      fileKeeper
	// wants are the objects of each connection, retries what consumers do.
	wants        map[topology.ConnectionKey][]topology.Resource
	retries      map[topology.ConnectionKey][]*compile.Retry
	topicRetries map[topology.ConnectionKey][]*compile.TopicRetry
}

// isLive tells whether a broker is read.
func (f *traceFlags) isLive() bool { return f.live || f.brokers.given() }

// declaredFor reads the manifests, if any are named, for the claims of one kind of
// connection. What cannot be read, or is invalid, is said and left out.
func (a *app) declaredFor(ctx context.Context, f traceFlags, kind string) (*declared, error) {
	d := &declared{wants: map[topology.ConnectionKey][]topology.Resource{}, retries: map[topology.ConnectionKey][]*compile.Retry{}, topicRetries: map[topology.ConnectionKey][]*compile.TopicRetry{}}
	if len(f.source.Files) == 0 && f.source.Kustomization == "" {
		if !f.brokers.given() {
			return nil, errors.New("nothing to trace in: -f or -k name manifests, --rabbitmq-url and --kafka-brokers a broker")
		}
		return d, nil
	}
	set, err := a.readManifests(ctx, f.source)
	if err != nil {
		return nil, err
	}
	for _, problem := range set.Problems {
		fmt.Fprintf(a.Err, "%s: %s\n", a.program, problem)
	}
	d.keeper = setKeeper(set)
	for _, item := range set.Items {
		if item.Connection != nil && item.Connection.KindName() == kind {
			d.connections = append(d.connections, item.Connection)
		}
	}
	claims := set.Claims(compile.ConnectionDefaults{Version: f.version})
	for i, item := range set.Objects() {
		claim := claims[i]
		if claim.Connection.Kind != kind {
			continue
		}
		if claim.Invalid != nil {
			fmt.Fprintf(a.Err, "%s: %s: %s is left out: %v\n", a.program, item.Position, item, claim.Invalid)
			continue
		}
		d.add(claim, item.Object)
	}
	return d, nil
}

func (d *declared) add(claim topology.Claim, object v1alpha1.Object) {
	key := claim.Connection
	for _, want := range claim.Want {
		d.wants[key] = append(d.wants[key], want.Resource)
	}
	switch o := object.(type) {
	case *v1alpha1.Queue:
		if retry := compile.RetryOf(o); retry != nil {
			d.retries[key] = append(d.retries[key], retry)
		}
	case *v1alpha1.Topic:
		if retry := compile.TopicRetryOf(o); retry != nil {
			d.topicRetries[key] = append(d.topicRetries[key], retry)
		}
	}
}

// keys are the connections that are there, or that something is declared for.
func (d *declared) keys() []topology.ConnectionKey {
	known := map[topology.ConnectionKey]bool{}
	for key := range d.wants {
		known[key] = true
	}
	for _, connection := range d.connections {
		known[connectionKey(connection)] = true
	}
	return slices.SortedFunc(maps.Keys(known), func(x, y topology.ConnectionKey) int { return strings.Compare(x.String(), y.String()) })
}

// choose finds the connection that a trace is about: the named one, the only one,
// or the only one for which what is published to is declared.
func (d *declared) choose(name string, target func(topology.Resource) bool) (topology.ConnectionKey, error) {
	all := d.keys()
	if name != "" {
		all = slices.DeleteFunc(all, func(key topology.ConnectionKey) bool { return name != key.Name && name != key.Namespace+"/"+key.Name })
	} else if len(all) > 1 {
		with := slices.DeleteFunc(slices.Clone(all), func(key topology.ConnectionKey) bool { return !slices.ContainsFunc(d.wants[key], target) })
		if len(with) > 0 {
			all = with
		}
	}
	switch {
	case len(all) == 1:
		return all[0], nil
	case len(all) == 0 && name == "":
		return topology.ConnectionKey{}, nil
	case len(all) == 0:
		return topology.ConnectionKey{}, fmt.Errorf("--connection %s: the manifests have no such connection, and declare nothing for it", name)
	}
	names := make([]string, 0, len(all))
	for _, key := range all {
		names = append(names, key.Namespace+"/"+key.Name)
	}
	return topology.ConnectionKey{}, fmt.Errorf("the manifests are about several connections: name one of them with --connection: %s", strings.Join(names, ", "))
}

// link connects to the chosen broker, or to the one that the flags name.
func (d *declared) link(ctx context.Context, f traceFlags, key topology.ConnectionKey) (*link, error) {
	var wanted []topology.ConnectionKey
	if key != (topology.ConnectionKey{}) {
		wanted = append(wanted, key)
	}
	links, err := dialAll(ctx, f.brokers, d.connections, wanted, d.keeper)
	if err != nil {
		return nil, err
	}
	if len(links) != 1 {
		hangUp(links)
		return nil, fmt.Errorf("a message goes to one broker, and %d are named: write one", len(links))
	}
	return links[0], nil
}

// tracedWorld is the virtual host of RabbitMQ that a message is published in.
func (a *app) tracedWorld(ctx context.Context, f traceFlags) (*trace.World, traceOrigin, error) {
	f.brokers.kafka = nil
	origin := traceOrigin{Live: f.isLive(), Version: f.version}
	d, err := a.declaredFor(ctx, f, v1alpha1.KindRabbitMQConnection)
	if err != nil {
		return nil, origin, err
	}
	key, err := d.choose(f.connection, func(r topology.Resource) bool {
		return r.ID().Kind == topology.KindExchange && r.ID().Name == f.exchange
	})
	if err != nil {
		return nil, origin, err
	}
	origin.Connection = namespacedName(key)
	options := trace.Options{Version: f.version, Retries: d.retries[key]}
	if !origin.Live {
		options.Resources = d.wants[key]
		options.VirtualHost, err = f.hostAmong(options.Resources)
		return trace.NewWorld(options), origin, err
	}
	l, err := d.link(ctx, f, key)
	if err != nil {
		return nil, origin, err
	}
	defer hangUp([]*link{l})
	origin.Version, origin.Connection = l.version, namespacedName(l.key)
	snapshot, err := l.broker.Observe(ctx, topology.Selection{All: true, Policies: true})
	if err != nil {
		return nil, origin, err
	}
	options.Version, options.VirtualHost = l.version, l.virtualHost
	if f.virtualHost != "" {
		options.VirtualHost = f.virtualHost
	}
	host := topology.VirtualHostID(options.VirtualHost)
	if reason := snapshot.UnreadReason(host); reason != nil {
		return nil, origin, fmt.Errorf("%s cannot be read: %w", host, reason)
	}
	if _, there := snapshot.Objects[host]; !there {
		return nil, origin, fmt.Errorf("there is no %s on this broker: --vhost names another one", host)
	}
	options.Resources, options.Policies, options.Listed = slices.Collect(maps.Values(snapshot.Objects)), snapshot.Policies, true
	return trace.NewWorld(options), origin, nil
}

// hostAmong finds the virtual host: the named one, the only one, or the only one
// in which the exchange is declared.
func (f *traceFlags) hostAmong(resources []topology.Resource) (string, error) {
	if f.virtualHost != "" {
		return f.virtualHost, nil
	}
	all, with := map[string]bool{}, map[string]bool{}
	for _, resource := range resources {
		id := resource.ID()
		if id.Kind == topology.KindVirtualHost {
			continue
		}
		all[id.Scope] = true
		if id.Kind == topology.KindExchange && id.Name == f.exchange {
			with[id.Scope] = true
		}
	}
	if len(with) > 0 {
		all = with
	}
	names := slices.Sorted(maps.Keys(all))
	switch len(names) {
	case 0:
		return "/", nil
	case 1:
		return names[0], nil
	}
	return "", fmt.Errorf("the manifests are about several virtual hosts: name one of them with --vhost: %s", strings.Join(names, ", "))
}

// tracedTopics are the topics of the Kafka cluster that a record is published to.
func (a *app) tracedTopics(ctx context.Context, f traceFlags) (*trace.Topics, traceOrigin, error) {
	f.brokers.rabbitMQ, f.version = nil, ""
	origin := traceOrigin{Live: f.isLive()}
	d, err := a.declaredFor(ctx, f, v1alpha1.KindKafkaConnection)
	if err != nil {
		return nil, origin, err
	}
	id := topology.TopicID(f.topic)
	key, err := d.choose(f.connection, func(r topology.Resource) bool { return r.ID() == id })
	if err != nil {
		return nil, origin, err
	}
	origin.Connection = namespacedName(key)
	if !origin.Live {
		return trace.NewTopics(d.wants[key], d.topicRetries[key]), origin, nil
	}
	l, err := d.link(ctx, f, key)
	if err != nil {
		return nil, origin, err
	}
	defer hangUp([]*link{l})
	origin.Version, origin.Connection = l.version, namespacedName(l.key)
	ids := []topology.ID{id}
	for _, retry := range d.topicRetries[key] {
		if retry.Topic != f.topic {
			continue
		}
		ids = append(ids, topology.TopicID(retry.DeadLetterTopic))
		for _, step := range retry.Steps {
			ids = append(ids, topology.TopicID(step.Topic))
		}
	}
	snapshot, err := l.broker.Observe(ctx, topology.Selection{IDs: ids})
	if err != nil {
		return nil, origin, err
	}
	if reason := snapshot.UnreadReason(id); reason != nil {
		return nil, origin, fmt.Errorf("%s cannot be read: %w", id, reason)
	}
	return trace.NewTopics(slices.Collect(maps.Values(snapshot.Objects)), d.topicRetries[key]), origin, nil
}

func namespacedName(key topology.ConnectionKey) string {
	if key.Name == "" {
		return ""
	}
	return key.Namespace + "/" + key.Name
}
