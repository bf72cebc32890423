package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// An edit while a sweep works through 2,000 objects is served between two of
// its slices, and a second connection whose broker swallows packets is nothing
// that the first one notices.
func TestEditDuringSweep(t *testing.T) {
	broker := harness.RabbitMQAt(t, "4.0")
	s := &scene{
		stage: newStage(t), broker: broker,
		virtualHost: broker.NewVirtualHost(t), recorder: harness.NewRecorder(t, broker.ManagementURL),
	}
	s.controller.Start(t)
	secret, connection := s.rabbit("shop", broker, s.virtualHost, s.recorder.URL)
	connection.Spec.Interval = &metav1.Duration{Duration: time.Hour} // sweeps come when they are asked for
	s.connection = connection
	s.create(secret, connection, exchange("orders", "shop", "topic"))
	const pairs = 1000
	s.createMany(t, 2*pairs, func(i int) client.Object {
		name := fmt.Sprintf("q%04d", i/2)
		if i%2 == 0 {
			return queue(name, "shop", v1alpha1.QueueTypeClassic)
		}
		return binding(name, "shop", "orders", name, "order."+name)
	})
	s.allReady(t, 2*pairs+1)

	// The second one worked once, so that it has something to be swept.
	proxy := harness.NewProxy(t, hostOf(harness.RabbitMQAt(t, "4.3")))
	_, stuck := s.rabbit("stuck", harness.RabbitMQAt(t, "4.3"), harness.RabbitMQAt(t, "4.3").NewVirtualHost(t), "http://"+proxy.Addr())
	stuck.Spec.Authentication.SecretRef.Name = "shop"
	stuck.Spec.Interval = &metav1.Duration{Duration: time.Second}
	lost := exchange("lost", "stuck", "topic")
	s.create(stuck, lost)
	s.ready(stuck, lost)

	quiet := s.serve(t, "quiet")
	proxy.Blackhole()
	edit(s.stage, lost, func(x *v1alpha1.Exchange) { x.Spec.AlternateExchange = "amq.fanout" })

	// Every queue is deleted by hand, so that the sweep has work in each slice.
	s.deleteQueues(t, pairs)
	start := time.Now()
	s.sweepNow(t, "1")
	s.writesBegin(t, start)
	var busy []time.Duration
	var served []time.Time
	for i := range 3 {
		began := time.Now()
		busy = append(busy, s.serve(t, fmt.Sprintf("busy-%d", i)))
		served = append(served, began.Add(busy[i]))
	}
	s.sweepDone(t, "1")

	between := 0
	last := s.lastWrite(t, start)
	for _, at := range served {
		if at.Before(last) {
			between++
		}
	}
	t.Logf("an edit takes %v in the quiet, %v during the sweep; the sweep wrote for %v", quiet, busy, last.Sub(start))
	if between == 0 {
		t.Errorf("no edit was served before the sweep's last write at %v", last.Sub(start))
	}
	if got := len(queueNames(t, broker, s.virtualHost)); got != pairs+4 {
		t.Errorf("%d queues after the sweep, not %d", got, pairs+4)
	}

	// The other connection is in trouble all the while, and says so.
	s.reaches(stuck, metav1.ConditionFalse, v1alpha1.ReasonConnectionUnavailable)
	for i := range 5 {
		if took := s.serve(t, fmt.Sprintf("beside-%d", i)); took > 3*time.Second {
			t.Errorf("an edit took %v while another connection hung", took)
		}
	}
	s.ready(connection)
	if warnings := s.eventsWith("Warning"); len(warnings) != 1 || !strings.Contains(warnings[0], "RabbitMQConnection/stuck") {
		t.Errorf("the one Warning is about the connection that hangs; there are %q", warnings)
	}
}

