package controllers

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// +kubebuilder:rbac:groups=topology.warrener.dev,resources=virtualhosts/status;exchanges/status;queues/status;exchangebindings/status;topics/status;rabbitmqconnections/status;kafkaconnections/status,verbs=patch

// statusWriters patch statuses at the same time. The API server on two cores
// is busy with 16; more only queue there.
const statusWriters = 16

// writersForEdits more write statuses of what was edited only: while that is under way, the
// others give way to it with something in hand.
const writersForEdits = 4

// statusWriter writes verdicts while the passes go on. The latest verdict of an
// object wins; one that changes nothing is not written.
type statusWriter struct {
	client client.Client
	log    logr.Logger
	clock  engine.Clock
	// enter begins to write about the objects of a connection, if that is for this
	// replica to do; leave ends it.
	enter func(context.Context, topology.ConnectionKey) (leave func(), mine bool)
	// retry is called for an object whose patch failed for good.
	retry func(topology.OwnerKey)
	// transition is told of every verdict that changed Ready or its reason.
	transition func(object v1alpha1.Object, before, after v1alpha1.ObjectStatus)
	// courtesy has statuses of what is new give way to edits.
	courtesy *topology.Courtesy
	// contracts come before the status, which tells of them.
	contracts *contracts

	mu      sync.Mutex
	wake    *sync.Cond
	queue   *verdictQueue
	inHand  map[topology.OwnerKey]engine.Verdict
	stopped bool
	// recent statuses are newer than the cache's copy of the object.
	recent map[topology.OwnerKey]recentStatus
	// standing verdicts need not be compared again.
	standing *standingVerdicts
}

type recentStatus struct {
	uid     types.UID
	version uint64
	status  v1alpha1.ObjectStatus
}

func newStatusWriter(c client.Client, contracts *contracts, log logr.Logger, clock engine.Clock) *statusWriter {
	w := &statusWriter{
		client: c, log: log, clock: clock, contracts: contracts, courtesy: &topology.Courtesy{},
		queue:  newVerdictQueue(),
		enter:  func(context.Context, topology.ConnectionKey) (func(), bool) { return func() {}, true },
		inHand: map[topology.OwnerKey]engine.Verdict{},
		recent: map[topology.OwnerKey]recentStatus{},

		standing: newStanding(),
	}
	w.wake = sync.NewCond(&w.mu)
	return w
}

// Start implements manager.Runnable.
func (w *statusWriter) Start(ctx context.Context) error {
	var workers sync.WaitGroup
	for range statusWriters {
		workers.Go(func() { w.work(ctx, false) })
	}
	for range writersForEdits {
		workers.Go(func() { w.work(ctx, true) })
	}
	<-ctx.Done()
	w.mu.Lock()
	w.stopped = true
	w.wake.Broadcast()
	w.mu.Unlock()
	workers.Wait()
	return nil
}

// add queues verdicts.
func (w *statusWriter) add(verdicts []engine.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range verdicts {
		if !w.standing.has(v) {
			w.standing.drop(v.Owner.OwnerKey)
			w.queue.add(v)
		}
	}
	w.wake.Broadcast()
}

// hasWord tells whether an object's status is about its present generation, or is about to
// be: the cache may be behind.
func (w *statusWriter) hasWord(object v1alpha1.Object) bool {
	key := keyOf(object)
	w.mu.Lock()
	queued, inHand := w.queue.latest[key].Owner, w.inHand[key].Owner
	w.mu.Unlock()
	for _, owner := range []topology.Owner{queued, inHand} {
		if owner.UID == string(object.GetUID()) && owner.Generation == object.GetGeneration() {
			return true
		}
	}
	status, _ := w.present(key, object)
	return status.ObservedGeneration == object.GetGeneration()
}

// heard is told of whatever happens to an object, its status included.
func (w *statusWriter) heard(key topology.OwnerKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.standing.heard(key)
}

// next waits for a verdict whose object no other worker has in hand, be it edited or any.
func (w *statusWriter) next(edited bool) (engine.Verdict, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.stopped {
			return engine.Verdict{}, false
		}
		if v, ok := w.queue.take(w.inHand, edited); ok {
			w.inHand[v.Owner.OwnerKey] = v
			return v, true
		}
		w.wake.Wait()
	}
}

