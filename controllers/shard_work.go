package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/shard"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Which replica works on a connection, if the work is shared; if it is not, all is
// this one's.
//
//	cluster of the connection    its shard is that of
//	known, by its status         the cluster: two connections to one cluster meet
//	not known yet, or no         the connection itself. Its holder asks the broker, writes
//	connection of that name      the id into the status, and leaves the rest to that shard

// noShard is that of a session that nobody has begun to work with.
const noShard = -1

// errElsewhere: the connection is another shard's from now on.
var errElsewhere = errors.New("the connection belongs to another shard")

// home is the shard of a connection; c is nil if there is none of that name.
func (s *Shards) home(key topology.ConnectionKey, c v1alpha1.Connection) int {
	if c != nil && c.GetStatus().ClusterID != "" {
		return s.ofCluster(c.BrokerType(), c.GetStatus().ClusterID)
	}
	return shard.Of(s.count, key.Kind, key.Namespace, key.Name)
}

func (s *Shards) ofCluster(broker v1alpha1.BrokerType, id string) int {
	return shard.Of(s.count, string(broker), id)
}

// enter begins work on a connection; mine is false if that is for another replica
// to do. leave must be called when it is done.
func (r *Registry) enter(ctx context.Context, key topology.ConnectionKey) (leave func(), mine bool, err error) {
	shards := r.options.Shards
	if shards == nil {
		return func() {}, true, nil
	}
	c, err := r.connection(ctx, key)
	if err != nil {
		return nil, false, err
	}
	home := shards.home(key, c)
	if s := r.known(key); s != nil && s.shard != home {
		if c == nil && s.attached() != nil {
			home = s.shard // it lingers where it was
		} else {
			r.part(s)
		}
	}
	leave, mine = shards.Enter(home)
	if mine {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.sessions[key] == nil {
			r.sessions[key] = &session{key: key, shard: home}
		}
	}
	return leave, mine, nil
}

// entered is enter for what is written about an object.
func (r *Registry) entered(ctx context.Context, key topology.ConnectionKey) (leave func(), mine bool) {
	shards := r.options.Shards
	if shards == nil {
		return func() {}, true
	}
	c, err := r.connection(ctx, key)
	if err != nil {
		return nil, false
	}
	return shards.Enter(shards.home(key, c))
}

// isMine tells whether a connection, there or not, is this replica's to work on.
func (r *Registry) isMine(ctx context.Context, key topology.ConnectionKey) bool {
	shards := r.options.Shards
	if shards == nil {
		return true
	}
	c, err := r.connection(ctx, key)
	return err == nil && shards.Holds(shards.home(key, c))
}

// leaves tells whether the work with a session is to end soon.
func (r *Registry) leaves(s *session) bool {
	return r.options.Shards != nil && !r.options.Shards.Holds(s.shard)
}

// known returns the session of a connection, or nil.
func (r *Registry) known(key topology.ConnectionKey) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[key]
}

// part ends work with a session because its connection has come to belong to
// another shard. What it owns stays on the books.
func (r *Registry) part(s *session) {
	if cluster := s.attached(); cluster != nil {
		cluster.Forsake(s.key)
	}
	r.drop(s)
}

// permit is asked before a session writes to its broker.
func (r *Registry) permit(s *session) topology.Permit {
	switch {
	case r.options.Shards != nil:
		return func(ctx context.Context, destroys bool) (time.Time, error) {
			return r.options.Shards.Permit(ctx, s.shard, destroys)
		}
	case r.options.Leading != nil:
		return func(context.Context, bool) (time.Time, error) { return time.Time{}, r.options.Leading() }
	}
	return nil
}

// handOver leaves a connection to the shard of the cluster that it reaches.
func (r *Registry) handOver(ctx context.Context, s *session, c v1alpha1.Connection, clusterID string) error {
	if c.GetStatus().ClusterID != clusterID {
		told := c.DeepCopyObject().(v1alpha1.Connection)
		told.GetStatus().ClusterID = clusterID
		if err := r.client.Status().Patch(ctx, told, client.MergeFrom(c)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("write down the cluster of %s: %w", s.key, err)
		}
	}
	r.log.V(1).Info("belongs to another shard", "connection", s.key.String(), "cluster", clusterID)
	r.part(s)
	return errElsewhere
}

// elsewhere tells whether a cluster is another shard's than the session's.
func (r *Registry) elsewhere(s *session, broker v1alpha1.BrokerType, clusterID string) bool {
	return r.options.Shards != nil && r.options.Shards.ofCluster(broker, clusterID) != s.shard
}

// moved tells whether a change of a status is one of the shard, which is news for
// all replicas.
func (r *Registry) moved(before, after v1alpha1.Connection) bool {
	return r.options.Shards != nil && before.GetStatus().ClusterID != after.GetStatus().ClusterID
}

// takeOver has all connections of some shards looked at, and the objects whose
// connection does not exist.
func (r *Registry) takeOver(ctx context.Context, shards []int) {
	mine := map[int]bool{}
	for _, n := range shards {
		mine[n] = true
	}
	exist := map[topology.ConnectionKey]bool{}
	for _, list := range v1alpha1.NewConnectionLists() {
		if err := r.client.List(ctx, list.(client.ObjectList)); err != nil {
			r.log.Error(err, "list connections")
			continue
		}
		for _, c := range list.Connections() {
			key := keyOfConnection(c)
			exist[key] = true
			if mine[r.options.Shards.home(key, c)] {
				r.queue(Request{key, LaneSweep}, 0)
				r.queue(Request{key, LaneEdits}, 0)
			}
		}
	}
	for _, list := range v1alpha1.NewObjectLists() {
		if err := r.client.List(ctx, list.(client.ObjectList)); err != nil {
			r.log.Error(err, "list objects")
			continue
		}
		for _, object := range list.Objects() {
			key := compile.ConnectionOf(object)
			if !exist[key] && mine[r.options.Shards.home(key, nil)] {
				exist[key] = true // once
				r.queue(Request{key, LaneEdits}, 0)
			}
		}
	}
}

// forgetShard drops all that is known of the connections and clusters of a shard: should it
// come back, others will have worked on it.
func (r *Registry) forgetShard(ctx context.Context, n int) {
	r.mu.Lock()
	var gone []*session
	for _, s := range r.sessions {
		if s.shard == n {
			gone = append(gone, s)
		}
	}
	for key := range r.clusters {
		if r.options.Shards.ofCluster(key.broker, key.id) == n {
			delete(r.clusters, key)
		}
	}
	r.mu.Unlock()
	for _, s := range gone {
		objects, err := r.objectsOf(ctx, s.key)
		if err != nil {
			r.log.Error(err, "forget what was written", "connection", s.key.String())
		}
		for _, object := range objects {
			r.status.forget(keyOf(object))
		}
		r.drop(s)
	}
}

// leaveToOthers forgets what changed of a connection that is another replica's,
// but for what was deleted a moment ago: should that replica be dead, it is to be
// known how it ended.
func (r *Registry) leaveToOthers(key topology.ConnectionKey) time.Duration {
	return r.intake.keepEnds(key, time.Now().Add(-linger))
}
