package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// The controller is killed in the middle of 500 objects, again and again, at
// random moments; resources are deleted, edited and made while it is down. In
// the end the broker and the inventory hold what is declared and nothing else,
// and nothing was written that was right already.
func TestKilled(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		const kills = 20
		seed := rand.Uint64()
		t.Logf("seed %d, %d kills", seed, kills)
		random := rand.New(rand.NewPCG(seed, 0))
		m := newModel(s, random)
		s.allowAlways()

		// The first kill comes while the resources are being made.
		m.grow(20, 200)
		made := make(chan error, 1)
		start := time.Now()
		go func() { made <- m.apply() }()
		m.killAfter(start, 50+random.IntN(500))
		must(t, <-made)
		for range kills - 1 {
			m.shuffle()
			must(t, m.apply())
			start = time.Now()
			s.controller.Start(t)
			m.killAfter(start, random.IntN(250)) // about as many as there are to do
		}
		s.controller.Start(t)
		s.shows(m.listing())
		s.ready(m.objects()...)
		within(t, "the books to be closed", func(context.Context) (bool, string) {
			s.get(s.connection)
			status := s.connection.Status
			return status.PendingDeletions == 0 && status.LeftBehindCount == 0 && int(status.Owned) == len(m.listing()),
				fmt.Sprintf("%d owned of %d, %d pending, left behind %v", status.Owned, len(m.listing()), status.PendingDeletions, status.LeftBehind)
		})
		if got, wanted := len(s.inventory()), len(m.listing()); got != wanted {
			t.Errorf("the inventory has %d entries and %d objects are declared", got, wanted)
		}
		m.judge(s.recorder.Writes(time.Time{}), kills)

		// One more start finds nothing to do.
		s.controller.Kill()
		start = time.Now()
		s.controller.Start(t)
		s.idle(2)
		if writes := s.writes(start); len(writes) > 0 {
			t.Errorf("a start with nothing to do wrote %q", writes)
		}
	})
}

// killAfter kills the controller after a number of writes to the broker, or once
// there are no more of them.
func (s *scene) killAfter(start time.Time, writes int) {
	seen, since := 0, time.Now()
	for seen < writes && time.Since(since) < 2*time.Second {
		time.Sleep(time.Millisecond)
		if now := len(s.recorder.Writes(start)); now > seen {
			seen, since = now, time.Now()
		}
	}
	s.controller.Kill()
}

// model is what the resources declare, and how often each broker object came to
// be declared or to be declared no longer.
type model struct {
	*scene
	random *rand.Rand
	// declared resources by name, and what is on the API server.
	declared, applied map[string]client.Object
	wanted            map[string]bool // broker objects, as requests name them
	came, went        map[string]int
	// bindings there have been between the same two, under one path.
	bindings map[string]map[string]bool
	next     int
}

func newModel(s *scene, random *rand.Rand) *model {
	return &model{
		scene: s, random: random, declared: map[string]client.Object{}, applied: map[string]client.Object{},
		came: map[string]int{}, went: map[string]int{}, bindings: map[string]map[string]bool{},
	}
}

// grow declares exchanges, and queues with a binding of their own and an
// ExchangeBinding each.
func (m *model) grow(exchanges, queues int) {
	for i := range exchanges {
		e := exchange(fmt.Sprintf("x%02d", i), "shop", "topic")
		m.declared[e.Name] = e
	}
	for range queues {
		m.addQueue(fmt.Sprintf("q%03d", m.next))
		m.next++
	}
	m.count()
}

func (m *model) addQueue(name string) {
	q := queue(name, "shop", v1alpha1.QueueTypeClassic)
	q.Spec.Bindings = []v1alpha1.BindingSource{{Source: m.exchange(), RoutingKeys: []string{"key." + name}}}
	b := binding("b-"+name, "shop", m.exchange(), name, "more."+name)
	m.declared[q.Name], m.declared[b.Name] = q, b
}

func (m *model) exchange() string { return fmt.Sprintf("x%02d", m.random.IntN(20)) }

// shuffle deletes, edits and adds about a tenth of the queues and bindings each.
func (m *model) shuffle() {
	for _, name := range slices.Sorted(maps.Keys(m.declared)) {
		switch object := m.declared[name].(type) {
		case *v1alpha1.Queue:
			switch m.random.IntN(20) {
			case 0, 1:
				delete(m.declared, name)
				delete(m.declared, "b-"+name)
			case 2, 3:
				q := object.DeepCopy()
				q.Spec.Bindings[0].Source = m.exchange()
				m.declared[name] = q
			case 4: // deleted and made again with nothing changed
				delete(m.applied, name)
				must(m.t, client.IgnoreNotFound(m.client.Delete(context.Background(), object)))
			}
		case *v1alpha1.ExchangeBinding:
			if m.random.IntN(10) == 0 {
				b := object.DeepCopy()
				b.Spec.RoutingKeys = []string{fmt.Sprintf("%d.%s", m.random.IntN(1000), name)}
				m.declared[name] = b
			}
		}
	}
	for range 20 {
		// Some of them come back under a name that was used before.
		name := fmt.Sprintf("q%03d", m.random.IntN(m.next))
		if m.declared[name] != nil {
			name = fmt.Sprintf("q%03d", m.next)
			m.next++
		}
		m.addQueue(name)
	}
	m.count()
}

