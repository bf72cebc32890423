package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/migration"
	"github.com/warrener-dev/warrener/internal/topology"
)

// recreate replaces a queue that is not in use, in one go: the queue goes,
// comes back as wanted, and its bindings with it, whoever made them. Should
// this process end in between, the next one finds them in the record: copies
// that lead to an exchange without a queue behind it. Only what is bound to an
// exchange of a plugin's type is not in it, since such an exchange could route
// messages there that belong elsewhere.
func (b *Broker) recreate(ctx context.Context, op topology.Operation) (topology.Progress, error) {
	want, ok := op.Want.(*topology.Queue)
	if !ok {
		return topology.Progress{}, wrongResource(topology.Step{ID: op.ID(), Want: op.Want})
	}
	err := addressable(want.VirtualHost, want.Name)
	if err == nil {
		err = (&recreation{broker: b, want: want, names: migration.NamesOf(want.Name)}).run(ctx)
	}
	if err == nil {
		return topology.Progress{Done: true}, nil
	}
	out := b.classify("recreate", want.ID(), err)
	if out.Class == topology.ClassAccessDenied {
		out.Reason += fmt.Sprintf("; to recreate it needs to configure, write and read %s and names that begin with %s", want.Name, migration.Prefix)
	}
	return topology.Progress{}, out
}

type recreation struct {
	broker *Broker
	want   *topology.Queue
	names  migration.Names
}

func (r *recreation) run(ctx context.Context) error {
	live, err := findQueue(r.broker.call(ctx, "read queue"), r.want.ID())
	if err != nil {
		return err
	}
	bindings, recorded, err := r.record(ctx)
	if err != nil {
		return err
	}
	if live != nil && len(r.want.Diff(live)) > 0 {
		was, err := r.remove(ctx)
		if err != nil {
			return r.giveUp(ctx, err)
		}
		bindings, recorded, live = append(bindings, was...), true, nil
		ctx = context.WithoutCancel(ctx) // there is no better moment to stop at than the end
	}
	if live == nil {
		if err := declareQueue(ctx, r.broker, topology.Step{Want: r.want}); err != nil {
			return err
		}
	}
	for _, binding := range bindings {
		binding.Destination, binding.DestinationType = r.want.Name, topology.DestinationQueue
		if err := r.bind(ctx, binding); err != nil && !notFound(err) { // of its exchange nothing is left
			return err
		}
	}
	if !recorded {
		return nil
	}
	return r.tidy(ctx)
}

// record reads the bindings that a recreation has written down before; recorded
// is false if there is none.
func (r *recreation) record(ctx context.Context) (bindings []*topology.Binding, recorded bool, err error) {
	bindings, err = r.bindingsTo(ctx, join("exchanges", r.want.VirtualHost, r.names.Record, "bindings", "destination"))
	if notFound(err) {
		return nil, false, nil
	}
	return bindings, err == nil, err
}

func (r *recreation) bindingsTo(ctx context.Context, path string) ([]*topology.Binding, error) {
	found, unread, err := readAs[wireBinding](r.broker.call(ctx, "read bindings"), path)
	if err != nil {
		return nil, err
	}
	if len(unread) > 0 {
		return nil, &topology.Error{Class: topology.ClassUnsupported, Reason: "a binding of the queue cannot be read, and could not be restored"}
	}
	out := make([]*topology.Binding, 0, len(found))
	for _, resource := range found {
		copied := *resource.(*topology.Binding)
		out = append(out, &copied)
	}
	return out, nil
}

