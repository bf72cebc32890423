package migration

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestNames(t *testing.T) {
	long, other := strings.Repeat("ü", 126)+"ab", strings.Repeat("ü", 126)+"ac"
	seen := map[string]string{}
	for _, queue := range []string{"orders", "orders.park", "orders.park.park", "", long, other} {
		n := NamesOf(queue)
		for _, name := range []string{n.Detour, n.Park, n.Tail, n.Backlog, n.Return, n.Trial, n.Shovel, n.Policy} {
			if len(name) > 255 || !utf8.ValidString(name) || !strings.HasPrefix(name, Prefix) {
				t.Errorf("%q: %d bytes", name, len(name))
			}
			if of, taken := seen[name]; taken {
				t.Errorf("%q is of %q and of %q", name, of, queue)
			}
			seen[name] = queue
		}
	}
	if got := NamesOf("orders").Park; got != "warrener.migrate.orders.park" {
		t.Errorf("park of orders: %q", got)
	}
}

func TestScaffolding(t *testing.T) {
	n := NamesOf("a b")
	bind := func(source, destination string) topology.ID {
		return (&topology.Binding{VirtualHost: "/", Source: source, Destination: destination, DestinationType: topology.DestinationExchange}).ID()
	}
	for id, want := range map[topology.ID]bool{
		topology.ExchangeID("/", n.Detour):                     true,
		topology.QueueID("/", n.Park):                          true,
		topology.QueueID("/", n.Tail):                          true,
		topology.QueueID("/", n.Trial):                         true,
		bind("orders", n.Detour):                               true,
		bind(n.Return, "orders"):                               true,
		bind("orders", "audit"):                                false,
		topology.QueueID("/", "a b"):                           false,
		topology.QueueID("/", Prefix+"something.else"):         false,
		topology.QueueID("/", Prefix[:len(Prefix)-1]+rolePark): false,
		topology.VirtualHostID(n.Park):                         false,
	} {
		if got := Scaffolding(id); got != want {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
}
