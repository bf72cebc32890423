package migration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// model is a broker as plain data: enough of one to tell where each message is
// after every single call.
type model struct {
	now       time.Time
	queues    map[string]*modelQueue
	exchanges map[string]*topology.Exchange
	bindings  map[topology.ID]*topology.Binding // as listed
	routes    map[topology.ID]*topology.Binding // as they lead: see half
	nodes     map[node]int                      // of topic exchanges, with how many bindings they are said to have
	uncut     bool                              // declarations of bindings may be made so that they are not cut off
	beside    []*topology.Binding               // to another queue, with keys of this one
	shovel    *StartShovel                      // as declared
	worker    *StartShovel                      // what runs
	listed    bool                              // in the broker's list of what runs
	policy    bool
	consumers int

	published map[string]int   // by source: the number of the last message
	handled   map[string][]int // by source, as consumers got them
	counts    map[string]int64 // of quorum queues, as of the last tick
	lost      []string
	want      *topology.Queue // at the end
}

type modelQueue struct {
	*topology.Queue
	messages []modelMessage // ready
	unacked  []modelMessage // with the consumer, since the last second
	moved    []modelMessage // by the shovel, and not acknowledged yet
}

// node is what the bindings of a topic exchange with the same key have in common.
type node struct{ source, key string }

func (q *modelQueue) held() int64 { return int64(len(q.messages) + len(q.unacked) + len(q.moved)) }

type modelMessage struct {
	source string
	number int
}

const (
	modelQueueName = "orders"
	besideName     = "audit"
	countsAge      = 5 // seconds between two counts of a quorum queue
)

func queueOf(kind string, ttl int64) *topology.Queue {
	q := &topology.Queue{VirtualHost: "/", Name: modelQueueName, Type: kind, Durable: true}
	if ttl > 0 {
		q.Arguments = topology.Arguments{"x-message-ttl": ttl}
	}
	return q
}

func newModel(live *topology.Queue, sources ...*topology.Binding) *model {
	b := &model{
		now: time.Unix(1e9, 0), queues: map[string]*modelQueue{}, exchanges: map[string]*topology.Exchange{},
		bindings: map[topology.ID]*topology.Binding{}, routes: map[topology.ID]*topology.Binding{}, nodes: map[node]int{},
		uncut: true, published: map[string]int{}, handled: map[string][]int{}, counts: map[string]int64{},
	}
	b.queues[live.Name] = &modelQueue{Queue: live}
	for _, s := range sources {
		b.bind(s)
	}
	return b
}

func source(name, key string, arguments topology.Arguments) *topology.Binding {
	return &topology.Binding{VirtualHost: "/", Source: name, Destination: modelQueueName, DestinationType: topology.DestinationQueue, RoutingKey: key, Arguments: arguments}
}

func (b *model) bind(binding *topology.Binding) {
	if b.exchanges[binding.Source] == nil {
		b.exchanges[binding.Source] = &topology.Exchange{VirtualHost: "/", Name: binding.Source, Type: "topic", Durable: true}
	}
	b.bindings[binding.ID()] = binding
	b.lead(binding)
	b.published[binding.Source] += 0
}

func (b *model) publish(exchange string, message modelMessage) {
	for queue := range b.route(exchange, map[string]bool{}) {
		b.queues[queue].messages = append(b.queues[queue].messages, message)
	}
}

// second lets one pass: every source publishes, consumers consume, the shovel
// moves.
func (b *model) second(publishing bool) {
	b.now = b.now.Add(time.Second)
	if publishing {
		for name := range b.exchanges {
			if !strings.HasPrefix(name, Prefix) {
				for range 3 {
					b.published[name]++
					b.publish(name, modelMessage{name, b.published[name]})
				}
			}
		}
	}
	if b.worker != nil {
		from := b.queues[b.worker.From]
		n := min(len(from.messages), 20)
		for _, message := range from.messages[:n] {
			b.publish(b.worker.To, message)
		}
		from.moved, from.messages = from.messages[:n], slices.Clone(from.messages[n:])
	}
	if q := b.queues[modelQueueName]; q != nil && b.consumers > 0 {
		for _, message := range q.unacked {
			b.handled[message.source] = append(b.handled[message.source], message.number)
		}
		n := min(len(q.messages), 8)
		q.unacked, q.messages = q.messages[:n], slices.Clone(q.messages[n:])
	} else if q != nil { // its connection has ended
		q.unacked, q.messages = nil, slices.Concat(q.unacked, q.messages)
	}
	if b.now.Unix()%countsAge == 0 {
		clear(b.counts)
		for name, q := range b.queues {
			b.counts[name] = q.held()
		}
	}
}

// endWorker ends what runs: what it had in hand is in its source again, though
// it has been moved.
func (b *model) endWorker() {
	if b.worker == nil {
		return
	}
	if from := b.queues[b.worker.From]; from != nil {
		from.messages, from.moved = slices.Concat(from.moved, from.messages), nil
	}
	b.worker = nil
}

