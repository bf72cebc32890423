package topology_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestIDString(t *testing.T) {
	for want, id := range map[string]topology.ID{
		"queue shop/order.process":         topology.QueueID("shop", "order.process"),
		"exchange / orders":                topology.ExchangeID("/", "orders"),
		"vhost /":                          topology.VirtualHostID("/"),
		`vhost "a/b"`:                      topology.VirtualHostID("a/b"),
		"topic order-events":               topology.TopicID("order-events"),
		`queue shop/"a b"`:                 topology.QueueID("shop", "a b"),
		`queue "a/b"/c`:                    topology.QueueID("a/b", "c"),
		`queue a/"b/c"`:                    topology.QueueID("a", "b/c"),
		`queue "x/"/c`:                     topology.QueueID("x/", "c"),
		`exchange shop/""`:                 topology.ExchangeID("shop", ""),
		"binding / x -> queue q key a/#":   (&topology.Binding{VirtualHost: "/", Source: "x", Destination: "q", DestinationType: "queue", RoutingKey: "a/#"}).ID(),
		`binding shop/x -> queue q key ""`: (&topology.Binding{VirtualHost: "shop", Source: "x", Destination: "q", DestinationType: "queue"}).ID(),
		`binding shop/x -> exchange y key "" {"x-match":"all"}`: (&topology.Binding{
			VirtualHost: "shop", Source: "x", Destination: "y", DestinationType: "exchange", Arguments: topology.Arguments{"x-match": "all"},
		}).ID(),
	} {
		if got := id.String(); got != want {
			t.Errorf("%#v is written %s; want %s", id, got, want)
		}
	}
}

// anyName is mostly made of what the notation itself is made of.
var anyName = rapid.OneOf(
	rapid.StringOfN(rapid.SampledFrom([]rune(`ab/ "->\{key}`)), 0, 6, -1),
	rapid.SampledFrom([]string{"a", "b", "/", "", "a -> queue b", "a key b", `a"`, "\xff", "\ufffd", "queue", "\\xff"}),
	rapid.String(),
)

var anyBinding = rapid.Custom(func(t *rapid.T) *topology.Binding {
	b := &topology.Binding{
		VirtualHost: anyName.Draw(t, "vhost"), Source: anyName.Draw(t, "source"), Destination: anyName.Draw(t, "destination"),
		DestinationType: rapid.SampledFrom([]string{"queue", "exchange"}).Draw(t, "type"), RoutingKey: anyName.Draw(t, "key"),
	}
	if rapid.Bool().Draw(t, "hasArguments") {
		b.Arguments = topology.Arguments{
			rapid.String().Draw(t, "argument"): rapid.SampledFrom([]any{int64(1), 1.0, "1", true, nil, []any{int64(1)}, map[string]any{}}).Draw(t, "value"),
		}
	}
	return b
})

// Two different bindings never have the same ID, nor the same text.
func TestBindingIDIsUnambiguous(t *testing.T) {
	seen := map[string]*topology.Binding{}
	same := func(a, b *topology.Binding) bool {
		return a.VirtualHost == b.VirtualHost && a.Source == b.Source && a.Destination == b.Destination &&
			a.DestinationType == b.DestinationType && a.RoutingKey == b.RoutingKey && a.Arguments.Equal(b.Arguments)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyBinding.Draw(t, "a"), anyBinding.Draw(t, "b")
		if (a.ID() == b.ID()) != same(a, b) {
			t.Fatalf("%+v and %+v are %s and %s", a, b, a.ID(), b.ID())
		}
		// Against all that came before, too: pairs alone hardly ever meet.
		for _, one := range []*topology.Binding{a, b} {
			if one.VirtualHost == "" {
				continue // no broker has such a virtual host, and Scope "" means none
			}
			if other := seen[one.ID().String()]; other != nil && !same(one, other) {
				t.Fatalf("%+v and %+v are both %s", one, other, one.ID())
			}
			seen[one.ID().String()] = one
		}
	})
}

func TestIDStringIsUnambiguous(t *testing.T) {
	seen := map[string]topology.ID{}
	rapid.Check(t, func(t *rapid.T) {
		scope := anyName.Filter(func(s string) bool { return s != "" }).Draw(t, "scope")
		name := anyName.Draw(t, "name")
		for _, id := range []topology.ID{topology.QueueID(scope, name), topology.ExchangeID(scope, name), topology.VirtualHostID(name), topology.TopicID(name)} {
			if other, met := seen[id.String()]; met && other != id {
				t.Fatalf("%#v and %#v are both %s", id, other, id)
			}
			seen[id.String()] = id
		}
	})
}

func TestBindingEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := anyBinding.Draw(t, "binding")
		source, destination, err := topology.BindingEnds(b.ID())
		if err != nil || source != b.SourceID() || destination != b.DestinationID() {
			t.Fatalf("%s leads from %s to %s, %v", b.ID(), source, destination, err)
		}
	})
	for _, name := range []string{"", "x", "x -> ", "x -> queue", "x -> queue q", "x -> stream q key k", `"x -> queue q key k`, " -> queue q key k"} {
		if source, _, err := topology.BindingEnds(topology.ID{Kind: topology.KindBinding, Scope: "shop", Name: name}); err == nil {
			t.Errorf("%q is taken for a binding from %s", name, source)
		}
	}
	if _, _, err := topology.BindingEnds(topology.QueueID("shop", "x -> queue q key k")); err == nil {
		t.Error("a queue is taken for a binding")
	}
}
