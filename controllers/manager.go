package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Leader election uses a lease in the controller's own namespace.
//
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,namespace=warrener-system,verbs=get;create;update

// DefaultInterval is the time between two drift checks of a connection that
// names none. A check costs a handful of reads, whatever the size.
const DefaultInterval = 5 * time.Minute

// workers is how many lanes run at a time. A lane that waits for a dead broker
// costs a goroutine and nothing else, so there are enough of them.
const workers = 256

// Backoff of a lane that failed for want of the API server: it is back within
// seconds, mostly, everything waits for it, and work is to go on within 20 s of
// its return.
const (
	firstBackoff   = 50 * time.Millisecond
	longestBackoff = 5 * time.Second
)

// Options configure the controllers.
type Options struct {
	// InventoryNamespace is where the BrokerInventory objects are; the
	// controller's own namespace.
	InventoryNamespace string
	// WatchNamespaces limits what is watched; empty is everything. The
	// manager's cache must be limited to the same.
	WatchNamespaces []string
	// Interval between two drift checks; DefaultInterval if zero.
	Interval time.Duration
	// QueueMetrics serves the depth and the consumers of every owned queue, a
	// series each.
	QueueMetrics bool
	// Leading is asked before anything is written to a broker, and fails it; nil:
	// it may always be.
	Leading func() error
	// Shards are the part of the work that is this replica's; nil: all of it is.
	Shards *Shards
	// Identity of this process in the inventory, for people.
	Identity string
}

// Setup adds the controllers to a manager.
func Setup(mgr manager.Manager, options Options) error {
	if options.Interval == 0 {
		options.Interval = DefaultInterval
	}
	r := &Registry{
		options: options, client: mgr.GetClient(), reader: mgr.GetAPIReader(), log: mgr.GetLogger().WithName("registry"),
		events: mgr.GetEventRecorder("warrener"), intake: newIntake(),
		sessions: map[topology.ConnectionKey]*session{},
		clusters: map[clusterKey]*engine.Cluster{},
	}
	published := newContracts(mgr.GetClient(), mgr.GetAPIReader(), time.Now)
	published.render = r.contractOf
	r.status = newStatusWriter(mgr.GetClient(), published, mgr.GetLogger().WithName("status"), time.Now)
	r.status.retry = r.lookAgain
	r.status.enter = r.entered
	r.status.transition = func(object v1alpha1.Object, before, after v1alpha1.ObjectStatus) {
		announceObject(r.events, object, before, after)
	}
	if err := mgr.Add(r.status); err != nil {
		return fmt.Errorf("add the status writer: %w", err)
	}
	operationMetrics.watch(r)
	if err := mgr.Add(manager.RunnableFunc(r.lookForStranded)); err != nil {
		return fmt.Errorf("add the search for operations: %w", err)
	}
	c, err := controller.NewTyped("clusters", mgr, controller.TypedOptions[Request]{
		Reconciler: r, MaxConcurrentReconciles: workers,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[Request](firstBackoff, longestBackoff),
	})
	if err != nil {
		return fmt.Errorf("make the controller: %w", err)
	}
	if shards := options.Shards; shards != nil {
		shards.took, shards.lost = r.takeOver, r.forgetShard
		if err := mgr.Add(shards); err != nil {
			return fmt.Errorf("add the shards: %w", err)
		}
	}
	return r.watch(mgr, c)
}

// watch registers the sources: every kind, and the queue itself.
func (r *Registry) watch(mgr manager.Manager, c controller.TypedController[Request]) error {
	sources := []source.TypedSource[Request]{
		source.TypedFunc[Request](func(_ context.Context, q queue) error {
			r.queue = func(request Request, after time.Duration) { q.AddAfter(request, after) }
			if r.options.Shards != nil {
				close(r.options.Shards.ready)
			}
			return nil
		}),
	}
	for _, object := range v1alpha1.NewObjects() {
		if err := mgr.GetFieldIndexer().IndexField(context.Background(), object, connectionField, indexByConnection); err != nil {
			return fmt.Errorf("index %s by connection: %w", object.KindName(), err)
		}
		sources = append(sources, r.watchObjects(mgr.GetCache(), object))
	}
	for _, connection := range v1alpha1.NewConnections() {
		sources = append(sources, r.watchConnections(mgr.GetCache(), connection))
	}
	for _, s := range sources {
		if err := c.Watch(s); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
	}
	return nil
}

// Reconcile implements reconcile.TypedReconciler.
func (r *Registry) Reconcile(ctx context.Context, request Request) (reconcile.Result, error) {
	leave, mine, err := r.enter(ctx, request.Connection)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !mine {
		return reconcile.Result{RequeueAfter: r.leaveToOthers(request.Connection)}, nil
	}
	defer leave()
	switch request.Lane {
	case LaneSweep:
		return r.sweep(ctx, request.Connection)
	case LaneRollOut:
		return r.rollOut(ctx, request.Connection)
	case LaneOperations:
		return r.operations(ctx, request.Connection)
	default:
		return r.edits(ctx, request.Connection)
	}
}

// lookAgain has an object looked at once more.
func (r *Registry) lookAgain(key topology.OwnerKey) {
	object := r.cached(key)
	if object == nil {
		return
	}
	connection := compile.ConnectionOf(object)
	r.intake.add(connection, key, nil)
	r.queue(Request{connection, LaneEdits}, 0)
}
