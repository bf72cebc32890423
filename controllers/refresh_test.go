package controllers

import (
	"context"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// A deletion among ten thousand objects must not read them all: what is known in
// the version that the API server names is not read.
func TestRefreshReadsWhatIsNew(t *testing.T) {
	known, edited, unseen, elsewhere := queueObject("known"), queueObject("edited"), queueObject("unseen"), queueObject("elsewhere")
	elsewhere.Spec.ConnectionRef.Name = "other"
	connection := connectionObject()
	cache := newClient(t, interceptor.Funcs{}, connection, known.DeepCopy(), edited.DeepCopy(), elsewhere.DeepCopy())
	edited.Generation = 2
	var read []string
	server := newClient(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			read = append(read, key.Name)
			return c.Get(ctx, key, o, opts...)
		},
	}, connection, known, edited, unseen, elsewhere)

	r, _, _ := newRegistry(cache)
	r.reader = server
	s := r.session(connectionKey())
	s.cluster = r.cluster(v1alpha1.BrokerTypeRabbitMQ, "one")
	gone := queueObject("gone")
	for _, object := range []*v1alpha1.Queue{queueObject("known"), queueObject("edited"), gone} {
		claim, err := r.claim(t.Context(), object, connection, s)
		if err != nil {
			t.Fatal(err)
		}
		s.cluster.SetClaim(claim)
	}
	s.cluster.RemoveClaim(owner("gone"), true)

	if err := r.refresh(t.Context(), s.cluster, v1alpha1.BrokerTypeRabbitMQ); err != nil {
		t.Fatal(err)
	}
	slices.Sort(read)
	if want := []string{"edited", "unseen"}; !slices.Equal(read, want) {
		t.Errorf("read %v, want %v", read, want)
	}
	for name, generation := range map[string]int64{"known": 1, "edited": 2, "unseen": 1} {
		if claim := s.cluster.Claim(owner(name)); claim == nil || claim.Owner.Generation != generation {
			t.Errorf("%s: claim %+v, want one of generation %d", name, claim, generation)
		}
	}
	for _, name := range []string{"elsewhere", "gone"} {
		if claim := s.cluster.Claim(topology.OwnerKey{Kind: v1alpha1.KindQueue, Namespace: "shop", Name: name}); claim != nil {
			t.Errorf("%s has a claim: %+v", name, claim)
		}
	}
}
