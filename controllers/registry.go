package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Registry holds all sessions and the clusters that they reach. Two connections
// to one cluster share one engine.Cluster.
type Registry struct {
	options Options
	client  client.Client // reads from the cache
	reader  client.Reader // reads past it
	log     logr.Logger
	events  recorder
	intake  *intake
	status  *statusWriter
	queue   func(Request, time.Duration)

	mu       sync.Mutex
	sessions map[topology.ConnectionKey]*session
	clusters map[clusterKey]*engine.Cluster
}

type clusterKey struct {
	broker v1alpha1.BrokerType
	id     string
}

// session returns the session of a connection, a new one if there is none.
func (r *Registry) session(key topology.ConnectionKey) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sessions[key]
	if s == nil {
		s = &session{key: key, shard: noShard}
		r.sessions[key] = s
	}
	return s
}

// drop forgets a session and closes it.
func (r *Registry) drop(s *session) {
	r.mu.Lock()
	delete(r.sessions, s.key)
	r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	closeLater(s.adapter)
	s.adapter, s.up, s.spare = nil, false, time.Time{}
	forgetConnection(s.key)
}

// cluster returns the cluster with an id, a new one if it is reached for the
// first time.
func (r *Registry) cluster(broker v1alpha1.BrokerType, id string) *engine.Cluster {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := clusterKey{broker, id}
	c := r.clusters[key]
	if c == nil {
		c = engine.NewCluster(&inventoryStore{
			client: r.client, reader: r.reader, namespace: r.options.InventoryNamespace,
			holder: r.options.Identity, broker: broker, clusterID: id,
		}, time.Now)
		r.clusters[key] = c
	}
	return c
}

// cached returns an object from the cache, or nil.
func (r *Registry) cached(key topology.OwnerKey) v1alpha1.Object {
	object := v1alpha1.NewObject(key.Kind)
	if object == nil || r.client.Get(context.Background(), client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, object) != nil {
		return nil
	}
	return object
}

// connection returns a connection from the cache, or nil if there is none.
func (r *Registry) connection(ctx context.Context, key topology.ConnectionKey) (v1alpha1.Connection, error) {
	c := v1alpha1.NewConnection(key.Kind)
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, c); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return c, nil
}

// objectsOf lists the objects that name a connection.
func (r *Registry) objectsOf(ctx context.Context, key topology.ConnectionKey) ([]v1alpha1.Object, error) {
	var out []v1alpha1.Object
	for _, list := range listsFor(key) {
		if err := r.client.List(ctx, list.(client.ObjectList), client.MatchingFields{connectionField: key.String()}); err != nil {
			return nil, fmt.Errorf("list the objects of %s: %w", key, err)
		}
		out = append(out, list.Objects()...)
	}
	return out, nil
}

// listsFor makes one empty list per kind that a connection can serve.
func listsFor(key topology.ConnectionKey) []v1alpha1.ObjectList {
	var out []v1alpha1.ObjectList
	for i, object := range v1alpha1.NewObjects() {
		if compile.ConnectionOf(object).Kind == key.Kind {
			out = append(out, v1alpha1.NewObjectLists()[i])
		}
	}
	return out
}

// claim compiles an object for a connection, or explains why it may not use it.
func (r *Registry) claim(ctx context.Context, object v1alpha1.Object, c v1alpha1.Connection, s *session) (*topology.Claim, error) {
	claim := compile.Claim(object, s.defaults())
	if c != nil {
		permitted, err := r.permits(ctx, s, c, object.GetNamespace())
		if err != nil {
			return nil, err
		}
		if !permitted {
			claim.Invalid = &plan.NotPermitted{Message: fmt.Sprintf(
				"%s does not admit objects of namespace %s: its spec.allowedNamespaces must name it", s.key, object.GetNamespace())}
		}
	}
	return &claim, nil
}

// sessionsOf maps the connections that reach a cluster.
func (r *Registry) sessionsOf(cluster *engine.Cluster) map[topology.ConnectionKey]*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[topology.ConnectionKey]*session{}
	for key, s := range r.sessions {
		if s.attached() == cluster {
			out[key] = s
		}
	}
	return out
}

// isFenced tells whether another controller has taken the inventory over.
func isFenced(err error) bool { return errors.Is(err, engine.ErrFenced) }
