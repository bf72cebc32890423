package lint

import (
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// missingConnection is told once for each connection: what is true of one object
// is true of all.
func missingConnection(w *world, found finder) {
	told := map[topology.ConnectionKey]bool{}
	for _, o := range w.objects {
		key := o.claim.Connection
		if key.Name == "" {
			found(o.subject, "spec.connectionRef", "names no connection: write connectionRef: {name: ...}")
			continue
		}
		if w.connections[key] == nil && !told[key] {
			told[key] = true
			found(o.subject, "spec.connectionRef", "%s is in none of these manifests: lint them together, else the virtual host is taken for %q, and the broker for one that no other connection reaches",
				key, v1alpha1.DefaultVirtualHost)
		}
	}
}

// foreignConnection is about connections that do not admit the object's
// namespace.
func foreignConnection(w *world, found finder) {
	for _, o := range w.objects {
		key := o.claim.Connection
		c := w.connections[key]
		if c == nil || key.Namespace == o.obj.GetNamespace() {
			continue
		}
		if from := c.GetAllowedNamespaces().From; from == "" || from == v1alpha1.NamespacesFromSame {
			found(o.subject, "spec.connectionRef", "%s is for objects of its own namespace: write allowedNamespaces in the connection, or move this object to namespace %s", key, key.Namespace)
		}
	}
}

// missingVirtualHost is told once for each virtual host.
func missingVirtualHost(w *world, found finder) {
	type place struct {
		b    *broker
		name string
	}
	told := map[place]bool{}
	for _, o := range w.objects {
		lives, ok := o.obj.(v1alpha1.RabbitMQObject)
		if !ok || o.virtualHost == v1alpha1.DefaultVirtualHost || told[place{o.broker, o.virtualHost}] {
			continue
		}
		told[place{o.broker, o.virtualHost}] = true
		if len(o.broker.wants[topology.VirtualHostID(o.virtualHost)]) > 0 {
			continue
		}
		field := "spec.connectionRef"
		if lives.GetVirtualHost() != "" {
			field = "spec.virtualHost"
		}
		found(o.subject, field, "no VirtualHost of these manifests declares %q: nothing is created until it exists", o.virtualHost)
	}
}

// missingExchange is about exchanges that nobody declares.
func missingExchange(w *world, found finder) {
	missing := func(o *object, field, name, consequence string) {
		if name != "" && o.broker.exchange(o.virtualHost, name) == nil && !isBrokers(name) {
			found(o.subject, field, "nobody declares the exchange %s in virtual host %s: %s", name, o.virtualHost, consequence)
		}
	}
	for _, o := range w.objects {
		for _, b := range o.bindings() {
			missing(o, b.path+".source", b.spec.Source, "the binding waits until it exists; declare it, or correct the name")
			if b.destinationType == topology.DestinationExchange && b.destination != o.obj.BrokerName() {
				missing(o, b.path+".destination", b.destination, "the binding waits until it exists; declare it, or correct the name")
			}
		}
		switch obj := o.obj.(type) {
		case *v1alpha1.Exchange:
			missing(o, "spec.alternateExchange", obj.Spec.AlternateExchange, "what cannot be routed is dropped; declare it, or correct the name")
		case *v1alpha1.Queue:
			if d := obj.Spec.DeadLetter; d != nil && !d.Creates() && d.Exchange != nil {
				missing(o, "spec.deadLetter.exchange", *d.Exchange, "dead letters are dropped; declare it, or correct the name")
			}
		}
	}
}

func isBrokers(name string) bool { return strings.HasPrefix(name, "amq.") }

// missingQueue is about queues that nobody declares.
func missingQueue(w *world, found finder) {
	for _, o := range w.objects {
		for _, b := range o.bindings() {
			if _, is := o.obj.(*v1alpha1.ExchangeBinding); is && b.destinationType == topology.DestinationQueue && o.broker.queues[topology.QueueID(o.virtualHost, b.destination)] == nil {
				found(o.subject, "spec.destination", "nobody declares the queue %s in virtual host %s: the binding waits until it exists; declare it, or correct the name", b.destination, o.virtualHost)
			}
		}
		obj, ok := o.obj.(*v1alpha1.Queue)
		if !ok || obj.Spec.DeadLetter == nil {
			continue
		}
		d := obj.Spec.DeadLetter
		if d.Creates() || d.Exchange == nil || *d.Exchange != "" || d.RoutingKey == nil {
			continue
		}
		if o.broker.queues[topology.QueueID(o.virtualHost, *d.RoutingKey)] == nil {
			found(o.subject, "spec.deadLetter.routingKey", "nobody declares the queue %s in virtual host %s: dead letters, which go there through the default exchange, are dropped; declare it, or correct the name", *d.RoutingKey, o.virtualHost)
		}
	}
}
