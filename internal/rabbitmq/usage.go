package rabbitmq

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/warrener-dev/warrener/internal/topology"
)

// queueUsage is what a queue holds, and who reads from it.
type queueUsage struct {
	kind string
	// messages is nil where the broker does not tell: streams, and queues
	// without a leader.
	messages       *int64
	unacknowledged int64
	consumers      int64
}

// usage in the words of the vocabulary. Totals of classic queues are exact,
// those of quorum queues 3 to 5 s old.
func (u queueUsage) usage() topology.Usage {
	out := topology.Usage{Consumers: u.consumers, Delayed: u.kind == topology.QueueTypeQuorum}
	if u.messages == nil || u.kind == topology.QueueTypeStream {
		out.Unknown = true
		return out
	}
	out.Messages = *u.messages
	return out
}

// reason tells why the queue must stay; empty if it may go.
func (u queueUsage) reason() string {
	var reasons []string
	switch {
	case u.kind == topology.QueueTypeStream:
		return "RabbitMQ does not tell what a stream holds: it is deleted only under deletionPolicy: Delete"
	case u.messages == nil:
		reasons = append(reasons, "RabbitMQ does not tell how many messages it holds")
	case *u.messages > 0 && u.unacknowledged > 0:
		reasons = append(reasons, fmt.Sprintf("it holds %s (%d unacknowledged)", count(*u.messages, "message"), u.unacknowledged))
	case *u.messages > 0:
		reasons = append(reasons, "it holds "+count(*u.messages, "message"))
	}
	if u.consumers > 0 {
		reasons = append(reasons, "it has "+count(u.consumers, "consumer"))
	}
	return strings.Join(reasons, ", and ")
}

type wireTotals struct {
	Name           string `json:"name"`
	VirtualHost    string `json:"vhost"`
	Type           string `json:"type"`
	Messages       *int64 `json:"messages"`
	Unacknowledged *int64 `json:"messages_unacknowledged"`
}

type wireConsumer struct {
	Queue struct {
		Name        string `json:"name"`
		VirtualHost string `json:"vhost"`
	} `json:"queue"`
}

// queueUsage reads totals and consumers of all queues of a virtual host, or of
// the cluster if it is "": two requests. The totals listing has no consumers,
// and that of single queues has no totals on 3.10 and lies for seconds on all.
func (b *Broker) queueUsage(c call, virtualHost string) (map[topology.ID]queueUsage, error) {
	// Consumers first: one that took the last message and left would else be
	// seen nowhere.
	readers, err := b.readers(c, virtualHost)
	if err != nil {
		return nil, err
	}
	return b.totals(c, virtualHost, readers)
}

// readers counts the consumers of each queue that has any.
func (b *Broker) readers(c call, virtualHost string) (map[topology.ID]int64, error) {
	var consumers []wireConsumer
	if err := c.within(listingFactor*b.options.Timeout).get("consumers"+scopePath(virtualHost), &consumers); err != nil {
		return nil, err
	}
	out := map[topology.ID]int64{}
	for _, consumer := range consumers {
		out[topology.QueueID(consumer.Queue.VirtualHost, consumer.Queue.Name)]++
	}
	return out, nil
}

// totals reads what queues hold, and adds who reads them.
func (b *Broker) totals(c call, virtualHost string, readers map[topology.ID]int64) (map[topology.ID]queueUsage, error) {
	const exact = "?disable_stats=true&enable_queue_totals=true&columns=name,vhost,type,messages,messages_unacknowledged"
	var totals []wireTotals
	if err := c.within(listingFactor*b.options.Timeout).get("queues"+scopePath(virtualHost)+exact, &totals); err != nil {
		return nil, err
	}
	out := make(map[topology.ID]queueUsage, len(totals))
	for _, t := range totals {
		id := topology.QueueID(t.VirtualHost, t.Name)
		u := queueUsage{kind: t.Type, messages: t.Messages, consumers: readers[id]}
		if t.Unacknowledged != nil {
			u.unacknowledged = *t.Unacknowledged
		}
		out[id] = u
	}
	return out, nil
}

func scopePath(virtualHost string) string {
	if virtualHost == "" {
		return ""
	}
	return "/" + join(virtualHost)
}

