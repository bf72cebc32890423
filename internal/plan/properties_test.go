package plan_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

var owners = []string{"shop/a", "shop/b", "shop/c", "audit/a", "audit/d"}

// anyResource draws from few names and shapes, so that claims meet.
func anyResource(t *rapid.T) topology.Want {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	shared := rapid.Bool().Draw(t, "shared")
	switch pick("kind", "exchange", "queue", "binding", "topic", "vhost") {
	case "exchange":
		return topology.Want{Shareable: shared, Resource: exchange(pick("exchange", "x", "dlx"), pick("type", "direct", "direct", "fanout"))}
	case "queue":
		q := queue(pick("queue", "q", "dead"))
		q.Type = pick("type", "classic", "quorum")
		if rapid.Bool().Draw(t, "deadLetters") {
			q.Arguments = topology.Arguments{"x-dead-letter-exchange": "dlx"}
			q.After = []topology.ID{topology.ExchangeID("shop", "dlx")}
		}
		return topology.Want{Shareable: shared, Resource: q}
	case "binding":
		return topology.Want{Shareable: true, Resource: bind(pick("source", "x", "dlx"), pick("queue", "q", "dead"), pick("key", "k", "l"))}
	case "topic":
		config := map[string]string{}
		for _, key := range []string{"a", "b", "c"} {
			if rapid.Bool().Draw(t, "has "+key) {
				config[key] = pick("value", "1", "2")
			}
		}
		return topology.Want{Resource: &topology.Topic{Name: "t", Partitions: rapid.SampledFrom([]int32{0, 3, 6}).Draw(t, "partitions"), Config: config}}
	default:
		return topology.Want{Resource: &topology.VirtualHost{Name: "shop", Tags: rapid.SampledFrom([][]string{nil, {"x"}, {"y"}}).Draw(t, "tags")}}
	}
}

func anyClaim(t *rapid.T) *topology.Claim {
	c := cr(rapid.SampledFrom(owners).Draw(t, "owner"), bornAfter(rapid.IntRange(0, 3).Draw(t, "age")))
	seen := map[topology.ID]bool{}
	for _, want := range rapid.SliceOfN(rapid.Custom(anyResource), 0, 5).Draw(t, "wants") {
		if id := want.Resource.ID(); !seen[id] {
			seen[id] = true
			c.Want = append(c.Want, want)
		}
	}
	c.Policy.Deletion = rapid.SampledFrom([]topology.DeletionPolicy{topology.DeleteIfUnused, topology.DeleteIfUnused, topology.Delete, topology.Retain}).Draw(t, "deletion")
	c.Policy.Adoption = rapid.SampledFrom([]topology.AdoptionPolicy{topology.AdoptIfIdentical, topology.AdoptAlways, topology.AdoptNever}).Draw(t, "adoption")
	c.Policy.Drift = rapid.SampledFrom([]topology.DriftPolicy{topology.DriftCorrect, topology.DriftReport}).Draw(t, "drift")
	c.Policy.HandOverTo = rapid.SampledFrom([]string{"", "", "audit/a"}).Draw(t, "handOver")
	c.Settled = rapid.Bool().Draw(t, "settled")
	c.Suspended = rapid.IntRange(0, 9).Draw(t, "suspended") == 9
	if rapid.IntRange(0, 9).Draw(t, "invalid") == 9 {
		c.Invalid = errors.New("invalid")
	}
	return c
}

// event does one thing to the world or to the broker.
func (m *model) event() {
	t := m.t
	switch rapid.SampledFrom([]string{"set", "set", "set", "remove", "hand", "messages", "pass", "pass"}).Draw(t, "event") {
	case "set":
		m.world.SetClaim(anyClaim(t))
	case "remove":
		m.world.RemoveClaim(key(rapid.SampledFrom(owners).Draw(t, "removed")), rapid.Bool().Draw(t, "witnessed"))
	case "hand":
		r := anyResource(t).Resource
		if m.live[r.ID()] != nil && r.ID() != shop.ID() {
			m.remove(r.ID())
		} else if r.ID().Kind != topology.KindBinding {
			m.live[r.ID()] = r
		}
	case "messages":
		for _, id := range slices.SortedFunc(maps.Keys(m.live), topology.ID.Compare) {
			if id.Kind == topology.KindQueue || id.Kind == topology.KindTopic {
				m.messages[id] = rapid.SampledFrom([]int64{0, 0, 5}).Draw(t, "messages")
			}
		}
	case "pass":
		failing := rapid.Uint64().Draw(t, "failing")
		random := rand.New(rand.NewPCG(failing, 1))
		m.fails = func(topology.Step) bool { return failing%2 == 0 && random.IntN(4) == 0 }
		m.pass()
	}
}