// createMany creates objects with 16 writers.
func (s *stage) createMany(t *testing.T, n int, object func(int) client.Object) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	for i := range n {
		o := object(i)
		o.SetNamespace(s.namespace)
		group.Go(func() error { return s.client.Create(ctx, o) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// allReady waits until n objects are there and all of them Ready.
func (s *stage) allReady(t *testing.T, n int) {
	t.Helper()
	within(t, fmt.Sprintf("%d objects to be Ready", n), func(ctx context.Context) (bool, string) {
		found, ready := 0, 0
		last := ""
		for _, list := range v1alpha1.NewObjectLists() {
			if err := s.client.List(ctx, list.(client.ObjectList), client.InNamespace(s.namespace)); err != nil {
				return false, err.Error()
			}
			for _, object := range list.Objects() {
				found++
				if isReady(object) {
					ready++
				} else {
					last = describe(object)
				}
			}
		}
		time.Sleep(200 * time.Millisecond) // a listing of all is no light thing
		return found == n && ready == n, fmt.Sprintf("%d of %d are; one that is not: %s", ready, found, last)
	})
}

func isReady(object client.Object) bool {
	observed, conditions := conditionsOf(object)
	for _, c := range conditions {
		if c.Type == v1alpha1.ConditionReady {
			return c.Status == metav1.ConditionTrue && observed == object.GetGeneration()
		}
	}
	return false
}

// serve creates a queue and measures how long it takes until it is Ready.
func (s *scene) serve(t *testing.T, name string) time.Duration {
	t.Helper()
	q, start := queue(name, "shop", v1alpha1.QueueTypeClassic), time.Now()
	s.create(q)
	s.ready(q)
	return time.Since(start)
}

func (s *scene) deleteQueues(t *testing.T, n int) {
	t.Helper()
	var deleting sync.WaitGroup
	work := make(chan string)
	for range 8 {
		deleting.Go(func() {
			for name := range work {
				if status, body := s.broker.Do(t, "DELETE", queuePath(s.virtualHost, name), nil); status != 204 {
					t.Errorf("DELETE %s: %d %s", name, status, body)
				}
			}
		})
	}
	for i := range n {
		work <- fmt.Sprintf("q%04d", i)
	}
	close(work)
	deleting.Wait()
}

func (s *scene) sweepNow(t *testing.T, mark string) {
	t.Helper()
	edit(s.stage, s.connection, func(c *v1alpha1.RabbitMQConnection) {
		c.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: mark}
	})
}

func (s *scene) sweepDone(t *testing.T, mark string) {
	t.Helper()
	within(t, "the sweep to end", func(context.Context) (bool, string) {
		s.get(s.connection)
		return s.connection.Status.LastHandledReconcileAt == mark, describe(s.connection)
	})
}

// sweeping are the writes that restore what was deleted by hand.
func (s *scene) sweeping(since time.Time) []harness.Request {
	var out []harness.Request
	for _, request := range s.recorder.Writes(since) {
		if strings.Contains(request.Path, "/q0") {
			out = append(out, request)
		}
	}
	return out
}

func (s *scene) writesBegin(t *testing.T, since time.Time) {
	t.Helper()
	within(t, "the sweep to write", func(context.Context) (bool, string) {
		return len(s.sweeping(since)) > 0, "no write"
	})
}

func (s *scene) lastWrite(t *testing.T, since time.Time) time.Time {
	t.Helper()
	var last time.Time
	for _, request := range s.sweeping(since) {
		if request.Time.After(last) {
			last = request.Time
		}
	}
	if last.IsZero() {
		t.Fatal("the sweep wrote nothing")
	}
	return last
}

// While everything is as declared, a sweep costs a handful of reads of the
// broker and one of the API server, the Secret, and nothing is written anywhere.
func TestIdle(t *testing.T) {
	for _, broker := range harness.SomeRabbitMQ(t) {
		t.Run(broker.Version, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, broker)
			kafka := harness.SharedKafka(t)
			prefix := kafka.NewTopicPrefix(t)
			events := s.kafka("events", kafka.Bootstrap...)
			s.create(events)
			s.createMany(t, 60, func(i int) client.Object {
				name := fmt.Sprintf("o%02d", i)
				switch i % 4 {
				case 0:
					x := exchange(name, "shop", "topic")
					x.Spec.AlternateExchange = "amq.fanout"
					return x
				case 1:
					return binding(name, "shop", fmt.Sprintf("o%02d", i-1), fmt.Sprintf("o%02d", i+1), "a.*.#", "b/c %")
				case 2:
					q := queue(name, "shop", []v1alpha1.QueueType{v1alpha1.QueueTypeClassic, v1alpha1.QueueTypeQuorum, v1alpha1.QueueTypeStream}[i/4%3])
					if q.Spec.Type != v1alpha1.QueueTypeStream {
						q.Spec.MessageTTL = &metav1.Duration{Duration: time.Minute}
						q.Spec.DeadLetter = &v1alpha1.DeadLetter{}
					}
					return q
				default:
					o := topic(prefix+name, "events", 3)
					o.Spec.Config = map[string]string{"retention.ms": "604800000", "cleanup.policy": "compact"}
					return o
				}
			})
			s.allReady(t, 60)
			s.ready(s.connection, events)
			time.Sleep(2 * interval) // what still settles

			before, start := s.versions(t), time.Now()
			counters := s.counters(t)
			time.Sleep(5*interval + interval/2)
			sweeps := countRequests(s.recorder, start, "/api/overview")
			if sweeps < 4 {
				t.Fatalf("%d sweeps only", sweeps)
			}
			if writes := s.writes(start); len(writes) > 0 {
				t.Errorf("writes to the broker: %q", writes)
			}
			if n := len(s.recorder.Requests(start)); n > 10*sweeps {
				t.Errorf("%d requests in %d sweeps", n, sweeps)
			}
			for what, after := range s.versions(t) {
				if before[what] != after {
					t.Errorf("%s was written", what)
				}
				delete(before, what)
			}
			if len(before) > 0 {
				t.Errorf("gone: %v", before)
			}
			after := s.counters(t)
			if n := after.writes - counters.writes; n != 0 {
				t.Errorf("%v writes to the API server", n)
			}
			if n := after.reads - counters.reads; int(n) > sweeps+3 { // a watch is renewed now and then
				t.Errorf("%v reads of the API server in %d sweeps", n, sweeps)
			}
			// Kafka: a connection that stands is used again.
			if n := after.kafka - counters.kafka; int(n) > 10*(sweeps+1) {
				t.Errorf("%v requests to Kafka in about %d sweeps", n, sweeps)
			}
			if n := after.dials - counters.dials; n != 0 {
				t.Errorf("%v new connections to Kafka", n)
			}
		})
	}
}

