package rabbitmq

import (
	"context"
	"errors"
	"maps"
	"net"
	"sync"

	"github.com/warrener-dev/warrener/internal/topology"
)

// uncertainties are bindings whose declaration or deletion was sent and not
// answered. RabbitMQ 4.0 may have left such a binding of a topic exchange listed
// and leading nowhere, or leading and not listed, so that its listing proves
// nothing until the binding was deleted and declared once more.
//
// One that is imported leads where it is listed, and nothing has to be done about
// it. If it is not listed, it may still come, even after it is wanted no longer.
type uncertainties struct {
	mu       sync.Mutex
	bindings map[topology.ID]uncertainty
}

type uncertainty struct {
	*topology.Binding
	// imported, and nothing worse.
	imported bool
}

// about notes how a call about a binding ended. The calls of a binding come one
// after the other.
func (u *uncertainties) about(binding *topology.Binding, err error) {
	u.note(uncertainty{Binding: binding}, err)
}

// aboutImport is about for an import.
func (u *uncertainties) aboutImport(binding *topology.Binding, err error) {
	before, was := u.of(binding.ID())
	u.note(uncertainty{Binding: binding, imported: !was || before.imported}, err)
}

func (u *uncertainties) note(about uncertainty, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch code := status(err); {
	case err == nil, code > 0 && code < 500:
		delete(u.bindings, about.ID())
	case neverSent(err):
	default:
		if u.bindings == nil {
			u.bindings = map[topology.ID]uncertainty{}
		}
		u.bindings[about.ID()] = about
	}
}

// neverSent tells that there was no connection to send a request on.
func neverSent(err error) bool {
	var failure *net.OpError
	return errors.As(err, &failure) && failure.Op == "dial"
}

func (u *uncertainties) of(id topology.ID) (uncertainty, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	found, ok := u.bindings[id]
	return found, ok
}

func (u *uncertainties) all() map[topology.ID]uncertainty {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.bindings)
}

// admit shows uncertain bindings as there and uncertain, whether or not they are
// listed. A binding ends with either of its ends, and the uncertainty with it.
func (o *observation) admit(wanted func(topology.ID) bool) {
	for id, doubt := range o.broker.uncertain.all() {
		if !wanted(id) {
			continue
		}
		listed, isListed := o.found.objects[id].(*topology.Binding)
		gone := o.selection.All && (o.found.objects[doubt.SourceID()] == nil || o.found.objects[doubt.DestinationID()] == nil)
		if gone || isListed && doubt.imported {
			o.broker.uncertain.about(doubt.Binding, nil)
			continue
		}
		shown := *doubt.Binding
		if isListed {
			shown = *listed
		}
		shown.Uncertain = true
		o.found.objects[id] = &shown
	}
}

// rebind ends an uncertainty: it deletes the binding, unless it can only be whole,
// and declares it anew. What
// is routed in between misses it; it may have done so since the call that was not
// answered.
func rebind(ctx context.Context, b *Broker, step topology.Step) error {
	if live, ok := step.Live.(*topology.Binding); !ok || !live.Uncertain {
		return fixed(ctx, b, step)
	}
	if doubt, ok := b.uncertain.of(step.ID); !ok || !doubt.imported {
		if err := unbind(ctx, b, topology.Step{ID: step.ID}); err != nil && !notFound(err) {
			return err
		}
	}
	return declareBinding(ctx, b, step)
}
