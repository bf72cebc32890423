package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
)

// stage is one controller process in front of a broker and a store, and a clock
// that stands still until it is told.
type stage struct {
	t       fataler
	journal *journal
	broker  *broker
	shelf   *shelf
	cluster *Cluster
	session Session

	mu  sync.Mutex
	now time.Time
}

type fataler interface {
	Errorf(format string, args ...any)
	Helper()
	Fatalf(format string, args ...any)
}

var (
	shop   = &topology.VirtualHost{Name: "shop"}
	via    = topology.ConnectionKey{Kind: "RabbitMQConnection", Namespace: "shop", Name: "broker"}
	second = topology.ConnectionKey{Kind: "RabbitMQConnection", Namespace: "audit", Name: "broker"}
	birth  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func newStage(t fataler) *stage {
	j := &journal{}
	s := &stage{t: t, journal: j, broker: newBroker(j), shelf: &shelf{journal: j, saved: topology.Inventory{}}, now: birth}
	s.session = Session{Connection: via, Broker: s.broker}
	s.broker.booked = func(id topology.ID) topology.OperationKind {
		s.shelf.mu.Lock()
		defer s.shelf.mu.Unlock()
		return s.shelf.saved[id].Operation
	}
	s.restart()
	return s
}

// restart is a new process on the same shelf: it knows no claims yet.
func (s *stage) restart() {
	s.cluster = NewCluster(&store{shelf: s.shelf}, s.clock)
	s.cluster.ledger.jitter = func() float64 { return 0 }
	s.cluster.setbacks.jitter = s.cluster.ledger.jitter
}

func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stage) wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// edits runs a pass that must not fail.
func (s *stage) edits() *Report {
	s.t.Helper()
	report, err := s.cluster.Edits(context.Background(), s.session)
	if err != nil {
		s.t.Fatalf("edits: %v", err)
	}
	if report == nil {
		return &Report{}
	}
	return report
}

// pass runs a pass of edits of one part, which must not fail, in any goroutine.
func (s *stage) pass(part Part) *Report {
	s.t.Helper()
	report, err := s.cluster.EditsOf(context.Background(), s.session, part)
	if err != nil {
		s.t.Errorf("pass of part %d: %v", part, err)
	}
	if report == nil {
		return &Report{}
	}
	return report
}

// editsFail runs a pass that must fail.
func (s *stage) editsFail() (*Report, error) {
	s.t.Helper()
	report, err := s.cluster.Edits(context.Background(), s.session)
	if err == nil {
		s.t.Fatalf("the pass went well, and should not have")
	}
	return report, err
}

// advance carries on with operations, and must not fail.
func (s *stage) advance() {
	s.t.Helper()
	if err := s.cluster.Advance(context.Background(), s.session); err != nil {
		s.t.Fatalf("advance: %v", err)
	}
}

func (s *stage) beginSweep() *Sweep {
	s.t.Helper()
	sweep, err := s.cluster.BeginSweep(context.Background(), s.session)
	if err != nil {
		s.t.Fatalf("sweep: %v", err)
	}
	return sweep
}

// rest runs the slices that are left and joins what they report.
func (s *stage) rest(sweep *Sweep) *Report {
	s.t.Helper()
	all := &Report{Corrected: map[topology.OwnerKey][]topology.ID{}}
	for !sweep.Done() {
		report, err := sweep.Slice(context.Background())
		if err != nil {
			s.t.Fatalf("slice: %v", err)
		}
		all.Verdicts = append(all.Verdicts, report.Verdicts...)
		all.Outcomes = append(all.Outcomes, report.Outcomes...)
		all.Ended = append(all.Ended, report.Ended...)
		for owner, ids := range report.Corrected {
			all.Corrected[owner] = append(all.Corrected[owner], ids...)
		}
	}
	return all
}

func (s *stage) sweep() *Report { s.t.Helper(); return s.rest(s.beginSweep()) }

