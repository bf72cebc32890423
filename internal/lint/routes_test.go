package lint

import (
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/internal/trace"
)

func TestMatchTopic(t *testing.T) {
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.*", "a.b", true}, {"a.*", "a", false}, {"a.*", "a.b.c", false},
		{"a.#", "a", true}, {"a.#", "a.b.c", true}, {"#", "", true}, {"#.#", "", true}, {"*", "", false}, {"", "", true},
		{"#.z", "a.b.z", true}, {"#.z", "z", true}, {"a.#.z", "a.z", true}, {"*.*", "a.", true}, {"*", "a.", false}, {"a.b", "a", false},
	} {
		if got := trace.MatchTopic(c.pattern, c.key); got != c.want {
			t.Errorf("%q takes %q: %t", c.pattern, c.key, got)
		}
	}
}

// waiting is a queue in which messages wait before they go back to q: what comes
// to the exchange again goes there.
func waiting() string {
	return exchangeText("again", "type: topic") +
		queueText("wait", "type: classic", "messageTTL: 5s", "bindings: [{source: again, routingKeys: [\"#\"]}]", `deadLetter: {create: false, exchange: "", routingKey: q}`)
}

func TestCycles(t *testing.T) {
	const again = "deadLetter: {create: false, exchange: again}"
	cases := map[string]struct {
		manifests, version string
		rule, says         string // "" for none
	}{
		"RejectedAndExpiring": {waiting() + queueText("q", "type: classic", again), "", "dead-letter-cycle-expiration", "q → wait → q"},
		"OwnTTL":              {waiting() + queueText("q", "type: classic", "messageTTL: 1h", again), "", "dead-letter-cycle", "expires"},
		"Full":                {waiting() + queueText("q", "type: classic", "maxLengthBytes: 9", again), "", "dead-letter-cycle", "finds the queue full"},
		"FullAndRefusing":     {waiting() + queueText("q", "type: classic", "maxLength: 9", "overflow: reject-publish", again), "", "dead-letter-cycle-expiration", ""},
		"InAPolicy":           {waiting() + queueText("q", "type: classic", "settings: Policy", "maxLength: 9", again), "", "dead-letter-cycle", "finds the queue full"},
		"DeliveryLimit":       {waiting() + queueText("q", "type: quorum", again), "", "dead-letter-cycle", "exceeds the delivery limit"},
		"NoLimitBefore4":      {waiting() + queueText("q", "type: quorum", again), "3.13", "dead-letter-cycle-expiration", ""},
		"Itself":              {queueText("q", "type: classic", "messageTTL: 1h", `deadLetter: {create: false, exchange: "", routingKey: q}`), "", "dead-letter-cycle", "q → q"},
		"Tiers":               {queueText("q", "type: quorum", "messageTTL: 1h", "retry: {strategy: Tiers, delays: [1s, 5s]}"), "", "", ""},
		"TiersBefore4":        {queueText("q", "type: classic", "messageTTL: 1h", "retry: {strategy: Tiers, delays: [1s, 5s]}"), "3.10.8", "", ""},
		"Published":           {queueText("q", "type: classic", "messageTTL: 1h", "retry: {strategy: Published, delays: [1s, 5s]}", "deadLetter: {}"), "", "", ""},
		"Native":              {queueText("q", "type: quorum", "retry: {strategy: Native, maxRetries: 3, backoff: {initial: 1s}}"), "", "", ""},
		"NobodyExpires":       {exchangeText("again", "type: fanout") + queueText("stays", "type: classic", "bindings: [{source: again}]", `deadLetter: {create: false, exchange: "", routingKey: q}`) + queueText("q", "type: classic", "maxLength: 1", again), "", "", ""},
		"AnotherKey": {strings.Replace(waiting(), `"#"`, "a.b", 1) + queueText("other", "type: classic", "bindings: [{source: again, routingKeys: [c]}]") +
			queueText("q", "type: classic", "maxLength: 1", "deadLetter: {create: false, exchange: again, routingKey: c}"), "", "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var found []Finding
			for _, f := range check(t, connection+c.manifests, Options{RabbitMQVersion: c.version}).Findings {
				if strings.HasPrefix(f.Rule, "dead-letter") {
					found = append(found, f)
				}
			}
			if c.rule == "" {
				if len(found) > 0 {
					t.Errorf("found %+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Rule != c.rule || !strings.Contains(found[0].Message, c.says) {
				t.Errorf("found %+v, not %s with %q", found, c.rule, c.says)
			}
		})
	}
}

func TestUnroutable(t *testing.T) {
	cases := map[string]struct {
		manifests string
		want      int
	}{
		"ThroughAnother":    {exchangeText("a", "type: topic") + exchangeText("b", "type: fanout", "bindings: [{source: a, routingKeys: [x]}]") + bound("q", "b"), 0},
		"AnotherIsNoHelp":   {exchangeText("a", "type: topic") + exchangeText("b", "type: fanout", "bindings: [{source: a, routingKeys: [x]}]"), 2},
		"InACircle":         {exchangeText("a", "type: fanout", "bindings: [{source: b}]") + exchangeText("b", "type: fanout", "bindings: [{source: a}]"), 2},
		"NotDeclaredHere":   {exchangeText("a", "type: topic", "alternateExchange: elsewhere"), 0},
		"QueueNotHere":      {exchangeText("a", "type: topic") + written("ExchangeBinding", "b", "source: a", "destinationType: queue", "destination: nobody"), 0},
		"DeadLetterQueue":   {exchangeText("dlx", "type: direct") + queueText("q", "type: classic", "deadLetter: {exchange: dlx}"), 0},
		"OtherVirtualHost":  {exchangeText("a", "type: fanout") + strings.Replace(bound("q", "a"), "type:", "virtualHost: v\n  type:", 1), 1},
		"AnotherConnection": {exchangeText("a", "type: fanout") + strings.ReplaceAll(bound("q", "a"), "connectionRef: {name: shop}", "connectionRef: {name: other}"), 1},
		"SameEndpoint": {strings.Replace(strings.Replace(strings.Split(connection, "---")[0], "name: shop", "name: other", 1), ":15672", ":15672/", 1) + "---\n" +
			exchangeText("a", "type: fanout") + strings.ReplaceAll(bound("q", "a"), "connectionRef: {name: shop}", "connectionRef: {name: other}"), 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if found := of(check(t, connection+c.manifests, Options{}), "exchange-unroutable"); len(found) != c.want {
				t.Errorf("%d findings and not %d: %+v", len(found), c.want, found)
			}
		})
	}
}

