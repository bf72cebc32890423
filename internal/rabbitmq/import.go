package rabbitmq

import (
	"context"
	"net/http"
	"slices"
	"time"

	rabbithole "github.com/michaelklishin/rabbit-hole/v2"

	"github.com/warrener-dev/warrener/internal/topology"
)

// An import of definitions is followed to its end even if the caller is gone: the
// broker has it done by processes of its own. So what a call that is cut off leaves
// half made is declared that way, which takes an administrator: bindings of topic
// exchanges on some brokers (leavesHalves), quorum queues and streams on all
// (madeInParts).

// Bounds of one import. A broker goes on with it when its answer is waited for no longer,
// when the lease that permitted it has ended above all; where one is refused, its objects are
// sent again, one by one; and what somebody edits meanwhile stands behind them in the broker's
// queue, where few pass by each other.
//
// RabbitMQ collects the garbage of all its processes after each import, and each queue is one:
// with 7,500 queues that is 0.2 s of CPU time behind an import of twenty bindings, which take
// 30 ms by themselves, and they pile up if the next one comes at once. So many are imported at a
// time where nobody has edited anything for a while. Beside edits it is few, for which these wait
// up to 0.2 s, and a rest after each. A hundred quorum queues take 0.3 s.
const (
	mostImported     = 100
	mostBindings     = 500
	mostBesideEdits  = 50
	restAfterEditing = 5 * time.Second
	// mostRest is enough for an edit, and an import that is not answered has taken much longer.
	mostRest = time.Second
	// fewSteps at a time are an edit.
	fewSteps = 20
)

// next cuts what one import is to have from what is left.
func (r *applying) next(left []int) (batch, rest []int) {
	most := min(mostImported, len(left))
	if r.besideEdits() {
		most = min(mostBesideEdits, len(left))
	} else if many := left[:min(mostBindings, len(left))]; !slices.ContainsFunc(many, func(i int) bool { return r.wave[i].ID.Kind != topology.KindBinding }) {
		most = len(many)
	}
	return left[:most], left[most:]
}

// besideEdits tells whether somebody has edited something a moment ago.
func (r *applying) besideEdits() bool {
	edited := r.broker.edited.Load()
	return edited != nil && time.Since(*edited) < restAfterEditing
}

// rest leaves the broker to edits, if there are any, for as long as an import of a
// roll-out has taken, and for mostRest at the most.
func (r *applying) rest(ctx context.Context, took time.Duration) {
	if !topology.Yields(ctx) || !r.besideEdits() {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(min(took, mostRest)):
	}
}

// definitions are what an import declares.
type definitions struct {
	Queues   []wireDeclaration        `json:"queues,omitempty"`
	Bindings []rabbithole.BindingInfo `json:"bindings,omitempty"`
}

// importable tells whether an object is to be declared by an import.
func (b *Broker) importable(ctx context.Context, object topology.Resource) bool {
	switch want := object.(type) {
	case *topology.Queue:
		return addressable(want.VirtualHost, want.Name) == nil && b.importsQueue(ctx, want)
	case *topology.Binding:
		return addressable(want.VirtualHost, want.Source, want.Destination) == nil && b.imports(ctx, want)
	}
	return false
}

// administers tells whether the user is an administrator. Where the broker does not
// say, it is none.
func (b *Broker) administers(ctx context.Context) bool {
	if _, mine := b.insight.broker(); mine != nil {
		return mine.administrator
	}
	mine, err := b.rights(b.call(ctx, "check access"))
	return err == nil && mine.administrator
}

// importAll declares objects of one virtual host. That it succeeds proves nothing: a
// broker that misses nodes of its cluster says that all is well and has declared none,
// and what exists stays as it is.
func (b *Broker) importAll(ctx context.Context, virtualHost string, wants []topology.Resource) error {
	var all definitions
	for _, object := range wants {
		switch want := object.(type) {
		case *topology.Queue:
			all.Queues = append(all.Queues, declarationOf(want))
		case *topology.Binding:
			all.Bindings = append(all.Bindings, bindingInfo(want))
		}
	}
	err := b.call(uncut(ctx), "import definitions").write(http.MethodPost, join("definitions", virtualHost), all)
	if denied(err) {
		b.insight.noteRights(rights{})
	}
	for _, object := range wants {
		if want, ok := object.(*topology.Binding); ok {
			b.uncertain.aboutImport(want, err)
		}
	}
	return err
}

