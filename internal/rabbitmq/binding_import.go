package rabbitmq

import (
	"context"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// imports tells whether a binding is to be declared by an import. A source whose type
// is not known may be a topic exchange; for all others it makes no difference.
func (b *Broker) imports(ctx context.Context, binding *topology.Binding) bool {
	return !b.insight.whole(binding.SourceID()) && b.importsBindings(ctx)
}

// importsBindings asks the broker, once, what a look at everything would have told.
// Where it does not say, calls are plain ones.
func (b *Broker) importsBindings(ctx context.Context) bool {
	version, _ := b.insight.broker()
	if version == "" {
		var err error
		if version, err = b.version(b.call(ctx, "check access")); err != nil {
			return false
		}
	}
	return version != "" && leavesHalves(version) && b.administers(ctx)
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

// bindUncut declares a binding by an import, if the broker lets it.
func bindUncut(ctx context.Context, b *Broker, want *topology.Binding) error {
	if err := addressable(want.VirtualHost, want.Source, want.Destination); err != nil {
		return err
	}
	return b.declareUncut(ctx, want)
}
