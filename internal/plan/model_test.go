package plan_test

import (
	"errors"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// model is a broker in memory together with a world, and carries plans out as
// the engine does: books first, then wave after wave, what a failed step was
// required for left out.
type model struct {
	t        *rapid.T
	world    *plan.World
	live     map[topology.ID]topology.Resource
	messages map[topology.ID]int64
	// settling: queues that the last plan listed.
	settling map[topology.ID]bool
	// fails says of a step that the broker refuses it.
	fails func(topology.Step) bool
}

func newModel(t *rapid.T) *model {
	return &model{
		t: t, world: plan.NewWorld(), live: objects(), messages: map[topology.ID]int64{},
		settling: map[topology.ID]bool{}, fails: func(topology.Step) bool { return false },
	}
}

func (m *model) everything() []topology.ID {
	return m.world.Focus(slices.Concat(m.world.Claims(), m.world.Absent()))
}

// compute plans for some objects, and gives the usage that is asked for.
func (m *model) compute(focus []topology.ID) *plan.Plan {
	live := &topology.Snapshot{Objects: maps.Clone(m.live), Usage: used{}}
	for round := 0; ; round++ {
		p := plan.Compute(plan.Input{World: m.world, Live: live, Focus: focus, Quiet: m.settling})
		if len(p.NeedUsage) == 0 {
			return p
		}
		if round > 4 {
			m.t.Fatalf("the plan still asks for the usage of %v", p.NeedUsage)
		}
		for _, id := range p.NeedUsage {
			live.Usage[id] = m.usage(id)
		}
	}
}

func (m *model) usage(id topology.ID) topology.Usage {
	u := topology.Usage{Messages: m.messages[id]}
	if q, ok := m.live[id].(*topology.Queue); ok {
		u.Delayed = q.Type == "quorum"
	}
	for other, r := range m.live {
		if b, ok := r.(*topology.Binding); ok && (b.SourceID() == id || b.DestinationID() == id) && id.Kind == topology.KindExchange {
			u.Bindings = append(u.Bindings, other)
		}
		if id.Kind == topology.KindVirtualHost && other.Scope == id.Name && other.Kind != topology.KindBinding {
			u.Objects++
		}
	}
	return u
}

// pass plans and applies once, and returns the plan.
func (m *model) pass() *plan.Plan {
	p := m.compute(m.everything())
	for _, e := range p.Record {
		m.world.SetEntry(e)
	}
	m.settling = map[topology.ID]bool{}
	for _, id := range p.Settling {
		m.settling[id] = true
	}
	failed := map[topology.ID]bool{}
	for _, wave := range p.Waves {
		// A wave runs at once: whatever it needs stood before it.
		before := maps.Clone(m.live)
		for _, step := range wave {
			m.mayRun(step)
			required := slices.ContainsFunc(step.Requires, func(id topology.ID) bool { return failed[id] })
			if required || m.fails(step) || m.apply(step, before) != nil {
				failed[step.ID] = true
			} else if step.Verb == topology.VerbDelete {
				m.world.DropEntry(step.ID)
			}
		}
	}
	for _, id := range p.Forget {
		m.world.DropEntry(id)
	}
	return p
}

// mayRun are the promises of every step of every plan.
func (m *model) mayRun(step topology.Step) {
	if _, owned := m.world.Entry(step.ID); !owned {
		m.t.Fatalf("%s %s: the inventory does not have it", step.Verb, step.ID)
	}
	if step.Verb == topology.VerbDelete && step.IfUnused && m.messages[step.ID] > 0 {
		m.t.Fatalf("%s is to be deleted and holds messages", step.ID)
	}
}

var errRefused = errors.New("refused")

func (m *model) apply(step topology.Step, before map[topology.ID]topology.Resource) error {
	live, there := m.live[step.ID]
	switch step.Verb {
	case topology.VerbCreate:
		if there {
			m.t.Fatalf("%s is to be created and is there", step.ID)
		}
		for _, need := range step.Want.Needs() {
			if before[need] == nil {
				m.t.Fatalf("%s is to be created before %s", step.ID, need)
			}
		}
		m.live[step.ID] = step.Want
	case topology.VerbUpdate:
		for _, c := range step.Want.Diff(live) {
			if c.Mode != topology.InPlace {
				m.t.Fatalf("%s cannot be changed in place: %s", step.ID, c)
			}
		}
		m.live[step.ID] = updated(live, step.Want)
	case topology.VerbDelete:
		if step.IfUnused && step.ID.Kind != topology.KindVirtualHost && len(m.usage(step.ID).Bindings) > 0 {
			return errRefused
		}
		m.remove(step.ID)
	}
	return nil
}

// remove takes an object and all that hangs on it.
func (m *model) remove(id topology.ID) {
	delete(m.live, id)
	delete(m.messages, id)
	for other, r := range m.live {
		b, ok := r.(*topology.Binding)
		if ok && (b.SourceID() == id || b.DestinationID() == id) || id.Kind == topology.KindVirtualHost && other.Scope == id.Name {
			delete(m.live, other)
			delete(m.messages, other)
		}
	}
}

// updated is a live topic or virtual host after an update: what is declared is
// set, what is released is unset, and the rest stays.
func updated(live, want topology.Resource) topology.Resource {
	switch want := want.(type) {
	case *topology.Topic:
		out := *live.(*topology.Topic)
		out.Config = maps.Clone(out.Config)
		maps.Copy(out.Config, want.Config)
		for _, key := range want.ReleasedConfig() {
			delete(out.Config, key)
		}
		out.Partitions = max(out.Partitions, want.Partitions)
		return &out
	case *topology.VirtualHost:
		out := *live.(*topology.VirtualHost)
		if want.ReleasesTags() {
			out.Tags = nil
		}
		if want.Tags != nil {
			out.Tags = want.Tags
		}
		return &out
	default:
		return want
	}
}

// settle passes until nothing changes any more, and returns the last plan.
func (m *model) settle() *plan.Plan {
	m.fails = func(topology.Step) bool { return false }
	const most = 8
	for range most {
		settling := maps.Clone(m.settling)
		if p := m.pass(); p.Empty() && maps.Equal(settling, m.settling) {
			return p
		}
	}
	p := m.compute(m.everything())
	m.t.Fatalf("after %d passes there is still something to do: %q", most, render(p))
	return nil
}
