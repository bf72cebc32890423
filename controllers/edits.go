package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// linger is how long a connection that is gone still serves the deletions that
// come with its own: a namespace takes its Secret, connection and objects away
// in no particular order.
const linger = time.Minute

// edits runs the Edits lane of a connection: what changed, and what is due.
func (r *Registry) edits(ctx context.Context, key topology.ConnectionKey) (reconcile.Result, error) {
	s := r.session(key)
	c, err := r.connection(ctx, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	broker, cluster, changed, err := r.takeInNews(ctx, s, c)
	if err != nil || cluster == nil {
		return reconcile.Result{}, err // the Sweep lane queues this again once it works
	}
	result, err := r.pass(ctx, s, c, LaneEdits, broker, cluster)
	if _, failed := s.inTrouble(); failed {
		r.explainLater(s, staying(changed))
	}
	return result, err
}

// takeInLater gives objects back as if they had changed, and has the Edits lane see to them.
func (r *Registry) takeInLater(key topology.ConnectionKey, changed map[topology.OwnerKey]*departure) {
	r.intake.giveBack(key, changed)
	r.queue(Request{key, LaneEdits}, 0)
}

// explainLater has the Edits lane tell objects why nothing happens. With spare credentials it
// would do the same once more, at once and without end: they are kept until it has another reason.
func (r *Registry) explainLater(s *session, changed map[topology.OwnerKey]*departure) {
	if _, _, working := s.working(); working {
		r.intake.giveBack(s.key, changed)
		return
	}
	r.takeInLater(s.key, changed)
}

// takeInNews turns what changed into claims on the cluster that it returns, if the
// connection works; else those who have news are told why nothing happens.
func (r *Registry) takeInNews(ctx context.Context, s *session, c v1alpha1.Connection) (adapter, *engine.Cluster, map[topology.OwnerKey]*departure, error) {
	s.takingIn.Lock()
	defer s.takingIn.Unlock()
	changed := r.intake.take(s.key)
	broker, cluster, working := s.working()
	if c == nil && r.isMine(ctx, s.key) {
		if err := r.explainMissing(ctx, s.key, changed); err != nil {
			r.intake.giveBack(s.key, changed)
			return nil, nil, nil, err
		}
	}
	if !working || !s.upToDate(c) {
		r.explainTrouble(s, c, changed)
		r.intake.giveBack(s.key, changed)
		return nil, nil, nil, nil
	}
	if err := r.takeIn(ctx, s, c, cluster, changed); err != nil {
		r.intake.giveBack(s.key, changed)
		return nil, nil, nil, err
	}
	return broker, cluster, changed, nil
}

// staying leaves out what is gone, which nobody can be told.
func staying(changed map[topology.OwnerKey]*departure) map[topology.OwnerKey]*departure {
	out := map[topology.OwnerKey]*departure{}
	for owner, end := range changed {
		if end == nil {
			out[owner] = nil
		}
	}
	return out
}

// takeIn turns what changed into claims.
func (r *Registry) takeIn(ctx context.Context, s *session, c v1alpha1.Connection, cluster *engine.Cluster, changed map[topology.OwnerKey]*departure) error {
	for owner, end := range changed {
		object := v1alpha1.NewObject(owner.Kind)
		err := r.client.Get(ctx, client.ObjectKey{Namespace: owner.Namespace, Name: owner.Name}, object)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		here := err == nil && compile.ConnectionOf(object) == s.key
		switch {
		case here && c == nil:
			// Without its connection an object is left as it is.
		case here:
			claim, err := r.claim(ctx, object, c, s)
			if err != nil {
				return err
			}
			cluster.SetClaim(claim)
		default:
			if err := r.takeOut(ctx, s, cluster, owner, end); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeOut removes the claim of an object that is gone, or that names another
// connection now. The policy that counts is the one of its final state.
func (r *Registry) takeOut(ctx context.Context, s *session, cluster *engine.Cluster, owner topology.OwnerKey, end *departure) error {
	if known := cluster.Claim(owner); known != nil && known.Connection != s.key && known.Connection != (topology.ConnectionKey{}) {
		return nil // it lives on, through another connection to the same cluster
	}
	witnessed := end != nil && end.last != nil
	if witnessed {
		last, err := r.claim(ctx, end.last, nil, s)
		if err != nil {
			return err
		}
		cluster.SetClaim(last)
	}
	cluster.RemoveClaim(owner, witnessed)
	r.status.forget(owner)
	return nil
}

// rollOut runs the RollOut lane of a connection: what is new or goes, if there is
// much of it. The Edits lane takes it in, and queues this.
func (r *Registry) rollOut(ctx context.Context, key topology.ConnectionKey) (reconcile.Result, error) {
	s := r.session(key)
	c, err := r.connection(ctx, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	broker, cluster, working := s.working()
	var result reconcile.Result
	if working && s.upToDate(c) { // else the Sweep lane queues the edits again once it works
		result, err = r.pass(ctx, s, c, LaneRollOut, broker, cluster)
	}
	if _, failed := s.inTrouble(); failed && cluster != nil {
		// The Edits lane tells those why that have not been told anything yet.
		untold := map[topology.OwnerKey]*departure{}
		for _, owner := range cluster.Owners(key) {
			if cluster.Claim(owner) != nil {
				untold[owner] = nil
			}
		}
		r.explainLater(s, untold)
	}
	return result, err
}

// partOf is what a lane takes up.
var partOf = map[Lane]engine.Part{LaneEdits: engine.Edited, LaneRollOut: engine.RolledOut}

// pass runs one pass of a lane and says when its next one is due.
func (r *Registry) pass(ctx context.Context, s *session, c v1alpha1.Connection, lane Lane, broker adapter, cluster *engine.Cluster) (reconcile.Result, error) {
	start := time.Now()
	report, err := cluster.EditsOf(ctx, r.engineSession(s, c, broker, cluster), partOf[lane])
	if report != nil {
		r.publish(ctx, s, c, lane, report, cluster, time.Since(start))
	}
	r.wakeOthers(s, cluster)
	if err != nil {
		return r.passFailed(ctx, s, c, err)
	}
	r.queueOperations(s.key, cluster)
	result := reconcile.Result{}
	for which, part := range partOf {
		at, any := cluster.NextOf(s.key, part)
		switch {
		case any && which == lane:
			// Never busy: what is dirty at once still gathers for a moment.
			result.RequeueAfter = max(time.Until(at), 5*time.Millisecond)
		case any:
			r.queue(Request{s.key, which}, max(time.Until(at), 0))
		}
	}
	return result, nil
}

// wakeOthers runs the Edits lane of other connections to the same cluster whose
// objects this one has touched.
func (r *Registry) wakeOthers(s *session, cluster *engine.Cluster) {
	for key := range r.sessionsOf(cluster) {
		if at, any := cluster.Next(key); any && key != s.key && !at.After(time.Now()) {
			r.queue(Request{key, LaneEdits}, 0)
		}
		if key != s.key {
			r.queueOperations(key, cluster)
		}
	}
}

func (r *Registry) engineSession(s *session, c v1alpha1.Connection, broker adapter, cluster *engine.Cluster) engine.Session {
	allowed := ""
	if c != nil {
		allowed = c.GetAnnotations()[v1alpha1.AnnotationAllowDeletes]
	}
	return engine.Session{
		AllowDeletes: allowed, Succeeds: true,
		Connection: s.key, Broker: broker, ClusterID: s.reaches(),
		Refresh: func(ctx context.Context, what engine.Ending) error {
			return r.refresh(ctx, cluster, brokerOf(s.key), what)
		},
		Verify: func(ctx context.Context) error { return s.stillThere(ctx, broker, cluster) },
		Tell:   r.status.add, Courtesy: r.status.courtesy,
	}
}

// publish makes known what a pass did, but for the statuses: see engine.Session.Tell.
func (r *Registry) publish(ctx context.Context, s *session, c v1alpha1.Connection, lane Lane, report *engine.Report, cluster *engine.Cluster, took time.Duration) {
	countPass(s.key, lane, report, cluster, took)
	logPass(r.log, s.key, lane, report, took)
	if c == nil {
		r.announceReport(nil, report)
		r.reportOrphans(s)
		return
	}
	r.announceReport(c, report)
	if len(report.Ended) > 0 || len(report.Outcomes) > 0 || s.toldOfEnds() {
		r.reportConnection(ctx, s, c, cluster)
	}
}

// passFailed sorts out errors that concern more than one object.
func (r *Registry) passFailed(ctx context.Context, s *session, c v1alpha1.Connection, err error) (reconcile.Result, error) {
	if isFenced(err) {
		r.log.Info("the inventory has another writer; reading it again", "connection", s.key.String())
		return reconcile.Result{RequeueAfter: time.Second}, nil
	}
	if errors.Is(err, ErrNotLeading) && r.options.Shards != nil {
		// It is renewed within moments, or this process ends.
		r.log.Info("not written", "connection", s.key.String(), "because", err.Error())
		r.queue(Request{s.key, LaneSweep}, ReplicaRound)
		return reconcile.Result{RequeueAfter: ReplicaRound}, nil
	}
	_, elsewhere := errors.AsType[*changedCluster](err)
	switch topology.ClassOf(err) {
	case topology.ClassTransport, topology.ClassAuthentication, topology.ClassAccessDenied:
	default:
		if !elsewhere {
			return reconcile.Result{}, fmt.Errorf("%s: %w", s.key, err)
		}
	}
	if c == nil {
		// Nothing else tries again what a connection that is gone leaves to do.
		return reconcile.Result{RequeueAfter: authRetry}, nil
	}
	wait := r.retryConnect(r.troubled(ctx, s, c, err)).RequeueAfter
	r.queue(Request{s.key, LaneSweep}, wait)
	return reconcile.Result{}, nil
}

// explainMissing tells objects that their connection does not exist.
func (r *Registry) explainMissing(ctx context.Context, key topology.ConnectionKey, changed map[topology.OwnerKey]*departure) error {
	objects, err := r.objectsOf(ctx, key)
	if err != nil {
		return err
	}
	r.status.add(verdictsOn(objects, v1alpha1.ReasonConnectionNotFound,
		fmt.Sprintf("%s does not exist: create it, or name another one in spec.connectionRef", key)))
	if s := r.session(key); s.attached() == nil && len(objects) == 0 {
		clear(changed) // nobody is left to be told, and nothing was ever made
		r.drop(s)
	}
	return nil
}

// explainTrouble tells objects with news why nothing happens. Those that were
// well keep their status until the trouble has lasted; see sweep.go.
func (r *Registry) explainTrouble(s *session, c v1alpha1.Connection, changed map[topology.OwnerKey]*departure) {
	if c == nil {
		return
	}
	t, known := s.inTrouble()
	if !known {
		return // it is being connected
	}
	var objects []v1alpha1.Object
	for owner := range changed {
		if object := r.cached(owner); object != nil && !r.status.hasWord(object) {
			objects = append(objects, object)
		}
	}
	r.status.add(verdictsOn(objects, t.reason, troubleMessage(s.key, t)))
}

func troubleMessage(key topology.ConnectionKey, t trouble) string {
	return fmt.Sprintf("%s: %s", key, t.message)
}

// verdictsOn gives the same verdict on many objects: something that none of
// them can cure.
func verdictsOn(objects []v1alpha1.Object, reason, message string) []engine.Verdict {
	verdicts := make([]engine.Verdict, 0, len(objects))
	for _, object := range objects {
		verdicts = append(verdicts, engine.Verdict{
			Owner: topology.Owner{
				OwnerKey: keyOf(object), UID: string(object.GetUID()), Generation: object.GetGeneration(),
			},
			Reason: reason, Message: message, KeepOwns: true,
			Suspended: reason == v1alpha1.ReasonSuspended,
		})
	}
	return verdicts
}