func TestDeclaredTwice(t *testing.T) {
	shared := queueText("a", "type: classic", "deadLetter: {exchange: dlx}")
	cases := map[string]struct {
		manifests string
		want      int
	}{
		"SharedAlike":       {shared + queueText("b", "type: classic", "deadLetter: {exchange: dlx}"), 0},
		"SharedOtherwise":   {shared + queueText("b", "type: classic", "deadLetter: {exchange: dlx, exchangeType: topic}"), 1},
		"OwnAndDerived":     {shared + exchangeText("dlx", "type: direct"), 0},
		"OwnAndOther":       {shared + exchangeText("dlx", "type: fanout"), 1},
		"SameBindingTwice":  {exchangeText("e", "type: fanout") + bound("q", "e") + written("ExchangeBinding", "x", "source: e", "destinationType: queue", "destination: q"), 0},
		"OtherVirtualHost":  {queueText("q", "type: classic") + queueText("other", "name: q", "virtualHost: v", "type: classic"), 0},
		"TopicAndItsRetry":  {topicText("t", "partitions: 3", "retry: {delays: [1s], topics: {}, deadLetter: {}}") + topicText("t.retry.1s", "partitions: 5"), 1},
		"ThreeOfThem":       {queueText("q", "type: classic") + queueText("b", "name: q", "type: classic") + queueText("c", "name: q", "type: classic"), 2},
		"AnotherConnection": {queueText("q", "type: classic") + strings.Replace(queueText("b", "name: q", "type: classic"), "connectionRef: {name: shop}", "connectionRef: {name: x}", 1), 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if found := of(check(t, connection+c.manifests, Options{}), "declared-twice"); len(found) != c.want {
				t.Errorf("%d findings and not %d: %+v", len(found), c.want, found)
			}
		})
	}
}

func TestSplitWarning(t *testing.T) {
	for text, want := range map[string][2]string{
		"spec.settings: a: b":            {"spec.settings", "a: b"},
		`spec.arguments["a: b"]: c`:      {`spec.arguments["a: b"]`, "c"},
		"spec.arguments[x-y]: c [\"d\"]": {"spec.arguments[x-y]", `c ["d"]`},
		"no path":                        {"", "no path"},
	} {
		if field, message := splitWarning(text); field != want[0] || message != want[1] {
			t.Errorf("%s: %q and %q", text, field, message)
		}
	}
}

func TestParseIgnore(t *testing.T) {
	got := parseIgnore(" a: one; b : two: three\nc\n;  ; d:")
	want := []silence{{rule: "a", reason: "one"}, {rule: "b", reason: "two: three"}, {rule: "c"}, {rule: "d"}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("entry %d is %+v and not %+v", i, got[i], want[i])
		}
	}
}
