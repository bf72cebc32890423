package controllers

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// operations runs the Operations lane of a connection: changes that take longer
// than a pass. What there is to tell is told by a pass of edits.
func (r *Registry) operations(ctx context.Context, key topology.ConnectionKey) (reconcile.Result, error) {
	s := r.session(key)
	c, err := r.connection(ctx, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	broker, cluster, working := s.working()
	if !working || !s.upToDate(c) {
		return reconcile.Result{}, nil // a pass queues this again once it works
	}
	err = cluster.Advance(ctx, r.engineSession(s, c, broker, cluster))
	if at, any := cluster.Next(key); any {
		r.queue(Request{key, LaneEdits}, max(time.Until(at), 0))
	}
	if err != nil {
		return r.passFailed(ctx, s, c, err)
	}
	if at, any := cluster.NextAdvance(key); any {
		return reconcile.Result{RequeueAfter: max(time.Until(at), 5*time.Millisecond)}, nil
	}
	return reconcile.Result{}, nil
}

// queueOperations has operations carried on with that a pass has noted.
func (r *Registry) queueOperations(key topology.ConnectionKey, cluster *engine.Cluster) {
	if at, any := cluster.NextAdvance(key); any {
		r.queue(Request{key, LaneOperations}, max(time.Until(at), 0))
	}
}
