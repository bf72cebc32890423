package plan_test

import (
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

func policyFor(queue *topology.Queue, pairs ...any) *topology.BrokerPolicy {
	return topology.QueuePolicy("shop", queue.Name, queue.Type, table(pairs))
}

// governed is a queue that waits for its policy.
func governed(name string, policy ...any) (*topology.Queue, *topology.BrokerPolicy) {
	q := queue(name)
	p := policyFor(q, policy...)
	q.After = ids(p)
	return q, p
}

func stands(q *topology.Queue) *topology.Queue {
	live := *q
	live.After = nil
	return &live
}

func TestPolicyOfAQueue(t *testing.T) {
	q, p := governed("q", "max-length", int64(5))
	was := func() *topology.Claim { return cr("shop/q", wants(q, p)) }
	dlx, dead := exchange("dlx", "direct"), queue("dead")
	route := bind("dlx", "dead", "q")
	dq, dp := governed("q", "dead-letter-exchange", "dlx")
	whole := func() *topology.Claim { return cr("shop/q", wants(dq, dp), shares(dlx, dead, route)) }
	run(t, map[string]scenario{
		"New": {
			reason: "no message comes to a queue without its limits", claims: []*topology.Claim{was()},
			want: []string{"create policy shop/warrener.q", "--", "create queue shop/q", "record policy shop/warrener.q of shop/q", "record queue shop/q of shop/q"},
		},
		"Drift": {
			reason: "a policy that was changed is put right, in place", claims: []*topology.Claim{cr("shop/q", wants(q, p), settled)}, inventory: owned(was()),
			live: []topology.Resource{stands(q), policyFor(q, "max-length", int64(4))},
			want: []string{"update policy shop/warrener.q definition.max-length (drift)"},
		},
		"Adopted": {
			reason: "one that is identical is taken over", claims: []*topology.Claim{was()}, live: []topology.Resource{stands(q), p},
			want: []string{"record policy shop/warrener.q of shop/q", "record queue shop/q of shop/q", "adopt policy shop/warrener.q", "adopt queue shop/q"},
		},
		"Foreign": {
			reason: "another one of its name is not", claims: []*topology.Claim{was()}, inventory: owned(cr("shop/q", wants(q))), live: []topology.Resource{stands(q), policyFor(q, "max-length", int64(9))},
			want: []string{"held AdoptionRefused shop/q policy shop/warrener.q"},
		},
		"Deleted": {
			reason: "the queue has its limits to the end", inventory: owned(was()), live: []topology.Resource{stands(q), p}, usage: used{q.ID(): {}},
			want: []string{"delete if unused queue shop/q", "--", "delete if unused policy shop/warrener.q"},
		},
		"DeletedLater": {
			reason: "and keeps them while it stays", inventory: owned(was()), live: []topology.Resource{stands(q), p}, usage: used{q.ID(): {Messages: 1}},
			want: []string{
				"record policy shop/warrener.q of shop/q left behind: queue shop/q stays: it holds messages", "record queue shop/q of shop/q left behind: it holds messages",
				"held LeftBehind shop/q policy shop/warrener.q", "held LeftBehind shop/q queue shop/q",
			},
		},
		"DeadLettersLast": {
			reason: "what a policy dead-letters in its queue's last moment still finds its way", inventory: owned(whole()),
			live: []topology.Resource{stands(dq), dp, dlx, dead, route}, usage: used{dq.ID(): {}, dead.ID(): {}, dlx.ID(): {Bindings: ids(route)}},
			want: []string{
				"delete if unused queue shop/q", "--", "delete if unused queue shop/dead", "--",
				"delete if unused binding shop/dlx -> queue dead key q", "delete if unused policy shop/warrener.q", "--", "delete if unused exchange shop/dlx",
			},
		},
		"NoLonger": {
			reason: "a queue whose settings are gone from the spec loses its policy", claims: []*topology.Claim{cr("shop/q", wants(queue("q")))}, inventory: owned(was()),
			live: []topology.Resource{stands(q), p}, want: []string{"delete policy shop/warrener.q"},
		},
		"OtherType": {
			reason: "a key of the new type would put the policy out of effect while the queue is of the old one", inventory: owned(was()),
			claims: []*topology.Claim{cr("shop/q", wants(quorum("q"), policyFor(quorum("q"), "max-length", int64(5), "delivery-limit", int64(2))), updating(topology.UpdateMigrate))},
			live:   []topology.Resource{stands(q), p},
			want: []string{
				"Migrate queue shop/q from classic {} to quorum {}", "record queue shop/q of shop/q in Migrate", "held DependencyNotReady shop/q policy shop/warrener.q",
			},
			says: []string{"waits until queue shop/q is of type quorum"},
		},
		"OtherTypeAlike": {
			reason: "the keys that both types know need not wait", inventory: owned(was()),
			claims: []*topology.Claim{cr("shop/q", wants(quorum("q"), policyFor(quorum("q"), "max-length", int64(6))), updating(topology.UpdateMigrate))},
			live:   []topology.Resource{stands(q), p},
			want: []string{
				"update policy shop/warrener.q definition.max-length",
				"Migrate queue shop/q from classic {} to quorum {}", "record queue shop/q of shop/q in Migrate",
			},
		},
		"BackToArguments": {
			reason: "and keeps it while the arguments cannot be changed", claims: []*topology.Claim{cr("shop/q", wants(queue("q", "x-max-length", int64(5))))}, inventory: owned(was()),
			live: []topology.Resource{stands(q), p},
			want: []string{"held Deleting shop/q policy shop/warrener.q", "held ImmutableFieldChanged shop/q queue shop/q"},
		},
	})
}

func TestPolicyThatCostsMessages(t *testing.T) {
	q, p := governed("q", "max-length", int64(3))
	_, rejects := governed("q", "max-length", int64(3), "overflow", "reject-publish")
	_, deadLetters := governed("q", "max-length", int64(3), "dead-letter-exchange", "x")
	_, small := governed("q", "max-length-bytes", int64(3))
	_, brief := governed("q", "message-ttl", int64(3))
	_, expires := governed("q", "expires", int64(3))
	stream := queue("q")
	stream.Type = "stream"
	young := policyFor(stream, "max-age", "1D")
	claims := func(resources ...topology.Resource) []*topology.Claim {
		return []*topology.Claim{cr("shop/q", wants(resources...))}
	}
	holds := func(n int64) map[topology.ID]topology.Usage { return used{q.ID(): {Messages: n}} }
	length := func(n int64) *topology.BrokerPolicy { return policyFor(q, "max-length", n) }
	const shrinks, held = "update policy shop/warrener.q definition.max-length", "held AwaitingApproval shop/q policy shop/warrener.q"
	moved := length(3)
	moved.Pattern = "^other$"
	run(t, map[string]scenario{
		"Asks": {
			reason: "what the queue holds decides", claims: claims(q, p), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), length(10)},
			want: []string{"usage? queue shop/q", held}, says: []string{"not known yet"},
		},
		"Shrinks": {
			reason: "7 of 10 would go", claims: claims(q, p), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), length(20)}, usage: holds(10),
			want: []string{held}, says: []string{"20 on the broker, 3 declared", "7 of the 10 messages in queue shop/q would be dropped", "topology.warrener.dev/accept-loss=0-", "until it holds 3 at most"},
		},
		"Fits":    {reason: "nothing is above the limit", claims: claims(q, p), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), length(20)}, usage: holds(3), want: []string{shrinks}},
		"Grows":   {reason: "nobody asks", claims: claims(q, p), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), length(2)}, want: []string{shrinks}},
		"Rejects": {reason: "nor where the queue refuses and keeps", claims: claims(q, rejects), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), policyFor(q, "overflow", "reject-publish")}, want: []string{shrinks}},
		"Unprotected": {
			reason: "to drop again is a loss too", claims: claims(q, p), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), rejects}, usage: holds(10),
			want: []string{held}, says: []string{"7 of the 10"},
		},
		"DeadLettered": {reason: "which is no loss to everybody, and still asked for", claims: claims(q, deadLetters), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), length(20)}, usage: holds(10), want: []string{held}, says: []string{"would be dead-lettered"}},
		"Bytes":        {reason: "nobody knows their size", claims: claims(q, small), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), policyFor(q)}, usage: holds(1), want: []string{held}, says: []string{"until it is empty"}},
		"BytesEmpty":   {reason: "none is none", claims: claims(q, small), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), policyFor(q)}, usage: holds(0), want: []string{"update policy shop/warrener.q definition.max-length-bytes"}},
		"TTL":          {reason: "what waits keeps its time", claims: claims(q, brief), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), policyFor(q)}, want: []string{"update policy shop/warrener.q definition.message-ttl"}},
		"Expires":      {reason: "nobody reads, and the queue would go", claims: claims(q, expires), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), policyFor(q)}, usage: holds(2), want: []string{held}, says: []string{"no consumer", "2 messages"}},
		"ExpiresRead":  {reason: "it is in use", claims: claims(q, expires), inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), policyFor(q)}, usage: used{q.ID(): {Messages: 2, Consumers: 1}}, want: []string{"update policy shop/warrener.q definition.expires"}},
		"Stream":       {reason: "nobody knows what it holds", claims: claims(stream, young), inventory: owned(cr("shop/q", wants(stream, young))), live: []topology.Resource{stands(stream), policyFor(stream, "max-age", "7D")}, usage: used{q.ID(): {Unknown: true}}, want: []string{held}, says: []string{"does not tell"}},
		"NewPolicy": {
			reason: "the queue was there before it", claims: claims(q, p), inventory: owned(cr("shop/q", wants(q))), live: []topology.Resource{stands(q)}, usage: holds(10),
			want: []string{held}, says: []string{"(unset) on the broker, 3 declared", "7 of the 10"},
		},
		"Moved": {
			reason: "a policy that was led elsewhere is new to the queue", claims: []*topology.Claim{cr("shop/q", wants(q, p), settled)}, inventory: owned(cr("shop/q", wants(q, p))), live: []topology.Resource{stands(q), moved}, usage: holds(10),
			want: []string{held}, says: []string{"7 of the 10"},
		},
	})
}