// remove deletes the queue if nobody uses it, and returns the bindings that it
// had.
func (r *recreation) remove(ctx context.Context) ([]*topology.Binding, error) {
	usage, err := r.broker.queueUsage(r.broker.call(ctx, "read usage"), r.want.VirtualHost)
	if err != nil {
		return nil, err
	}
	found := usage[r.want.ID()]
	if reason := found.reason(); reason != "" {
		return nil, inUse("%s", reason)
	}
	if err := r.try(ctx); err != nil {
		return nil, err
	}
	path := join("queues", r.want.VirtualHost, r.want.Name, "bindings")
	bindings, err := r.bindingsTo(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := r.writeDown(ctx, bindings); err != nil {
		return nil, err
	}
	if bindings, err = r.bindingsTo(ctx, path); err != nil {
		return nil, err
	}
	if found.kind != topology.QueueTypeClassic { // whose counts lag
		err := r.broker.expectEmpty(r.broker.call(ctx, "look into queue"), r.want.VirtualHost, r.want.Name)
		if errors.Is(err, errNotEmpty) {
			return nil, inUse("it holds messages")
		}
		if err != nil {
			return nil, err
		}
	}
	err = deleteUnusedQueue(ctx, r.broker, topology.Step{ID: r.want.ID()}, found)
	if err != nil && !notFound(err) {
		return nil, err
	}
	return bindings, nil
}

// try declares a queue like the wanted one under another name: what the broker
// refuses must not cost the queue that is there.
func (r *recreation) try(ctx context.Context) error {
	trial := *r.want
	trial.Name = r.names.Trial
	if err := declareQueue(ctx, r.broker, topology.Step{Want: &trial}); err != nil {
		return err
	}
	return r.remove404(deleteQueue(ctx, r.broker, topology.Step{ID: trial.ID()}))
}

// writeDown copies bindings to an exchange that leads nowhere.
func (r *recreation) writeDown(ctx context.Context, bindings []*topology.Binding) error {
	if len(bindings) == 0 {
		return nil
	}
	record := &topology.Exchange{VirtualHost: r.want.VirtualHost, Name: r.names.Record, Type: "fanout", Durable: true, Internal: true}
	if err := declareExchange(ctx, r.broker, topology.Step{Want: record}); err != nil {
		return err
	}
	plain := map[string]bool{}
	for _, binding := range bindings {
		known, asked := plain[binding.Source]
		if !asked {
			var err error
			if known, err = r.routesPlainly(ctx, binding.Source); err != nil {
				return err
			}
			plain[binding.Source] = known
		}
		if !known {
			continue
		}
		copied := *binding
		copied.Destination, copied.DestinationType = record.Name, topology.DestinationExchange
		if err := r.bind(ctx, &copied); err != nil {
			return err
		}
	}
	return nil
}

// routesPlainly tells whether another binding of an exchange takes nothing away
// from the others.
func (r *recreation) routesPlainly(ctx context.Context, exchange string) (bool, error) {
	var found struct {
		Type string `json:"type"`
	}
	err := r.broker.call(ctx, "read exchange").get(join("exchanges", r.want.VirtualHost, exchange)+"?columns=type", &found)
	return slices.Contains([]string{"direct", "fanout", "topic", "headers"}, found.Type), err
}

func (r *recreation) bind(ctx context.Context, binding *topology.Binding) error {
	return declareBinding(ctx, r.broker, topology.Step{Want: binding})
}

// giveUp leaves the queue as it was and no trace, if it is in use. After any
// other failure the queue may be gone, and the record is all that is left.
func (r *recreation) giveUp(ctx context.Context, because error) error {
	if topology.ClassOf(because) != topology.ClassInUse {
		return because
	}
	return errors.Join(because, r.tidy(ctx))
}

func (r *recreation) tidy(ctx context.Context) error {
	trial := topology.QueueID(r.want.VirtualHost, r.names.Trial)
	record := topology.ExchangeID(r.want.VirtualHost, r.names.Record)
	return errors.Join(
		r.remove404(deleteExchange(ctx, r.broker, topology.Step{ID: record})),
		r.remove404(deleteQueue(ctx, r.broker, topology.Step{ID: trial})),
	)
}

// remove404 takes what is gone for deleted.
func (r *recreation) remove404(err error) error {
	if notFound(err) {
		return nil
	}
	return err
}
