package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	// guardedChunk is how many queues are deleted on one reading of their
	// usage: few enough that it is milliseconds old when the last of them goes.
	guardedChunk = 64
	// maxLoneFailures is how many requests of a wave may go unanswered one by
	// one, while the broker answers others, until it counts as down.
	maxLoneFailures = 3
)

// Apply implements topology.Applier. Steps run in parallel, Concurrency at a
// time. Once the broker is known not to answer, what has not begun fails like
// what has.
func (b *Broker) Apply(ctx context.Context, wave []topology.Step) []topology.Outcome {
	r := &applying{broker: b, wave: wave, outcomes: make([]topology.Outcome, len(wave))}
	ctx = rememberSight(ctx)
	if now := time.Now(); len(wave) <= fewSteps && !topology.IsInBulk(ctx) {
		b.edited.Store(&now)
	}
	var plain []int
	guarded := map[string][]int{} // conditional deletions of queues by virtual host
	for i, step := range wave {
		r.outcomes[i].Step = step
		if step.Verb == topology.VerbDelete && step.IfUnused && step.ID.Kind == topology.KindQueue {
			guarded[step.ID.Scope] = append(guarded[step.ID.Scope], i)
		} else {
			plain = append(plain, i)
		}
	}
	batches, plain := b.batched(ctx, wave, plain)
	r.each(ctx, plain, func(i int) error { return r.step(ctx, wave[i]) })
	r.importBatches(ctx, batches)
	for _, host := range sortedMapKeys(guarded) {
		for chunk := range slices.Chunk(guarded[host], guardedChunk) {
			r.deleteUnused(ctx, host, chunk)
		}
	}
	return r.outcomes
}

// applying is one call of Apply.
type applying struct {
	broker   *Broker
	wave     []topology.Step
	outcomes []topology.Outcome

	// down is why nothing more is sent.
	down atomic.Pointer[topology.Error]
	// doubt serialises the question whether the broker is still there.
	doubt sync.Mutex
	lone  int
}

// each runs steps by their index and notes how they went. In bulk, each gives way to edits.
func (r *applying) each(ctx context.Context, indices []int, run func(int) error) {
	var group errgroup.Group
	group.SetLimit(r.broker.options.Concurrency)
	for _, i := range indices {
		topology.GiveWay(ctx)
		group.Go(func() error {
			r.outcomes[i].Err = r.once(ctx, r.wave[i], func() error { return run(i) })
			return nil
		})
	}
	_ = group.Wait() // outcomes hold the errors
}

// once runs one step unless the broker is down, and classifies how it went.
func (r *applying) once(ctx context.Context, step topology.Step, run func() error) error {
	operation := string(step.Verb)
	if err := ctx.Err(); err != nil {
		return r.broker.classify(operation, step.ID, err)
	}
	if down := r.down.Load(); down != nil {
		out := *down
		out.Operation, out.Object = operation, step.ID
		return &out
	}
	err := run()
	if err == nil {
		return nil
	}
	out := r.broker.classify(operation, step.ID, err)
	out.Operation = operation
	switch out.Class {
	case topology.ClassAuthentication:
		r.down.Store(out)
	case topology.ClassTransport:
		if ctx.Err() == nil {
			out = r.doubtBroker(ctx, out)
		}
	}
	return out
}

// doubtBroker asks after a failure on the way whether it was the broker or only
// this object: a quorum queue without a majority, say, whose declaration nobody
// answers. One such object must not stop the others.
func (r *applying) doubtBroker(ctx context.Context, failure *topology.Error) *topology.Error {
	r.doubt.Lock()
	defer r.doubt.Unlock()
	if r.down.Load() != nil {
		return failure
	}
	r.lone++
	if unreachable(failure) || r.lone > maxLoneFailures {
		r.down.Store(failure)
		return failure
	}
	c := r.broker.call(ctx, "probe").within(min(probeTimeout, r.broker.options.Timeout))
	if _, err := r.broker.rights(c); err != nil {
		r.down.Store(failure)
		return failure
	}
	out := *failure
	out.Class = topology.ClassTransient
	out.Reason += ", though the broker answers other requests"
	return &out
}

// step runs a step of any kind.
func (r *applying) step(ctx context.Context, step topology.Step) error {
	k := kinds[step.ID.Kind]
	run := map[topology.Verb]func(context.Context, *Broker, topology.Step) error{
		topology.VerbCreate: k.create, topology.VerbUpdate: k.update, topology.VerbDelete: k.remove,
	}[step.Verb]
	if run == nil {
		return &topology.Error{Class: topology.ClassUnsupported, Reason: fmt.Sprintf("RabbitMQ has no %s of a %s", step.Verb, step.ID.Kind)}
	}
	return r.settle(ctx, step, run(ctx, r.broker, step))
}

// settle judges a 404: a deletion is done if the object would have been seen,
// and where the virtual host is not seen, nothing else matters.
func (r *applying) settle(ctx context.Context, step topology.Step, err error) error {
	if !notFound(err) {
		return err
	}
	c := r.broker.call(ctx, "check access")
	if hidden := r.broker.absence(c, step.ID, err); hidden != nil {
		return hidden
	}
	if step.Verb == topology.VerbDelete {
		return nil
	}
	return err
}

// deleteUnused deletes queues of one virtual host that prove to be out of use. It gives way to
// edits before it reads whether they are, and not between that and the last of them: most are
// deleted on the word of that reading alone.
func (r *applying) deleteUnused(ctx context.Context, virtualHost string, indices []int) {
	topology.GiveWay(ctx)
	ctx = topology.Promptly(ctx)
	read := sync.OnceValues(func() (map[topology.ID]queueUsage, error) {
		return r.broker.queueUsage(r.broker.call(ctx, "read usage"), virtualHost)
	})
	r.each(ctx, indices, func(i int) error {
		step := r.wave[i]
		if err := addressable(step.ID.Scope, step.ID.Name); err != nil {
			return err
		}
		usage, err := read()
		if err == nil {
			found, seen := usage[step.ID]
			if !seen { // gone, or not to be seen
				return r.broker.absence(r.broker.call(ctx, "check access"), step.ID, errGone)
			}
			err = deleteUnusedQueue(ctx, r.broker, step, found)
		}
		return r.settle(ctx, step, err)
	})
}

// errGone stands for the 404 that a missing queue would get.
var errGone = &response{status: 404, broker: true, reason: "Not Found"}

func sortedMapKeys[V any](m map[string]V) []string {
	set := make(map[string]bool, len(m))
	for key := range m {
		set[key] = true
	}
	return sortedKeys(set)
}
