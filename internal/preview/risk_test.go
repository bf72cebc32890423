package preview

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// only previews one step.
func only(live *topology.Snapshot, step topology.Step, shares map[string]Share) []string {
	cluster := Of(Input{Connection: rabbit, Plan: &plan.Plan{Waves: [][]topology.Step{{step}}}, Live: live, Shares: shares})
	return cluster.Items[0].Risks
}

func TestRiskOfBindings(t *testing.T) {
	exchange := func(kind, alternate string) *topology.Exchange {
		e := &topology.Exchange{VirtualHost: "shop", Name: "orders", Type: kind, Durable: true}
		if alternate != "" {
			e.Arguments = topology.Arguments{"alternate-exchange": alternate}
		}
		return e
	}
	unrouted := &topology.Exchange{VirtualHost: "shop", Name: "unrouted", Type: "fanout", Durable: true}
	a, b := queue("a", "classic", nil), queue("b", "classic", nil)
	const dropped = ": unless an alternate exchange takes them, such messages will be dropped"
	for name, c := range map[string]struct {
		exchange *topology.Exchange
		gone     string
		others   []topology.Resource
		want     []string
	}{
		"OnlyOne":            {exchange("topic", ""), "order.eu.*", []topology.Resource{bind("orders", "b", "order.us.*")}, []string{"this binding is the only one that matches `order.eu.*`" + dropped}},
		"SameKey":            {exchange("topic", ""), "order.eu.*", []topology.Resource{bind("orders", "b", "order.eu.*")}, nil},
		"WiderKey":           {exchange("topic", ""), "order.eu.*", []topology.Resource{bind("orders", "b", "order.#")}, nil},
		"NarrowerKey":        {exchange("topic", ""), "order.#", []topology.Resource{bind("orders", "b", "order.eu.*")}, []string{"this binding is the only one that matches `order.#`" + dropped}},
		"ToNothing":          {exchange("topic", ""), "k", []topology.Resource{bind("orders", "missing", "k")}, []string{"this binding is the only one that matches `k`" + dropped}},
		"Alternate":          {exchange("topic", "unrouted"), "k", []topology.Resource{unrouted}, []string{"this binding is the only one that matches `k`: such messages go to the alternate exchange unrouted from now on"}},
		"AlternateMissing":   {exchange("direct", "unrouted"), "k", nil, []string{"this binding is the only one that matches `k`, and the alternate exchange unrouted is not there: such messages will be dropped"}},
		"Direct":             {exchange("direct", ""), "k", []topology.Resource{bind("orders", "b", "#")}, []string{"this binding is the only one that matches `k`" + dropped}},
		"Fanout":             {exchange("fanout", ""), "", nil, []string{"this binding is the only one of orders" + dropped}},
		"FanoutWithAnother":  {exchange("fanout", ""), "", []topology.Resource{bind("orders", "b", "any")}, nil},
		"Headers":            {exchange("headers", ""), "", nil, []string{"this is the only binding with these headers" + dropped}},
		"HeadersWithAnother": {exchange("headers", ""), "", []topology.Resource{bind("orders", "b", "other key")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			gone := bind("orders", "a", c.gone)
			live := snapshot(append([]topology.Resource{c.exchange, a, b, gone}, c.others...)...)
			if diff := cmp.Diff(c.want, only(live, remove(gone), nil)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCoversPattern(t *testing.T) {
	for _, c := range []struct {
		general, special string
		want             bool
	}{
		{"#", "a.b", true}, {"#", "", true}, {"#", "#", true}, {"*", "a", true}, {"*", "*", true}, {"*", "#", false}, {"*", "a.b", false},
		{"a.#", "a", true}, {"a.#", "a.b.*", true}, {"a.#", "a.#.b", true}, {"a.#.b", "a.b", true}, {"a.#.b", "a.x.y.b", true}, {"a.#.b", "a.x", false},
		{"a.*.b", "a.#.b", false}, {"a", "*", false}, {"a.b", "a.b", true}, {"a.b", "a", false}, {"", "", true}, {"#.#", "", true},
	} {
		if got := coversPattern(strings.Split(c.general, "."), strings.Split(c.special, ".")); got != c.want {
			t.Errorf("%q takes all of %q: %t, want %t", c.general, c.special, got, c.want)
		}
	}
}

func TestRiskOfConfig(t *testing.T) {
	topic := func(config map[string]string) *topology.Topic {
		return &topology.Topic{Name: "t", Partitions: 1, Config: config}
	}
	type config = map[string]string
	for name, c := range map[string]struct {
		from, to config
		share    Share
		want     []string
	}{
		"Retention": {
			config{"retention.ms": "604800000"}, config{"retention.ms": "86400000"}, Share{Older: 79, Of: 100},
			[]string{"retention 7d → 1d deletes up to 79 % of the log, about 79 of 100 records (an estimate by their times: whole segments go)"},
		},
		"NoneIsOlder":    {config{"retention.ms": "604800000"}, config{"retention.ms": "86400000"}, Share{Of: 100}, []string{"retention 7d → 1d deletes nothing now: no record is older"}},
		"NotKnown":       {config{"retention.ms": "-1"}, config{"retention.ms": "90000"}, Share{}, []string{"retention unlimited → 90s deletes what is older"}},
		"FromDefault":    {config{}, config{"retention.ms": "3600000"}, Share{Older: 1, Of: 1000}, []string{"retention the broker's default → 1h deletes up to 1 % of the log, about 1 of 1,000 records (an estimate by their times: whole segments go)"}},
		"Longer":         {config{"retention.ms": "1"}, config{"retention.ms": "2"}, Share{Older: 1, Of: 1}, nil},
		"Compacted":      {config{"retention.ms": "2", "cleanup.policy": "compact"}, config{"retention.ms": "1"}, Share{Older: 1, Of: 1}, nil},
		"Bytes":          {config{"retention.bytes": "-1"}, config{"retention.bytes": "1073741824"}, Share{}, []string{"of each partition the oldest segments above 1 GiB are deleted"}},
		"ToCompact":      {config{"cleanup.policy": "delete"}, config{"cleanup.policy": "compact"}, Share{}, []string{"only the last record of each key is kept from now on, and records without a key are refused"}},
		"ToDelete":       {config{"cleanup.policy": "compact"}, config{"cleanup.policy": "delete"}, Share{}, []string{"what is older than the retention is deleted, the last record of a key included"}},
		"InSync":         {config{"min.insync.replicas": "1"}, config{"min.insync.replicas": "2"}, Share{}, []string{"producers with acks=all are refused while fewer than 2 replicas are in sync"}},
		"FewerInSync":    {config{"min.insync.replicas": "2"}, config{"min.insync.replicas": "1"}, Share{}, nil},
		"SmallerRecords": {config{"max.message.bytes": "2048"}, config{"max.message.bytes": "1000"}, Share{}, []string{"records larger than 1,000 bytes are refused from now on"}},
		"Harmless":       {config{"compression.type": "zstd"}, config{"compression.type": "lz4"}, Share{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			live := topic(c.from)
			if diff := cmp.Diff(c.want, only(snapshot(live), change(topic(c.to), live), map[string]Share{"t": c.share})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
