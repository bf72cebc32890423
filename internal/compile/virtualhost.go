package compile

import (
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

func virtualHost(v *v1alpha1.VirtualHost, d *draft) {
	spec := &v.Spec
	d.name(nameField(spec.Name), v.BrokerName())
	wanted := &topology.VirtualHost{Name: v.BrokerName(), Description: declared(spec.Description)}
	if len(spec.Tags) > 0 {
		wanted.Tags = slices.Clone(spec.Tags)
	}
	if spec.DefaultQueueType != "" {
		oneOf(d, "spec.defaultQueueType", spec.DefaultQueueType, queueTypes...)
		wanted.DefaultQueueType = declared(string(spec.DefaultQueueType))
	}
	if spec.Limits != nil {
		wanted.MaxConnections = clone(spec.Limits.MaxConnections)
		wanted.MaxQueues = clone(spec.Limits.MaxQueues)
	}
	d.want(wanted)
}

// declared is nil for a field that is not written.
func declared(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// clone keeps a claim free of pointers into a custom resource, which belongs to
// a cache.
func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	value := *p
	return &value
}
