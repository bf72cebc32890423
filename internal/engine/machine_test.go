package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/internal/topology"
)

// machine does to a cluster what can happen to one, in any order.
type machine struct {
	*stage
	// declared is the last word of each owner that is there.
	declared map[topology.OwnerKey]*topology.Claim
	// generations, by owner.
	generations map[topology.OwnerKey]int64
	sweeping    *Sweep
	// suspends: claims may be suspended.
	suspends bool
}

var machineOwners = []string{"shop/a", "shop/b", "shop/c", "audit/a"}

// foreign objects are on the broker from the start, and nobody declares them.
var foreign = []topology.Resource{exchange("foreign"), queue("foreign"), bind("foreign", "foreign", "k"), topic("foreign")}

// draw makes a claim whose objects are its own, but for exchanges and bindings
// that all owners share and declare alike.
func (m *machine) draw(t *rapid.T, owner topology.OwnerKey) *topology.Claim {
	name := owner.Namespace + "." + owner.Name
	var all []topology.Want
	for _, r := range []topology.Resource{
		queue("q."+name, "x-max-length", int64(rapid.IntRange(1, 2).Draw(t, "length"))), quorum("r."+name, "x-dead-letter-exchange", "dlx"), topic("t."+name, "retention.ms", rapid.SampledFrom([]string{"1", "2"}).Draw(t, "retention")),
	} {
		all = append(all, topology.Want{Resource: r})
	}
	for _, r := range []topology.Resource{exchange("dlx"), exchange("x"), bind("x", "q."+name, "k"), bind("x", "q."+name, "l"), bind("dlx", "r."+name, "k")} {
		all = append(all, topology.Want{Resource: r, Shareable: true})
	}
	m.generations[owner]++
	c := cr(owner.Namespace+"/"+owner.Name, generation(m.generations[owner]))
	c.Policy.Deletion = rapid.SampledFrom([]topology.DeletionPolicy{topology.DeleteIfUnused, topology.Delete}).Draw(t, "deletion")
	c.Policy.Update = rapid.SampledFrom([]topology.UpdatePolicy{topology.UpdateMigrate, topology.UpdateRecreate}).Draw(t, "update")
	c.Suspended = m.suspends && rapid.IntRange(0, 9).Draw(t, "suspended") == 0
	for _, want := range all {
		if rapid.Bool().Draw(t, "wanted") {
			c.Want = append(c.Want, want)
		}
	}
	return c
}

// fault draws what goes wrong with the next attempt on an object.
func (m *machine) fault(t *rapid.T) fault {
	return rapid.SampledFrom([]fault{
		refuse(topology.ClassTransient, "transient"), refuse(topology.ClassRejected, "rejected"), refuse(topology.ClassTransport, "transport"),
		refuse(topology.ClassAccessDenied, "denied"), ignored, lost, slow,
	}).Draw(t, "fault")
}

func (m *machine) event(t *rapid.T) {
	owner := key(rapid.SampledFrom(machineOwners).Draw(t, "owner"))
	switch rapid.SampledFrom([]string{"set", "set", "set", "remove", "hand", "fault", "fault", "cut", "store", "fence", "restart", "during", "edits", "edits", "edits", "advance", "advance", "advance", "messages", "sweep", "slice", "wait"}).Draw(t, "event") {
	case "set":
		m.declared[owner] = m.draw(t, owner)
		m.set(m.declared[owner])
	case "remove":
		delete(m.declared, owner)
		m.cluster.RemoveClaim(owner, rapid.Bool().Draw(t, "witnessed"))
	case "hand":
		if id, ok := m.owned(t); ok {
			if found, isTopic := m.broker.live[id].(*topology.Topic); isTopic {
				changed := *found
				changed.Config = map[string]string{"retention.ms": "7"}
				m.broker.live[id] = &changed
			} else {
				m.broker.remove(id)
			}
		}
	case "fault":
		for _, c := range m.declared {
			for _, want := range c.Want {
				if id := want.Resource.ID(); rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
					m.broker.faults[id] = append(m.broker.faults[id], m.fault(t))
				}
			}
		}
	case "cut":
		m.broker.cut, m.broker.down = nil, nil
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0:
			m.broker.cut = unreachable
		case 1:
			m.broker.down = unreachable
		}
	case "store":
		m.shelf.failBefore, m.shelf.failAfter = rapid.Bool().Draw(t, "before"), rapid.Bool().Draw(t, "after")
	case "fence":
		m.shelf.epoch++
	case "restart":
		m.restart()
		m.sweeping = nil
		for _, c := range m.declared {
			fresh := *c // as compiled from the resource: its status says whether it was well
			m.set(&fresh)
		}
	case "during":
		next := m.draw(t, owner)
		m.broker.during = func(context.Context) {
			m.broker.during = nil
			m.declared[owner] = next
			m.set(next)
		}
		m.pass()
	case "edits":
		m.pass()
	case "advance":
		for range rapid.IntRange(1, 3).Draw(t, "advances") {
			_ = m.cluster.Advance(context.Background(), m.session)
			m.wait(shortestWait)
		}
	case "messages":
		if id, ok := m.owned(t); ok && id.Kind == topology.KindQueue {
			m.broker.messages[id] = int64(rapid.IntRange(0, 3).Draw(t, "messages"))
		}
	case "sweep":
		if m.sweeping != nil {
			m.sweeping.End()
		}
		begin := m.cluster.BeginSweep
		if rapid.Bool().Draw(t, "first") {
			begin = m.cluster.BeginFirstSweep
		}
		m.sweeping, _ = begin(context.Background(), m.session)
	case "slice":
		if m.sweeping != nil && !m.sweeping.Done() {
			_, _ = m.sweeping.Slice(context.Background())
		}
	case "wait":
		m.wait(time.Duration(rapid.IntRange(1, 700).Draw(t, "seconds")) * time.Second)
	}
}

