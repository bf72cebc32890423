package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/dial"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/shard"
	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	// longestProbe is the longest wait between two attempts to reach a broker:
	// everything is to be Ready within ten seconds of its return.
	longestProbe = 5 * time.Second
	// authRetry is how soon corrected credentials are noticed.
	authRetry = 5 * time.Second
	// grace is how long a broker may be away before the statuses of objects
	// that were Ready say so too: a restart must not rewrite ten thousand of
	// them twice.
	grace = time.Minute
)

// sweep runs the Sweep lane of a connection: credentials, is the broker there,
// is it the same cluster, is everything as declared.
func (r *Registry) sweep(ctx context.Context, key topology.ConnectionKey) (reconcile.Result, error) {
	s := r.session(key)
	c, err := r.connection(ctx, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if c == nil {
		return r.lingering(s), nil
	}
	if c.IsSuspended() {
		r.suspend(ctx, s, c)
		return reconcile.Result{}, nil
	}
	requested := c.GetAnnotations()[v1alpha1.AnnotationReconcileAt]
	fresh, err := r.connect(ctx, s, c)
	if errors.Is(err, errElsewhere) {
		return reconcile.Result{}, nil
	}
	if err != nil && !concernsBroker(err) {
		return reconcile.Result{}, fmt.Errorf("%s: %w", key, err)
	}
	if err != nil {
		return r.retryConnect(r.troubled(ctx, s, c, err)), nil
	}
	broker, cluster, _ := s.working()
	var all map[topology.OwnerKey]*departure
	if fresh {
		cluster.RetryNow()
		all, err = r.takeInAll(ctx, s, c, cluster)
	} else {
		err = r.takeInRelabelled(ctx, s, c)
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	connectionUp.WithLabelValues(key.String()).Set(1)
	if err = r.forget(ctx, s, c, broker, cluster); err == nil {
		err = r.sweepSlices(ctx, s, c, broker, cluster, fresh)
	}
	if err != nil {
		result, err := r.passFailed(ctx, s, c, err)
		if _, failed := s.inTrouble(); failed {
			r.explainLater(s, staying(all))
		}
		return result, err
	}
	if r.leaves(s) {
		return reconcile.Result{}, nil // whoever is next begins with all of it
	}
	s.swept()
	if !r.outdated(ctx, c) {
		s.answered(requested)
	}
	r.reportConnection(ctx, s, c, cluster)
	return reconcile.Result{RequeueAfter: untilCheck(key, r.intervalOf(c), time.Now())}, nil
}

// untilCheck is the time until the next drift check of a connection. Each has a moment
// of its own within the interval: a hundred that began together, with the process, would
// else check together ever after, and keep edits waiting. A check that would come within
// a tenth of the interval is left out.
func untilCheck(key topology.ConnectionKey, interval time.Duration, now time.Time) time.Duration {
	const moments = 1000
	moment := interval / moments * time.Duration(shard.Of(moments, key.Kind, key.Namespace, key.Name))
	wait := (moment - time.Duration(now.UnixNano())%interval + interval) % interval
	if wait < interval/10 {
		wait += interval
	}
	return wait
}

// sweepSlices checks everything on the connection. The first time, the other lanes begin
// when it is known what is left to them.
func (r *Registry) sweepSlices(ctx context.Context, s *session, c v1alpha1.Connection, broker adapter, cluster *engine.Cluster, first bool) error {
	start := time.Now()
	begin := cluster.BeginSweep
	if first {
		begin = cluster.BeginFirstSweep
	}
	sweep, err := begin(ctx, r.engineSession(s, c, broker, cluster))
	if err != nil {
		return err
	}
	defer sweep.End()
	if first {
		s.recover()
		r.queue(Request{s.key, LaneEdits}, 0)
	}
	if r.options.QueueMetrics {
		depths.set(s.key, sweep.Depths())
	}
	held := map[plan.Reason]int{}
	for !sweep.Done() && !r.outdated(ctx, c) && !r.leaves(s) {
		report, err := sweep.Slice(ctx)
		if report != nil {
			r.publish(ctx, s, c, LaneSweep, report, cluster, time.Since(start))
			for reason, n := range report.Held {
				held[reason] += n
			}
		}
		if err != nil {
			return err
		}
		start = time.Now()
	}
	r.wakeOthers(s, cluster)
	if at, any := cluster.Next(s.key); any {
		r.queue(Request{s.key, LaneEdits}, max(time.Until(at), 0))
	}
	r.queueOperations(s.key, cluster)
	countHeld(s.key, held)
	return nil
}

// outdated tells whether a connection has been edited since it was read: what
// is under way under the old spec ends, and a sweep under the new one is queued
// already. Suspending takes effect within a slice, for example.
func (r *Registry) outdated(ctx context.Context, c v1alpha1.Connection) bool {
	now, err := r.connection(ctx, keyOfConnection(c))
	return err == nil && (now == nil || now.GetUID() != c.GetUID() || now.GetGeneration() != c.GetGeneration())
}

// connect makes sure that the session has an adapter with the credentials of
// this moment, and that the broker behind it answers and is the one it was.
// fresh says that everything must be looked at anew: until then the session does not
// work.
func (r *Registry) connect(ctx context.Context, s *session, c v1alpha1.Connection) (fresh bool, err error) {
	m, err := readMaterial(ctx, r.reader, c)
	if err != nil {
		return false, err
	}
	next, isNew, err := s.dialled(c, m, r.permit(s))
	if err != nil {
		return false, err
	}
	who, err := r.identify(ctx, s, c, next)
	if err != nil {
		if isNew {
			next.Close()
		}
		return false, err
	}
	if r.elsewhere(s, c.BrokerType(), who.clusterID) {
		if isNew {
			next.Close()
		}
		return false, r.handOver(ctx, s, c, who.clusterID)
	}
	cluster := r.cluster(c.BrokerType(), who.clusterID)
	s.mu.Lock()
	if isNew {
		closeLater(s.adapter)
		s.adapter, s.fingerprint = next, m.Fingerprint
	}
	defer s.mu.Unlock()
	if s.cluster != cluster || s.generation != c.GetGeneration() ||
		s.identity.version != who.version { // claims depend on it
		s.up = false
	}
	s.cluster, s.clusterID, s.identity = cluster, who.clusterID, who
	s.generation = c.GetGeneration()
	return !s.up, nil
}

// dialled returns the adapter that stands, or a new one if anything that it is
// built from has changed. A new one is not used before it has proved itself.
func (s *session) dialled(c v1alpha1.Connection, m dial.Material, permit topology.Permit) (next adapter, isNew bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = time.Time{}
	if rabbit, ok := c.(*v1alpha1.RabbitMQConnection); ok {
		s.virtualHost = rabbit.GetVirtualHost()
	}
	s.approval = c.GetApproval()
	if s.adapter != nil && s.fingerprint == m.Fingerprint {
		return s.adapter, false, nil
	}
	next, err = adapterOf(c, m, countRequests(s.key), permit)
	return next, true, err
}

// identify asks who answers, and whether it is the cluster that it was. Of one
// that was left for good the inventory is dropped.
func (r *Registry) identify(ctx context.Context, s *session, c v1alpha1.Connection, next adapter) (identity, error) {
	who, err := next.probe(ctx)
	if err != nil {
		return who, err
	}
	was := s.knownCluster(c)
	if err := clusterChanged(c, was, who.clusterID); err != nil {
		return who, err
	}
	if was != "" && was != who.clusterID {
		return who, r.cluster(c.BrokerType(), was).Abandon(ctx, s.key)
	}
	return who, nil
}

// changedCluster says that a connection reaches another cluster than before.
type changedCluster struct{ was, is string }

func (e *changedCluster) Error() string {
	return fmt.Sprintf("it reached cluster %s and now reaches %s; nothing is written there until the annotation %s: %s is set",
		e.was, e.is, v1alpha1.AnnotationAcceptCluster, e.is)
}

// clusterChanged compares with the cluster that it was: a DNS entry that moved
// must not lead to a second topology, or to deletions in the wrong place.
func clusterChanged(c v1alpha1.Connection, was, id string) error {
	if was == "" || was == id || c.GetAnnotations()[v1alpha1.AnnotationAcceptCluster] == id {
		return nil
	}
	return &changedCluster{was: was, is: id}
}

// takeInAll turns all objects of a connection that begins to work into claims, and what
// was heard of meanwhile. It returns these.
func (r *Registry) takeInAll(ctx context.Context, s *session, c v1alpha1.Connection, cluster *engine.Cluster) (map[topology.OwnerKey]*departure, error) {
	s.takingIn.Lock()
	defer s.takingIn.Unlock()
	objects, err := r.objectsOf(ctx, s.key)
	if err != nil {
		return nil, err
	}
	all := map[topology.OwnerKey]*departure{}
	for _, object := range objects {
		all[keyOf(object)] = nil
	}
	maps.Copy(all, r.intake.take(s.key))
	if err := r.takeIn(ctx, s, c, cluster, all); err != nil {
		r.intake.giveBack(s.key, all)
		return nil, err
	}
	return all, nil
}

// takeInRelabelled notes what a selector has come to admit, or ceased to.
func (r *Registry) takeInRelabelled(ctx context.Context, s *session, c v1alpha1.Connection) error {
	changed, err := r.relabelled(ctx, s, c)
	if err != nil || len(changed) == 0 {
		return err
	}
	r.takeInLater(s.key, changed)
	return nil
}

// lingering keeps the session of a connection that is gone for a moment, then
// drops it. What could not be deleted by then stays in the inventory.
func (r *Registry) lingering(s *session) reconcile.Result {
	s.mu.Lock()
	if s.gone.IsZero() {
		s.gone = time.Now()
	}
	rest := linger - time.Since(s.gone)
	s.mu.Unlock()
	r.reportOrphans(s)
	if rest > 0 {
		return reconcile.Result{RequeueAfter: rest}
	}
	if cluster := s.attached(); cluster != nil {
		cluster.Forsake(s.key) // their end would not be heard of any more
	}
	r.drop(s)
	return reconcile.Result{}
}

// suspend stops all work on a connection, and says so on its objects: what is
// not looked at is not known to be well.
func (r *Registry) suspend(ctx context.Context, s *session, c v1alpha1.Connection) {
	depths.set(s.key, nil)
	t, _ := s.fail(v1alpha1.ReasonSuspended, "suspended: nothing is read or written until spec.suspend is false", false, time.Now())
	r.reportConnection(ctx, s, c, s.attached())
	r.tell(ctx, s, t)
}

// tell writes a connection's trouble into the statuses of its objects, once.
func (r *Registry) tell(ctx context.Context, s *session, t trouble) {
	if t.told {
		return
	}
	if objects, err := r.objectsOf(ctx, s.key); err == nil {
		r.status.add(verdictsOn(objects, t.reason, troubleMessage(s.key, t)))
		s.told()
	}
}

// troubled notes what is wrong with a connection and makes it known: in its own
// status at once, in those of its objects once it has lasted.
func (r *Registry) troubled(ctx context.Context, s *session, c v1alpha1.Connection, err error) trouble {
	reason, stalled := troubleReason(err)
	t, news := s.fail(reason, err.Error(), stalled, time.Now())
	connectionUp.WithLabelValues(s.key.String()).Set(0)
	depths.set(s.key, nil) // a gap is truer than what was read before
	r.reportConnection(ctx, s, c, s.attached())
	if news {
		r.log.Info("connection does not work", "connection", s.key.String(), "reason", t.reason, "message", t.message)
		r.queue(Request{s.key, LaneEdits}, 0) // objects with news are told at once
	}
	if time.Since(t.since) >= grace {
		r.tell(ctx, s, t)
	}
	return t
}

// concernsBroker tells trouble of the connection from that of the API server,
// which must not be told as if the broker were away.
func concernsBroker(err error) bool {
	_, isBroker := errors.AsType[*topology.Error](err)
	_, isMissing := errors.AsType[*dial.Missing](err)
	_, isBad := errors.AsType[*dial.Bad](err)
	_, isElsewhere := errors.AsType[*changedCluster](err)
	return isBroker || isMissing || isBad || isElsewhere
}

func troubleReason(err error) (reason string, stalled bool) {
	if _, ok := errors.AsType[*dial.Missing](err); ok {
		return v1alpha1.ReasonSecretNotFound, false
	}
	if _, ok := errors.AsType[*dial.Bad](err); ok {
		return v1alpha1.ReasonInvalidSpec, true
	}
	if _, ok := errors.AsType[*changedCluster](err); ok {
		return v1alpha1.ReasonClusterChanged, true
	}
	switch topology.ClassOf(err) {
	case topology.ClassAuthentication:
		return v1alpha1.ReasonAuthenticationFailed, false
	case topology.ClassAccessDenied:
		return v1alpha1.ReasonAccessDenied, false
	}
	return v1alpha1.ReasonConnectionUnavailable, false
}

// retryConnect paces attempts: soon at first, then every few seconds.
func (r *Registry) retryConnect(t trouble) reconcile.Result {
	switch t.reason {
	case v1alpha1.ReasonConnectionUnavailable:
		wait := min(250*time.Millisecond<<min(t.tries, 6), longestProbe)
		return reconcile.Result{RequeueAfter: wait/2 + rand.N(wait/2)}
	case v1alpha1.ReasonInvalidSpec:
		// Secrets are not watched, so a corrected one is found by looking.
		return reconcile.Result{RequeueAfter: 6 * authRetry}
	}
	return reconcile.Result{RequeueAfter: authRetry - rand.N(time.Second)}
}

func (s *session) told() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble != nil {
		s.trouble.told = true
	}
}

func (s *session) answered(requested string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handled = requested
}

// intervalOf is the time between two drift checks of a connection.
func (r *Registry) intervalOf(c v1alpha1.Connection) time.Duration {
	interval := r.options.Interval
	if own := c.GetInterval(); own != nil {
		interval = own.Duration
	}
	return interval
}