// count notes what has come to be declared since the last count, and what is
// declared no longer.
func (m *model) count() {
	now := map[string]bool{}
	for _, object := range m.declared {
		switch o := object.(type) {
		case *v1alpha1.Exchange:
			now[exchangePath("", o.Name)] = true
		case *v1alpha1.Queue:
			now[queuePath("", o.Name)] = true
			now[bindingPath("", o.Spec.Bindings[0].Source, o.Name)+" "+o.Spec.Bindings[0].RoutingKeys[0]] = true
		case *v1alpha1.ExchangeBinding:
			now[bindingPath("", o.Spec.Source, o.Spec.Destination)+" "+o.Spec.RoutingKeys[0]] = true
		}
	}
	for id := range now {
		if where := path(id); !m.wanted[id] {
			m.came[where]++
			if m.bindings[where] == nil {
				m.bindings[where] = map[string]bool{}
			}
			m.bindings[where][id] = true
		}
	}
	for id := range m.wanted {
		if !now[id] {
			m.went[path(id)]++
		}
	}
	m.wanted = now
}

// path is the part of an id that a request shows: bindings between the same two
// are told apart by what is in its body.
func path(id string) string { before, _, _ := strings.Cut(id, " "); return before }

// apply brings the API server in line with what is declared, 16 at a time.
func (m *model) apply() error {
	var group errgroup.Group
	group.SetLimit(16)
	for name, object := range m.applied {
		if m.declared[name] == nil {
			group.Go(func() error { return client.IgnoreNotFound(m.client.Delete(context.Background(), object)) })
		}
	}
	for name, object := range m.declared {
		switch was := m.applied[name]; {
		case was == nil:
			fresh := object.DeepCopyObject().(client.Object)
			fresh.SetNamespace(m.namespace)
			fresh.SetResourceVersion("")
			group.Go(func() error { return m.client.Create(context.Background(), fresh) })
		case was != object:
			changed := object.DeepCopyObject().(client.Object)
			changed.SetNamespace(m.namespace)
			group.Go(func() error {
				latest := changed.DeepCopyObject().(client.Object)
				if err := m.client.Get(context.Background(), client.ObjectKeyFromObject(changed), latest); err != nil {
					return err
				}
				changed.SetResourceVersion(latest.GetResourceVersion())
				return m.client.Update(context.Background(), changed)
			})
		}
	}
	err := group.Wait()
	m.applied = maps.Clone(m.declared)
	for _, object := range m.applied {
		object.SetNamespace(m.namespace)
	}
	return err
}

func (m *model) objects() []client.Object { return slices.Collect(maps.Values(m.applied)) }

// listing is what the broker is to hold.
func (m *model) listing() []string {
	var out []string
	for id := range m.wanted {
		where, key, _ := strings.Cut(id, " ")
		parts := strings.Split(where, "/")
		switch parts[2] {
		case "exchanges":
			out = append(out, fmt.Sprintf("topic exchange %q durable=true auto_delete=false {}", parts[4]))
		case "queues":
			out = append(out, fmt.Sprintf(`queue %q durable=true auto_delete=false {"x-queue-type":"classic"}`, parts[4]))
		default:
			out = append(out, fmt.Sprintf("binding %q -> queue %q key %q {}", parts[5], parts[7], key))
		}
	}
	slices.Sort(out)
	return out
}

// judge holds each write to the declarations: what answered as made or gone
// must have come or gone as often, and nothing may have been there already. A
// binding that was made when the controller was killed is made once more: each of those
// that share a path, at each kill.
func (m *model) judge(writes []harness.Request, kills int) {
	m.t.Helper()
	made, gone := map[string]int{}, map[string]int{}
	for _, w := range harness.Calls(writes...) {
		where, _, _ := strings.Cut(strings.Replace(w.Path, "/"+url.PathEscape(m.virtualHost)+"/", "//", 1), "?")
		switch {
		case w.Status == 502: // cut off by the kill; what became of it was seen later
		case w.Method == "POST" && w.Status == 201, w.Method == "PUT" && w.Status == 201:
			made[where]++
		case w.Method == "DELETE" && w.Status == 204:
			if parts := strings.Split(where, "/"); parts[2] == "bindings" {
				where = strings.Join(parts[:len(parts)-1], "/")
			}
			gone[where]++
		default:
			m.t.Errorf("a write for what was already right: %s %s %d", w.Method, w.Path, w.Status)
		}
	}
	check := func(what string, times, calledFor map[string]int) {
		for where, n := range times {
			allowed := calledFor[where]
			if strings.Contains(where, "/bindings/") {
				allowed += kills * len(m.bindings[where])
			}
			if n > allowed {
				m.t.Errorf("%s was %s %d times, and called for %d times", where, what, n, calledFor[where])
			}
		}
	}
	check("made", made, m.came)
	check("deleted", gone, m.went)
	m.t.Logf("%d writes made %d objects and deleted %d", len(writes), len(made), len(gone))
}