// versions has the resource version of everything in the namespace that the
// controller could write, events included.
func (s *stage) versions(t *testing.T) map[string]string {
	t.Helper()
	out := harness.ResourceVersions(t, s.client, s.namespace)
	for _, event := range s.events() {
		out["event "+event] = ""
	}
	return out
}

// counters are what the controller has asked of others so far.
type counters struct{ reads, writes, kafka, dials float64 }

func (s *stage) counters(t *testing.T) counters {
	t.Helper()
	var c counters
	c.reads, _ = metric(t, s.controller, "rest_client_requests_total", `method="GET"`)
	all, _ := metric(t, s.controller, "rest_client_requests_total")
	c.writes = all - c.reads
	c.kafka, _ = metric(t, s.controller, "warrener_broker_requests_total", `connection="Kafka`)
	c.dials, _ = metric(t, s.controller, "warrener_broker_requests_total", `connection="Kafka`, `operation="Connect"`)
	return c
}

// The metrics say what happened, each by connection.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.RabbitMQAt(t, "4.0"))
	orders, work := exchange("orders", "shop", "topic"), queue("work", "shop", v1alpha1.QueueTypeClassic)
	missing := binding("missing", "shop", "nowhere", "work", "#")
	odd := exchange("odd", "shop", "x-nobody-knows")
	s.create(orders, work, missing, odd)
	s.ready(orders, work)
	s.reaches(missing, metav1.ConditionFalse, v1alpha1.ReasonDependencyNotReady)
	s.reaches(odd, metav1.ConditionFalse, v1alpha1.ReasonBrokerRejected)
	down := s.kafka("down", "127.0.0.1:1")
	s.create(down)
	s.reaches(down, metav1.ConditionFalse, v1alpha1.ReasonConnectionUnavailable)
	edit(s.stage, orders, func(e *v1alpha1.Exchange) { e.Annotations = map[string]string{v1alpha1.AnnotationReconcileAt: "now"} })
	s.broker.Must(t, "DELETE", queuePath(s.virtualHost, "work"), nil, nil)
	within(t, "the queue to be back", s.present(queuePath(s.virtualHost, "work")))
	publish(t, amqpChannel(t, s.broker, s.virtualHost), "", "work")
	s.remove(work)
	within(t, "the queue to be left behind", func(context.Context) (bool, string) {
		s.get(s.connection)
		return s.connection.Status.LeftBehindCount == 1, describe(s.connection)
	})

	shop := fmt.Sprintf(`connection="RabbitMQConnection %s/shop"`, s.namespace)
	cases := map[string]struct {
		name      string
		fragments []string
		holds     func(sum float64) bool
	}{
		"up":              {"warrener_connection_up", []string{shop}, exactly(1)},
		"down":            {"warrener_connection_up", []string{`/down"`}, exactly(0)},
		"created":         {"warrener_steps_total", []string{shop, `kind="queue"`, `verb="create"`, `outcome="ok"`}, exactly(2)},
		"rejected":        {"warrener_steps_total", []string{shop, `kind="exchange"`, `outcome="Rejected"`}, atLeast(1)},
		"held":            {"warrener_held", []string{shop, `reason="DependencyNotReady"`}, exactly(1)},
		"ledger":          {"warrener_ledger_depth", []string{shop}, exactly(1)},
		"drift":           {"warrener_drift_corrected_total", []string{shop}, exactly(1)},
		"left behind":     {"warrener_left_behind", []string{shop}, exactly(1)},
		"owned":           {"warrener_owned_objects", []string{shop}, exactly(1)},
		"requests":        {"warrener_broker_requests_total", []string{shop, `operation="probe"`, `outcome="2xx"`}, atLeast(2)},
		"request time":    {"warrener_broker_request_seconds_count", []string{shop}, atLeast(10)},
		"passes, edits":   {"warrener_pass_duration_seconds_count", []string{shop, `lane="edits"`}, atLeast(1)},
		"passes, new":     {"warrener_pass_duration_seconds_count", []string{shop, `lane="rollout"`}, atLeast(1)},
		"passes, sweep":   {"warrener_pass_duration_seconds_count", []string{shop, `lane="sweep"`}, atLeast(1)},
		"observing":       {"warrener_observe_seconds_count", []string{shop}, atLeast(2)},
		"failed requests": {"warrener_broker_requests_total", []string{`/down"`, `outcome="failed"`}, atLeast(1)},
	}
	for name, c := range cases {
		within(t, name, func(context.Context) (bool, string) {
			sum, found := metric(t, s.controller, c.name, c.fragments...)
			return found > 0 && c.holds(sum), fmt.Sprintf("%s%v: %d series, sum %v", c.name, c.fragments, found, sum)
		})
	}
	if text := scrape(t, s.controller); strings.Contains(text, `"guest"`) {
		t.Error("the metrics name the user or its password")
	}

	// A connection that is gone takes its series along; one that never worked, at
	// once.
	s.remove(down)
	within(t, "the series of a connection that is gone to go", func(context.Context) (bool, string) {
		_, found := metric(t, s.controller, "warrener_connection_up", `/down"`)
		return found == 0, fmt.Sprint(found)
	})
}

func exactly(n float64) func(float64) bool { return func(sum float64) bool { return sum == n } }
func atLeast(n float64) func(float64) bool { return func(sum float64) bool { return sum >= n } }
