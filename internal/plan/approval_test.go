package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// gated is a claim of the second generation whose changes have to be approved.
func gated(c *topology.Claim) {
	c.Policy.Approval = topology.ApprovalRequired
	c.Owner.UID, c.Owner.Generation = "uid-"+c.Owner.Name, 2
}

// approving is the word of a person to what a scenario proposes for an owner.
func (s scenario) approving(t *testing.T, name string) topology.Approved {
	t.Helper()
	for _, p := range plan.Compute(s.input()).Proposals {
		if p.Owner.OwnerKey == key(name) {
			return topology.Approved{Hash: p.Hash, Generation: p.Owner.Generation, Steps: p.Covers}
		}
	}
	t.Fatalf("nothing is proposed for %s", name)
	return topology.Approved{}
}

// approved is the same scenario with another word of one claim's owner.
func (s scenario) approved(name string, by topology.Approved) scenario {
	s.claims = slices.Clone(s.claims)
	for i, c := range s.claims {
		if c.Owner.OwnerKey == key(name) {
			changed := *c
			changed.Approved = by
			s.claims[i] = &changed
		}
	}
	return s
}

// proposals are rendered as lines.
func proposals(p *plan.Plan) []string {
	var out []string
	for _, proposal := range p.Proposals {
		line := proposal.Owner.Namespace + "/" + proposal.Owner.Name
		if proposal.Approved {
			line += " approved"
		}
		if proposal.Hash == "" {
			line += " not to be approved"
		}
		out = append(out, line)
		for _, step := range proposal.Steps {
			line := fmt.Sprintf("  %s %s", step.Action, step.ID)
			for _, c := range step.Changes {
				line += fmt.Sprintf(" %s %s>%s", c.Path, c.From, c.To)
			}
			out = append(out, line)
		}
	}
	return out
}

// rebound is an edit that puts one binding in the place of another.
func rebound(options ...option) scenario {
	q, x := queue("q"), exchange("x", "topic")
	old, now := bind("x", "q", "a"), bind("x", "q", "b")
	return scenario{
		claims:    []*topology.Claim{cr("shop/q", append(options, wants(q), shares(now))...), cr("shop/x", wants(x))},
		inventory: owned(cr("shop/q", wants(q), shares(old)), cr("shop/x", wants(x))),
		live:      []topology.Resource{q, x, old},
	}
}

// retyped is an edit that needs the queue to be replaced, and changes a binding.
func retyped(options ...option) scenario {
	s := rebound(options...)
	s.claims[0].Want[0].Resource = quorum("q")
	s.usage = used{queue("q").ID(): {}}
	return s
}

