package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// An edit of spec.type on a queue in use, the controller killed at random steps:
// nothing is lost, the status tells how far it is, and in the end all is as
// declared, with nothing left of the migration on the broker or on the books.
func TestMigrateByEdit(t *testing.T) {
	rounds := 1
	if harness.Long() {
		rounds = 6
	}
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		q := queue("orders", "shop", v1alpha1.QueueTypeClassic)
		q.Spec.UpdatePolicy = v1alpha1.UpdateMigrate
		q.Spec.Migration = &v1alpha1.QueueMigration{DefaultExchangePublishers: v1alpha1.DefaultExchangeNone}
		q.Spec.Bindings = []v1alpha1.BindingSource{{Source: "events", RoutingKeys: []string{"order.*", "order.created"}}}
		other := binding("vip", "shop", "vip", "orders")
		s.create(exchange("events", "shop", "topic"), exchange("vip", "shop", "fanout"), q, other)
		s.ready(q, other)
		before := s.listing()

		f := newTraffic(t, s.broker, s.virtualHost, "orders")
		stops := []func(){f.publish("created", "events", "order.created", 100), f.publish("vip", "vip", "any", 100)}
		f.consume()
		f.consume()
		for round := range rounds {
			to := []v1alpha1.QueueType{v1alpha1.QueueTypeQuorum, v1alpha1.QueueTypeClassic}[round%2]
			start := time.Now()
			edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.Type = to })
			seen := s.watchMigration(q)
			for range 3 {
				s.killInMigration(q, 1+random.IntN(12))
			}
			s.ready(q, other)
			told := seen()
			t.Logf("round %d: to %s in %s: %q", round+1, to, time.Since(start).Round(time.Second), told)
			if len(told) == 0 {
				t.Error("the status never told how far it was")
			}
			if len(q.Status.Operations) > 0 {
				t.Errorf("it is done, and the status has %+v", q.Status.Operations)
			}
		}
		for _, stop := range stops {
			stop()
		}
		a := f.settle(time.Minute)
		t.Logf("%s", a)
		if len(a.lost) > 0 || a.returned > 0 || a.refused > 0 || a.confirmed < 1000*rounds {
			t.Errorf("lost: %v; %s", a.lost, a)
		}
		if len(a.doubled) > mostDoubled {
			t.Errorf("doubled: %s, first %v", a, a.doubled[:mostDoubled])
		}
		if t.Failed() {
			s.tellBindings()
		}
		wanted := make([]string, len(before))
		for i, line := range before {
			wanted[i] = line
			if strings.HasPrefix(line, `queue "orders"`) {
				wanted[i] = strings.ReplaceAll(line, "classic", string(q.Spec.Type))
			}
		}
		slices.Sort(wanted)
		s.shows(wanted)
		s.idle(2) // and nothing is on the books that would go on
	})
}

// killInMigration kills the controller after some writes to the broker, unless
// the migration is over before, and starts it again.
func (s *scene) killInMigration(q *v1alpha1.Queue, writes int) {
	s.t.Helper()
	start := time.Now()
	within(s.t, fmt.Sprintf("%d writes, or the end", writes), func(ctx context.Context) (bool, string) {
		var latest v1alpha1.Queue
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(q), &latest); err != nil {
			return false, err.Error()
		}
		over := latest.Status.ObservedGeneration == latest.Generation && meta.IsStatusConditionTrue(latest.Status.Conditions, v1alpha1.ConditionReady)
		did := s.writes(start)
		return over || len(did) >= writes, fmt.Sprintf("%q; %s, operations %+v", did, describe(&latest), latest.Status.Operations)
	})
	s.controller.Kill()
	s.t.Logf("%s killed", time.Now().Format(clock))
	s.controller.Start(s.t)
}

const clock = "15:04:05.000"

// tellBindings logs when the controller made and deleted the queue and which bindings:
// what it had asked for when it was killed has no status, or 502.
func (s *scene) tellBindings() {
	for _, r := range harness.Calls(s.recorder.Writes(time.Time{})...) {
		if strings.HasPrefix(r.Path, "/api/bindings/"+url.PathEscape(s.virtualHost)+"/") || strings.HasSuffix(r.Path, "/orders") {
			s.t.Logf("%s %s %s %d", r.Time.Format(clock), r.Method, r.Path, r.Status)
		}
	}
}

// watchMigration gathers what the status tells, and holds it to what a status
// may say: one look a moment, so short steps may go unseen.
func (s *scene) watchMigration(q *v1alpha1.Queue) (ended func() []string) {
	ctx, cancel := context.WithCancel(s.t.Context())
	told := make(chan []string, 1)
	go func() {
		var steps []string
		defer func() { told <- steps }()
		for ctx.Err() == nil {
			var latest v1alpha1.Queue
			if err := s.client.Get(ctx, client.ObjectKeyFromObject(q), &latest); err == nil {
				if broken := sound(&latest); broken != "" {
					s.t.Errorf("%s: %s", broken, describe(&latest))
				}
				ready := meta.FindStatusCondition(latest.Status.Conditions, v1alpha1.ConditionReady)
				for _, o := range latest.Status.Operations {
					if o.Kind != "Migrate" || o.StartedAt.IsZero() || !strings.HasSuffix(o.Object, "/orders") {
						s.t.Errorf("status.operations: %+v", o)
					}
					if ready == nil || ready.Status != metav1.ConditionFalse {
						s.t.Errorf("an operation is under way, and the status says %s", describe(&latest))
					}
					if o.Step != "" && !slices.Contains(steps, o.Step) {
						steps = append(steps, o.Step)
					}
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() []string {
		cancel()
		return <-told
	}
}
