package scale

import (
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// BenchmarkRestart measures how long a controller that is started again works
// until it knows that there is nothing to do.
func BenchmarkRestart(b *testing.B) {
	for b.Loop() {
		s := newScene(b)
		s.recordCalls()
		size := sizeOf(scaled(b, 10500))
		s.fill(size)
		r := s.restart()
		r.Objects = size.objects()
		r.report(b)
	}
}

// inventories counts the objects that the inventory takes.
func (s *scene) inventories() int {
	s.tb.Helper()
	var list v1alpha1.BrokerInventoryList
	if err := s.client.List(s.tb.Context(), &list, client.InNamespace(s.namespace)); err != nil {
		s.tb.Fatal(err)
	}
	return len(list.Items)
}

// restart stops the controller and starts it again.
func (s *scene) restart() *row {
	s.tb.Helper()
	s.controller.Stop()
	versions := harness.ResourceVersions(s.tb, s.client, s.namespace)
	start := time.Now()
	synced := s.start()
	end := s.profiles.during(s.tb, "restart")
	settled := s.settle(2 * time.Second).Sub(start)
	cpu := s.controller.CPU(s.tb)
	end()
	for key, version := range harness.ResourceVersions(s.tb, s.client, s.namespace) {
		// The new process writes its name into the inventory: that is the fence.
		if versions[key] != version && !strings.HasPrefix(key, "BrokerInventory/") {
			s.tb.Errorf("a restart with everything in place writes %s", key)
		}
	}
	r := &row{ID: "restart", Workload: "restart with everything in place: start of the process to nothing to do", Figure: settled.Seconds(), Unit: "s", AimFigure: 5}
	r.limitedBy(synced.Seconds(), "its caches are synced")
	requests, writes := s.requests.Requests(start), s.requests.Writes(start)
	_, apiWrites := s.apiCalls(start)
	r.count("requests to the broker", len(requests))
	r.count("writes to the broker", len(writes))
	r.count("writes to the API server", len(apiWrites))
	r.more("CPU", cpu.Seconds(), "s")
	r.more("peak RSS", mebibytes(s.controller.PeakRSS(s.tb)), "MiB")
	if len(requests) == 0 {
		s.tb.Error("a restart that asks the broker nothing")
	}
	if len(writes) > 0 {
		s.tb.Errorf("a restart with everything in place writes to the broker: %v", writes)
	}
	return r
}
