package trace

import (
	"slices"
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

type args = topology.Arguments

func exchange(name, kind string, arguments args) *topology.Exchange {
	return &topology.Exchange{VirtualHost: "/", Name: name, Type: kind, Arguments: arguments}
}

func queue(name, kind string, arguments args) *topology.Queue {
	return &topology.Queue{VirtualHost: "/", Name: name, Type: kind, Arguments: arguments}
}

func bind(source, key, destination string) *topology.Binding {
	b := &topology.Binding{VirtualHost: "/", Source: source, RoutingKey: key, Destination: destination, DestinationType: topology.DestinationQueue}
	if name, isExchange := strings.CutPrefix(destination, "x:"); isExchange {
		b.Destination, b.DestinationType = name, topology.DestinationExchange
	}
	return b
}

func policy(name, pattern, applyTo string, priority int64, definition args) *topology.BrokerPolicy {
	return &topology.BrokerPolicy{VirtualHost: "/", Name: name, Pattern: pattern, ApplyTo: applyTo, Priority: priority, Definition: definition}
}

func names(all []Landing) string {
	var out []string
	for _, landing := range all {
		out = append(out, landing.Queue)
	}
	return strings.Join(out, " ")
}

func TestNotPredictable(t *testing.T) {
	world := NewWorld(Options{VirtualHost: "/", Resources: []topology.Resource{
		exchange("in", "fanout", nil), exchange("hash", "x-consistent-hash", args{"alternate-exchange": "rest"}), exchange("rest", "fanout", nil), exchange("behind", "fanout", nil),
		queue("sure", "classic", nil), queue("a", "classic", nil), queue("b", "classic", nil), queue("left", "classic", nil),
		bind("in", "", "x:hash"), bind("in", "", "sure"), bind("hash", "1", "a"), bind("hash", "1", "sure"), bind("hash", "1", "x:behind"), bind("behind", "", "b"), bind("rest", "", "left"),
	}})
	got := world.Trace(Message{Exchange: "in"})
	if got.Outcome != Routed || names(got.Queues) != "sure" || names(got.Possible) != "a b left" || len(got.NotPredictable) != 1 {
		t.Errorf("certain is what does not depend on the hash, and possible what does: %s, %s, %s, %q", got.Outcome, names(got.Queues), names(got.Possible), got.NotPredictable)
	}
	if got := world.Trace(Message{Exchange: "hash"}); got.Outcome != NotPredictable || names(got.Possible) != "a b left sure" {
		t.Errorf("all of it is possible: %s, %s", got.Outcome, names(got.Possible))
	}
}

func TestAlternateExchanges(t *testing.T) {
	resources := []topology.Resource{
		exchange("in", "topic", nil), exchange("own", "topic", args{"alternate-exchange": "amq.fanout"}), exchange("inner", "topic", args{"alternate-exchange": "amq.fanout"}),
		queue("left", "classic", nil), queue("key", "classic", nil), queue("twice", "classic", nil),
		bind("amq.fanout", "", "left"), bind("own", "a", "x:in"), bind("inner", "other", "left"), exchange("outer", "fanout", args{"alternate-exchange": "amq.topic"}), bind("outer", "", "x:inner"),
		exchange("lost", "fanout", args{"alternate-exchange": "amq.topic"}), exchange("dark", "fanout", nil), bind("lost", "", "x:dark"),
		exchange("default", "direct", args{"alternate-exchange": ""}), bind("amq.topic", "#", "twice"),
		policy("p", "^in$", "exchanges", 1, args{"alternate-exchange": "amq.fanout"}),
		policy("o", "^own$", "all", 1, args{"alternate-exchange": "amq.topic"}),
	}
	world := NewWorld(Options{VirtualHost: "/", Resources: resources})
	for _, c := range []struct{ reason, exchange, key, queues string }{
		{"a policy gives one", "in", "a", "left"},
		{"an argument beats a policy", "own", "b", "left"},
		{"one behind another exchange is its own", "own", "a", "left"},
		{"an inner one does, and the outer one is not used", "outer", "key", "left"},
		{"an inner one leads nowhere, and the outer one is not used all the same", "lost", "key", ""},
		{"to the default exchange is nowhere", "default", "key", ""},
	} {
		if got := names(world.Trace(Message{Exchange: c.exchange, Key: c.key}).Queues); got != c.queues {
			t.Errorf("%s: got %q, want %q", c.reason, got, c.queues)
		}
	}
}

func TestSettings(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	limits := policy("p", ".*", "queues", 1, args{"message-ttl": int64(50), "overflow": "reject-publish", "delivery-limit": int64(5)})
	cases := map[string]struct {
		version string
		queue   *topology.Queue
		policy  *topology.BrokerPolicy
		want    settings
	}{
		"nothing":                   {"3.10", queue("q", "quorum", nil), nil, settings{kind: "quorum", overflow: "drop-head"}},
		"the limit of 4.0":          {"4.0", queue("q", "quorum", nil), nil, settings{kind: "quorum", overflow: "drop-head", deliveryLimit: n(20)}},
		"no limit of 4.0":           {"4.0", queue("q", "quorum", args{"x-delivery-limit": int64(-1)}), nil, settings{kind: "quorum", overflow: "drop-head"}},
		"the lower number":          {"4.0", queue("q", "quorum", args{"x-message-ttl": int64(20), "x-delivery-limit": int64(9)}), limits, settings{kind: "quorum", overflow: "reject-publish", ttl: n(20), deliveryLimit: n(5)}},
		"quorum: the policy's word": {"4.0", queue("q", "quorum", args{"x-overflow": "drop-head"}), limits, settings{kind: "quorum", overflow: "reject-publish", ttl: n(50), deliveryLimit: n(5)}},
		"a key that classic lacks":  {"4.0", queue("q", "classic", args{"x-overflow": "reject-publish-dlx"}), limits, settings{kind: "classic", overflow: "reject-publish-dlx"}},
		"streams keep everything":   {"4.3", queue("q", "stream", args{"x-max-age": "1D"}), nil, settings{kind: "stream", overflow: "drop-head"}},
		"delays of 4.3":             {"4.3", queue("q", "quorum", args{"x-delayed-retry-type": "all", "x-delayed-retry-min": int64(1), "x-delayed-retry-max": int64(2)}), nil, settings{kind: "quorum", overflow: "drop-head", deliveryLimit: n(20), delayMin: n(1), delayMax: n(2)}},
		"no delays before":          {"4.2", queue("q", "quorum", args{"x-delayed-retry-type": "all", "x-delayed-retry-min": int64(1)}), nil, settings{kind: "quorum", overflow: "drop-head", deliveryLimit: n(20)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			resources := []topology.Resource{c.queue}
			if c.policy != nil {
				resources = append(resources, c.policy)
			}
			world := NewWorld(Options{VirtualHost: "/", Version: c.version, Resources: resources})
			if got := world.settingsOf(c.queue); !got.equal(c.want) {
				t.Errorf("got %s, want %s", got.text(), c.want.text())
			}
		})
	}
}

func (s settings) equal(other settings) bool { return s.text() == other.text() }

func (s settings) text() string {
	out := []string{s.kind, s.overflow}
	for name, value := range map[string]*int64{"ttl": s.ttl, "limit": s.deliveryLimit, "min": s.delayMin, "max": s.delayMax} {
		if value != nil {
			out = append(out, name+"="+Millis(*value))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// The broker drops a message that comes back without a rejection; before 4.0 it
// mixes up the order of deaths, and a rejection before the last round counts.
func TestCycles(t *testing.T) {
	rounds := func(version string, reasons ...string) letter {
		l := letter{keys: []string{"k"}, exchange: "x"}
		for _, death := range reasons {
			name, reason, _ := strings.Cut(death, " ")
			l = l.died(parseVersion(version), name, reason, "x", nil)
		}
		return l
	}
	for _, c := range []struct {
		version string
		deaths  []string
		target  string
		want    bool
	}{
		{"4.0", []string{"a expired"}, "b", false},
		{"4.0", []string{"a expired"}, "a", true},
		{"4.0", []string{"a rejected", "b expired"}, "a", false},
		{"4.0", []string{"a expired", "b expired"}, "a", true},
		{"4.0", []string{"a rejected", "b expired", "b expired"}, "b", true},
		{"4.0", []string{"c rejected", "a expired", "b expired", "c expired"}, "b", true},
		{"3.10", []string{"c rejected", "a expired", "b expired", "c expired"}, "b", false},
	} {
		l := rounds(c.version, c.deaths...)
		if got := l.cycles(c.target); got != c.want {
			t.Errorf("%s: after %q, back to %s: got %v, want %v", c.version, c.deaths, c.target, got, c.want)
		}
	}
}

func TestMillis(t *testing.T) {
	for ms, want := range map[int64]string{
		0: "0s", 1: "1ms", 999: "999ms", 1000: "1s", 1500: "1.5s", 60_000: "1m", 60_500: "1m0.5s", 90_000: "1m30s", 3_600_000: "1h", 3_600_001: "1h0.001s", 86_400_000: "1d", 90_000_000: "1d1h",
	} {
		if got := Millis(ms); got != want {
			t.Errorf("%d ms: got %q, want %q", ms, got, want)
		}
	}
}
