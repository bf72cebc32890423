package topology_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
)

func ours(queue, queueType string, definition topology.Arguments) *topology.BrokerPolicy {
	return topology.QueuePolicy("shop", queue, queueType, definition)
}

func theirs(name, pattern, applyTo string, priority int64, definition topology.Arguments) *topology.BrokerPolicy {
	return &topology.BrokerPolicy{VirtualHost: "shop", Name: name, Pattern: pattern, ApplyTo: applyTo, Priority: priority, Definition: definition}
}

func TestOverrules(t *testing.T) {
	type P = *topology.BrokerPolicy
	want := ours("a.b", "classic", topology.Arguments{"max-length": int64(10), "overflow": "drop-head"})
	ttl := topology.Arguments{"message-ttl": int64(1)}
	elsewhere := theirs("p", ".*", "queues", 2000, ttl)
	elsewhere.VirtualHost = "other"
	cases := map[string]struct {
		reason           string
		want             P
		users, operators []P
		says             []string // nothing: it applies
	}{
		"Alone":           {reason: "its own listing is no rival", users: []P{ours("a.b", "classic", nil)}},
		"Lower":           {reason: "most policies are lower", users: []P{theirs("p", ".*", "queues", 999, ttl)}},
		"Higher":          {reason: "one that matches everything wins", users: []P{theirs("p", ".*", "all", 1001, ttl)}, says: []string{"policy shop/p", `pattern ".*", priority 1001`, "applies to queue shop/a.b", "warrener.a.b (priority 1000)", "settings: Arguments"}},
		"Tie":             {reason: "of two with one priority either may apply", users: []P{theirs("p", "^a", "queues", 1000, ttl)}, says: []string{"policy shop/p", "same priority"}},
		"Named":           {reason: "a rival may be for this queue alone", users: []P{theirs("p", `^a\.b$`, "queues", 1000, ttl)}, says: []string{"policy shop/p"}},
		"NamedOther":      {reason: "or for another one", users: []P{theirs("p", `^a\.bc$`, "queues", 2000, ttl)}},
		"FoldedCase":      {reason: "a name in any case is a pattern", users: []P{theirs("p", `(?i)^A\.B$`, "queues", 2000, ttl)}, says: []string{"policy shop/p"}},
		"Unmatched":       {reason: "another pattern", users: []P{theirs("p", `^b`, "queues", 2000, ttl)}},
		"VirtualHost":     {reason: "policies end at the virtual host", users: []P{elsewhere}},
		"Exchanges":       {reason: "policies for exchanges do not apply to queues", users: []P{theirs("p", ".*", "exchanges", 2000, topology.Arguments{"alternate-exchange": "x"})}},
		"OtherType":       {reason: "nor those for another type", users: []P{theirs("p", ".*", "quorum_queues", 2000, ttl), theirs("s", ".*", "streams", 2000, ttl)}},
		"Type":            {reason: "those for the type do", users: []P{theirs("p", ".*", "classic_queues", 2000, ttl)}, says: []string{"policy shop/p"}},
		"Skipped":         {reason: "one key that classic queues lack, and the broker skips the policy", users: []P{theirs("p", ".*", "queues", 2000, topology.Arguments{"message-ttl": int64(1), "delivery-limit": int64(3)})}},
		"SkippedOnStream": {reason: "each type lacks others", want: ours("a.b", "stream", topology.Arguments{"max-age": "7D"}), users: []P{theirs("p", ".*", "queues", 2000, ttl)}},
		"Highest":         {reason: "the one that applies is named", users: []P{theirs("p", ".*", "queues", 1500, ttl), theirs("q", ".*", "queues", 1600, ttl)}, says: []string{"policy shop/q"}},
		"Perl":            {reason: "a pattern that only the broker understands may match", users: []P{theirs("p", `^(?!amq\.).*`, "queues", 2000, ttl)}, says: []string{"policy shop/p", "may apply"}},
		"PerlLower":       {reason: "and does not matter where it is lower", users: []P{theirs("p", `^(?!amq\.).*`, "queues", 0, ttl)}},
		"OperatorLower":   {reason: "the lower one of two limits counts", operators: []P{theirs("cap", ".*", "queues", 0, topology.Arguments{"max-length": int64(9)})}, says: []string{`operator policy "cap"`, "max-length: 9, which counts and not 10"}},
		"OperatorHigher":  {reason: "a limit that is not reached does nothing", operators: []P{theirs("cap", ".*", "queues", 0, topology.Arguments{"max-length": int64(11), "message-ttl": int64(5)})}},
		"OperatorWord":    {reason: "of two words the operator's counts", operators: []P{theirs("cap", ".*", "queues", 0, topology.Arguments{"overflow": "reject-publish"})}, says: []string{`overflow: "reject-publish", which counts`}},
		"OperatorOne":     {reason: "one operator policy applies, the highest", operators: []P{theirs("low", ".*", "queues", 0, topology.Arguments{"max-length": int64(1)}), theirs("high", ".*", "queues", 1, ttl)}},
		"OperatorElse":    {reason: "and only to its queues", operators: []P{theirs("cap", "^b", "queues", 0, topology.Arguments{"max-length": int64(1)})}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.want == nil {
				c.want = want
			}
			got := topology.NewPolicyBook(c.users, c.operators).Overrules(c.want)
			if (got == "") != (len(c.says) == 0) {
				t.Errorf("%s: %q", c.reason, got)
			}
			for _, part := range c.says {
				if !strings.Contains(got, part) {
					t.Errorf("%s: %q does not say %q", c.reason, got, part)
				}
			}
		})
	}
}