// declareUncut declares an object by an import. Where the broker refuses, or has
// something else or nothing afterwards, the call is a plain one, which says better
// what is wrong.
func (b *Broker) declareUncut(ctx context.Context, want topology.Resource) error {
	err := b.importAll(ctx, want.ID().Scope, []topology.Resource{want})
	if code := status(err); err != nil && (code < 400 || code >= 500) {
		return err
	}
	if err == nil {
		if declared, err := b.isDeclared(ctx, want); err != nil || declared {
			return err
		}
	}
	return b.declarePlainly(ctx, want)
}

func (b *Broker) declarePlainly(ctx context.Context, object topology.Resource) error {
	switch want := object.(type) {
	case *topology.Queue:
		return putQueue(ctx, b, want)
	case *topology.Binding:
		return bind(ctx, b, want)
	}
	return nil
}

func (b *Broker) isDeclared(ctx context.Context, object topology.Resource) (bool, error) {
	c := b.call(ctx, "import definitions")
	switch want := object.(type) {
	case *topology.Queue:
		found, err := findQueue(c, want.ID())
		return found != nil && len(want.Diff(found)) == 0, err
	default:
		found, err := findBinding(c, want.ID())
		return found != nil, err
	}
}

// batched are the steps of a wave that imports take together, by virtual host, and
// the others. One alone is not worth a batch.
func (b *Broker) batched(ctx context.Context, wave []topology.Step, indices []int) (batches map[string][]int, others []int) {
	batches = map[string][]int{}
	for _, i := range indices {
		if step := wave[i]; step.Verb == topology.VerbCreate && b.importable(ctx, step.Want) {
			batches[step.ID.Scope] = append(batches[step.ID.Scope], i)
		} else {
			others = append(others, i)
		}
	}
	for host, batch := range batches {
		if len(batch) == 1 {
			others = append(others, batch...)
			delete(batches, host)
		}
	}
	return batches, others
}

// importBatches declares objects by imports, and looks once whether they are there.
// Of a batch that fails while the broker is there, each one is tried alone.
func (r *applying) importBatches(ctx context.Context, batches map[string][]int) {
	var sent, alone []int
	for _, host := range sortedMapKeys(batches) {
		for left := batches[host]; len(left) > 0; {
			var batch []int
			batch, left = r.next(left)
			wants := make([]topology.Resource, len(batch))
			for n, i := range batch {
				wants[n] = r.wave[i].Want
			}
			topology.GiveWay(ctx)
			begin := time.Now()
			err := r.once(ctx, r.wave[batch[0]], func() error { return r.broker.importAll(ctx, host, wants) })
			if len(left) > 0 {
				r.rest(ctx, time.Since(begin))
			}
			if err != nil {
				alone = append(alone, batch...)
			} else {
				sent = append(sent, batch...)
			}
		}
	}
	r.each(ctx, r.unshown(ctx, sent), func(i int) error {
		return r.settle(ctx, r.wave[i], r.broker.declarePlainly(ctx, r.wave[i].Want))
	})
	r.each(ctx, alone, func(i int) error { return r.step(ctx, r.wave[i]) })
}

// unshown are those of some objects that the broker does not list; none if it
// cannot be asked, which whoever reads back what was done finds out. What it lists is
// noted, and need not be listed again.
func (r *applying) unshown(ctx context.Context, indices []int) []int {
	if len(indices) == 0 {
		return nil
	}
	byKind, wanted := map[topology.Kind][]topology.ID{}, map[topology.ID]bool{}
	for _, i := range indices {
		id := r.wave[i].ID
		byKind[id.Kind] = append(byKind[id.Kind], id)
		wanted[id] = true
	}
	o := &observation{broker: r.broker, found: newCollector()}
	if err := o.run(ctx, o.plan(byKind, func(id topology.ID) bool { return wanted[id] })); err != nil {
		return nil
	}
	return slices.DeleteFunc(indices, func(i int) bool {
		r.outcomes[i].Shown = o.found.objects[r.wave[i].ID]
		return r.outcomes[i].Shown != nil
	})
}
