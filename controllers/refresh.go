package controllers

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// refresh brings a cluster's claims up to date with the API server, past the
// cache, before something is deleted: the caches of two kinds are not ordered, and
// somebody may have come to want it. An owner that does exist, or may exist where
// this controller cannot look, keeps what it has.
func (r *Registry) refresh(ctx context.Context, cluster *engine.Cluster, broker v1alpha1.BrokerType) error {
	now, err := r.listUncached(ctx, broker)
	if err != nil {
		return err
	}
	sessions := r.sessionsOf(cluster)
	for key, meta := range now {
		known := cluster.Claim(key)
		if known != nil && known.Owner.UID == string(meta.GetUID()) && known.Owner.Generation >= meta.GetGeneration() {
			continue
		}
		object, err := r.inVersion(ctx, key, meta)
		if err != nil {
			return err
		}
		if object == nil {
			delete(now, key) // gone since
			continue
		}
		s := sessions[compile.ConnectionOf(object)]
		if s == nil {
			if known == nil && cluster.Holds(key) {
				cluster.SetClaim(keeper(key)) // its connection is not there yet
			}
			continue
		}
		c, err := r.connection(ctx, s.key)
		if err != nil {
			return err
		}
		claim, err := r.claim(ctx, object, c, s)
		if err != nil {
			return err
		}
		cluster.SetClaim(claim)
	}
	for _, key := range cluster.Absent() {
		if now[key] == nil && !r.watches(key.Namespace) {
			cluster.SetClaim(keeper(key))
		}
	}
	return nil
}

// keeper is the claim of an owner of which nothing is known but that it may be
// there: it keeps what it owns.
func keeper(key topology.OwnerKey) *topology.Claim {
	return &topology.Claim{Owner: topology.Owner{OwnerKey: key}, Suspended: true}
}

func (r *Registry) watches(namespace string) bool {
	return len(r.options.WatchNamespaces) == 0 || slices.Contains(r.options.WatchNamespaces, namespace)
}

// listUncached lists what is declared for a kind of broker, by metadata alone:
// what is known in this version already, and that is nearly all, need not be read.
func (r *Registry) listUncached(ctx context.Context, broker v1alpha1.BrokerType) (map[topology.OwnerKey]*metav1.PartialObjectMetadata, error) {
	namespaces := r.options.WatchNamespaces
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	type page struct {
		kind string
		list metav1.PartialObjectMetadataList
	}
	var pages []*page
	group, ctx := errgroup.WithContext(ctx)
	for _, object := range v1alpha1.NewObjects() {
		if compile.ConnectionOf(object).Kind != string(broker)+"Connection" {
			continue
		}
		for _, namespace := range namespaces {
			p := &page{kind: object.KindName()}
			p.list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(p.kind + "List"))
			pages = append(pages, p)
			// A list that is up to date waits for the API server's own cache: all wait at once.
			group.Go(func() error { return r.reader.List(ctx, &p.list, client.InNamespace(namespace)) })
		}
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("list past the cache: %w", err)
	}
	out := map[topology.OwnerKey]*metav1.PartialObjectMetadata{}
	for _, p := range pages {
		for i := range p.list.Items {
			meta := &p.list.Items[i]
			out[topology.OwnerKey{Kind: p.kind, Namespace: meta.GetNamespace(), Name: meta.GetName()}] = meta
		}
	}
	return out, nil
}

// inVersion returns an object at least as new as its metadata: from the cache, if
// it is there, or past it; nil if there is none any more.
func (r *Registry) inVersion(ctx context.Context, key topology.OwnerKey, meta *metav1.PartialObjectMetadata) (v1alpha1.Object, error) {
	if object := r.cached(key); object != nil && object.GetUID() == meta.GetUID() && object.GetGeneration() >= meta.GetGeneration() {
		return object, nil
	}
	object := v1alpha1.NewObject(key.Kind)
	err := r.reader.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: key.Name}, object)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s past the cache: %w", key, err)
	}
	return object, nil
}
