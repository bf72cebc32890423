package rabbitmq

import (
	"context"
	"net/http"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

var exchangeKind = kind{
	collection: "exchanges",
	scoped:     true,
	columns:    exchangeColumns,
	read:       keepAs[wireExchange],
	locate: func(id topology.ID) (string, error) {
		return join("exchanges", id.Scope, id.Name) + "?columns=" + exchangeColumns, addressable(id.Scope, id.Name)
	},
	create: declareExchange,
	update: fixed,
	remove: deleteExchange,
}

const exchangeColumns = "name,vhost,type,durable,auto_delete,internal,arguments"

type wireExchange struct {
	Name        string    `json:"name"`
	VirtualHost string    `json:"vhost"`
	Type        string    `json:"type"`
	Durable     flag      `json:"durable"`
	AutoDelete  flag      `json:"auto_delete"`
	Internal    flag      `json:"internal"`
	Arguments   arguments `json:"arguments"`
}

func (w wireExchange) id() (topology.ID, bool) {
	return topology.ExchangeID(w.VirtualHost, w.Name), true
}

func (w wireExchange) resource() (topology.Resource, error) {
	table, err := w.Arguments.canonical()
	if err != nil {
		return nil, err
	}
	return &topology.Exchange{
		VirtualHost: w.VirtualHost, Name: w.Name, Type: w.Type, Durable: bool(w.Durable),
		AutoDelete: bool(w.AutoDelete), Internal: bool(w.Internal), Arguments: table,
	}, nil
}

// systemExchange: the default exchange and those that RabbitMQ creates in every
// virtual host.
func systemExchange(name string) bool { return name == "" || strings.HasPrefix(name, "amq.") }

type exchangeSettings struct {
	Type       string             `json:"type"`
	Durable    bool               `json:"durable"`
	AutoDelete bool               `json:"auto_delete"`
	Internal   bool               `json:"internal"`
	Arguments  topology.Arguments `json:"arguments"`
}

// declareExchange sends its own body: rabbit-hole's has no internal. An
// exchange that exists with other arguments answers 204 and stays as it is;
// only a read-back tells.
func declareExchange(ctx context.Context, b *Broker, step topology.Step) error {
	want, ok := step.Want.(*topology.Exchange)
	if !ok {
		return wrongResource(step)
	}
	if err := addressable(want.VirtualHost, want.Name); err != nil {
		return err
	}
	b.insight.forget(want.ID()) // it may be there, and of another type
	err := b.call(ctx, "declare exchange").write(http.MethodPut, join("exchanges", want.VirtualHost, want.Name), exchangeSettings{
		Type: want.Type, Durable: want.Durable, AutoDelete: want.AutoDelete, Internal: want.Internal, Arguments: want.Arguments,
	})
	if err == nil {
		b.insight.noteExchange(want)
	}
	return err
}

// deleteExchange asks for bindings that lead to the exchange itself: the
// broker's if-unused counts only those that lead from it.
func deleteExchange(ctx context.Context, b *Broker, step topology.Step) error {
	id := step.ID
	if err := addressable(id.Scope, id.Name); err != nil {
		return err
	}
	b.insight.forget(id)
	c := b.call(ctx, "delete exchange")
	path := join("exchanges", id.Scope, id.Name)
	if !step.IfUnused {
		_, err := c.client().DeleteExchange(id.Scope, id.Name) //nolint:bodyclose // read to the end in RoundTrip
		return err
	}
	arriving, _, err := readAs[wireBinding](c, path+"/bindings/destination")
	if err != nil {
		return err
	}
	if len(arriving) > 0 {
		return inUse("it is the destination of %s", count(int64(len(arriving)), "binding"))
	}
	err = c.write(http.MethodDelete, path+"?if-unused=true", nil)
	if refusedInUse(err) {
		return inUse("it has bindings")
	}
	return err
}