func TestApproval(t *testing.T) {
	newBinding := []string{"create binding shop/x -> queue q key b"}
	recorded := "record binding shop/x -> queue q key b of shop/q"
	heldDelete, heldReplace := "held AwaitingApproval shop/q binding shop/x -> queue q key a", "held AwaitingApproval shop/q queue shop/q"
	deletes := "delete binding shop/x -> queue q key a"
	proposedDelete := "  Delete binding shop/x -> queue q key a"
	proposedReplace := "  Replace queue shop/q type classic>quorum"
	recreates := updating(topology.UpdateRecreate)
	stranger := topology.Approved{Hash: "0123456789abcdef"}
	grown := func(policy topology.PartitionGrowth, messages int64) scenario {
		return scenario{
			claims: []*topology.Claim{cr("shop/t", gated, growth(policy), wants(topic("t", 6, "a", "1")))}, inventory: owned(cr("shop/t", wants(topic("t", 3)))),
			live: []topology.Resource{topic("t", 3)}, usage: used{topology.TopicID("t"): {Messages: messages}},
		}
	}
	shared := func(options ...option) scenario {
		x, dead := exchange("dlx", "direct"), queue("dead")
		return scenario{
			claims:    []*topology.Claim{cr("shop/a", append(options, wants(queue("a")))...), cr("shop/b", wants(queue("b")))},
			inventory: owned(cr("shop/a", wants(queue("a")), shares(x, dead)), cr("shop/b", wants(queue("b")), shares(x, dead))),
			live:      []topology.Resource{queue("a"), queue("b"), x, dead}, usage: used{x.ID(): {}, dead.ID(): {}},
		}
	}
	moved := scenario{ // a binding that must not stand beside the one that it takes the place of
		claims:    []*topology.Claim{cr("shop/q", gated, wants(queue("q"), queue("r")), shares(&topology.Binding{VirtualHost: "shop", Source: "x", Destination: "r", DestinationType: "queue", RoutingKey: "a", Alone: true}))},
		inventory: owned(cr("shop/q", wants(queue("q"), queue("r")), shares(bind("x", "q", "a")))),
		live:      []topology.Resource{queue("q"), queue("r"), exchange("x", "fanout"), bind("x", "q", "a")},
	}
	again := retyped(gated, recreates)
	again.inventory = append(again.inventory, owned(cr("shop/q", shares(bind("x", "q", "b"))))...)
	again.live = append(again.live, bind("x", "q", "b"))
	replaced := again // what is left when the queue has been replaced
	replaced.live = []topology.Resource{quorum("q"), exchange("x", "topic"), bind("x", "q", "a"), bind("x", "q", "b")}
	another := replaced // and one binding more is dropped, which nobody has seen
	another.inventory = append(slices.Clone(replaced.inventory), owned(cr("shop/q", shares(bind("x", "q", "c"))))...)
	another.live = append(slices.Clone(replaced.live), bind("x", "q", "c"))
	edited := again.approved("shop/q", again.approving(t, "shop/q"))
	edited.claims[0].Owner.Generation++

	type judged struct {
		scenario
		proposed []string
	}
	for name, s := range map[string]judged{
		"NotAsked": {scenario{reason: "without approval: Required nobody is asked", want: append(slices.Clone(newBinding), "--", deletes, recorded)}.with(rebound()), nil},
		"Binding": {
			scenario{reason: "the new binding is made, the old one waits", want: append(slices.Clone(newBinding), recorded, heldDelete), says: []string{
				"1 step waits for approval: delete binding shop/x -> queue q key a; status.plan tells the risks: set the spec back, or approve with kubectl warrener approve queue/q -n shop",
			}}.with(rebound(gated)),
			[]string{"shop/q", proposedDelete},
		},
		"BindingApproved": {
			scenario{reason: "what is approved goes, once the new one stands", want: append(slices.Clone(newBinding), "--", deletes, recorded)}.with(rebound(gated).approved("shop/q", rebound(gated).approving(t, "shop/q"))),
			[]string{"shop/q approved", proposedDelete},
		},
		"AnotherPlanApproved": {scenario{reason: "the word for another plan counts for nothing", want: append(slices.Clone(newBinding), recorded, heldDelete)}.with(rebound(gated).approved("shop/q", stranger)), []string{"shop/q", proposedDelete}},
		"Replace": {
			scenario{reason: "nor is the queue looked into before", want: append(slices.Clone(newBinding), recorded, heldDelete, heldReplace), says: []string{"2 steps wait for approval: ", "replace queue shop/q (type: classic on the broker, quorum declared)"}}.with(retyped(gated, recreates)),
			[]string{"shop/q", proposedDelete, proposedReplace},
		},
		"Migrate": {scenario{reason: "a migration is a replacement, too", want: append(slices.Clone(newBinding), recorded, heldDelete, heldReplace)}.with(retyped(gated, updating(topology.UpdateMigrate))), []string{"shop/q", proposedDelete, proposedReplace}},
		"Refuse": {
			scenario{reason: "no approval makes up for updatePolicy: Refuse, and the plan says so", want: append(slices.Clone(newBinding), recorded, heldDelete, "held ImmutableFieldChanged shop/q queue shop/q")}.with(retyped(gated)),
			[]string{"shop/q", proposedDelete, "  Forbidden queue shop/q type classic>quorum"},
		},
		"RefusedWithoutApproval": {
			scenario{reason: "what is refused is told in the plan without approval: Required, too", claims: []*topology.Claim{cr("shop/q", wants(quorum("q")))}, inventory: owned(cr("shop/q", wants(queue("q")))), live: []topology.Resource{queue("q")}, want: []string{"held ImmutableFieldChanged shop/q queue shop/q"}},
			[]string{"shop/q not to be approved", "  Forbidden queue shop/q type classic>quorum"},
		},
		"Begins": {
			scenario{reason: "approved as a whole; the binding goes when the rest of the change is made", want: []string{"Recreate queue shop/q from classic {} to quorum {}", "record queue shop/q of shop/q in Recreate", "held Deleting shop/q binding shop/x -> queue q key a"}}.with(again.approved("shop/q", again.approving(t, "shop/q"))),
			[]string{"shop/q approved", proposedDelete, proposedReplace},
		},
		"WhatIsLeft": {scenario{reason: "what is left of an approved plan is approved", want: []string{deletes}}.with(replaced.approved("shop/q", again.approving(t, "shop/q"))), []string{"shop/q approved", proposedDelete}},
		"More": {
			scenario{reason: "what nobody has seen is not, and the whole waits", want: []string{heldDelete, "held AwaitingApproval shop/q binding shop/x -> queue q key c"}}.with(another.approved("shop/q", again.approving(t, "shop/q"))),
			[]string{"shop/q", proposedDelete, "  Delete binding shop/x -> queue q key c"},
		},
		"EditedSince": {scenario{reason: "another generation is another plan", want: []string{heldDelete, heldReplace}}.with(edited), []string{"shop/q", proposedDelete, proposedReplace}},
		"UnderWay": {
			scenario{
				reason: "what has begun goes on", claims: []*topology.Claim{cr("shop/q", gated, recreates, wants(quorum("q")))}, inventory: inHand(topology.OperationRecreate, queue("q"), owned(cr("shop/q", wants(queue("q"))))),
				want: []string{"Recreate queue shop/q from nothing to quorum {}"},
			}, nil,
		},
		"DriftReported": {
			scenario{
				reason: "what is only reported is not proposed", claims: []*topology.Claim{cr("shop/q", gated, recreates, settled, reportsDrift, wants(quorum("q")))}, inventory: owned(cr("shop/q", wants(queue("q")))), live: []topology.Resource{queue("q")},
				want: []string{"held Drifted shop/q queue shop/q"},
			}, nil,
		},
		"InPlace": {
			scenario{
				reason: "changes in place and creations are nobody's to approve", claims: []*topology.Claim{cr("shop/t", gated, wants(topic("t", 3, "a", "2"), topic("u", 3)))}, inventory: owned(cr("shop/t", wants(topic("t", 3, "a", "1")))), live: []topology.Resource{topic("t", 3, "a", "1")},
				want: []string{"update topic t config.a", "create topic u", "record topic u of shop/t"},
			}, nil,
		},
		"Grows": {
			scenario{reason: "more partitions end the order of keys, and an object waits as a whole", want: []string{"held AwaitingApproval shop/t topic t"}, says: []string{"change topic t (partitions: 3 on the broker, 6 declared)"}}.with(grown(topology.GrowAlways, 7)),
			[]string{"shop/t", "  Change topic t config.a (unset)>1 partitions 3>6"},
		},
		"GrowsApproved": {
			scenario{reason: "approved, it grows", want: []string{"update topic t config.a partitions", "record topic t of shop/t fields config.a"}}.with(grown(topology.GrowAlways, 7).approved("shop/t", grown(topology.GrowAlways, 7).approving(t, "shop/t"))),
			[]string{"shop/t approved", "  Change topic t config.a (unset)>1 partitions 3>6"},
		},
		"GrowsWithOtherCounts": {
			scenario{reason: "counts are not part of a plan", want: []string{"update topic t config.a partitions", "record topic t of shop/t fields config.a"}}.with(grown(topology.GrowAlways, 8).approved("shop/t", grown(topology.GrowAlways, 7).approving(t, "shop/t"))),
			[]string{"shop/t approved", "  Change topic t config.a (unset)>1 partitions 3>6"},
		},
		"GrowsEmpty":   {scenario{reason: "an empty topic has no order", want: []string{"update topic t config.a partitions", "record topic t of shop/t fields config.a"}}.with(grown(topology.GrowAlways, 0)), nil},
		"GrowsRefused": {scenario{reason: "no approval makes up for partitionGrowth: Never", want: []string{"held PartitionGrowthRefused shop/t topic t"}}.with(grown(topology.GrowNever, 7)), []string{"shop/t not to be approved", "  Forbidden topic t config.a (unset)>1 partitions 3>6"}},
		"Shared": {
			scenario{reason: "nothing of it goes while one of its owners has to approve, and the others are told", want: []string{
				"held AwaitingApproval shop/a exchange shop/dlx", "held AwaitingApproval shop/a queue shop/dead", "held AwaitingApproval shop/b exchange shop/dlx", "held AwaitingApproval shop/b queue shop/dead",
			}, says: []string{"queue shop/dead waits until the plan of Queue shop/a is approved"}}.with(shared(gated)),
			[]string{"shop/a", "  Delete exchange shop/dlx", "  Delete queue shop/dead"},
		},
		"Moved": {
			scenario{reason: "the binding that must be alone waits for the other one to go", want: []string{"held AwaitingApproval shop/q binding shop/x -> queue q key a", "held DependencyNotReady shop/q binding shop/x -> queue r key a"}}.with(moved),
			[]string{"shop/q", "  Delete binding shop/x -> queue q key a"},
		},
		"MovedApproved": {
			scenario{reason: "approved, one takes the place of the other", want: []string{"delete binding shop/x -> queue q key a", "--", "create binding shop/x -> queue r key a", "record binding shop/x -> queue r key a of shop/q"}}.with(moved.approved("shop/q", moved.approving(t, "shop/q"))),
			[]string{"shop/q approved", "  Delete binding shop/x -> queue q key a"},
		},
		"Gone": {
			scenario{
				reason: "the end of a resource is deletionPolicy's business", departed: []*topology.Claim{cr("shop/q", gated, wants(queue("q")))}, inventory: owned(cr("shop/q", wants(queue("q")))), live: []topology.Resource{queue("q")},
				usage: used{queue("q").ID(): {}}, want: []string{"delete if unused queue shop/q"},
			}, nil,
		},
	} {
		run(t, map[string]scenario{name: s.scenario})
		t.Run(name+"/Proposals", func(t *testing.T) {
			if diff := cmp.Diff(s.proposed, proposals(plan.Compute(s.input()))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", s.reason, diff)
			}
		})
	}
}