// Whatever happens, in whatever order, and whichever steps fail in between: in
// the end there is nothing left to do, whoever is not told otherwise has what it
// wants, and nothing was deleted that was not owned or that was in use (see
// mayRun).
func TestConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			m.event()
		}
		p := m.settle()
		type about struct {
			owner topology.OwnerKey
			id    topology.ID
		}
		held := map[about]bool{}
		for _, h := range p.Held {
			held[about{h.Owner, h.ID}] = true
		}
		for _, owner := range m.world.Claims() {
			claim := m.world.Claim(owner)
			if held[about{owner: owner}] {
				continue
			}
			for _, want := range claim.Want {
				id := want.Resource.ID()
				if held[about{owner, id}] {
					continue
				}
				if m.live[id] == nil || len(want.Resource.Diff(m.live[id])) > 0 {
					t.Fatalf("%s wants %+v and nothing is held, yet the broker has %+v", owner, want.Resource, m.live[id])
				}
				if entry, _ := m.world.Entry(id); !slices.Contains(entry.Owners, owner) {
					t.Fatalf("%s has %s as it wants and does not own it: %+v", owner, id, entry)
				}
			}
		}
	})
}

// orderly claims want no two shapes of one object, so that the end depends on
// the last claims alone: config keys come and go, all else is there or not.
func orderly(t *rapid.T, owner string) *topology.Claim {
	c := cr(owner, bornAfter(rapid.IntRange(0, 3).Draw(t, "age")))
	name := c.Owner.Name + "." + c.Owner.Namespace
	maybe := func(wants ...topology.Want) {
		if rapid.Bool().Draw(t, "wanted") {
			c.Want = append(c.Want, wants...)
		}
	}
	maybe(
		topology.Want{Resource: quorum("q."+name, "x-dead-letter-exchange", "dlx")},
		topology.Want{Resource: exchange("dlx", "direct"), Shareable: true},
		topology.Want{Resource: exchange("x", "topic"), Shareable: true},
		topology.Want{Resource: bind("dlx", "q."+name, "self"), Shareable: true},
		topology.Want{Resource: bind("x", "q."+name, rapid.SampledFrom([]string{"k", "l"}).Draw(t, "key")), Shareable: true},
	)
	config := rapid.MapOf(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.SampledFrom([]string{"1", "2"})).Draw(t, "config")
	maybe(topology.Want{Resource: &topology.Topic{Name: "t." + name, Partitions: 3, Config: config}})
	return c
}

// The broker ends as the last claims want it, whatever was there in between and
// whichever steps failed, and nothing else stays.
func TestEndDoesNotDependOnTheWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, last := newModel(t), newModel(t)
		for range rapid.IntRange(1, 8).Draw(t, "events") {
			owner := rapid.SampledFrom(owners).Draw(t, "owner")
			if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
				m.world.RemoveClaim(key(owner), true)
			} else {
				m.world.SetClaim(orderly(t, owner))
			}
			random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "failing"), 1))
			m.fails = func(topology.Step) bool { return random.IntN(3) == 0 }
			m.pass()
		}
		for _, owner := range m.world.Claims() {
			last.world.SetClaim(m.world.Claim(owner))
		}
		m.settle()
		last.settle()
		if diff := cmp.Diff(shapes(last.live), shapes(m.live)); diff != "" {
			t.Fatalf("the broker (-from scratch +by this way):\n%s", diff)
		}
	})
}

func shapes(live map[topology.ID]topology.Resource) map[string]string {
	out := map[string]string{}
	for id, r := range live {
		text := ""
		if topic, ok := r.(*topology.Topic); ok {
			text = fmt.Sprint(topic.Partitions, topic.Config)
		}
		out[id.String()] = text
	}
	return out
}

