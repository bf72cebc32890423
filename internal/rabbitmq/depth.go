package rabbitmq

import (
	"context"

	"github.com/warrener-dev/warrener/internal/topology"
)

// depths fills in the depths of the queues that the selection names: two more
// requests, or none where usage has read the same already.
//
// The listing of totals has all that the listing of queues has, and does not
// replace it: totals are asked of the queues themselves, so that one whose
// process does not answer is missing there, and would be taken for gone. What
// cannot be read is left out: nothing is decided by depths.
func (o *observation) depths(ctx context.Context) {
	var ids []topology.ID
	for _, id := range o.selection.Depths {
		if id.Kind == topology.KindQueue {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	found, host := o.queues, scopes(ids, 1)[0]
	if found == nil || o.queuesOf != "" && o.queuesOf != host {
		var err error
		if found, err = o.broker.queueUsage(o.broker.call(ctx, "read depths"), host); err != nil {
			return
		}
	}
	o.depth = make(map[topology.ID]topology.Depth, len(ids))
	for _, id := range ids {
		if used, ok := found[id]; ok {
			o.depth[id] = used.depth()
		}
	}
}

func (u queueUsage) depth() topology.Depth {
	out := topology.Depth{Messages: topology.UnknownCount, Consumers: u.consumers}
	if u.messages != nil && u.kind != topology.QueueTypeStream {
		out.Messages = *u.messages
	}
	return out
}