// with takes the state of the world from another scenario.
func (s scenario) with(world scenario) scenario {
	s.claims, s.departed, s.inventory, s.live, s.usage, s.quiet = world.claims, world.departed, world.inventory, world.live, world.usage, world.quiet
	return s
}

// A queue that is dropped and drains is approved once, however often it comes to
// hold messages again.
func TestApprovalOutlastsUse(t *testing.T) {
	at := func(usage used) scenario {
		return scenario{
			claims: []*topology.Claim{cr("shop/a", gated, wants(queue("a")))}, inventory: owned(cr("shop/a", wants(queue("a"), queue("dead")))),
			live: []topology.Resource{queue("a"), queue("dead")}, usage: usage,
		}
	}
	dead := queue("dead").ID()
	word := at(nil).approving(t, "shop/a")
	run(t, map[string]scenario{
		"Unasked": scenario{reason: "nobody looks into it before it is approved", want: []string{"held AwaitingApproval shop/a queue shop/dead"}}.with(at(nil)),
		"Full":    scenario{reason: "it waits", want: []string{"record queue shop/dead of shop/a left behind: it holds messages", "held LeftBehind shop/a queue shop/dead"}}.with(at(used{dead: {Messages: 3}}).approved("shop/a", word)),
		"Empty":   scenario{reason: "it goes", want: []string{"delete if unused queue shop/dead"}}.with(at(used{dead: {}}).approved("shop/a", word)),
	})
}