func (b *model) state() State {
	s := State{
		Queues: map[string]*topology.Queue{}, Exchanges: maps.Clone(b.exchanges),
		Messages: map[string]int64{}, ShovelGone: b.shovel == nil && !b.listed, Policy: b.policy, MaxLength: -1, Modern: true, Halves: true, Uncut: b.uncut,
	}
	for _, binding := range b.bindings {
		if binding.Destination != besideName {
			s.Bindings = append(s.Bindings, binding)
		}
	}
	for name, q := range b.queues {
		if name == besideName {
			continue
		}
		s.Queues[name] = q.Queue
		s.Messages[name] = q.held()
		if q.Type == topology.QueueTypeQuorum {
			s.Messages[name] = b.counts[name] // a new one is said to be empty
		}
	}
	if b.shovel != nil {
		s.Shovel = &Shovel{Source: b.shovel.From}
		if b.listed {
			s.Shovel.Status = "running"
		}
	}
	for range b.consumers {
		s.Consumers = append(s.Consumers, Consumer{Tag: "c"})
	}
	return s
}

func (b *model) run(a Action) error {
	switch a := a.(type) {
	case Create:
		return b.create(a.Resource)
	case Delete:
		b.remove(a.ID)
	case StartShovel:
		b.endWorker()
		b.shovel, b.worker, b.listed = &a, &a, true
	case StopShovel:
		b.shovel, b.listed = nil, b.listed && b.worker == nil // without a worker, the call fails halfway
		b.endWorker()
	case SetPolicy:
		b.policy = true
	case DropPolicy:
		b.policy = false
	case ExpectEmpty:
		if len(b.queues[a.Queue].messages) > 0 {
			return fmt.Errorf("not empty")
		}
	}
	return nil
}

func (b *model) create(r topology.Resource) error {
	switch r := r.(type) {
	case *topology.Queue:
		if there := b.queues[r.Name]; there == nil {
			b.queues[r.Name] = &modelQueue{Queue: r}
		} else if len(r.Diff(there.Queue)) > 0 {
			return fmt.Errorf("inequivalent arg")
		}
	case *topology.Exchange:
		b.exchanges[r.Name] = r
	case *topology.Binding:
		if b.queues[r.Destination] == nil && r.DestinationType == topology.DestinationQueue || b.exchanges[r.Source] == nil {
			return fmt.Errorf("not found")
		}
		if b.bindings[r.ID()] == nil {
			b.bindings[r.ID()] = r
			b.lead(r)
		}
	}
	return nil
}

func (b *model) remove(id topology.ID) {
	switch id.Kind {
	case topology.KindQueue:
		if q := b.queues[id.Name]; q != nil {
			for _, message := range slices.Concat(q.unacked, q.messages) {
				b.lost = append(b.lost, fmt.Sprint(id, message))
			}
			if b.worker != nil && b.worker.From == id.Name {
				b.lost = append(b.lost, "the shovel's source "+id.Name)
			}
		}
		delete(b.queues, id.Name)
	case topology.KindExchange:
		delete(b.exchanges, id.Name)
	case topology.KindBinding:
		if binding := b.bindings[id]; binding != nil {
			delete(b.bindings, id)
			b.unlead(binding)
		}
		return
	}
	for key, binding := range b.bindings {
		if binding.SourceID() == id || binding.DestinationID() == id {
			delete(b.bindings, key)
			b.unlead(binding)
		}
	}
}

// history is one migration in the model.
type history struct {
	live, want *topology.Queue
	consumers  int
	// crashes are the actions, counted over all, after which everything that
	// the process knew is lost.
	crashes []int
	// cut: the action is not carried out to its end then; see model.half.
	cut bool
	// dies, unless nil, tells of each action about a binding of a topic exchange
	// whether it is cut, and the process dies.
	dies func() bool
	// on is the broker to play on, as another history left it; nil: a new one.
	on *model
	// guarded: no declaration is safe from being cut.
	guarded bool
	// beside: another queue is bound with the same keys.
	beside bool
	// fails, unless nil, tells of each start and stop of a shovel, from 1, how it fails.
	fails func(number int) shovelFault
	// before is called before each decision, with its number.
	before func(b *model, decision int, want *topology.Queue) *topology.Queue
}

// shovelFault is how a broker fails when it starts or stops a shovel.
type shovelFault int

const (
	noFault      shovelFault = iota
	leavesEntry              // it ends, but stays listed
	leavesWorker             // it is not declared any more, but runs
)

// shovelFails runs an action as a broker does that loses track in the middle.
func (b *model) shovelFails(a Action, fault shovelFault) (failed bool) {
	switch a := a.(type) {
	case StartShovel: // the worker that is to be replaced is not known any more, and no other is started
		if fault == leavesEntry {
			b.endWorker()
			b.shovel = &a
			return true
		}
	case StopShovel:
		if b.shovel = nil; fault == leavesEntry {
			b.endWorker()
		}
		return true
	}
	return false
}