// Who accepts a loss accepts this one, and no other.
func TestAcceptedLoss(t *testing.T) {
	q, p := governed("q", "max-length", int64(3))
	for name, c := range map[string]struct {
		generation int64
		live       int64
		goes       bool
	}{
		"the change that was held":  {generation: 7, live: 20, goes: true},
		"another generation":        {generation: 8, live: 20},
		"drift to another length":   {generation: 7, live: 21},
		"the same, seen once again": {generation: 7, live: 20, goes: true},
	} {
		claim := cr("shop/q", wants(q, p))
		claim.Owner.Generation = 7
		s := scenario{
			claims: []*topology.Claim{claim}, inventory: owned(claim), usage: used{q.ID(): {Messages: 10}},
			live: []topology.Resource{stands(q), policyFor(q, "max-length", int64(20))},
		}
		_, rest, told := strings.Cut(plan.Compute(s.input()).Held[0].Message, "accept-loss=")
		if !told {
			t.Fatal("nothing says how to accept it")
		}
		consent, _, _ := strings.Cut(rest, ",")
		claim.Policy.AcceptLoss, claim.Owner.Generation = consent, c.generation
		s.live = []topology.Resource{stands(q), policyFor(q, "max-length", c.live)}
		if got := plan.Compute(s.input()); len(got.Waves) > 0 != c.goes {
			t.Errorf("%s, accepted by %s: %q", name, consent, render(got))
		}
	}
}