// The hash of a plan is that of the spec and of what is concerned on the broker:
// no count, no order, nothing that another owner does, and no other way of
// reading the broker changes it. Whatever a plan is about does.
func TestHashOfAPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c*#.]{0,4}`), 1, 4, rapid.ID).Draw(t, "keys")
		s := retyped(gated, updating(topology.UpdateRecreate))
		for _, k := range keys {
			s.inventory = append(s.inventory, owned(cr("shop/q", shares(bind("x", "q", "z"+k))))...)
			s.live = append(s.live, bind("x", "q", "z"+k))
		}
		hash := func(s scenario, change func(*plan.Input)) string {
			in := s.input()
			in.ClusterID = "cluster"
			if change != nil {
				change(&in)
			}
			for _, p := range plan.Compute(in).Proposals {
				if p.Owner.OwnerKey == key("shop/q") {
					return p.Hash
				}
			}
			return ""
		}
		first := hash(s, nil)
		if len(first) != 16 || strings.Trim(first, "0123456789abcdef") != "" {
			t.Fatalf("the hash is %q", first)
		}
		counts := s
		counts.usage = used{queue("q").ID(): {Messages: rapid.Int64Range(0, 9).Draw(t, "messages"), Consumers: rapid.Int64Range(0, 9).Draw(t, "consumers"), Delayed: rapid.Bool().Draw(t, "delayed")}}
		shuffled := s
		shuffled.inventory = rapid.Permutation(s.inventory).Draw(t, "inventory")
		shuffled.claims = append(slices.Clone(s.claims), cr("shop/other", gated, wants(queue("other"))))
		for reason, same := range map[string]string{
			"counts of messages": hash(counts, nil), "order and other claims": hash(shuffled, nil),
			"a look at one owner": hash(s, func(in *plan.Input) { in.Focus = in.World.Focus([]topology.OwnerKey{key("shop/q")}) }),
			"what was approved":   hash(s.approved("shop/q", topology.Approved{Hash: first}), nil),
		} {
			if same != first {
				t.Errorf("%s changed the hash", reason)
			}
		}
		changed := map[string]string{"another cluster": hash(s, func(in *plan.Input) { in.ClusterID = "another" })}
		for reason, change := range map[string]func(*topology.Claim){
			"another uid":        func(c *topology.Claim) { c.Owner.UID += "2" },
			"another generation": func(c *topology.Claim) { c.Owner.Generation++ },
			"another wish":       func(c *topology.Claim) { c.Want[0].Resource = quorum("q", "x-max-length", int64(9)) },
		} {
			claim := *s.claims[0]
			claim.Want = slices.Clone(claim.Want)
			change(&claim)
			edited := s
			edited.claims = []*topology.Claim{&claim, s.claims[1]}
			changed[reason] = hash(edited, nil)
		}
		live := s
		live.live = append([]topology.Resource{queue("q", "x-max-length", int64(7))}, s.live[1:]...)
		changed["another live value"] = hash(live, nil)
		fewer := s
		fewer.live = s.live[:len(s.live)-1]
		changed["a step less"] = hash(fewer, nil)
		seen := map[string]string{first: "nothing"}
		for reason, h := range changed {
			if other, twice := seen[h]; twice {
				t.Errorf("%s and %s give the same hash %q", reason, other, h)
			}
			seen[h] = reason
		}
	})
}

