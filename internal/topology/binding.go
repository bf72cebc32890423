package topology

// Destination types of a binding, as the broker spells them.
const (
	DestinationQueue    = "queue"
	DestinationExchange = "exchange"
)

// Binding routes messages from an exchange to a queue or to another exchange.
// All of it is its identity: a changed binding is another binding.
type Binding struct {
	VirtualHost     string
	Source          string // an exchange; never the default exchange
	Destination     string
	DestinationType string // queue or exchange
	RoutingKey      string
	Arguments       Arguments
	// PropertiesKeys are the broker's handles for deleting, of live bindings
	// only. One ID can have several: int16, int32 and int64 arguments make
	// different bindings that read the same.
	PropertiesKeys []string
}

// ID implements Resource. The name is readable and unambiguous:
// `orders -> queue order.process key order.*.created {"x-match":"all"}`.
func (b *Binding) ID() ID {
	name := quoteName(b.Source) + " -> " + b.DestinationType + " " + quoteName(b.Destination) + " key " + quoteName(b.RoutingKey)
	if len(b.Arguments) > 0 {
		name += " " + b.Arguments.Canonical()
	}
	return ID{Kind: KindBinding, Scope: b.VirtualHost, Name: name}
}

// SourceID is the exchange that the binding takes messages from.
func (b *Binding) SourceID() ID { return ExchangeID(b.VirtualHost, b.Source) }

// DestinationID is the queue or exchange that the binding sends messages to.
func (b *Binding) DestinationID() ID {
	if b.DestinationType == DestinationExchange {
		return ExchangeID(b.VirtualHost, b.Destination)
	}
	return QueueID(b.VirtualHost, b.Destination)
}

// Needs implements Resource.
func (b *Binding) Needs() []ID {
	return []ID{VirtualHostID(b.VirtualHost), b.SourceID(), b.DestinationID()}
}

// Diff implements Resource: a live binding of the same ID is the same binding.
func (b *Binding) Diff(live Resource) []Change {
	if _, ok := live.(*Binding); !ok {
		return wrongKind(b, live)
	}
	return nil
}
