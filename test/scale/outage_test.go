package scale

import (
	"strings"
	"sync/atomic"
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
	end := s.profiles.during(s.tb, "outage")
	s.settleBetweenSweeps()
	cut.Refuse()
	connection.becomes(s.tb, false)
	time.Sleep(away)
	gone := connection.written()
	start := time.Now()
	cut.Forward()
	connection.becomes(s.tb, true)
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
	r.count("requests to the broker", len(requests))
	r.count("status writes of the connection while away", gone)
	r.count("status writes of the connection on return", connection.written()-gone)
	r.count("status writes of objects", objects.written())
	r.count("writes to the broker on return", len(s.requests.Writes(start)))
	r.count("most requests to the broker in a second", most)
	r.more("until the connection is Ready", back.Seconds(), "s")
	// A second one is due if a request was broken off before others were refused:
	// the connection says what it met last.
	if gone < 1 || gone > 2 {
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
	states chan bool // Ready or not, after each write
	writes atomic.Int64
}

func (s *scene) watchConnection() *connectionWatch {
	s.tb.Helper()
	w := &connectionWatch{states: make(chan bool, 1000)}
	follow(s.tb.Context(), s.tb, s.client, &v1alpha1.RabbitMQConnectionList{}, s.namespace, "broker", func(kind watch.EventType, o client.Object) {
		if kind == watch.Modified {
			w.writes.Add(1)
			w.states <- isConnectionReady(o.(*v1alpha1.RabbitMQConnection))
		}
	})
	return w
}

// becomes waits until a write says that the connection is Ready, or is not.
func (w *connectionWatch) becomes(tb testing.TB, ready bool) {
	tb.Helper()
	deadline := time.After(patience)
	for {
		select {
		case is := <-w.states:
			if is == ready {
				return
			}
		case <-deadline:
			tb.Fatalf("the connection has not become Ready=%t", ready)
		}
	}
}

func (w *connectionWatch) written() int { return int(w.writes.Load()) }
