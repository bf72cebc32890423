package rabbitmq

import (
	"context"
	"sync"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// readersAge is how long the consumers of depths are good for. Their listing is
// the longest of all, more than a kilobyte a consumer.
const readersAge = 30 * time.Second

// depths fills in the depths of the queues that the selection names: one or two
// more requests, or none where usage has read the same already.
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
		c := o.broker.call(ctx, "read depths")
		readers, told := o.broker.recent.readers(o.broker, c, host)
		var err error
		if found, err = o.broker.totals(c, host, readers); err != nil {
			return
		}
		if !told {
			for id, used := range found {
				used.consumers = topology.UnknownCount
				found[id] = used
			}
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

// recentReaders are the consumers that were counted last.
type recentReaders struct {
	mu   sync.Mutex
	at   time.Time
	host string
	of   map[topology.ID]int64
}

// readers counts the consumers in a virtual host, "" for the cluster, unless it
// did a moment ago. False: the broker does not tell.
func (r *recentReaders) readers(b *Broker, c call, virtualHost string) (map[topology.ID]int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of != nil && r.host == virtualHost && time.Since(r.at) < readersAge {
		return r.of, true
	}
	found, err := b.readers(c, virtualHost)
	if err != nil {
		return nil, false
	}
	r.at, r.host, r.of = time.Now(), virtualHost, found
	return found, true
}