// Whatever happened before: where every claim has to be approved nothing that is
// declared no longer goes without it, and approving what is proposed, as often as
// something is, leaves nothing that waits for it.
func TestNothingGoesUnapproved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			m.event()
		}
		set := func(owner topology.OwnerKey, change func(*topology.Claim)) {
			claim := *m.world.Claim(owner)
			change(&claim)
			m.world.SetClaim(&claim)
		}
		for _, owner := range m.world.Claims() {
			set(owner, gated)
		}
		for range 20 {
			p := m.compute(m.everything())
			for _, step := range p.Steps() {
				entry, _ := m.world.Entry(step.ID)
				if step.Verb == topology.VerbDelete && slices.ContainsFunc(entry.Owners, func(owner topology.OwnerKey) bool {
					claim := m.world.Claim(owner)
					return claim != nil && claim.Approved.Hash == ""
				}) {
					t.Fatalf("%s goes, and nobody has approved that: %+v", step.ID, p.Proposals)
				}
			}
			waits := slices.ContainsFunc(p.Held, func(h plan.Held) bool { return h.Approvable })
			asks := slices.ContainsFunc(p.Proposals, func(p plan.Proposal) bool { return p.Hash != "" && !p.Approved })
			if waits != asks {
				t.Fatalf("something waits for approval: %t, something is proposed: %t; %+v %+v", waits, asks, p.Held, p.Proposals)
			}
			for _, proposal := range p.Proposals {
				if proposal.Hash != "" && !proposal.Approved {
					set(proposal.Owner.OwnerKey, func(c *topology.Claim) {
						c.Approved = topology.Approved{Hash: proposal.Hash, Generation: proposal.Owner.Generation, Steps: proposal.Covers}
					})
				}
			}
			m.pass()
			if !asks {
				return
			}
		}
		t.Fatal("there is always something that waits for approval")
	})
}
