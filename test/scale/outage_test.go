package scale

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// BenchmarkOutage has the broker away for a minute: what is written to the API
// server, and what is asked of the broker when it is back.
func BenchmarkOutage(b *testing.B) {
	for b.Loop() {
		s := newScene(b)
		cut := s.behindProxy()
		size := sizeOf(scaled(b, 10500))
		s.fill(size)
		s.checkEvery(10 * time.Second)
		r := s.outage(cut, max(time.Minute*time.Duration(scaled(b, 100))/100, 12*time.Second))
		r.Objects = size.objects()
		r.report(b)
	}
}

// behindProxy puts a proxy between the controller and the broker, from the next
// connection on.
func (s *scene) behindProxy() *harness.Proxy {
	s.tb.Helper()
	proxy := harness.NewProxy(s.tb, strings.TrimPrefix(s.requests.URL, "http://"))
	s.endpoint = "http://" + proxy.Addr()
	return proxy
}

// outage is shorter than the grace period: no status of an object is written.
func (s *scene) outage(cut *harness.Proxy, away time.Duration) *row {
	s.tb.Helper()
	connection := s.watchConnection()
	objects := watchReady(s.tb, s.client, s.namespace, -1)
	// What is there already is told first, as added.
	end := s.profiles.during(s.tb, "outage")
	cut.Refuse()
	connection.becomes(s, false)
	time.Sleep(away)
	gone := connection.written()
	start := time.Now()
	cut.Forward()
	connection.becomes(s, true)
	back := time.Since(start)
	s.settleBetweenSweeps()
	end()

	requests := s.requests.Requests(start)
	perSecond, most := map[int]int{}, 0
	for _, r := range requests {
		second := int(r.Time.Sub(start).Seconds())
		perSecond[second]++
		most = max(most, perSecond[second])
	}
	r := &row{ID: "outage", Workload: "broker away for " + away.String() + ", and back: requests to the broker until nothing is left to do", Figure: float64(len(requests)), Unit: "requests"}
	r.count("status writes of the connection while away", gone)
	r.count("status writes of the connection on return", connection.written()-gone)
	r.count("status writes of objects", objects.written())
	r.count("writes to the broker on return", len(s.requests.Writes(start)))
	r.count("most requests to the broker in a second", most)
	r.more("until the connection is Ready", back.Seconds(), "s")
	if gone != 1 {
		s.tb.Errorf("%d status writes of the connection while the broker was away", gone)
	}
	if n := objects.written(); n != 0 {
		s.tb.Errorf("%d status writes of objects, of a broker that was away for less than the grace period", n)
	}
	if writes := s.requests.Writes(start); len(writes) > 0 {
		s.tb.Errorf("the broker is as it was, and is written to: %v", writes)
	}
	return r
}

// settleBetweenSweeps waits until there is no request to the broker for a
// second, for which there is time between two drift checks.
func (s *scene) settleBetweenSweeps() {
	s.tb.Helper()
	s.until("the broker to be left alone", func() bool {
		return s.requests.Pending() == 0 && len(s.requests.Requests(time.Now().Add(-time.Second))) == 0
	})
}

// connectionWatch counts the writes of a connection.
type connectionWatch struct {
	events <-chan watch.Event
	writes int
}

func (s *scene) watchConnection() *connectionWatch {
	s.tb.Helper()
	watcher, err := s.client.Watch(s.tb.Context(), &v1alpha1.RabbitMQConnectionList{}, client.InNamespace(s.namespace))
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(watcher.Stop)
	return &connectionWatch{events: watcher.ResultChan()}
}

// becomes waits until the connection is Ready, or is not.
func (w *connectionWatch) becomes(s *scene, ready bool) {
	s.tb.Helper()
	deadline := time.After(patience)
	for {
		select {
		case event := <-w.events:
			if c := w.note(event); c != nil && isConnectionReady(c) == ready {
				return
			}
		case <-deadline:
			s.tb.Fatalf("the connection has not become Ready=%t", ready)
		}
	}
}

// written is how many writes there were until now.
func (w *connectionWatch) written() int {
	for {
		select {
		case event := <-w.events:
			w.note(event)
		default:
			return w.writes
		}
	}
}

func (w *connectionWatch) note(event watch.Event) *v1alpha1.RabbitMQConnection {
	c, ok := event.Object.(*v1alpha1.RabbitMQConnection)
	if ok && event.Type == watch.Modified {
		w.writes++
	}
	return c
}
