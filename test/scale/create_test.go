package scale

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// BenchmarkCreate measures from the first create to all Ready while the
// controller runs, against the same objects created and patched once without a
// controller.
func BenchmarkCreate(b *testing.B) {
	for _, objects := range []int{2100, 10500} {
		name := strconv.Itoa(objects)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := newScene(b).creation(sizeOf(scaled(b, objects)), true)
				r.ID, r.Workload = "create-"+name, "created while the controller runs: first create to all Ready"
				r.AimRatio = 1.5
				r.report(b)
				r.memory(b, name).report(b)
			}
		})
	}
}

// BenchmarkMemory has fewer and many more objects, and no limit: what is asked is
// how memory and CPU time grow with the number of objects.
func BenchmarkMemory(b *testing.B) {
	var few, many *row
	for _, objects := range []int{1050, 50400} {
		name := strconv.Itoa(objects)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				many = newScene(b).creation(sizeOf(scaled(b, objects)), false)
				many.memory(b, name).report(b)
				if few == nil {
					few = many
					continue
				}
				r := &row{ID: "cost", Workload: "CPU time of the controller per object, from its creation to Ready", Objects: many.Objects, Figure: many.detail(b, "CPU per object"), Unit: "ms", AimRatio: 1.3}
				r.limitedBy(few.detail(b, "CPU per object"), fmt.Sprintf("the same among %d objects", few.Objects))
				r.report(b)
			}
		})
	}
}

// memory is what a creation says of it.
func (r *row) memory(b *testing.B, name string) *row {
	b.Helper()
	m := &row{ID: "memory-" + name, Workload: "peak memory of the controller (resident set)", Objects: r.Objects, Figure: r.detail(b, "peak RSS"), Unit: "MiB"}
	m.AimFigure = map[string]float64{"10500": 150, "50400": 500}[name]
	m.more("CPU per object", r.detail(b, "CPU per object"), "ms")
	return m
}

// creation starts the controller, creates everything, and waits until it is
// Ready. The limit is taken before and after, and averaged.
func (s *scene) creation(size size, limited bool) *row {
	s.tb.Helper()
	var limits []time.Duration
	if limited {
		limits = append(limits, measureLimit(s, size))
	}
	s.start()
	s.connect(seldom)
	objects := workload(s.namespace, size)
	seen := watchReady(s.tb, s.client, s.namespace, len(objects))
	cpu := s.controller.CPU(s.tb)
	end := s.profiles.during(s.tb, "create")
	start := time.Now()
	createAll(s.tb, s.client, objects)
	created := time.Since(start)
	seen.wait(s.tb, patience)
	took := time.Since(start)
	cpu = s.controller.CPU(s.tb) - cpu
	end()
	if limited {
		limits = append(limits, measureLimit(s, size))
	}

	r := &row{Objects: len(objects), Figure: took.Seconds(), Unit: "s"}
	if limited {
		r.limitedBy(mean(limits).Seconds(), "the same created, and given one status patch each, without a controller")
	}
	r.more("created", created.Seconds(), "s")
	r.more("peak RSS", mebibytes(s.controller.PeakRSS(s.tb)), "MiB")
	r.more("CPU", cpu.Seconds(), "s")
	r.more("CPU per object", cpu.Seconds()*1000/float64(len(objects)), "ms")
	requests, written, statuses := len(s.requests.Requests(start)), s.requests.Writes(start), seen.written()
	writes, declared := len(written), len(harness.Calls(written...))
	r.count("writes to the broker", writes)
	r.count("reads from the broker", requests-writes)
	r.count("status writes", statuses)
	if statuses != len(objects) {
		s.tb.Errorf("%d status writes for %d objects", statuses, len(objects))
	}
	// A broker that is late with an answer may be asked for the same once more.
	if declared < len(objects) || declared > len(objects)+len(objects)/10 {
		s.tb.Errorf("%d declarations for %d objects", declared, len(objects))
	}
	// Passes read listings: more of them, the slower the objects come, but never
	// as many as there are objects.
	if most := len(objects)/2 + 100; requests-writes > most {
		s.tb.Errorf("%d reads from the broker for %d objects: more than %d", requests-writes, len(objects), most)
	}
	return r
}

// measureLimit takes the limit of a creation in a namespace of its own.
func measureLimit(s *scene, size size) time.Duration {
	s.tb.Helper()
	objects := workload(s.plane.NewNamespace(s.tb), size)
	start := time.Now()
	inParallel(s.tb, objects, func(o v1alpha1.Object) error {
		if err := s.client.Create(s.tb.Context(), o); err != nil {
			return err
		}
		return patchStatus(s.tb.Context(), s.client, o)
	})
	return time.Since(start)
}

func mean(all []time.Duration) (sum time.Duration) {
	for _, one := range all {
		sum += one
	}
	return sum / time.Duration(len(all))
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