// bindingsOf lists the bindings that have the exchange as source or
// destination.
func (b *Broker) bindingsOf(c call, exchange topology.ID) ([]topology.Resource, error) {
	var out []topology.Resource
	for _, end := range []string{"source", "destination"} {
		found, _, err := readAs[wireBinding](c, join("exchanges", exchange.Scope, exchange.Name, "bindings", end))
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// countObjects counts what a virtual host holds that RabbitMQ did not put there
// itself: queues, exchanges, bindings, and the policies as far as the user may
// list them.
func (b *Broker) countObjects(c call, virtualHost string) (int64, error) {
	var total int64
	for _, k := range []kind{queueKind, exchangeKind, bindingKind} {
		resources, unread, err := k.read(c, k.collection+"/"+join(virtualHost)+"?columns="+k.columns, everything)
		if err != nil {
			return 0, err
		}
		total += int64(len(unread))
		for _, resource := range resources {
			if !systemExchange(resource.ID().Name) || resource.ID().Kind != topology.KindExchange {
				total++
			}
		}
	}
	var policies []struct{}
	if err := c.get("policies/"+join(virtualHost), &policies); err != nil && !denied(err) {
		return 0, err
	}
	return total + int64(len(policies)), nil
}

// usage fills in the usage of the objects that the selection names. What cannot
// be read is left out, which callers take for used.
func (o *observation) usage(ctx context.Context) error {
	byKind := map[topology.Kind][]topology.ID{}
	for _, id := range o.selection.Usage {
		byKind[id.Kind] = append(byKind[id.Kind], id)
	}
	out := map[topology.ID]topology.Usage{}
	var mu sync.Mutex
	put := func(id topology.ID, u topology.Usage) {
		mu.Lock()
		defer mu.Unlock()
		out[id] = u
	}
	exchanges, hosts := o.exchangeUsages, o.virtualHostUsages
	if o.selection.All {
		exchanges, hosts = o.exchangeUsagesFromAll, o.virtualHostUsagesFromAll
	}
	tasks := slices.Concat(
		o.queueUsages(byKind[topology.KindQueue], put),
		exchanges(byKind[topology.KindExchange], put),
		hosts(byKind[topology.KindVirtualHost], put),
	)
	err := each(ctx, o.broker.options.Concurrency, tasks, func(ctx context.Context, t task) error {
		if err := t(o.broker.call(ctx, "read usage")); err != nil && !notFound(err) && !denied(err) {
			return err
		}
		return nil
	})
	o.used = out
	return err
}

type task func(call) error

type putUsage func(topology.ID, topology.Usage)

func (o *observation) queueUsages(ids []topology.ID, put putUsage) []task {
	var tasks []task
	for _, host := range scopes(ids, 1) {
		tasks = append(tasks, func(c call) error {
			found, err := o.broker.queueUsage(c, host)
			o.queues, o.queuesOf = found, host // the only task of its kind
			for _, id := range ids {
				if u, ok := found[id]; ok {
					put(id, u.usage())
				}
			}
			return err
		})
	}
	return tasks
}

// fewExchanges have their bindings read one by one; of more, the listing is
// read.
const fewExchanges = 4

func (o *observation) exchangeUsages(ids []topology.ID, put putUsage) []task {
	var tasks []task
	if len(ids) <= fewExchanges && addressable(names(ids)...) == nil {
		for _, id := range ids {
			tasks = append(tasks, func(c call) error {
				found, err := o.broker.bindingsOf(c, id)
				if err == nil {
					put(id, usageOfExchange(id, found))
				}
				return err
			})
		}
		return tasks
	}
	for _, host := range scopes(ids, 1) {
		tasks = append(tasks, func(c call) error {
			found, _, err := bindingKind.read(c.within(listingFactor*c.timeout), listingPath(bindingKind, host), everything)
			if err != nil {
				return err
			}
			for _, id := range ids {
				put(id, usageOfExchange(id, found))
			}
			return nil
		})
	}
	return tasks
}

// exchangeUsagesFromAll needs no request: the bindings have been read.
func (o *observation) exchangeUsagesFromAll(ids []topology.ID, put putUsage) []task {
	used := map[topology.ID][]topology.ID{}
	for id, resource := range o.found.objects {
		if binding, ok := resource.(*topology.Binding); ok {
			used[binding.SourceID()] = append(used[binding.SourceID()], id)
			if destination := binding.DestinationID(); destination != binding.SourceID() {
				used[destination] = append(used[destination], id)
			}
		}
	}
	for _, id := range ids {
		if o.found.unread[topology.VirtualHostID(id.Scope)] != nil {
			continue
		}
		slices.SortFunc(used[id], topology.ID.Compare)
		put(id, topology.Usage{Bindings: used[id]})
	}
	return nil
}

func usageOfExchange(id topology.ID, all []topology.Resource) topology.Usage {
	var out topology.Usage
	for _, resource := range all {
		binding, ok := resource.(*topology.Binding)
		if ok && (binding.SourceID() == id || binding.DestinationID() == id) {
			out.Bindings = append(out.Bindings, binding.ID())
		}
	}
	slices.SortFunc(out.Bindings, topology.ID.Compare)
	out.Bindings = slices.Compact(out.Bindings)
	return out
}

func (o *observation) virtualHostUsages(ids []topology.ID, put putUsage) []task {
	var tasks []task
	for _, id := range ids {
		if addressable(id.Name) != nil {
			continue
		}
		tasks = append(tasks, func(c call) error {
			objects, err := o.broker.countObjects(c, id.Name)
			if err == nil {
				put(id, topology.Usage{Objects: objects})
			}
			return err
		})
	}
	return tasks
}

// virtualHostUsagesFromAll counts what has been read, and asks for policies
// only.
func (o *observation) virtualHostUsagesFromAll(ids []topology.ID, put putUsage) []task {
	if len(ids) == 0 {
		return nil
	}
	return []task{func(c call) error {
		held := map[string]int64{}
		for id := range o.found.objects {
			if id.Kind == topology.KindPolicy {
				continue // counted below, whether or not they were selected
			}
			if id.Kind != topology.KindExchange || !systemExchange(id.Name) {
				held[id.Scope]++
			}
		}
		var policies []struct {
			VirtualHost string `json:"vhost"`
		}
		if err := c.get("policies", &policies); err != nil && !denied(err) {
			return err
		}
		for _, policy := range policies {
			held[policy.VirtualHost]++
		}
		for _, id := range ids {
			if o.found.unread[id] == nil {
				put(id, topology.Usage{Objects: held[id.Name]})
			}
		}
		return nil
	}}
}

func inUse(format string, args ...any) error {
	return &topology.Error{Class: topology.ClassInUse, Reason: fmt.Sprintf(format, args...)}
}

// refusedInUse and its kin read the 400 of a conditional delete: the broker has
// no status of its own for it.
func refusedInUse(err error) bool     { return refused(err, " in use") }
func refusedNotEmpty(err error) bool  { return refused(err, " not empty") }
func refusedExclusive(err error) bool { return refused(err, "exclusive access") }

func refused(err error, words string) bool {
	return status(err) == http.StatusBadRequest && strings.Contains(err.Error(), words)
}

// count renders "1 message", "3 messages".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
