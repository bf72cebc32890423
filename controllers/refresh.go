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

// mostQuestions are asked about what ends before everything is listed instead: to
// the API server a question costs a twentieth of the listing of five thousand.
const mostQuestions = 20

// refresh brings a cluster's claims up to date with the API server, past the
// cache, before something is deleted: the caches of two kinds are not ordered, and
// somebody may have come to want it. An owner that does exist, or may exist where
// this controller cannot look, keeps what it has.
func (r *Registry) refresh(ctx context.Context, cluster *engine.Cluster, broker v1alpha1.BrokerType, what engine.Ending) error {
	now, err := r.concerned(ctx, broker, what)
	if err != nil {
		return err
	}
	sessions := r.sessionsOf(cluster)
	for key, meta := range now {
		known := cluster.Claim(key)
		if known != nil && known.Owner.UID == string(meta.GetUID()) && known.Owner.Generation >= meta.GetGeneration() {
			continue
		}
		if cluster.Departed(topology.Owner{OwnerKey: key, UID: string(meta.GetUID())}) {
			delete(now, key) // listed a moment before its end: while many go, there are many of them
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

// declared is what the API server has, by metadata alone: what is known in this
// version already, and that is nearly all, need not be read.
type declared map[topology.OwnerKey]*metav1.PartialObjectMetadata

// question is a listing: of a kind, or of what a field selects of it.
type question struct {
	kind, namespace string
	fields          client.MatchingFields
}

// concerned lists who could keep from ending what ends: who has to do with it where
// few questions tell, else everybody.
func (r *Registry) concerned(ctx context.Context, broker v1alpha1.BrokerType, what engine.Ending) (declared, error) {
	if questions, few := r.questionsAbout(what); few {
		out, err := r.ask(ctx, questions)
		if !apierrors.IsBadRequest(err) { // CRDs of an older Warrener select by no field
			return out, err
		}
	}
	var everybody []question
	for _, object := range v1alpha1.NewObjects() {
		if compile.ConnectionOf(object).Kind == string(broker)+"Connection" {
			everybody = append(everybody, r.everywhere(question{kind: object.KindName()})...)
		}
	}
	return r.ask(ctx, everybody)
}

// questionsAbout asks who declares what ends, and whether its owners are there.
func (r *Registry) questionsAbout(what engine.Ending) (questions []question, few bool) {
	if what.All {
		return nil, false
	}
	asked := map[compile.Selector]bool{}
	for _, id := range what.Objects {
		selectors, able := compile.Claimants(id)
		if !able {
			return nil, false
		}
		for _, s := range selectors {
			if !asked[s] {
				asked[s] = true
				questions = append(questions, r.everywhere(question{kind: s.Kind, fields: client.MatchingFields{s.Field: s.Value}})...)
			}
		}
		if len(questions) > mostQuestions {
			return nil, false
		}
	}
	for _, owner := range what.Owners {
		if r.watches(owner.Namespace) {
			questions = append(questions, question{kind: owner.Kind, namespace: owner.Namespace, fields: client.MatchingFields{compile.FieldName: owner.Name}})
		}
	}
	return questions, len(questions) <= mostQuestions
}

// everywhere asks a question in each namespace that is watched.
func (r *Registry) everywhere(q question) []question {
	if len(r.options.WatchNamespaces) == 0 {
		return []question{q}
	}
	var out []question
	for _, namespace := range r.options.WatchNamespaces {
		q.namespace = namespace
		out = append(out, q)
	}
	return out
}

// ask asks all at once: an answer that is up to date waits for the API server's own
// cache.
func (r *Registry) ask(ctx context.Context, questions []question) (declared, error) {
	answers := make([]metav1.PartialObjectMetadataList, len(questions))
	group, ctx := errgroup.WithContext(ctx)
	for i, q := range questions {
		answers[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(q.kind + "List"))
		options := []client.ListOption{client.InNamespace(q.namespace)}
		if q.fields != nil {
			options = append(options, q.fields)
		}
		group.Go(func() error { return r.reader.List(ctx, &answers[i], options...) })
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("list past the cache: %w", err)
	}
	out := declared{}
	for i, q := range questions {
		for j := range answers[i].Items {
			meta := &answers[i].Items[j]
			out[topology.OwnerKey{Kind: q.kind, Namespace: meta.GetNamespace(), Name: meta.GetName()}] = meta
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
