package api_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Whatever is asked about who declares something, the CRDs let be selected: else
// everything is listed before each deletion, and nobody notices but by the time it takes.
func TestClaimantsCanBeSelected(t *testing.T) {
	_, kube := needsServer(t)
	ends := topology.Binding{VirtualHost: "shop", Source: "orders", Destination: "work", DestinationType: topology.DestinationExchange}
	asked := map[compile.Selector]bool{}
	for _, id := range []topology.ID{topology.QueueID("shop", "work"), ends.ID()} {
		selectors, able := compile.Claimants(id)
		if !able {
			t.Fatalf("%s: nobody can be selected", id)
		}
		for _, s := range selectors {
			asked[s] = true
		}
	}
	for s := range asked {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(s.Kind + "List"))
		if err := kube.List(t.Context(), &list, client.MatchingFields{s.Field: s.Value}); err != nil {
			t.Errorf("%s by %s: %v", s.Kind, s.Field, err)
		}
	}
	if len(asked) != 6 { // Queue by three fields, Exchange by two, ExchangeBinding by one
		t.Errorf("these were asked: %v", asked)
	}
}
