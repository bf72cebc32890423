package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/warrener-dev/warrener/internal/topology"
)

// journal records what broker and store are asked for, in one order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

// take returns what was recorded since it was last called.
func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := j.lines
	j.lines = nil
	return out
}

// broker is a broker in memory, with faults by script.
type broker struct {
	journal *journal

	mu       sync.Mutex
	live     map[topology.ID]topology.Resource
	messages map[topology.ID]int64
	detours  map[topology.ID]*detour
	// booked tells what the books say of an object that is operated on.
	booked func(topology.ID) topology.OperationKind
	// offences are operations that are not on the books, and steps on what an
	// operation has in hand.
	offences []string
	// advancing runs while an Advance is on its way.
	advancing func(topology.Operation)
	// whole: no binding is ever half made.
	whole bool
	// unmeasured: depths are not told.
	unmeasured bool
	// hidden objects do not show in that many reads.
	hidden map[topology.ID]int
	// faults of an object, one for each attempt on it.
	faults map[topology.ID][]fault
	// down: nothing gets through. cut: nothing is written, reads work.
	down, cut error
	// during runs while a wave is on its way.
	during func(context.Context)
	// observing runs while a read is on its way.
	observing func(topology.Selection)
}

// fault is what goes wrong with one attempt: the answer, and what happened.
type fault func(b *broker, step topology.Step) error

// refuse is a refusal that changes nothing.
func refuse(class topology.Class, reason string) fault {
	return func(_ *broker, step topology.Step) error {
		return &topology.Error{Class: class, Object: step.ID, Operation: string(step.Verb), Reason: reason}
	}
}

var (
	// ignored is accepted and not done.
	ignored fault = func(*broker, topology.Step) error { return nil }
	// lost is done, and the answer gets lost.
	lost fault = func(b *broker, step topology.Step) error {
		b.set(step)
		return unreachable
	}
	// slow is done, and shows from the second read on.
	slow fault = func(b *broker, step topology.Step) error {
		b.set(step)
		b.hidden[step.ID] = 1
		return nil
	}
	unreachable = &topology.Error{Class: topology.ClassTransport, Reason: "connection refused"}
)

// taken is refused because somebody else has created another object by that
// name in between.
func taken(by topology.Resource) fault {
	return func(b *broker, step topology.Step) error {
		b.live[step.ID] = by
		return refuse(topology.ClassRejected, "inequivalent arg")(b, step)
	}
}

func newBroker(j *journal) *broker {
	return &broker{
		journal: j, live: map[topology.ID]topology.Resource{shop.ID(): shop}, messages: map[topology.ID]int64{}, detours: map[topology.ID]*detour{},
		hidden: map[topology.ID]int{}, faults: map[topology.ID][]fault{},
	}
}

// Observe implements topology.Observer.
func (b *broker) Observe(_ context.Context, sel topology.Selection) (*topology.Snapshot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down != nil {
		return nil, b.down
	}
	live := &topology.Snapshot{Selection: sel, WholeBindings: b.whole, Objects: map[topology.ID]topology.Resource{}, Usage: map[topology.ID]topology.Usage{}}
	for id, r := range b.live {
		if b.hidden[id] == 0 && (sel.All || slices.Contains(sel.IDs, id)) {
			live.Objects[id] = r
			if t, ok := r.(*topology.Topic); ok && slices.Contains(sel.Departing, id) {
				brief := *t
				brief.Config = nil
				live.Objects[id] = &brief
			}
		}
	}
	for id, n := range b.hidden {
		b.hidden[id] = max(n-1, 0)
	}
	for _, id := range sel.Usage {
		if b.live[id] != nil {
			live.Usage[id] = b.usage(id)
		}
	}
	for _, id := range sel.Depths {
		if b.live[id] != nil && !b.unmeasured {
			if live.Depths == nil {
				live.Depths = map[topology.ID]topology.Depth{}
			}
			live.Depths[id] = topology.Depth{Messages: b.messages[id]}
		}
	}
	if b.observing != nil {
		b.mu.Unlock() // what it does may write
		b.observing(sel)
		b.mu.Lock()
	}
	return live, nil
}

