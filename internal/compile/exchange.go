package compile

import (
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

func exchange(e *v1alpha1.Exchange, d *draft) {
	spec := &e.Spec
	d.ownName(nameField(spec.Name), e.BrokerName())
	d.exchangeType(spec.Type)
	args := topology.Arguments{}
	if spec.AlternateExchange != "" {
		d.name("spec.alternateExchange", spec.AlternateExchange)
		args[argAlternateExchange] = spec.AlternateExchange
	}
	d.freeArguments(args, "spec", "spec.arguments", spec.Arguments, exchangeArguments)
	d.want(&topology.Exchange{
		VirtualHost: d.virtualHost,
		Name:        e.BrokerName(),
		Type:        string(spec.Type),
		Durable:     spec.IsDurable(),
		AutoDelete:  spec.AutoDelete,
		Internal:    spec.Internal,
		Arguments:   args,
	})
	for i := range spec.Bindings {
		d.bindings(index("spec.bindings", i), &spec.Bindings[i], topology.DestinationExchange, e.BrokerName())
	}
}

// exchangeType lets the types of plugins pass: which of them there are, the
// broker knows.
func (d *draft) exchangeType(t v1alpha1.ExchangeType) {
	if strings.HasPrefix(string(t), "x-") {
		return
	}
	switch t {
	case v1alpha1.ExchangeTypeDirect, v1alpha1.ExchangeTypeFanout, v1alpha1.ExchangeTypeTopic, v1alpha1.ExchangeTypeHeaders:
	default:
		d.problem("spec.type", "%s is no exchange type: write direct, fanout, topic, headers, or the type of a plugin, which begins with x-", quote(string(t)))
	}
}