// quiesce lets the clock run from one due moment to the next until nothing is
// due within the hour.
func (s *stage) quiesce() {
	s.t.Helper()
	const most = 100
	for range most {
		at, any := s.cluster.Next(via)
		if next, more := s.cluster.NextAdvance(via); more && (!any || next.Before(at)) && next.Sub(s.clock()) <= 5*time.Minute {
			s.wait(max(next.Sub(s.clock()), 0))
			s.advance()
			continue
		}
		if !any || at.Sub(s.clock()) > 5*time.Minute {
			return
		}
		s.wait(max(at.Sub(s.clock()), 0))
		s.edits()
	}
	s.t.Fatalf("after %d passes there is still something due: %+v", most, s.cluster.Stats())
}

// dueIn is how long until the next pass has something to do.
func (s *stage) dueIn() string {
	at, any := s.cluster.Next(via)
	if !any {
		return "never"
	}
	return at.Sub(s.clock()).String()
}

func (s *stage) set(claims ...*topology.Claim) {
	for _, c := range claims {
		s.cluster.SetClaim(c)
	}
}

// said renders verdicts, one line each.
func said(report *Report) []string {
	var out []string
	for _, v := range report.Verdicts {
		state := "InProgress"
		switch {
		case v.Ready:
			state = "Ready"
		case v.Stalled:
			state = "Stalled"
		case v.Suspended:
			state = "Unknown"
		}
		out = append(out, fmt.Sprintf("%s/%s %s %s: %s", v.Owner.Namespace, v.Owner.Name, state, v.Reason, v.Message))
	}
	slices.Sort(out)
	return out
}

// check compares; reason is what a reader is told who finds it failing.
func check(t *testing.T, reason string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}

type option func(*topology.Claim)

// cr is the first generation of a resource, by namespace/name.
func cr(name string, options ...option) *topology.Claim {
	c := &topology.Claim{
		Owner:      topology.Owner{OwnerKey: key(name), UID: "uid-" + name, Generation: 1, Created: birth},
		Connection: via,
		Policy:     topology.Policy{Deletion: topology.DeleteIfUnused, Adoption: topology.AdoptIfIdentical, Drift: topology.DriftCorrect, PartitionGrowth: topology.GrowWhenEmpty},
	}
	for _, o := range options {
		o(c)
	}
	return c
}

func key(name string) topology.OwnerKey {
	namespace, name, _ := strings.Cut(name, "/")
	return topology.OwnerKey{Kind: "Queue", Namespace: namespace, Name: name}
}

func wants(resources ...topology.Resource) option {
	return func(c *topology.Claim) {
		for _, r := range resources {
			c.Want = append(c.Want, topology.Want{Resource: r, Shareable: r.ID().Kind == topology.KindBinding})
		}
	}
}

func shares(r topology.Resource) option {
	return func(c *topology.Claim) { c.Want = append(c.Want, topology.Want{Resource: r, Shareable: true}) }
}

func generation(n int64) option { return func(c *topology.Claim) { c.Owner.Generation = n } }

func through(k topology.ConnectionKey) option {
	return func(c *topology.Claim) { c.Connection = k }
}

func deletion(p topology.DeletionPolicy) option {
	return func(c *topology.Claim) { c.Policy.Deletion = p }
}

func reportsDrift(c *topology.Claim) { c.Policy.Drift = topology.DriftReport }

func queue(name string, arguments ...any) *topology.Queue {
	q := &topology.Queue{VirtualHost: "shop", Name: name, Type: topology.QueueTypeClassic, Durable: true, Arguments: topology.Arguments{}}
	for i := 0; i+1 < len(arguments); i += 2 {
		q.Arguments[arguments[i].(string)] = arguments[i+1]
	}
	return q
}

func quorum(name string, arguments ...any) *topology.Queue {
	q := queue(name, arguments...)
	q.Type = topology.QueueTypeQuorum
	return q
}

func exchange(name string) *topology.Exchange {
	return &topology.Exchange{VirtualHost: "shop", Name: name, Type: "topic", Durable: true}
}

func bind(source, destination, routingKey string) *topology.Binding {
	return &topology.Binding{VirtualHost: "shop", Source: source, Destination: destination, DestinationType: topology.DestinationQueue, RoutingKey: routingKey}
}

func topic(name string, config ...string) *topology.Topic {
	out := &topology.Topic{Name: name, Partitions: 3, Config: map[string]string{}}
	for i := 0; i+1 < len(config); i += 2 {
		out.Config[config[i]] = config[i+1]
	}
	return out
}