func (b *broker) usage(id topology.ID) topology.Usage {
	u := topology.Usage{Messages: b.messages[id]}
	if q, ok := b.live[id].(*topology.Queue); ok {
		u.Delayed = q.Type == topology.QueueTypeQuorum
	}
	for other, r := range b.live {
		if binding, ok := r.(*topology.Binding); ok && id.Kind == topology.KindExchange && (binding.SourceID() == id || binding.DestinationID() == id) {
			u.Bindings = append(u.Bindings, other)
		}
		if id.Kind == topology.KindVirtualHost && other.Scope == id.Name && other.Kind != topology.KindBinding {
			u.Objects++
		}
	}
	return u
}

// Apply implements topology.Applier.
func (b *broker) Apply(ctx context.Context, wave []topology.Step) []topology.Outcome {
	if b.during != nil {
		b.during(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// A wave runs at once: what it needs stood before it.
	before := maps.Clone(b.live)
	out := make([]topology.Outcome, len(wave))
	for i, step := range wave {
		if b.inHand(step.ID) {
			b.offences = append(b.offences, fmt.Sprintf("%s %s: an operation has it in hand", step.Verb, step.ID))
		}
		doubt := ""
		if binding, ok := step.Live.(*topology.Binding); ok && binding.Uncertain && step.Verb == topology.VerbDelete {
			doubt = " uncertain"
		}
		b.journal.add("%s %s%s", step.Verb, step.ID, doubt)
		out[i] = topology.Outcome{Step: step, Err: b.apply(step, before)}
	}
	return out
}

func (b *broker) apply(step topology.Step, before map[topology.ID]topology.Resource) error {
	if err := cmpErr(b.down, b.cut); err != nil {
		return err
	}
	if faults := b.faults[step.ID]; len(faults) > 0 {
		b.faults[step.ID] = faults[1:]
		return faults[0](b, step)
	}
	switch step.Verb {
	case topology.VerbCreate:
		for _, need := range step.Want.Needs() {
			if before[need] == nil {
				return refuse(topology.ClassTransient, "no "+need.String())(b, step)
			}
		}
		if there := b.live[step.ID]; there != nil && len(step.Want.Diff(there)) > 0 {
			return refuse(topology.ClassRejected, "inequivalent arg")(b, step)
		}
	case topology.VerbUpdate:
		if b.live[step.ID] == nil {
			return refuse(topology.ClassTransient, "it is gone")(b, step)
		}
	case topology.VerbDelete:
		if step.IfUnused && b.messages[step.ID] > 0 {
			return refuse(topology.ClassInUse, "it holds messages")(b, step)
		}
	}
	b.set(step)
	return nil
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// set does what a step says.
func (b *broker) set(step topology.Step) {
	switch want := step.Want.(type) {
	case *topology.Topic:
		next := *want
		next.Config = maps.Clone(want.Config)
		if old, ok := b.live[step.ID].(*topology.Topic); ok {
			next.Config = maps.Clone(old.Config)
			maps.Copy(next.Config, want.Config)
		}
		for _, key := range want.ReleasedConfig() {
			delete(next.Config, key)
		}
		b.live[step.ID] = &next
	case nil:
		b.remove(step.ID)
	default:
		b.live[step.ID] = want
	}
}

// remove takes an object and what hangs on it.
func (b *broker) remove(id topology.ID) {
	delete(b.live, id)
	delete(b.messages, id)
	for other, r := range b.live {
		if binding, ok := r.(*topology.Binding); ok && (binding.SourceID() == id || binding.DestinationID() == id) {
			delete(b.live, other)
		}
	}
}

// hand does something to the broker behind the engine's back.
func (b *broker) hand(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// names lists what is on the broker, but for the virtual host, sorted.
func (b *broker) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, id := range slices.SortedFunc(maps.Keys(b.live), topology.ID.Compare) {
		if id != shop.ID() {
			out = append(out, id.String())
		}
	}
	return out
}
