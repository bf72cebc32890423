package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Observe implements topology.Observer. Everything costs six requests whatever
// there is, with policies eight, with depths of queues seven or eight, with usage of queues and exchanges up to
// nine, depths included; few objects cost a
// request each (a virtual host two, policies two for all of a virtual host, two bindings between the same ends one),
// and one to four more if objects are missing.
func (b *Broker) Observe(ctx context.Context, selection topology.Selection) (*topology.Snapshot, error) {
	o := &observation{broker: b, selection: selection, found: newCollector()}
	read := o.some
	if selection.All {
		read = o.all
	}
	if err := read(ctx); err != nil {
		return nil, b.classify("list", topology.ID{}, err)
	}
	if len(selection.Usage) > 0 {
		if err := o.usage(ctx); err != nil {
			return nil, b.classify("read usage", topology.ID{}, err)
		}
	}
	o.depths(ctx)
	b.insight.noteObserved(o.found.objects, selection.All)
	return &topology.Snapshot{
		Objects: o.found.objects, Unread: o.found.unread, Selection: selection, Usage: o.used, Depths: o.depth, Policies: o.book,
		WholeBindings: o.wholeBindings(ctx),
	}, nil
}

// observation is one call of Observe.
type observation struct {
	broker    *Broker
	selection topology.Selection
	found     *collector
	used      map[topology.ID]topology.Usage
	depth     map[topology.ID]topology.Depth
	book      *topology.PolicyBook
	// queues is what usage has read of the queues in the virtual host queuesOf,
	// "" for the cluster; nil if it has read none.
	queues   map[topology.ID]queueUsage
	queuesOf string
}

func (o *observation) all(ctx context.Context) error {
	var mine rights
	tasks := []task{func(c call) (err error) {
		mine, err = o.broker.rights(c)
		return err
	}}
	for name := range kinds {
		if name != topology.KindPolicy {
			tasks = append(tasks, o.listing(name, "", everything))
		}
	}
	if o.selection.Policies {
		tasks = append(tasks, o.policies("", everything)...)
	}
	if err := o.run(ctx, tasks); err != nil {
		return err
	}
	if reason := o.broker.unlisted(mine); reason != nil {
		o.found.unread[topology.UnlistedVirtualHosts] = reason
	}
	o.admit(everything)
	for id := range o.found.objects {
		if id.Kind != topology.KindVirtualHost {
			continue
		}
		if _, seen := o.found.objects[topology.ExchangeID(id.Name, wellKnown)]; !seen {
			o.found.unread[id] = o.broker.inside()
		}
	}
	return nil
}

func (o *observation) some(ctx context.Context) error {
	wanted := make(map[topology.ID]bool, len(o.selection.IDs))
	byKind := map[topology.Kind][]topology.ID{}
	for _, id := range o.selection.IDs {
		if _, known := kinds[id.Kind]; known && !wanted[id] {
			wanted[id] = true
			byKind[id.Kind] = append(byKind[id.Kind], id)
		}
	}
	keep := func(id topology.ID) bool { return wanted[id] }
	if err := o.run(ctx, o.plan(byKind, keep)); err != nil {
		return err
	}
	o.admit(keep)
	return o.doubtAbsence(ctx, wanted)
}

// plan picks for each kind the requests that find its objects: one each, while
// all kinds together need few or where that is cheaper; else a listing, of the
// virtual host if it is only one.
func (o *observation) plan(byKind map[topology.Kind][]topology.ID, keep func(topology.ID) bool) []task {
	single, total := map[topology.Kind][]string{}, 0
	for name, ids := range byKind {
		single[name] = paths(kinds[name], ids)
		total += max(len(single[name]), 1)
	}
	var tasks []task
	if ids := byKind[topology.KindPolicy]; len(ids) > 0 {
		tasks = o.policies(scopes(ids, 1)[0], keep)
	}
	for name, ids := range byKind {
		if name == topology.KindPolicy {
			continue
		}
		k := kinds[name]
		if single[name] != nil && (total <= maxTargeted || o.broker.sizes.cheaper(name, ids, len(single[name]))) {
			for _, path := range single[name] {
				tasks = append(tasks, o.single(k, path, keep))
			}
			continue
		}
		for _, scope := range scopes(ids, 1) {
			tasks = append(tasks, o.listing(name, scope, keep))
		}
	}
	return tasks
}

