package rabbitmq

import (
	"context"
	"maps"

	rabbithole "github.com/michaelklishin/rabbit-hole/v2"

	"github.com/warrener-dev/warrener/internal/topology"
)

var queueKind = kind{
	collection: "queues",
	scoped:     true,
	columns:    queueColumns,
	read:       keepAs[wireQueue],
	locate:     locateQueue,
	create:     declareQueue,
	update:     fixed,
	remove:     deleteQueue,
}

const (
	queueColumns = "name,vhost,type,durable,auto_delete,exclusive,arguments"

	argumentQueueType = "x-queue-type"
)

type wireQueue struct {
	Name        string    `json:"name"`
	VirtualHost string    `json:"vhost"`
	Type        string    `json:"type"`
	Durable     flag      `json:"durable"`
	AutoDelete  flag      `json:"auto_delete"`
	Exclusive   flag      `json:"exclusive"`
	Arguments   arguments `json:"arguments"`
}

func (w wireQueue) id() (topology.ID, bool) { return topology.QueueID(w.VirtualHost, w.Name), true }

// resource drops x-queue-type: from 4.0 brokers inject it, and Type says it.
func (w wireQueue) resource() (topology.Resource, error) {
	table, err := w.Arguments.canonical(argumentQueueType)
	if err != nil {
		return nil, err
	}
	return &topology.Queue{
		VirtualHost: w.VirtualHost, Name: w.Name, Type: w.Type, Durable: bool(w.Durable),
		AutoDelete: bool(w.AutoDelete), Exclusive: bool(w.Exclusive), Arguments: table,
	}, nil
}

// madeInParts tells whether a queue is made by whoever takes the call, and not by a
// process of the broker. If the call is cut off, a queue can be left that is listed,
// as running, and takes no message; to declare it again changes nothing, on all
// brokers from 3.10 to 4.3.
func madeInParts(queueType string) bool {
	return queueType == topology.QueueTypeQuorum || queueType == topology.QueueTypeStream
}

// importsQueue tells whether a queue is to be declared by an import.
func (b *Broker) importsQueue(ctx context.Context, want *topology.Queue) bool {
	return madeInParts(want.Type) && b.administers(ctx)
}

func declareQueue(ctx context.Context, b *Broker, step topology.Step) error {
	want, ok := step.Want.(*topology.Queue)
	if !ok {
		return wrongResource(step)
	}
	if err := addressable(want.VirtualHost, want.Name); err != nil {
		return err
	}
	if b.importsQueue(ctx, want) {
		return b.declareUncut(ctx, want)
	}
	return putQueue(ctx, b, want)
}

// putQueue declares a queue by a call.
func putQueue(ctx context.Context, b *Broker, want *topology.Queue) error {
	if madeInParts(want.Type) {
		ctx = uncut(ctx)
	}
	_, err := b.call(ctx, "declare queue").client().DeclareQueue(want.VirtualHost, want.Name, rabbithole.QueueSettings{ //nolint:bodyclose // read to the end in RoundTrip
		Type: want.Type, Durable: want.Durable, AutoDelete: want.AutoDelete, Arguments: ownArguments(want),
	})
	return err
}

// ownArguments are the arguments without the type, which has a place of its own.
func ownArguments(want *topology.Queue) map[string]any {
	table := maps.Clone(want.Arguments)
	delete(table, argumentQueueType)
	return rawArguments(table)
}

// wireDeclaration is a queue in an import.
type wireDeclaration struct {
	Name       string         `json:"name"`
	Durable    bool           `json:"durable"`
	AutoDelete bool           `json:"auto_delete"`
	Arguments  map[string]any `json:"arguments"`
}

// declarationOf always has the type, as a call has: without it 3.10 stores none, and
// 4.x takes the virtual host's default.
func declarationOf(want *topology.Queue) wireDeclaration {
	table := map[string]any{argumentQueueType: want.Type}
	maps.Copy(table, ownArguments(want))
	return wireDeclaration{Name: want.Name, Durable: want.Durable, AutoDelete: want.AutoDelete, Arguments: table}
}

func locateQueue(id topology.ID) (string, error) {
	return join("queues", id.Scope, id.Name) + "?disable_stats=true&columns=" + queueColumns, addressable(id.Scope, id.Name)
}

// findQueue reads a queue; nil if there is none.
func findQueue(c call, id topology.ID) (*topology.Queue, error) {
	path, err := locateQueue(id)
	if err != nil {
		return nil, err
	}
	found, unread, err := readAs[wireQueue](c, path)
	switch {
	case notFound(err):
		return nil, c.broker.absence(c, id, err)
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, unread[id]
	}
	return found[0].(*topology.Queue), nil
}

// deleteQueue deletes whatever is in the queue, unless the step forbids it:
// then Apply has asked for usage first, see deleteUnusedQueue.
func deleteQueue(ctx context.Context, b *Broker, step topology.Step) error {
	if err := addressable(step.ID.Scope, step.ID.Name); err != nil {
		return err
	}
	return dropQueue(ctx, b, step.ID)
}

// dropQueue deletes a queue by a call that is not cut off.
func dropQueue(ctx context.Context, b *Broker, id topology.ID, options ...rabbithole.QueueDeleteOptions) error {
	_, err := b.call(uncut(ctx), "delete queue").client().DeleteQueue(id.Scope, id.Name, options...) //nolint:bodyclose // read to the end in RoundTrip
	return err
}

// deleteUnusedQueue deletes a queue that its usage, read a moment ago, shows to
// be out of use. What guards the moment in between differs by type: the broker
// itself checks for ready messages and consumers of classic queues, though not
// for unacknowledged messages; quorum queues refuse the flags, and their totals
// are seconds old, which the caller has waited for; a stream is deleted by
// if-empty with all that it holds, so it is never tried.
func deleteUnusedQueue(ctx context.Context, b *Broker, step topology.Step, found queueUsage) error {
	if reason := found.reason(); reason != "" {
		return inUse("%s", reason)
	}
	var options []rabbithole.QueueDeleteOptions
	if found.kind == topology.QueueTypeClassic {
		options = append(options, rabbithole.QueueDeleteOptions{IfEmpty: true, IfUnused: true})
	}
	err := dropQueue(ctx, b, step.ID, options...)
	switch {
	case refusedNotEmpty(err):
		return inUse("it holds messages")
	case refusedInUse(err):
		return inUse("it has consumers")
	case refusedExclusive(err):
		return inUse("it is exclusive to another connection")
	}
	return err
}
