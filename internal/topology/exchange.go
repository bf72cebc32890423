package topology

// Exchange is a RabbitMQ exchange. Everything about it is fixed at creation.
type Exchange struct {
	VirtualHost string
	Name        string
	Type        string // direct, fanout, topic, headers or an x- type of a plugin
	Durable     bool
	AutoDelete  bool
	Internal    bool
	Arguments   Arguments // with alternate-exchange, the broker's own key
}

// ID implements Resource.
func (e *Exchange) ID() ID { return ExchangeID(e.VirtualHost, e.Name) }

// ExchangeID identifies an exchange by virtual host and name.
func ExchangeID(virtualHost, name string) ID {
	return ID{Kind: KindExchange, Scope: virtualHost, Name: name}
}

// BindsWhole tells whether the bindings of exchanges of a type are there as a whole or
// not at all, whatever the broker. Those of others can be listed by RabbitMQ 4.0 and
// lead nowhere, or the reverse, after a call that was cut off.
func BindsWhole(exchangeType string) bool {
	return exchangeType == "direct" || exchangeType == "fanout" || exchangeType == "headers"
}

// Needs implements Resource. The alternate exchange is no need: the broker
// looks it up when a message comes, and it may be declared later.
func (e *Exchange) Needs() []ID { return []ID{VirtualHostID(e.VirtualHost)} }

// Diff implements Resource. An exchange redeclared with other arguments answers
// 204 and stays as it was, so every difference means replacing.
func (e *Exchange) Diff(live Resource) []Change {
	found, ok := live.(*Exchange)
	if !ok {
		return wrongKind(e, live)
	}
	changes := diffString("type", found.Type, e.Type, Replace)
	changes = append(changes, diffBool("durable", found.Durable, e.Durable, Replace)...)
	changes = append(changes, diffBool("auto_delete", found.AutoDelete, e.AutoDelete, Replace)...)
	changes = append(changes, diffBool("internal", found.Internal, e.Internal, Replace)...)
	changes = append(changes, diffArguments(e.Arguments, found.Arguments, Replace)...)
	return sortChanges(changes)
}