func (m *machine) pass() { _, _ = m.cluster.Edits(context.Background(), m.session) }

// owned draws one of the objects that are not foreign.
func (m *machine) owned(t *rapid.T) (topology.ID, bool) {
	var ids []topology.ID
	for _, id := range slices.SortedFunc(maps.Keys(m.broker.live), topology.ID.Compare) {
		if id != shop.ID() && !slices.ContainsFunc(foreign, func(r topology.Resource) bool { return r.ID() == id }) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return topology.ID{}, false
	}
	return rapid.SampledFrom(ids).Draw(t, "object"), true
}

// calm ends all faults and lets everything come to rest.
func (m *machine) calm(t *rapid.T) {
	m.broker.faults = map[topology.ID][]fault{}
	m.broker.cut, m.broker.down, m.broker.during = nil, nil, nil
	m.shelf.failBefore, m.shelf.failAfter = false, false
	clear(m.broker.messages)
	m.cluster.Unload() // a fence that no write has met yet is met here
	for range 8 {
		m.pass()
		m.cluster.RetryNow()
		m.wait(longestRetry)
		m.quiesce()
		m.sweep()
		m.quiesce()
	}
	m.wait(time.Minute)
	m.journal.take()
	report := m.sweep()
	if moves := m.journal.take(); len(moves) > 0 {
		t.Fatalf("at rest, a sweep changes nothing; this one did: %q", moves)
	}
	for _, v := range report.Verdicts {
		if !v.Ready {
			t.Fatalf("everything is as it should be, and %s is told %s: %s", v.Owner.OwnerKey, v.Reason, v.Message)
		}
	}
	check := func(reason string, want, got any) {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", reason, diff)
		}
	}
	want, books := m.wanted()
	check("the broker is as declared, and what is foreign as it was", want, shapes(m.broker.live))
	check("nothing of an operation is left", "", strings.Join(m.broker.detoured(), " "))
	check("the books name what is owned and nothing else", books, m.shelf.names())
	for _, id := range m.shelf.names() {
		if at, any := m.cluster.Next(via); any {
			t.Fatalf("at rest, nothing is due; %s is at %s", id, at)
		}
	}
}

// wanted is what the broker must look like in the end, and what is owned of it.
// Bindings without their ends cannot be.
func (m *machine) wanted() (broker map[string]string, books []string) {
	live := map[topology.ID]topology.Resource{shop.ID(): shop}
	for _, r := range foreign {
		live[r.ID()] = r
	}
	for _, c := range m.declared {
		for _, want := range c.Want {
			live[want.Resource.ID()] = want.Resource
			books = append(books, want.Resource.ID().String())
		}
	}
	slices.Sort(books)
	return shapes(live), slices.Compact(books)
}

func shapes(live map[topology.ID]topology.Resource) map[string]string {
	out := map[string]string{}
	for id, r := range live {
		out[id.String()] = ""
		if found, ok := r.(*topology.Topic); ok {
			out[id.String()] = fmt.Sprint(found.Partitions, found.Config)
		}
		if found, ok := r.(*topology.Queue); ok {
			out[id.String()] = fmt.Sprint(found.Type, found.Arguments)
		}
	}
	return out
}

// Whatever happens, and whatever fails in between: once it stops, the broker is
// as declared, what is foreign is untouched, the books name what is owned, and
// there is nothing left to do.
func TestComesToRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{stage: newStage(t), declared: map[topology.OwnerKey]*topology.Claim{}, generations: map[topology.OwnerKey]int64{}}
		for _, r := range foreign {
			m.broker.live[r.ID()] = r
		}
		m.suspends = true
		for range rapid.IntRange(1, 25).Draw(t, "events") {
			m.event(t)
			if len(m.broker.offences) > 0 {
				t.Fatalf("%q", m.broker.offences)
			}
			m.sorted(t)
		}
		m.suspends = false
		for owner := range m.declared { // whose ends must be there for a binding to be
			c := m.draw(t, owner)
			c.Want = m.whole(c.Want)
			m.declared[owner] = c
			m.set(c)
		}
		m.calm(t)
	})
}

// sorted: who is to be rolled out is among those, and everybody else is not.
func (m *machine) sorted(t *rapid.T) {
	for part, owners := range map[Part]map[topology.OwnerKey]moment{Edited: m.cluster.dirty.edited, RolledOut: m.cluster.dirty.rolledOut} {
		for owner := range owners {
			if (m.cluster.kindOf(owner) != edited) != (part == RolledOut) {
				t.Fatalf("%s is in the wrong part (%d)", owner, part)
			}
		}
	}
}

// whole adds the ends of bindings.
func (m *machine) whole(wants []topology.Want) []topology.Want {
	out := slices.Clone(wants)
	add := func(r topology.Resource, shared bool) {
		if !slices.ContainsFunc(out, func(w topology.Want) bool { return w.Resource.ID() == r.ID() }) {
			out = append(out, topology.Want{Resource: r, Shareable: shared})
		}
	}
	for _, want := range wants {
		if b, ok := want.Resource.(*topology.Binding); ok {
			add(exchange(b.Source), true)
			if b.Destination[0] == 'r' {
				add(quorum(b.Destination, "x-dead-letter-exchange", "dlx"), false)
			} else {
				add(queue(b.Destination), false)
			}
		}
	}
	return out
}
