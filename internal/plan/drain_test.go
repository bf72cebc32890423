package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

func alone(source, destination, routingKey string) *topology.Binding {
	b := bind(source, destination, routingKey)
	b.Alone = true
	return b
}

// A tier of a retry is timed anew: the old one drains.
func TestDrain(t *testing.T) {
	q, retry, back := queue("q"), exchange("retry", "direct"), exchange("redeliver", "fanout")
	returns := bind("redeliver", "q", "")
	oldTier, newTier := queue("tier.1000", "x-dead-letter-exchange", "redeliver"), queue("tier.5000", "x-dead-letter-exchange", "redeliver")
	oldRoute, newRoute := alone("retry", "tier.1000", "k"), alone("retry", "tier.5000", "k")
	was := func(options ...option) *topology.Claim {
		return cr("shop/q", append(options, wants(q), shares(retry, back, returns, oldTier, oldRoute))...)
	}
	is := func(options ...option) *topology.Claim {
		return cr("shop/q", append(options, wants(q), shares(retry, back, returns, newTier, newRoute))...)
	}
	live := []topology.Resource{q, retry, back, returns, oldTier, oldRoute}
	switched := []topology.Resource{q, retry, back, returns, oldTier, newTier, newRoute}
	drains := []string{"record queue shop/tier.1000 of shop/q left behind: it holds messages", "held LeftBehind shop/q queue shop/tier.1000"}
	run(t, map[string]scenario{
		"Switch": {
			reason: "the old route goes right before the new one comes: two would copy a message; the old tier goes last, and only if it is empty",
			claims: []*topology.Claim{is()}, inventory: owned(was()), live: live, usage: used{oldTier.ID(): {}},
			want: []string{
				"create queue shop/tier.5000", "--", "delete binding shop/retry -> queue tier.1000 key k", "--",
				"create binding shop/retry -> queue tier.5000 key k", "--", "delete if unused queue shop/tier.1000",
				"record binding shop/retry -> queue tier.5000 key k of shop/q", "record queue shop/tier.5000 of shop/q",
			},
		},
		"Holds": {
			reason: "what it holds comes back before it goes, and status says so",
			claims: []*topology.Claim{is()}, inventory: owned(is(), cr("shop/q", shares(oldTier))), live: switched, usage: used{oldTier.ID(): {Messages: 12}},
			want: drains, says: []string{"queue shop/tier.1000 is declared no longer and goes when it is empty: it holds 12 messages"},
		},
		"Delete": {
			reason: "an edit deletes no message, not even under Delete",
			claims: []*topology.Claim{is(deletion(topology.Delete))}, inventory: owned(is(deletion(topology.Delete)), cr("shop/q", deletion(topology.Delete), shares(oldTier))), live: switched, usage: used{oldTier.ID(): {Messages: 12}},
			want: []string{"record queue shop/tier.1000 of shop/q Delete left behind: it holds messages", "held LeftBehind shop/q queue shop/tier.1000"},
		},
		"Retain": {
			reason: "and under Retain it leaves nothing behind: that policy is about the end of the resource",
			claims: []*topology.Claim{is(deletion(topology.Retain))}, inventory: owned(is(deletion(topology.Retain)), cr("shop/q", deletion(topology.Retain), shares(oldTier))), live: switched, usage: used{oldTier.ID(): {}},
			want: []string{"delete if unused queue shop/tier.1000"},
		},
		"NewTierCannotBe": {
			reason: "the old route stays as long as the new one has nowhere to lead",
			claims: []*topology.Claim{is(), cr("shop/other", wants(queue("tier.5000")))}, inventory: owned(was(), cr("shop/other", wants(queue("tier.5000")))),
			live: append(live, queue("tier.5000")), usage: used{oldTier.ID(): {}},
			want: []string{
				"held Deleting shop/q binding shop/retry -> queue tier.1000 key k", "held DependencyNotReady shop/q binding shop/retry -> queue tier.5000 key k",
				"held Deleting shop/q queue shop/tier.1000", "held Conflict shop/q queue shop/tier.5000 won by shop/other",
			},
		},
		"RestHeld": {
			reason: "a switch is a change of its own: that something else is held does not let both routes stand",
			claims: []*topology.Claim{cr("shop/q", wants(queue("q", "x-max-length", int64(1))), shares(retry, back, returns, newTier, newRoute))}, inventory: owned(was()), live: live,
			usage: used{oldTier.ID(): {}},
			want: []string{
				"create queue shop/tier.5000", "--", "delete binding shop/retry -> queue tier.1000 key k", "--", "create binding shop/retry -> queue tier.5000 key k",
				"record binding shop/retry -> queue tier.5000 key k of shop/q", "record queue shop/tier.5000 of shop/q",
				"held ImmutableFieldChanged shop/q queue shop/q", "held Deleting shop/q queue shop/tier.1000",
			},
		},
		"WayBackStays": {
			reason: "the retry is gone altogether: the way back stays for what drains",
			claims: []*topology.Claim{cr("shop/q", wants(q))}, inventory: owned(was()), live: live,
			usage: used{oldTier.ID(): {Messages: 1}, retry.ID(): {Bindings: ids(oldRoute)}, back.ID(): {Bindings: ids(returns)}},
			want: []string{
				"delete binding shop/retry -> queue tier.1000 key k", "--", "delete if unused exchange shop/retry",
				"record binding shop/redeliver -> queue q key \"\" of shop/q left behind: queue shop/tier.1000 drains through it",
				"record exchange shop/redeliver of shop/q left behind: queue shop/tier.1000 drains through it",
				"record queue shop/tier.1000 of shop/q left behind: it holds messages",
				"held LeftBehind shop/q binding shop/redeliver -> queue q key \"\"", "held LeftBehind shop/q exchange shop/redeliver", "held LeftBehind shop/q queue shop/tier.1000",
			},
		},
		"AllGoes": {
			reason: "and goes after it",
			claims: []*topology.Claim{cr("shop/q", wants(q))}, inventory: owned(was()), live: live,
			usage: used{oldTier.ID(): {}, retry.ID(): {Bindings: ids(oldRoute)}, back.ID(): {Bindings: ids(returns)}},
			want: []string{
				"delete if unused queue shop/tier.1000", "--", "delete binding shop/redeliver -> queue q key \"\"", "delete binding shop/retry -> queue tier.1000 key k", "--",
				"delete if unused exchange shop/redeliver", "delete if unused exchange shop/retry",
			},
		},
	})
}