var modelSources = []*topology.Binding{
	source("shop", "order.*", nil), source("shop", "order.created", nil),
	source("vip", "", topology.Arguments{"x-match": "all", "region": "EU"}),
}

// play runs a history to its end, and checks after every action that each
// message has one way. It returns how many actions and decisions there were.
func (h history) play(t *testing.T) (actions, decisions int, b *model) {
	t.Helper()
	if b = h.on; b == nil {
		b = newModel(h.live, modelSources...)
		b.uncut = !h.guarded
		if h.beside {
			b.queues[besideName] = &modelQueue{Queue: &topology.Queue{VirtualHost: "/", Name: besideName}}
			for _, s := range modelSources {
				other := *s
				other.Destination = besideName
				b.beside = append(b.beside, &other)
				b.bind(&other)
			}
		}
	}
	b.consumers = h.consumers
	for range 4 {
		b.second(true)
	}
	want, memory, shovels := h.want, &Memory{}, 0
	for ; ; decisions++ {
		if decisions > 900 {
			t.Fatalf("crashes %v: no end; last: %+v", h.crashes, Decide(want, b.state(), memory, b.now))
		}
		if h.before != nil {
			want = h.before(b, decisions, want)
		}
		decision := Decide(want, b.state(), memory, b.now)
		if decision.Refused != nil {
			t.Fatalf("crashes %v: refused: %v", h.crashes, decision.Refused)
		}
		if decision.Progress.Done {
			b.want = want
			break
		}
		if len(decision.Actions) == 0 {
			if decision.Progress.Message == "" || decision.Progress.After == 0 || decision.Progress.Step == "" {
				t.Fatalf("a wait that says nothing: %+v", decision.Progress)
			}
			b.second(true)
		}
		for _, action := range decision.Actions {
			if isShovel(action) {
				if shovels++; h.fails != nil && h.fails(shovels) != noFault && b.shovelFails(action, h.fails(shovels)) {
					b.second(true)
					break
				}
			}
			dies := h.dies != nil && b.topical(action) && h.dies()
			if dies || h.cut && slices.Contains(h.crashes, actions+1) {
				b.half(action)
			} else if err := b.run(action); err != nil {
				if _, expected := action.(ExpectEmpty); !expected {
					t.Fatalf("crashes %v: %T %+v: %v", h.crashes, action, action, err)
				}
				memory.Interrupted()
				b.second(true)
				break
			}
			actions++
			b.check(t, fmt.Sprintf("crashes %v: after action %d, %T %+v", h.crashes, actions, action, action))
			if dies || slices.Contains(h.crashes, actions) {
				memory = &Memory{}
				b.second(true)
				break
			}
		}
	}
	return actions, decisions, b
}

func isShovel(a Action) bool {
	switch a.(type) {
	case StartShovel, StopShovel:
		return true
	}
	return false
}

// complete checks the end: bindings as they were, no scaffolding, and every
// message once.
func (b *model) complete(t *testing.T, when string, sources []*topology.Binding, inOrder bool) {
	t.Helper()
	expected := map[topology.ID]*topology.Binding{}
	for _, s := range sources {
		expected[s.ID()] = s
	}
	for _, s := range b.beside {
		expected[s.ID()] = s
	}
	delete(b.queues, besideName)
	if q := b.queues[modelQueueName]; len(b.queues) != 1 || q == nil || len(b.want.Diff(q.Queue)) > 0 {
		t.Fatalf("%s: queues %v", when, slices.Collect(maps.Keys(b.queues)))
	}
	if !maps.EqualFunc(b.bindings, expected, func(a, b *topology.Binding) bool { return a.ID() == b.ID() }) {
		t.Fatalf("%s: bindings %v", when, slices.Collect(maps.Keys(b.bindings)))
	}
	if len(b.exchanges) != len(b.published) || b.policy || b.shovel != nil || b.worker != nil || b.listed {
		t.Fatalf("%s: left: exchanges %v, policy %v, shovel %v", when, slices.Collect(maps.Keys(b.exchanges)), b.policy, b.shovel)
	}
	b.consumers = max(b.consumers, 1)
	for range 400 {
		b.second(false)
	}
	for name, last := range b.published {
		got := b.handled[name]
		if inOrder && !slices.IsSorted(got) {
			t.Fatalf("%s: order of %s: %v", when, name, got)
		}
		slices.Sort(got)
		for i := range last {
			if i >= len(got) || got[i] != i+1 {
				t.Fatalf("%s: %s has published %d, consumers have %v", when, name, last, got)
			}
		}
		if len(got) != last {
			t.Fatalf("%s: %s has published %d, consumers have got %d", when, name, last, len(got))
		}
	}
}