// A pattern of ours matches its queue and no other, whatever the name.
func TestPatternOfAwkwardNames(t *testing.T) {
	for _, name := range []string{"a", "a.b", "a+b (c)[d]{2}^$|\\?*", "é/ü %2F", "..", strings.Repeat("x", 255), "line's \"quotes\""} {
		p := ours(name, "classic", topology.Arguments{"max-length": int64(1)})
		rival := *p
		rival.Name = "rival"
		if topology.NewPolicyBook([]*topology.BrokerPolicy{&rival}, nil).Overrules(p) == "" {
			t.Errorf("%q is not matched by %q", name, p.Pattern)
		}
		other := ours(name+"x", "classic", nil)
		if why := topology.NewPolicyBook([]*topology.BrokerPolicy{&rival}, nil).Overrules(other); why != "" {
			t.Errorf("%q is matched: %s", name+"x", why)
		}
	}
}

func TestDiffOfPolicies(t *testing.T) {
	n := func(i int64) any { return i }
	cases := map[string]struct {
		reason     string
		want, live topology.Arguments
		changes    []string
	}{
		"Same":     {reason: "integers are integers", want: topology.Arguments{"max-length": n(1)}, live: topology.Arguments{"max-length": n(1)}},
		"Shrinks":  {reason: "messages may be above it", want: topology.Arguments{"max-length": n(1)}, live: topology.Arguments{"max-length": n(2)}, changes: []string{"definition.max-length: 2 on the broker, 1 declared! the oldest messages above the limit are dropped, or dead-lettered"}},
		"New":      {reason: "no limit is the highest", want: topology.Arguments{"max-length-bytes": n(1)}, changes: []string{"definition.max-length-bytes: (unset) on the broker, 1 declared! the oldest messages above the limit are dropped, or dead-lettered"}},
		"Grows":    {reason: "nothing is above it", want: topology.Arguments{"max-length": n(3)}, live: topology.Arguments{"max-length": n(2)}, changes: []string{"definition.max-length: 2 on the broker, 3 declared"}},
		"Rejects":  {reason: "what is there stays, under reject-publish", want: topology.Arguments{"max-length": n(1), "overflow": "reject-publish"}, live: topology.Arguments{"overflow": "reject-publish"}, changes: []string{"definition.max-length: (unset) on the broker, 1 declared"}},
		"Drops":    {reason: "reject-publish protected what is there", want: topology.Arguments{"max-length": n(1)}, live: topology.Arguments{"max-length": n(1), "overflow": "reject-publish"}, changes: []string{`definition.overflow: "reject-publish" on the broker, (unset) declared! messages above a limit are dropped, or dead-lettered, instead of refused`}},
		"Shorter":  {reason: "told, though it costs none that is there", want: topology.Arguments{"message-ttl": n(1)}, live: topology.Arguments{"message-ttl": n(2)}, changes: []string{"definition.message-ttl: 2 on the broker, 1 declared! messages that come from now on expire sooner; those that wait keep their time"}},
		"Longer":   {reason: "nothing to tell", want: topology.Arguments{"message-ttl": n(3), "expires": n(3)}, live: topology.Arguments{"message-ttl": n(2), "expires": n(2)}, changes: []string{"definition.expires: 2 on the broker, 3 declared", "definition.message-ttl: 2 on the broker, 3 declared"}},
		"Expires":  {reason: "the queue itself", want: topology.Arguments{"expires": n(3)}, changes: []string{"definition.expires: (unset) on the broker, 3 declared! a queue that nobody uses for that long is deleted with its messages"}},
		"MaxAge":   {reason: "ages are words", want: topology.Arguments{"max-age": "1D"}, live: topology.Arguments{"max-age": "7D"}, changes: []string{`definition.max-age: "7D" on the broker, "1D" declared! the stream discards what is older`}},
		"Older":    {reason: "an hour is longer than a minute", want: topology.Arguments{"max-age": "1h"}, live: topology.Arguments{"max-age": "59m"}, changes: []string{`definition.max-age: "59m" on the broker, "1h" declared`}},
		"Unlisted": {reason: "a key that somebody added is drift", live: topology.Arguments{"expires": n(1)}, changes: []string{"definition.expires: 1 on the broker, (unset) declared"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, change := range ours("q", "classic", c.want).Diff(ours("q", "", c.live)) {
				line := change.String()
				if change.Risk != "" {
					line += "! " + change.Risk
				}
				if change.Mode != topology.InPlace {
					t.Errorf("%s: mode %v", line, change.Mode)
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(c.changes, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
	moved := theirs("warrener.q", "^x", "all", 1, nil)
	got := fmt.Sprint(topology.DescribeChanges(ours("q", "classic", nil).Diff(moved)))
	if want := "apply-to: all on the broker, queues declared; pattern: ^x on the broker, ^q$ declared; priority: 1 on the broker, 1000 declared"; got != want {
		t.Errorf("got %s", got)
	}
}

// Policies that were not read are not taken for gone.
func TestPoliciesNotAskedFor(t *testing.T) {
	p := ours("q", "classic", nil)
	for reason, c := range map[string]struct {
		snapshot topology.Snapshot
		want     topology.Presence
	}{
		"not asked for": {topology.Snapshot{Selection: topology.Selection{All: true}}, topology.Unknown},
		"asked for":     {topology.Snapshot{Selection: topology.Selection{All: true, Policies: true}}, topology.Absent},
		"by name":       {topology.Snapshot{Selection: topology.Selection{IDs: []topology.ID{p.ID()}}}, topology.Absent},
		"denied":        {topology.Snapshot{Unread: map[topology.ID]error{topology.UnlistedPolicies: fmt.Errorf("denied")}}, topology.Unknown},
	} {
		if _, got := c.snapshot.Look(p.ID()); got != c.want {
			t.Errorf("%s: presence %v, want %v", reason, got, c.want)
		}
	}
}

func TestPolicyBookApplying(t *testing.T) {
	named := func(name, pattern, applyTo string, priority int64, definition topology.Arguments) *topology.BrokerPolicy {
		return &topology.BrokerPolicy{VirtualHost: "/", Name: name, Pattern: pattern, ApplyTo: applyTo, Priority: priority, Definition: definition}
	}
	book := topology.NewPolicyBook([]*topology.BrokerPolicy{
		named("low", ".*", "all", 1, topology.Arguments{"max-length": int64(1), "alternate-exchange": "low"}),
		named("one", "^one$", "queues", 2, topology.Arguments{"max-length": int64(9), "message-ttl": int64(9)}),
		named("two", "^two", "queues", 2, topology.Arguments{"max-length": int64(2)}),
		named("two too", "two$", "queues", 2, topology.Arguments{"max-length": int64(3)}),
		{VirtualHost: "odd", Name: "odd", Pattern: "odd(?#)", ApplyTo: "exchanges", Definition: topology.Arguments{"alternate-exchange": "odd"}},
	}, []*topology.BrokerPolicy{
		named("operators", "one|three", "queues", 1, topology.Arguments{"max-length": int64(5), "expires": int64(7)}),
	})
	exchange, queue := topology.ExchangeID("/", "one"), func(name string) topology.ID { return topology.QueueID("/", name) }
	for _, c := range []struct {
		reason string
		id     topology.ID
		kind   string
		want   string
		tied   bool
	}{
		{"the highest, and the operator's lower number", queue("one"), "classic", `{"expires":7,"max-length":5,"message-ttl":9}`, false},
		{"one that it lacks a key of is skipped", queue("one"), "stream", `{}`, false},
		{"the operator's does not raise a number", queue("three"), "classic", `{"alternate-exchange":"low","expires":7,"max-length":1}`, false},
		{"two of one priority", queue("two"), "classic", `{"max-length":2}`, true},
		{"another virtual host", topology.QueueID("other", "one"), "classic", `{}`, false},
		{"of an exchange, not that for queues of its name", exchange, "", `{"alternate-exchange":"low","max-length":1}`, false},
		{"a pattern that only the broker understands", topology.ExchangeID("odd", "x"), "", `{"alternate-exchange":"odd"}`, true},
	} {
		got, tied := book.Applying(c.id, c.kind)
		if c.id.Kind == topology.KindExchange {
			got, tied = book.ApplyingToExchange(c.id)
		}
		if got.Canonical() != c.want || tied != c.tied {
			t.Errorf("%s: got %s, tied %v, want %s, %v", c.reason, got.Canonical(), tied, c.want, c.tied)
		}
	}
}