// The same world and broker give the same plan, however they were put together.
func TestDeterminism(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(1, 8).Draw(t, "events") {
			m.event()
		}
		again := newModel(t)
		again.live, again.messages, again.settling = m.live, m.messages, m.settling
		var entries []topology.Entry
		m.world.EachEntry(func(e topology.Entry) { entries = append(entries, e) })
		for _, i := range rand.Perm(len(entries)) {
			again.world.SetEntry(entries[i])
		}
		claims := m.world.Claims()
		absent := map[topology.OwnerKey]bool{}
		for _, e := range entries {
			for _, owner := range e.Owners {
				if m.world.Claim(owner) == nil {
					absent[owner] = true
				}
			}
		}
		if diff := cmp.Diff(slices.SortedFunc(maps.Keys(absent), topology.OwnerKey.Compare), m.world.Absent()); diff != "" {
			t.Fatalf("absent owners (-found in the books +kept):\n%s", diff)
		}
		for _, i := range rand.Perm(len(claims)) {
			again.world.SetClaim(m.world.Claim(claims[i]))
		}
		for _, owner := range m.world.Absent() {
			// What was witnessed is part of the world: carry none of it over.
			m.world.SetClaim(&topology.Claim{Owner: topology.Owner{OwnerKey: owner}})
			m.world.RemoveClaim(owner, false)
		}
		if diff := cmp.Diff(everything(m.compute(m.everything())), everything(again.compute(again.everything()))); diff != "" {
			t.Fatalf("two plans of one state differ:\n%s", diff)
		}
	})
}

// everything renders what render leaves out, too.
func everything(p *plan.Plan) []string {
	out := render(p)
	for _, s := range p.Steps() {
		out = append(out, fmt.Sprintf("%s owners %v requires %v", s.ID, s.Owners, s.Requires))
	}
	for _, h := range p.Held {
		out = append(out, fmt.Sprintf("%s: %s: %v", h.ID, h.Message, h.Missing))
	}
	return out
}

// A claim that shares no object with others changes nothing for them, however
// bad it is, and however badly its deletion goes.
func TestOneBadClaimBlocksNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(1, 8).Draw(t, "events") {
			m.event()
		}
		apart := &topology.VirtualHost{Name: "apart"}
		m.live[apart.ID()] = apart
		before := m.compute(m.everything())
		mine, other, q := exchange("x", "direct"), exchange("x", "fanout"), queue("q")
		inner, blocked := bind("x", "q", "k"), bind("nowhere", "q", "k")
		mine.VirtualHost, other.VirtualHost, q.VirtualHost, inner.VirtualHost, blocked.VirtualHost = "apart", "apart", "apart", "apart", "apart"
		bad := cr("shop/bad", wants(mine, q), shares(inner, blocked))
		switch rapid.SampledFrom([]string{"invalid", "suspended", "blocked", "refused", "gone"}).Draw(t, "bad") {
		case "invalid":
			invalid(bad)
		case "suspended":
			suspended(bad)
		case "refused":
			m.live[mine.ID()] = other
		case "gone":
			for _, e := range owned(bad) {
				m.world.SetEntry(e)
			}
			m.live[mine.ID()], m.live[q.ID()] = mine, q
			m.messages[q.ID()] = 1
			bad = cr("shop/bad")
		}
		m.world.SetClaim(bad)
		if bad.Want == nil {
			m.world.RemoveClaim(bad.Owner.OwnerKey, true)
		}
		after := m.compute(m.everything())
		if diff := cmp.Diff(without(before, "shop/bad"), without(after, "shop/bad")); diff != "" {
			t.Fatalf("a bad claim changed the plan for others (-before +after):\n%s", diff)
		}
	})
}

// without leaves out one owner's steps, and what is told to it.
func without(p *plan.Plan, owner string) []string {
	var out []string
	for _, s := range p.Steps() {
		if !slices.Contains(s.Owners, key(owner)) {
			out = append(out, renderStep(s)+fmt.Sprint(s.Requires))
		}
	}
	for _, h := range p.Held {
		if h.Owner != key(owner) {
			out = append(out, h.Message)
		}
	}
	slices.Sort(out)
	return out
}
