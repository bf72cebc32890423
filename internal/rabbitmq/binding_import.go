package rabbitmq

import (
	"context"
	"net/http"
	"slices"

	rabbithole "github.com/michaelklishin/rabbit-hole/v2"

	"github.com/warrener-dev/warrener/internal/topology"
)

// An import of definitions is followed to its end even if the caller is gone: the
// broker has it done by processes of its own. So where a call that is cut off leaves
// bindings half made (leavesHalves), they are declared that way, which takes an
// administrator.

// mostImported bounds the bindings of one import: 0.1 s of work for a broker that
// has time (RabbitMQ 4.0 imports 1,500 a second). It goes on with them when its
// answer is waited for no longer, when the lease that permitted them has ended above
// all; and where one is refused, so many are sent again, one by one.
const mostImported = 100

// imports tells whether a binding is to be declared by an import. A source whose type
// is not known may be a topic exchange; for all others it makes no difference.
func (b *Broker) imports(ctx context.Context, binding *topology.Binding) bool {
	return !b.insight.whole(binding.SourceID()) && b.importsBindings(ctx)
}

// importsBindings asks the broker, once, what a look at everything would have told.
// Where it does not say, calls are plain ones.
func (b *Broker) importsBindings(ctx context.Context) bool {
	c := b.call(ctx, "check access")
	version, mine := b.insight.broker()
	if version == "" {
		var err error
		if version, err = b.version(c); err != nil {
			return false
		}
	}
	if leavesHalves(version) && mine == nil {
		asked, err := b.rights(c)
		if err != nil {
			return false
		}
		mine = &asked
	}
	return canImport(version, mine)
}

func canImport(version string, mine *rights) bool {
	return version != "" && leavesHalves(version) && mine != nil && mine.administrator
}

// wholeBindings is importsBindings for an observation that has to do with bindings;
// one of everything asks no more than it has asked already.
func (o *observation) wholeBindings(ctx context.Context) bool {
	if o.selection.All {
		return canImport(o.broker.insight.broker())
	}
	return slices.ContainsFunc(o.selection.IDs, func(id topology.ID) bool { return id.Kind == topology.KindBinding }) && o.broker.importsBindings(ctx)
}

// version of the broker.
func (b *Broker) version(c call) (string, error) {
	var overview struct {
		Version string `json:"rabbitmq_version"`
	}
	if err := c.get("overview?disable_stats=true&columns=rabbitmq_version", &overview); err != nil {
		return "", err
	}
	b.insight.noteVersion(overview.Version)
	return overview.Version, nil
}

// importBindings declares bindings of one virtual host. That it succeeds proves
// nothing: a broker that misses nodes of its cluster says that all is well and has
// declared none.
func (b *Broker) importBindings(ctx context.Context, virtualHost string, wants []*topology.Binding) error {
	wire := make([]rabbithole.BindingInfo, len(wants))
	for i, want := range wants {
		wire[i] = bindingInfo(want)
	}
	err := b.call(uncut(ctx), "import bindings").write(http.MethodPost, join("definitions", virtualHost), map[string]any{"bindings": wire})
	if denied(err) {
		b.insight.noteRights(rights{})
	}
	for _, want := range wants {
		b.uncertain.aboutImport(want, err)
	}
	return err
}

// bindUncut declares a binding by an import. Where the broker refuses, or has
// declared nothing, the call is a plain one, which says better what is wrong.
func bindUncut(ctx context.Context, b *Broker, want *topology.Binding) error {
	if err := addressable(want.VirtualHost, want.Source, want.Destination); err != nil {
		return err
	}
	err := b.importBindings(ctx, want.VirtualHost, []*topology.Binding{want})
	if code := status(err); err != nil && (code < 400 || code >= 500) {
		return err
	}
	if err == nil {
		if found, err := findBinding(b.call(ctx, "import bindings"), want.ID()); err != nil || found != nil {
			return err
		}
	}
	return bind(ctx, b, want)
}

// batched are the steps of a wave that imports take together, by virtual host, and
// the others. One alone is not worth a batch.
func (b *Broker) batched(ctx context.Context, wave []topology.Step, indices []int) (batches map[string][]int, others []int) {
	batches = map[string][]int{}
	for _, i := range indices {
		want, ok := wave[i].Want.(*topology.Binding)
		if ok && wave[i].Verb == topology.VerbCreate && addressable(want.VirtualHost, want.Source, want.Destination) == nil && b.imports(ctx, want) {
			batches[want.VirtualHost] = append(batches[want.VirtualHost], i)
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

// importAll declares bindings by imports, and looks once whether they are there. Of
// a batch that fails while the broker is there, each one is tried alone.
func (r *applying) importAll(ctx context.Context, batches map[string][]int) {
	var sent, alone []int
	for _, host := range sortedMapKeys(batches) {
		for batch := range slices.Chunk(batches[host], mostImported) {
			wants := make([]*topology.Binding, len(batch))
			for n, i := range batch {
				wants[n] = r.wave[i].Want.(*topology.Binding)
			}
			err := r.once(ctx, r.wave[batch[0]], func() error { return r.broker.importBindings(ctx, host, wants) })
			if err != nil {
				alone = append(alone, batch...)
			} else {
				sent = append(sent, batch...)
			}
		}
	}
	r.each(ctx, r.unlisted(ctx, sent), func(i int) error {
		return r.settle(ctx, r.wave[i], bind(ctx, r.broker, r.wave[i].Want.(*topology.Binding)))
	})
	r.each(ctx, alone, func(i int) error { return r.step(ctx, r.wave[i]) })
}

// unlisted are those of some bindings that the broker does not list; none if it
// cannot be asked, which whoever reads back what was done finds out.
func (r *applying) unlisted(ctx context.Context, indices []int) []int {
	if len(indices) == 0 {
		return nil
	}
	ids := make([]topology.ID, len(indices))
	wanted := make(map[topology.ID]bool, len(indices))
	for n, i := range indices {
		ids[n] = r.wave[i].ID
		wanted[ids[n]] = true
	}
	o := &observation{broker: r.broker, found: newCollector()}
	if err := o.run(ctx, o.plan(map[topology.Kind][]topology.ID{topology.KindBinding: ids}, func(id topology.ID) bool { return wanted[id] })); err != nil {
		return nil
	}
	return slices.DeleteFunc(indices, func(i int) bool { return o.found.objects[r.wave[i].ID] != nil })
}