func TestOverruledPolicy(t *testing.T) {
	q, p := governed("q", "max-length", int64(5))
	rival := &topology.BrokerPolicy{VirtualHost: "shop", Name: "all", Pattern: ".*", ApplyTo: "all", Priority: 2000, Definition: table([]any{"message-ttl", int64(1)})}
	book := topology.NewPolicyBook([]*topology.BrokerPolicy{rival, p}, nil)
	was := func(o ...option) *topology.Claim { return cr("shop/q", append(o, wants(q, p))...) }
	const conflict = "held Conflict shop/q policy shop/warrener.q"
	for name, c := range map[string]struct {
		scenario
		reason string
	}{
		"Reported":  {scenario{claims: []*topology.Claim{was()}, inventory: owned(was()), live: []topology.Resource{stands(q), p, rival}, want: []string{conflict}}, "and not fought"},
		"KeptRight": {scenario{claims: []*topology.Claim{was()}, inventory: owned(was()), live: []topology.Resource{stands(q), policyFor(q, "max-length", int64(4)), rival}, want: []string{"update policy shop/warrener.q definition.max-length", conflict}}, "it is right when the other one goes"},
		"New":       {scenario{claims: []*topology.Claim{was()}, live: []topology.Resource{rival}, want: []string{conflict, "held DependencyNotReady shop/q queue shop/q"}, says: []string{"which is held: Conflict"}}, "the queue does not come without its limits"},
		"NewForQueue": {
			scenario{claims: []*topology.Claim{was()}, inventory: owned(cr("shop/q", wants(q))), live: []topology.Resource{stands(q), rival}, usage: used{q.ID(): {}},
				want: []string{"create policy shop/warrener.q", "record policy shop/warrener.q of shop/q", conflict}}, "it applies when the other one goes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := c.input()
			in.Live.Policies = book
			p := plan.Compute(in)
			if got := strings.Join(render(p), "\n"); got != strings.Join(c.want, "\n") {
				t.Errorf("%s: got\n%s", c.reason, got)
			}
			for _, part := range append(c.says, "policy shop/all", "priority 2000") {
				told := false
				for _, held := range p.Held {
					told = told || strings.Contains(held.Message, part)
				}
				if !told {
					t.Errorf("nothing says %q", part)
				}
			}
		})
	}
}
