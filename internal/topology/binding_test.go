package topology

import "testing"

func TestBindingEnds(t *testing.T) {
	for _, b := range []Binding{
		{VirtualHost: "/", Source: "orders", DestinationType: DestinationQueue, Destination: "order.process", RoutingKey: "order.*.created"},
		{VirtualHost: "v", Source: "a -> queue b key c", DestinationType: DestinationExchange, Destination: `with "quotes" \ and key`},
		{VirtualHost: "v", Source: "é", DestinationType: DestinationQueue, Destination: "key", RoutingKey: " ", Arguments: Arguments{"x-match": "all"}},
		{VirtualHost: "v", Source: "x", DestinationType: DestinationQueue, Destination: "q", RoutingKey: "a b {", Arguments: Arguments{"n": int64(1), "text": "a b"}},
		{VirtualHost: "v", Source: "\xff\n", DestinationType: DestinationQueue, Destination: "\x00", RoutingKey: ""},
	} {
		source, destination, err := BindingEnds(b.ID())
		if err != nil || source != b.SourceID() || destination != b.DestinationID() {
			t.Errorf("%s: %v, %v, %v", b.ID(), source, destination, err)
		}
		if again, err := BindingOf(b.ID()); err != nil || again.ID() != b.ID() || again.RoutingKey != b.RoutingKey || !again.Arguments.Equal(b.Arguments) {
			t.Errorf("%s: %+v, %v", b.ID(), again, err)
		}
	}
	for _, name := range []string{"", "a", "a -> ", "a -> topic b key c", "a -> queue b", `"a -> queue b key c`, " -> queue b key c", "a -> queue  key c"} {
		if source, destination, err := BindingEnds(ID{Kind: KindBinding, Name: name}); err == nil {
			t.Errorf("%q: %v, %v, want an error", name, source, destination)
		}
		if b, err := BindingOf(ID{Kind: KindBinding, Name: name}); err == nil {
			t.Errorf("%q: %+v, want an error", name, b)
		}
	}
	if _, _, err := BindingEnds(ID{Kind: KindQueue, Name: "a -> queue b key c"}); err == nil {
		t.Error("a queue's ID: want an error")
	}
}

func FuzzBindingEnds(f *testing.F) {
	f.Add("orders", "order.process", "order.*.created", false)
	f.Add(" -> queue ", `"`, " key ", true)
	f.Fuzz(func(t *testing.T, source, destination, key string, toExchange bool) {
		_, _, _ = BindingEnds(ID{Kind: KindBinding, Name: source}) // anything: no panic
		b := Binding{VirtualHost: "v", Source: source, DestinationType: DestinationQueue, Destination: destination, RoutingKey: key}
		if toExchange {
			b.DestinationType = DestinationExchange
		}
		from, to, err := BindingEnds(b.ID())
		if err != nil || from != b.SourceID() || to != b.DestinationID() {
			t.Errorf("%s: %v, %v, %v", b.ID(), from, to, err)
		}
		if again, err := BindingOf(b.ID()); err != nil || again.RoutingKey != key {
			t.Errorf("%s: %+v, %v", b.ID(), again, err)
		}
	})
}
