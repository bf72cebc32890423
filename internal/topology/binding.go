package topology

import (
	"fmt"
	"strconv"
	"strings"
)

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
	// Uncertain, of live bindings: a call about it was not answered, and whether
	// it leads anywhere is not known.
	Uncertain bool
	// Alone, of wanted bindings: there may be no moment with two bindings of
	// this source, key and arguments, which would copy messages. So the one
	// whose place it takes goes before it comes, and the source must have an
	// alternate exchange for what is routed in between.
	Alone bool
}

// SameRoute tells whether two bindings take the same messages from a source.
func (b *Binding) SameRoute(other *Binding) bool {
	return b.VirtualHost == other.VirtualHost && b.Source == other.Source &&
		b.RoutingKey == other.RoutingKey && b.Arguments.Canonical() == other.Arguments.Canonical()
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

// Diff implements Resource: a live binding of the same ID is the same binding,
// unless it is uncertain.
func (b *Binding) Diff(live Resource) []Change {
	other, ok := live.(*Binding)
	if !ok {
		return wrongKind(b, live)
	}
	if other.Uncertain {
		return []Change{{Path: "routing", From: "uncertain, since the broker did not answer", To: "bound"}}
	}
	return nil
}

// BindingEnds takes source and destination out of the ID of a binding, so that
// an adapter that was asked for the binding knows where to look for it.
func BindingEnds(id ID) (source, destination ID, err error) {
	malformed := fmt.Errorf("%q is not the name of a binding", id.Name)
	from, rest, ok := cutName(id.Name)
	if !ok || id.Kind != KindBinding {
		return ID{}, ID{}, malformed
	}
	rest, ok = strings.CutPrefix(rest, " -> ")
	if !ok {
		return ID{}, ID{}, malformed
	}
	destinationType, rest, _ := strings.Cut(rest, " ")
	to, rest, ok := cutName(rest)
	if !ok || !strings.HasPrefix(rest, " key ") {
		return ID{}, ID{}, malformed
	}
	source = ExchangeID(id.Scope, from)
	switch destinationType {
	case DestinationQueue:
		return source, QueueID(id.Scope, to), nil
	case DestinationExchange:
		return source, ExchangeID(id.Scope, to), nil
	}
	return ID{}, ID{}, malformed
}

// BindingOf takes a binding out of its ID.
func BindingOf(id ID) (*Binding, error) {
	source, destination, err := BindingEnds(id)
	if err != nil {
		return nil, err
	}
	out := &Binding{VirtualHost: id.Scope, Source: source.Name, Destination: destination.Name, DestinationType: DestinationQueue}
	if destination.Kind == KindExchange {
		out.DestinationType = DestinationExchange
	}
	// What names a binding without key and arguments is how the whole name begins.
	rest := strings.TrimPrefix(id.Name, strings.TrimSuffix(out.ID().Name, `""`))
	key, rest, ok := cutName(rest + " ")
	if !ok {
		return nil, fmt.Errorf("%q names a binding without a routing key", id.Name)
	}
	out.RoutingKey = key
	if rest = strings.TrimSpace(rest); rest != "" {
		if out.Arguments, err = ParseArguments([]byte(rest)); err != nil {
			return nil, fmt.Errorf("%q: %w", id.Name, err)
		}
	}
	if out.ID() != id {
		return nil, fmt.Errorf("%q is not how a binding is named", id.Name)
	}
	return out, nil
}

// cutName reads what quoteName wrote, and returns what follows it.
func cutName(text string) (name, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexByte(text, ' ')
		if end <= 0 {
			return "", "", false
		}
		return text[:end], text[end:], true
	}
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", "", false
	}
	name, err = strconv.Unquote(quoted)
	return name, text[len(quoted):], err == nil
}
