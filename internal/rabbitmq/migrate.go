package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/warrener-dev/warrener/internal/migration"
	"github.com/warrener-dev/warrener/internal/topology"
)

// advanceFor bounds how long Advance goes on making calls before it reports.
const advanceFor = 4 * time.Second

var _ topology.Operator = (*Broker)(nil)

// Advance implements topology.Operator for OperationMigrate and
// OperationRecreate of a queue. One look at a migration costs ten listings of
// the virtual host. It waits for nothing; since
// when it has been seen what, the Broker remembers, so that each queue must be
// advanced through one Broker, by one caller at a time.
func (b *Broker) Advance(ctx context.Context, op topology.Operation) (topology.Progress, error) {
	if op.Kind == topology.OperationRecreate {
		return b.recreate(ctx, op)
	}
	want, ok := op.Want.(*topology.Queue)
	if !ok || op.Kind != topology.OperationMigrate {
		return topology.Progress{}, &topology.Error{Class: topology.ClassUnsupported, Operation: string(op.Kind), Object: op.ID(),
			Reason: fmt.Sprintf("RabbitMQ knows no operation %s of a %s", op.Kind, op.ID().Kind)}
	}
	if err := addressable(want.VirtualHost, want.Name); err != nil {
		return topology.Progress{}, b.classify("migrate", want.ID(), err)
	}
	memory := b.migrations.of(want.ID())
	for begin := time.Now(); ; {
		state, err := b.migrationState(ctx, want)
		if err != nil {
			return topology.Progress{}, b.classify("migrate", want.ID(), err)
		}
		decision := migration.Decide(want, state, memory, time.Now())
		if decision.Refused != nil || decision.Progress.Done {
			b.migrations.forget(want.ID())
		}
		if decision.Refused != nil || len(decision.Actions) == 0 {
			return decision.Progress, decision.Refused
		}
		if err := b.migrate(ctx, want, decision.Actions); err != nil {
			memory.Interrupted()
			return decision.Progress, err
		}
		if time.Since(begin) > advanceFor {
			return decision.Progress, nil
		}
	}
}

// migrations are the memories of those under way.
type migrations struct {
	mu sync.Mutex
	by map[topology.ID]*migration.Memory
}

func (m *migrations) of(id topology.ID) *migration.Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil {
		m.by = map[topology.ID]*migration.Memory{}
	}
	if m.by[id] == nil {
		m.by[id] = &migration.Memory{}
	}
	return m.by[id]
}

func (m *migrations) forget(id topology.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.by, id)
}

// migrate runs actions up to the first that fails. Once the queue is deleted, the
// end of the caller's context does not keep it from being declared.
func (b *Broker) migrate(ctx context.Context, want *topology.Queue, actions []migration.Action) error {
	for i, action := range actions {
		if err := ctx.Err(); err != nil {
			return b.classify("migrate", want.ID(), err)
		}
		id, err := b.act(ctx, want, action)
		if errors.Is(err, errNotEmpty) {
			return nil // look again
		}
		if err != nil {
			return b.migrationFailed(want, id, err)
		}
		if remove, ok := action.(migration.Delete); ok && remove.ID == want.ID() {
			return b.migrate(context.WithoutCancel(ctx), want, actions[i+1:])
		}
	}
	return nil
}

// migrationFailed is about the queue, for its owner, and says which object of the
// scaffolding it was.
func (b *Broker) migrationFailed(want *topology.Queue, id topology.ID, err error) error {
	out := b.classify("migrate", id, err)
	out.Object = want.ID()
	if id != want.ID() {
		out.Reason = id.String() + ": " + out.Reason
	}
	if out.Class == topology.ClassAccessDenied {
		out.Reason += fmt.Sprintf("; a migration needs to configure, write and read %s and names that begin with %s, "+
			"and the exchanges that lead to it", want.Name, migration.Prefix)
	}
	return out
}

var errNotEmpty = errors.New("not empty")

// act runs one action, and tells which object it is about.
func (b *Broker) act(ctx context.Context, want *topology.Queue, action migration.Action) (topology.ID, error) {
	c := b.call(ctx, "migrate queue")
	vh := want.VirtualHost
	switch a := action.(type) {
	case migration.Create:
		id := a.Resource.ID()
		if binding, ok := a.Resource.(*topology.Binding); ok && a.Uncut {
			return id, bindUncut(ctx, b, binding)
		}
		return id, kinds[id.Kind].create(ctx, b, topology.Step{Verb: topology.VerbCreate, ID: id, Want: a.Resource})
	case migration.Delete:
		remove := kinds[a.ID.Kind].remove
		if a.ID.Kind == topology.KindBinding {
			remove = unbind // what is uncertain is the migration's own concern: no binding may come back here
		}
		err := remove(ctx, b, topology.Step{Verb: topology.VerbDelete, ID: a.ID, Live: a.Live})
		if notFound(err) {
			err = b.absence(c, a.ID, err)
		}
		return a.ID, err
	case migration.TryShovels:
		return want.ID(), b.tryShovels(c, vh)
	case migration.TryConfigure:
		err := putQueue(ctx, b, a.Queue)
		if !denied(err) { // that it differs in something that no listing shows is nothing to stop at
			err = nil
		}
		return want.ID(), err
	case migration.StartShovel:
		return topology.QueueID(vh, a.From), b.startShovel(c, vh, a)
	case migration.StopShovel:
		return want.ID(), b.stopShovel(c, vh, a.Name)
	case migration.SetPolicy:
		return want.ID(), c.named("set policy").write(http.MethodPut, join("policies", vh, a.Name), keepPolicy(a.Pattern))
	case migration.DropPolicy:
		if err := c.named("delete policy").write(http.MethodDelete, join("policies", vh, a.Name), nil); !notFound(err) {
			return want.ID(), err
		}
		return want.ID(), nil
	case migration.ExpectEmpty:
		return want.ID(), b.expectEmpty(c, vh, a.Queue)
	}
	return want.ID(), fmt.Errorf("%T: please report this as a bug", action)
}

// expectEmpty takes a message, and puts it back. Where RabbitMQ does not let
// anybody look (a single active consumer), the counts have to do.
func (b *Broker) expectEmpty(c call, virtualHost, queue string) error {
	var found []struct{}
	err := c.named("look into queue").post(join("queues", virtualHost, queue, "get"), map[string]any{
		"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto", "truncate": 1,
	}, &found)
	switch {
	case err == nil && len(found) > 0:
		return errNotEmpty
	case status(err) >= 400 && status(err) < 500:
		return nil
	}
	return err
}
