package compile

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// Whoever wants an object is found by asking for its claimants: a deletion rests
// on that.
func TestClaimantsFindWhoeverWants(t *testing.T) {
	asked := map[topology.Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		for _, object := range rapid.SliceOfN(anyObject, 10, 10).Draw(t, "objects") { // few are valid, and want anything
			object.SetName(rapid.SampledFrom([]string{"a", "a.b", "a.dead"}).Draw(t, "metadata.name"))
			for _, want := range Claim(object, shop).Want {
				id := want.Resource.ID()
				selectors, able := Claimants(id)
				if !able {
					continue
				}
				asked[id.Kind]++
				if !slices.ContainsFunc(selectors, func(s Selector) bool {
					return s.Kind == object.KindName() && harness.Selects(object, s.Field, s.Value)
				}) {
					t.Fatalf("%s %s wants %s, and is found by none of %v", object.KindName(), object.GetName(), id, selectors)
				}
			}
		}
	})
	for _, kind := range []topology.Kind{topology.KindQueue, topology.KindBinding} {
		if asked[kind] < 10 {
			t.Errorf("%d objects of kind %s were asked about: the generator makes nothing that matters", asked[kind], kind)
		}
	}
}

// A deletion asks a few questions, not hundreds.
func TestClaimants(t *testing.T) {
	queue, binding := v1alpha1.KindQueue, v1alpha1.KindExchangeBinding
	cases := map[string]struct {
		reason string
		id     topology.ID
		want   []Selector
	}{
		"Queue": {
			reason: "it, and whose dead letters it can hold", id: topology.QueueID("shop", "orders.dead"),
			want: []Selector{
				{queue, FieldBrokerName, "orders.dead"}, {queue, FieldName, "orders.dead"}, {queue, FieldBrokerName, "orders"}, {queue, FieldName, "orders"},
				{queue, FieldDeadLetterQueue, "orders.dead"}, {binding, FieldDestination, "orders.dead"},
			},
		},
		"NameOfNoObject": {
			reason: "no object can be called so", id: topology.QueueID("shop", "Orders"),
			want: []Selector{{queue, FieldBrokerName, "Orders"}, {queue, FieldDeadLetterQueue, "Orders"}, {binding, FieldDestination, "Orders"}},
		},
		"Exchange":    {reason: "its name stands in lists", id: topology.ExchangeID("shop", "orders")},
		"VirtualHost": {reason: "everything is in it", id: topology.VirtualHostID("shop")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, able := Claimants(c.id)
			if diff := cmp.Diff(c.want, got); diff != "" || able != (c.want != nil) {
				t.Errorf("%s (able %t) (-want +got):\n%s", c.reason, able, diff)
			}
		})
	}
}