// paths are the requests that read these objects one by one, each once; nil if
// they cannot be.
func paths(k kind, ids []topology.ID) []string {
	if k.locate == nil {
		return nil
	}
	var out []string
	for _, id := range ids {
		path, err := k.locate(id)
		if err != nil {
			return nil
		}
		out = append(out, path)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func listingPath(k kind, virtualHost string) string {
	path := k.collection
	if virtualHost != "" && k.scoped {
		path += "/" + join(virtualHost)
	}
	return path + "?columns=" + k.columns
}

func (o *observation) listing(name topology.Kind, virtualHost string, keep func(topology.ID) bool) task {
	return func(c call) error {
		k, rows := kinds[name], map[string]int{}
		resources, unread, err := k.read(c.named("list "+k.collection).within(listingFactor*c.timeout), listingPath(k, virtualHost), func(id topology.ID) bool {
			rows[id.Scope]++
			return keep(id)
		})
		if virtualHost != "" && (notFound(err) || denied(err)) {
			return nil // doubtAbsence finds out what that means
		}
		if err == nil {
			o.broker.sizes.note(name, rows)
		}
		o.found.add(resources, unread, everything)
		return err
	}
}

func (o *observation) single(k kind, path string, keep func(topology.ID) bool) task {
	return func(c call) error {
		resources, unread, err := k.read(c.named("get "+k.collection), path, everything)
		if notFound(err) || denied(err) {
			return nil // doubtAbsence finds out what that means
		}
		o.found.add(resources, unread, keep)
		return err
	}
}

func (o *observation) run(ctx context.Context, tasks []task) error {
	return each(ctx, o.broker.options.Concurrency, tasks, func(ctx context.Context, t task) error {
		return t(o.broker.call(ctx, "list rights"))
	})
}

// doubtAbsence asks, for objects that were not found, whether they would have
// been seen.
func (o *observation) doubtAbsence(ctx context.Context, wanted map[topology.ID]bool) error {
	missing, hosts := map[string]bool{}, false
	for id := range wanted {
		if _, found := o.found.objects[id]; found {
			continue
		}
		if id.Kind == topology.KindVirtualHost {
			hosts = true
		} else {
			missing[id.Scope] = true
		}
	}
	for id := range o.found.objects { // who sees an object sees them all
		if id.Kind != topology.KindVirtualHost {
			delete(missing, id.Scope)
		}
	}
	c := o.broker.call(ctx, "check access")
	if hosts {
		if err := o.doubtVirtualHosts(c, wanted); err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	hidden, err := o.broker.hidden(c, sortedKeys(missing))
	for name, reason := range hidden {
		o.found.unread[topology.VirtualHostID(name)] = reason
	}
	return err
}

func (o *observation) doubtVirtualHosts(c call, wanted map[topology.ID]bool) error {
	mine, err := o.broker.rights(c)
	if err != nil {
		return err
	}
	reason := o.broker.unlisted(mine)
	if reason == nil {
		return nil
	}
	for id := range wanted {
		if _, found := o.found.objects[id]; !found && id.Kind == topology.KindVirtualHost {
			o.found.unread[id] = reason
		}
	}
	return nil
}

// collector gathers what concurrent reads find.
type collector struct {
	mu      sync.Mutex
	objects map[topology.ID]topology.Resource
	unread  map[topology.ID]error
}

func newCollector() *collector {
	return &collector{objects: map[topology.ID]topology.Resource{}, unread: map[topology.ID]error{}}
}

func everything(topology.ID) bool { return true }

func (f *collector) add(resources []topology.Resource, unread map[topology.ID]error, keep func(topology.ID) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, err := range unread {
		if keep(id) {
			f.unread[id] = err
		}
	}
	for _, resource := range resources {
		id := resource.ID()
		if !keep(id) {
			continue
		}
		if same, again := f.objects[id].(*topology.Binding); again {
			resource = merge(same, resource)
		}
		f.objects[id] = resource
	}
}

// merge joins two bindings of one ID: the broker tells a=1 as int16 from a=1 as
// int64, and lists both alike but for the key.
func merge(a *topology.Binding, other topology.Resource) topology.Resource {
	b, ok := other.(*topology.Binding)
	if !ok {
		return other
	}
	out := *a
	out.PropertiesKeys = slices.Concat(a.PropertiesKeys, b.PropertiesKeys)
	slices.Sort(out.PropertiesKeys)
	out.PropertiesKeys = slices.Compact(out.PropertiesKeys)
	return &out
}

// scopes are the virtual hosts to list for these objects: their own if they are
// no more than most, else "" for all at once.
func scopes(ids []topology.ID, most int) []string {
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id.Scope] = true
	}
	if len(seen) > most || addressable(sortedKeys(seen)...) != nil {
		return []string{""}
	}
	return sortedKeys(seen)
}

func sortedKeys(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for key := range set {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func names(ids []topology.ID) []string {
	out := make([]string, 0, 2*len(ids))
	for _, id := range ids {
		out = append(out, id.Scope, id.Name)
	}
	return out
}

func wrongResource(step topology.Step) error {
	return fmt.Errorf("%T in a step for a %s: please report this as a bug", step.Want, step.ID.Kind)
}