func (w *statusWriter) work(ctx context.Context, edited bool) {
	for {
		v, ok := w.next(edited)
		if !ok {
			return
		}
		if !isEdited(v) {
			w.courtesy.GiveWay(ctx)
		}
		if err := w.write(ctx, v); err != nil && ctx.Err() == nil {
			if !apierrors.IsConflict(err) {
				w.log.Error(err, "status or contract not written", "object", v.Owner.OwnerKey.String())
			}
			time.AfterFunc(time.Second, func() { w.retry(v.Owner.OwnerKey) })
		}
		w.mu.Lock()
		delete(w.inHand, v.Owner.OwnerKey)
		w.wake.Broadcast() // who is woken alone may be there for something else
		w.mu.Unlock()
	}
}

// write publishes the contract and patches the status, unless it says so already.
func (w *statusWriter) write(ctx context.Context, v engine.Verdict) error {
	key := v.Owner.OwnerKey
	w.mu.Lock()
	heard := w.standing.news
	w.mu.Unlock()
	object := v1alpha1.NewObject(key.Kind)
	if err := w.client.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, object); err != nil {
		if apierrors.IsNotFound(err) {
			w.forget(key)
		}
		return client.IgnoreNotFound(err)
	}
	if string(object.GetUID()) != v.Owner.UID {
		return nil // another object by now, with a verdict of its own to come
	}
	leave, mine := w.enter(ctx, compile.ConnectionOf(object))
	if !mine {
		w.forget(key) // who works on it now writes what it finds
		return nil
	}
	defer leave()
	before, read := w.present(key, object)
	after := objectStatus(w.clock(), before, object.BrokerName(), v)
	unpublished := w.contracts.publish(ctx, object, v, &after)
	if reflect.DeepEqual(before, after) {
		if unpublished == nil && v1alpha1.ContractConfigMap(object) == "" { // what a contract says depends on more than the verdict
			w.stands(v, heard)
		}
		return unpublished
	}
	return errors.Join(unpublished, w.patch(ctx, key, object, read, before, after))
}

// stands notes that the status says a verdict, unless something has been heard since it
// was read, or another verdict is to be written.
func (w *statusWriter) stands(v engine.Verdict, since uint64) {
	key := v.Owner.OwnerKey
	w.mu.Lock()
	defer w.mu.Unlock()
	_, queued := w.queue.latest[key]
	_, ahead := w.recent[key]
	if !queued && !ahead {
		w.standing.put(v, since)
	}
}

// patch writes what differs. An approval that came meanwhile stays: it is named
// only to take away one that is outdated, and then no other version of the object
// than the one that was read is changed.
func (w *statusWriter) patch(ctx context.Context, key topology.OwnerKey, object v1alpha1.Object, read string, before, after v1alpha1.ObjectStatus) error {
	object.SetResourceVersion(read)
	base := object.DeepCopyObject().(v1alpha1.Object)
	*base.GetStatus() = before
	*object.GetStatus() = after
	patch := client.MergeFrom(base)
	if before.ApprovedPlan != after.ApprovedPlan {
		patch = client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
	}
	err := w.client.Status().Patch(ctx, object, patch)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	after.ApprovedPlan = object.GetStatus().ApprovedPlan // it may have come meanwhile
	w.remember(key, object, after)
	w.transition(object, before, after)
	return nil
}

// present is the status as it is on the server, as far as is known, and the
// version of the object that has it: the cache's, or our own last word if that is
// newer.
func (w *statusWriter) present(key topology.OwnerKey, object v1alpha1.Object) (v1alpha1.ObjectStatus, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	own, ok := w.recent[key]
	if !ok {
		return *object.GetStatus().DeepCopy(), object.GetResourceVersion()
	}
	if own.uid != object.GetUID() || version(object) >= own.version {
		delete(w.recent, key) // the cache has caught up
		return *object.GetStatus().DeepCopy(), object.GetResourceVersion()
	}
	return *own.status.DeepCopy(), strconv.FormatUint(own.version, 10)
}

func (w *statusWriter) remember(key topology.OwnerKey, object v1alpha1.Object, status v1alpha1.ObjectStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recent[key] = recentStatus{uid: object.GetUID(), version: version(object), status: status}
}

// forget drops what was written of an object that is gone.
func (w *statusWriter) forget(key topology.OwnerKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.recent, key)
	w.standing.drop(key)
	w.contracts.forget(key)
}

// version reads a resource version as the number that it is: the API promises
// since Kubernetes 1.35 that two of one resource can be compared, and every
// server before it behaved so.
func version(object client.Object) uint64 {
	n, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0 // never newer than the cache
	}
	return n
}