// What drains is marked as such; what is held for another reason is not.
func TestDrainsIsMarked(t *testing.T) {
	q, old, x := queue("q"), quorum("old"), exchange("x", "direct")
	in := scenario{
		claims: []*topology.Claim{cr("shop/q", wants(q))}, inventory: owned(cr("shop/q", wants(q), shares(old, x))), live: []topology.Resource{q, old, x},
		usage: used{old.ID(): {Messages: 3, Delayed: true}, x.ID(): {Bindings: ids(bind("x", "foreign", ""))}},
	}.input()
	got := map[topology.ID]int64{}
	for _, held := range plan.Compute(in).Held {
		if held.Drains {
			got[held.ID] = held.Messages
		}
	}
	if diff := cmp.Diff(map[topology.ID]int64{old.ID(): 3}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnsupported(t *testing.T) {
	lacks := cr("shop/q", wants(queue("q")))
	lacks.Invalid = &topology.Error{Class: topology.ClassUnsupported, Reason: "needs RabbitMQ 4.3 or later, and the broker is 4.0.5"}
	run(t, map[string]scenario{"": {
		reason: "an upgrade of the broker cures it, so it is told apart from a spec that no broker could serve",
		claims: []*topology.Claim{lacks},
		want:   []string{"held UnsupportedByBroker shop/q"}, says: []string{"needs RabbitMQ 4.3 or later, and the broker is 4.0.5"},
	}})
}

func TestFollowersGrow(t *testing.T) {
	dlt := func(partitions int32) *topology.Topic {
		out := topic("t.dlt", partitions)
		out.Follows = "t"
		return out
	}
	claim := cr("shop/t", wants(topic("t", 6)), shares(dlt(6)))
	was := owned(claim)
	full, both := used{topology.TopicID("t"): {}, topology.TopicID("t.dlt"): {Messages: 9}}, []topology.Resource{topic("t", 3), topic("t.dlt", 3)}
	run(t, map[string]scenario{
		"LeaderIsEmpty": {
			reason: "dead letters do not keep the topic for them from growing with the one that it serves",
			claims: []*topology.Claim{claim}, inventory: was, live: both, usage: full,
			want: []string{"update topic t partitions", "update topic t.dlt partitions"},
		},
		"LeaderHasGrown": {
			reason: "nor once that has grown",
			claims: []*topology.Claim{claim}, inventory: was, live: []topology.Resource{topic("t", 6), topic("t.dlt", 3)},
			want: []string{"update topic t.dlt partitions"},
		},
		"LeaderHoldsMessages": {
			reason: "both stay as they are if the topic may not grow",
			claims: []*topology.Claim{claim}, inventory: was, live: both, usage: used{topology.TopicID("t"): {Messages: 1}},
			want: []string{"held PartitionGrowthRefused shop/t topic t", "held PartitionGrowthRefused shop/t topic t.dlt"},
			says: []string{"it grows with topic t, which does not: more partitions move keys"},
		},
		"HasMore": {
			reason: "made for a growth that was taken back, it serves fewer partitions as well",
			claims: []*topology.Claim{claim}, inventory: was, live: []topology.Resource{topic("t", 6), topic("t.dlt", 9)},
		},
		"NotAsked": {
			reason: "the usage that counts is the leader's",
			claims: []*topology.Claim{claim}, inventory: was, live: both,
			want: []string{"usage? topic t", "held PartitionGrowthRefused shop/t topic t", "held PartitionGrowthRefused shop/t topic t.dlt"},
		},
	})
}
