package plan_test

import (
	"errors"
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestConvergence(t *testing.T) {
	x, other := exchange("x", "direct"), exchange("x", "fanout")
	vhost := func(description string) *topology.VirtualHost {
		return &topology.VirtualHost{Name: "shop", Description: &description}
	}
	a := cr("shop/a", wants(x))
	run(t, map[string]scenario{
		"AbsentIsCreated": {
			reason:    "what is owned and missing is created; after the first time that is drift",
			claims:    []*topology.Claim{cr("shop/a", wants(x), settled)},
			inventory: owned(a),
			want:      []string{"create exchange shop/x (drift)"},
		},
		"AbsentIsReported": {
			reason:    "driftPolicy: Report only says so",
			claims:    []*topology.Claim{cr("shop/a", wants(x), settled, reportsDrift)},
			inventory: owned(a),
			want:      []string{"held Drifted shop/a exchange shop/x"},
			says:      []string{"existence: missing on the broker, present declared"},
		},
		"AbsentAfterAnEdit": {
			reason:    "an edit is carried out, and what is missing is created with it",
			claims:    []*topology.Claim{cr("shop/a", wants(x), reportsDrift)},
			inventory: owned(a),
			want:      []string{"create exchange shop/x"},
		},
		"ReportStillCreatesWhatIsNew": {
			reason: "what has never been there has not drifted",
			claims: []*topology.Claim{cr("shop/a", wants(x), settled, reportsDrift)},
			want:   []string{"create exchange shop/x", "record exchange shop/x of shop/a"},
		},
		"Unchanged": {
			reason:    "what is as declared leads to nothing",
			claims:    []*topology.Claim{a},
			inventory: owned(a), live: []topology.Resource{x},
		},
		"InPlace": {
			reason:    "what can change in place is updated; an edit is no drift",
			claims:    []*topology.Claim{cr("shop/a", wants(vhost("new")))},
			inventory: owned(cr("shop/a", wants(vhost("old")))), live: []topology.Resource{vhost("old")},
			want: []string{"update vhost shop description"},
		},
		"DriftInPlace": {
			reason:    "a hand-made change is undone",
			claims:    []*topology.Claim{cr("shop/a", wants(vhost("new")), settled, correctsDrift)},
			inventory: owned(cr("shop/a", wants(vhost("new")))), live: []topology.Resource{vhost("old")},
			want: []string{"update vhost shop description (drift)"},
		},
		"DriftReported": {
			reason:    "or shown",
			claims:    []*topology.Claim{cr("shop/a", wants(vhost("new")), settled, reportsDrift)},
			inventory: owned(cr("shop/a", wants(vhost("new")))), live: []topology.Resource{vhost("old")},
			want: []string{"held Drifted shop/a vhost shop"},
			says: []string{`description: "old" on the broker, "new" declared`},
		},
		"EditUnderReport": {
			reason:    "an edit is carried out under driftPolicy: Report",
			claims:    []*topology.Claim{cr("shop/a", wants(vhost("new")), reportsDrift)},
			inventory: owned(cr("shop/a", wants(vhost("old")))), live: []topology.Resource{vhost("old")},
			want: []string{"update vhost shop description"},
		},
		"ReplaceIsRefused": {
			reason:    "what cannot change in place is held, for every owner, and stays owned",
			claims:    []*topology.Claim{cr("shop/a", shares(x)), cr("shop/b", shares(x))},
			inventory: owned(cr("shop/a", shares(other)), cr("shop/b", shares(other))), live: []topology.Resource{other},
			want: []string{"held ImmutableFieldChanged shop/a exchange shop/x", "held ImmutableFieldChanged shop/b exchange shop/x"},
			says: []string{"type: fanout on the broker, direct declared"},
		},
		"Unreadable": {
			reason:    "what cannot be read is not written",
			claims:    []*topology.Claim{a},
			inventory: owned(a), unread: map[topology.ID]error{shop.ID(): errors.New("no permission")},
			want: []string{"held AccessDenied shop/a exchange shop/x"},
			says: []string{"no permission"},
		},
	})
}

func TestAdoption(t *testing.T) {
	hand := topic("t", 3, "retention.ms", "1")
	wanted := topic("t", 3, "retention.ms", "2")
	run(t, map[string]scenario{
		"Identical": {
			reason: "what exists as declared is adopted",
			claims: []*topology.Claim{cr("shop/a", wants(hand))}, live: []topology.Resource{hand},
			want: []string{"record topic t of shop/a fields config.retention.ms", "adopt topic t"},
		},
		"IfIdenticalDiffers": {
			reason: "what differs is not, by default",
			claims: []*topology.Claim{cr("shop/a", wants(wanted))}, live: []topology.Resource{hand},
			want: []string{"held AdoptionRefused shop/a topic t"},
			says: []string{"config.retention.ms: 1 on the broker, 2 declared", "adoptionPolicy: Always"},
		},
		"Always": {
			reason: "Always changes what can be changed",
			claims: []*topology.Claim{cr("shop/a", wants(wanted), adoption(topology.AdoptAlways))}, live: []topology.Resource{hand},
			want: []string{"update topic t config.retention.ms", "record topic t of shop/a fields config.retention.ms", "adopt topic t"},
		},
		"AlwaysCannotReplace": {
			reason: "and does not own what it could not bring in line",
			claims: []*topology.Claim{cr("shop/a", wants(exchange("x", "direct")), adoption(topology.AdoptAlways))}, live: []topology.Resource{exchange("x", "fanout")},
			want: []string{"held ImmutableFieldChanged shop/a exchange shop/x"},
		},
		"Never": {
			reason: "Never refuses even what is identical",
			claims: []*topology.Claim{cr("shop/a", wants(hand), adoption(topology.AdoptNever))}, live: []topology.Resource{hand},
			want: []string{"held AdoptionRefused shop/a topic t"},
			says: []string{"adoptionPolicy is Never"},
		},
		"BindingUnderNever": {
			reason: "a binding is nothing but its identity, so it is adopted whatever the policy",
			claims: []*topology.Claim{cr("shop/a", shares(bind("x", "q", "k")), adoption(topology.AdoptNever))},
			live:   []topology.Resource{exchange("x", "direct"), queue("q"), bind("x", "q", "k")},
			want:   []string{"record binding shop/x -> queue q key k of shop/a", "adopt binding shop/x -> queue q key k"},
		},
		"OwnedIsNotAdopted": {
			reason: "the policy is not asked about what is owned",
			claims: []*topology.Claim{cr("shop/a", wants(wanted), adoption(topology.AdoptNever))}, live: []topology.Resource{hand},
			inventory: owned(cr("shop/a", wants(hand))),
			want:      []string{"update topic t config.retention.ms"},
		},
	})
}

func TestTopics(t *testing.T) {
	three, six := topic("t", 3), topic("t", 6)
	before := owned(cr("shop/a", wants(three)))
	grow := func(p topology.PartitionGrowth, usage used, want []string, says ...string) scenario {
		return scenario{
			reason: "partitions grow as partitionGrowth says",
			claims: []*topology.Claim{cr("shop/a", wants(six), growth(p))}, inventory: before,
			live: []topology.Resource{three}, usage: usage, want: want, says: says,
		}
	}
	update, refused := []string{"update topic t partitions"}, []string{"held PartitionGrowthRefused shop/a topic t"}
	keys := func(k ...string) *topology.Topic { return topic("t", 3, k...) }
	withOld := owned(cr("shop/a", wants(keys("a", "1", "b", "2"))))
	run(t, map[string]scenario{
		"GrowthAlways":         grow(topology.GrowAlways, nil, update),
		"GrowthNever":          grow(topology.GrowNever, used{three.ID(): {}}, refused, "partitionGrowth is Never"),
		"GrowthWhenEmpty":      grow(topology.GrowWhenEmpty, used{three.ID(): {}}, update),
		"GrowthWhenUsed":       grow(topology.GrowWhenEmpty, used{three.ID(): {Messages: 5}}, refused, "the topic holds messages: set partitionGrowth: Always"),
		"GrowthWhenAsked":      grow(topology.GrowWhenEmpty, nil, append([]string{"usage? topic t"}, refused...), "not known yet"),
		"GrowthWhenNobodyKnow": grow(topology.GrowWhenEmpty, used{three.ID(): {Unknown: true}}, refused, "does not tell"),
		"Lowering": {
			reason: "Kafka takes no partition away",
			claims: []*topology.Claim{cr("shop/a", wants(three), growth(topology.GrowAlways))}, inventory: before,
			live: []topology.Resource{six}, want: refused, says: []string{"set partitions back to 6"},
		},
		"OneRefusedHoldsAll": {
			reason:    "a config change waits with the growth, and what is to be unset is not forgotten",
			claims:    []*topology.Claim{cr("shop/a", wants(topic("t", 6, "b", "2")), growth(topology.GrowNever))},
			inventory: withOld, live: []topology.Resource{keys("a", "1", "b", "2")}, want: refused,
		},
		"ReleasedKeyIsUnsetAndRemembered": {
			reason:    "a key taken out of the spec is unset; until it is, the inventory remembers it, so that a failed step is tried again",
			claims:    []*topology.Claim{cr("shop/a", wants(keys("b", "2", "c", "3")))},
			inventory: withOld, live: []topology.Resource{keys("a", "1", "b", "2")},
			want: []string{"update topic t config.a config.c", "record topic t of shop/a fields config.a config.b config.c"},
		},
		"ReleasedKeyIsForgottenOnceUnset": {
			reason:    "a plan after the edit finds it unset, and only then forgets it",
			claims:    []*topology.Claim{cr("shop/a", wants(keys("b", "2")), settled)},
			inventory: withOld, live: []topology.Resource{keys("b", "2")},
			want: []string{"record topic t of shop/a fields config.b"},
		},
		"ReleasedKeyNotSeenYet": {
			reason:    "what set it a moment before it was taken out of the spec may still be on its way",
			claims:    []*topology.Claim{cr("shop/a", wants(keys("b", "2")))},
			inventory: withOld, live: []topology.Resource{keys("b", "2")},
		},
		"ReleasedKeyNotSeenYetBesideAChange": {
			reason:    "another change of the same edit makes no difference to that",
			claims:    []*topology.Claim{cr("shop/a", wants(keys("b", "3")))},
			inventory: withOld, live: []topology.Resource{keys("b", "2")},
			want: []string{"update topic t config.b"},
		},
		"ForeignKey": {
			reason:    "a key that was never declared is nobody's business",
			claims:    []*topology.Claim{cr("shop/a", wants(keys("a", "1", "b", "2")))},
			inventory: withOld, live: []topology.Resource{keys("a", "1", "b", "2", "throttle", "9")},
		},
	})
}

func TestBlocked(t *testing.T) {
	x, q := exchange("x", "direct"), queue("q")
	b := bind("x", "q", "k")
	elsewhere := &topology.Queue{VirtualHost: "nowhere", Name: "q", Type: "classic", Durable: true}
	ordered := queue("q")
	ordered.After = []topology.ID{x.ID()}
	run(t, map[string]scenario{
		"OnMissingExchange": {
			reason: "a binding waits for an exchange that nobody declares; its queue does not",
			claims: []*topology.Claim{cr("shop/a", wants(q), shares(b))},
			want:   []string{"create queue shop/q", "record queue shop/q of shop/a", "held DependencyNotReady shop/a binding shop/x -> queue q key k"},
			says:   []string{"waits for exchange shop/x, which is not on the broker and which no resource declares"},
		},
		"OnNothing": {
			reason: "in one plan the exchange comes first, and the binding requires both",
			claims: []*topology.Claim{cr("shop/a", wants(q), shares(b)), cr("shop/b", wants(x))},
			want: []string{
				"create exchange shop/x", "create queue shop/q", "--", "create binding shop/x -> queue q key k",
				"record binding shop/x -> queue q key k of shop/a", "record exchange shop/x of shop/b", "record queue shop/q of shop/a",
			},
		},
		"Chain": {
			reason: "what is blocked blocks, and nothing of it is recorded",
			claims: []*topology.Claim{cr("shop/a", wants(ordered), shares(b)), cr("shop/b", invalid, wants(x))},
			want: []string{
				"held DependencyNotReady shop/a binding shop/x -> queue q key k", "held DependencyNotReady shop/a queue shop/q", "held InvalidSpec shop/b",
			},
			says: []string{"which Queue shop/b declares and which is not there yet"},
		},
		"OnMissingVirtualHost": {
			reason: "a virtual host is never created implicitly; other claims go on",
			claims: []*topology.Claim{cr("shop/a", wants(elsewhere)), cr("shop/b", wants(x))},
			want:   []string{"create exchange shop/x", "record exchange shop/x of shop/b", "held DependencyNotReady shop/a queue nowhere/q"},
			says:   []string{"waits for vhost nowhere"},
		},
		"OnAHeldNeed": {
			reason:    "the message passes on why the need is held",
			claims:    []*topology.Claim{cr("shop/a", wants(q), shares(b)), cr("shop/b", wants(x), settled, reportsDrift)},
			inventory: owned(cr("shop/a", wants(q)), cr("shop/b", wants(x))), live: []topology.Resource{q},
			want: []string{"held DependencyNotReady shop/a binding shop/x -> queue q key k", "held Drifted shop/b exchange shop/x"},
			says: []string{"waits for exchange shop/x, which is held: Drifted"},
		},
		"OnAConflict": {
			reason:    "an exchange that a suspended owner keeps from being created blocks, and the claim that lost it is named",
			claims:    []*topology.Claim{cr("shop/a", wants(x, q), shares(b)), cr("shop/b", wants(x), suspended)},
			inventory: owned(cr("shop/b", wants(x))), live: []topology.Resource{q, bind("", "q", "q")},
			want: []string{
				"record queue shop/q of shop/a", "adopt queue shop/q",
				"held DependencyNotReady shop/a binding shop/x -> queue q key k",
				"held Conflict shop/a exchange shop/x won by shop/b", "held Suspended shop/b",
			},
		},
		"OnWhatOthersHave": {
			reason:    "a claim that lost a queue leads nothing into it, though the queue is there, and has no part in what leads there already",
			claims:    []*topology.Claim{cr("shop/a", wants(q), shares(b, bind("x", "q", "more")), bornAfter(1)), cr("shop/b", wants(q), shares(b)), cr("shop/c", wants(x))},
			inventory: owned(cr("shop/b", wants(q), shares(b)), cr("shop/c", wants(x))), live: []topology.Resource{q, x, b, bind("", "q", "q")},
			want: []string{
				"held DependencyNotReady shop/a binding shop/x -> queue q key k",
				"held DependencyNotReady shop/a binding shop/x -> queue q key more", "held Conflict shop/a queue shop/q won by shop/b",
			},
			says: []string{"binding shop/x -> queue q key more waits for queue shop/q, which Queue shop/b has"},
		},
		"OnWhatOthersLeft": {
			reason:    "what leads into a queue goes with the claim that has the queue, and is not left to one that lost it",
			claims:    []*topology.Claim{cr("shop/a", wants(q), shares(b), bornAfter(1)), cr("shop/b", wants(q)), cr("shop/c", wants(x))},
			inventory: owned(cr("shop/b", wants(q), shares(b)), cr("shop/c", wants(x))), live: []topology.Resource{q, x, b, bind("", "q", "q")},
			want: []string{
				"delete binding shop/x -> queue q key k",
				"held DependencyNotReady shop/a binding shop/x -> queue q key k", "held Conflict shop/a queue shop/q won by shop/b",
			},
			says: []string{"binding shop/x -> queue q key k waits for queue shop/q, which Queue shop/b has"},
		},
		"OnWhatOthersLeftOfBoth": {
			reason:    "that the books name both does not keep it: the one that lost the queue has edited nothing",
			claims:    []*topology.Claim{cr("shop/a", wants(q), shares(b), bornAfter(1)), cr("shop/b", wants(q)), cr("shop/c", wants(x))},
			inventory: owned(cr("shop/a", shares(b)), cr("shop/b", wants(q), shares(b)), cr("shop/c", wants(x))), live: []topology.Resource{q, x, b, bind("", "q", "q")},
			want: []string{
				"delete binding shop/x -> queue q key k",
				"held DependencyNotReady shop/a binding shop/x -> queue q key k", "held Conflict shop/a queue shop/q won by shop/b",
			},
		},
		"OnWhatOthersGaveUp": {
			reason:    "an exchange of another team that nobody declares any more is not had by who alone declares it",
			claims:    []*topology.Claim{cr("shop/a", wants(x, q), shares(b)), cr("audit/d")},
			inventory: owned(cr("audit/d", wants(x))), live: []topology.Resource{q, bind("", "q", "q")},
			want: []string{
				"record queue shop/q of shop/a", "forget exchange shop/x", "adopt queue shop/q",
				"held DependencyNotReady shop/a binding shop/x -> queue q key k", "held Conflict shop/a exchange shop/x won by audit/d",
			},
			says: []string{"binding shop/x -> queue q key k waits for exchange shop/x, which Queue audit/d has"},
		},
		"OnAnUnreadableNeed": {
			reason: "a need that cannot be read is not taken to be there",
			claims: []*topology.Claim{cr("shop/a", shares(b))}, live: []topology.Resource{q},
			unread: map[topology.ID]error{x.ID(): errors.New("no permission")},
			want:   []string{"held DependencyNotReady shop/a binding shop/x -> queue q key k"},
			says:   []string{"which cannot be read: no permission"},
		},
		"NotOnAnUpdate": {
			reason: "an update of the virtual host that is there is nothing to wait for: see TestRequires",
			claims: []*topology.Claim{cr("shop/a", wants(x)), cr("shop/b", wants(&topology.VirtualHost{Name: "shop", Tags: []string{"new"}}), adoption(topology.AdoptAlways))},
			want:   []string{"create exchange shop/x", "update vhost shop tags", "record exchange shop/x of shop/a", "record vhost shop of shop/b fields tags", "adopt vhost shop"},
		},
	})
}
