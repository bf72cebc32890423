package scale

import (
	"slices"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/test/harness"
)

// BenchmarkIdle measures drift checks that find nothing to do.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		const interval = 10 * time.Second
		s := newScene(b)
		s.recordCalls()
		size := sizeOf(scaled(b, 10500))
		s.fill(size)
		s.checkEvery(interval)
		requests, cpu := s.idle(3 * interval)
		requests.Objects, cpu.Objects = size.objects(), size.objects()
		requests.report(b)
		cpu.report(b)
	}
}

// idle watches several drift checks with nothing to do: no write anywhere.
func (s *scene) idle(watched time.Duration) (requests, cpu *row) {
	s.tb.Helper()
	versions := harness.ResourceVersions(s.tb, s.client, s.namespace)
	end := s.profiles.during(s.tb, "idle")
	start, before := time.Now(), s.controller.CPU(s.tb)
	time.Sleep(watched)
	spent := s.controller.CPU(s.tb) - before
	end()
	var each []int // requests of a drift check
	for _, request := range s.requests.Requests(start) {
		switch {
		case isProbe(request):
			each = append(each, 1)
		case len(each) > 0:
			each[len(each)-1]++
		}
	}
	if len(each) == 0 {
		s.tb.Fatal("no drift check")
	}
	requests = &row{ID: "idle-requests", Workload: "a drift check with nothing to do: requests to the broker", Figure: float64(slices.Max(each)), Unit: "requests", AimFigure: 10}
	cpu = &row{ID: "idle-cpu", Workload: "a drift check with nothing to do: CPU time of the controller", Figure: spent.Seconds() / float64(len(each)), Unit: "s of CPU", AimFigure: 0.5}
	if requests.Figure > requests.AimFigure {
		s.tb.Errorf("a drift check with nothing to do takes %v requests", requests.Figure)
	}
	if writes := s.requests.Writes(start); len(writes) > 0 {
		s.tb.Errorf("a drift check with nothing to do writes to the broker: %v", writes)
	}
	requests.count("writes to the broker", 0)
	for key, version := range harness.ResourceVersions(s.tb, s.client, s.namespace) {
		if versions[key] != version {
			s.tb.Errorf("a drift check with nothing to do writes %s", key)
		}
	}
	reads, writes := s.apiCalls(start)
	requests.count("writes to the API server", len(writes))
	requests.count("reads from the API server in each", (len(reads)+len(each)-1)/len(each))
	if len(writes) > 0 || len(reads) > len(each)+1 { // the last one may not have asked the broker yet
		s.tb.Errorf("%d drift checks with nothing to do read from the API server: %v, and wrote: %v", len(each), reads, writes)
	}
	return requests, cpu
}

// apiCalls are the controller's requests to the API server; watches that go on
// and what the election of a leader costs do not count.
func (s *scene) apiCalls(since time.Time) (reads, writes []string) {
	for _, request := range s.calls.Requests(since) {
		switch {
		case aboutLeases(request):
		case request.Write():
			writes = append(writes, request.Method+" "+request.Path)
		case !isWatch(request):
			reads = append(reads, request.Path)
		}
	}
	return reads, writes
}
