package scale

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// row is one workload's result, as docs/benchmarks.json has it and
// hack/benchpage draws it.
type row struct {
	ID       string `json:"id"`
	Workload string `json:"workload"`
	Objects  int    `json:"objects"`
	// Figure is in the unit; Limit, if there is one, too.
	Figure float64 `json:"figure"`
	Unit   string  `json:"unit"`
	Limit  float64 `json:"limit,omitempty"`
	Ratio  float64 `json:"ratio,omitempty"`
	// LimitIs says what the limit is, for people.
	LimitIs string `json:"limitIs,omitempty"`
	// AimRatio and AimFigure are the most that is aimed at.
	AimRatio  float64   `json:"aimRatio,omitempty"`
	AimFigure float64   `json:"aimFigure,omitempty"`
	Counts    []measure `json:"counts,omitempty"`
	Details   []measure `json:"details,omitempty"`
	// Latencies are sorted, in milliseconds.
	Latencies []float64 `json:"latencies,omitempty"`
	Machine   machine   `json:"machine"`
}

type measure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

type machine struct {
	Date       string `json:"date"`
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Go         string `json:"go"`
	RabbitMQ   string `json:"rabbitmq"`
	Kubernetes string `json:"kubernetes"`
}

// limitedBy compares with a limit in the same unit.
func (r *row) limitedBy(limit float64, is string) {
	r.Limit, r.LimitIs, r.Ratio = limit, is, r.Figure/limit
}

// more adds a detail.
func (r *row) more(name string, value float64, unit string) {
	r.Details = append(r.Details, measure{name, value, unit})
}

// detail finds one.
func (r *row) detail(tb testing.TB, name string) float64 {
	tb.Helper()
	for _, m := range r.Details {
		if m.Name == name {
			return m.Value
		}
	}
	tb.Fatalf("%s has no %s", r.ID, name)
	return 0
}

func (r *row) count(name string, n int) { r.Counts = append(r.Counts, measure{name, float64(n), ""}) }

// report has the figures printed with the benchmark, and stored if
// WARRENER_BENCH_OUT names a file: in the place of the workload's last result.
func (r *row) report(b *testing.B) {
	b.Helper()
	b.Log(r)
	b.ReportMetric(0, "ns/op") // with one round it says nothing
	b.ReportMetric(r.Figure, r.ID+"-"+strings.ReplaceAll(r.Unit, " ", "-"))
	if r.Ratio > 0 {
		b.ReportMetric(r.Ratio, r.ID+"-ratio")
	}
	if b.Failed() {
		return
	}
	r.Machine = machine{
		Date: time.Now().UTC().Format(time.DateOnly), CPU: processor(), Cores: runtime.NumCPU(), Go: runtime.Version(),
		RabbitMQ: series(), Kubernetes: os.Getenv("WARRENER_TEST_KUBERNETES"),
	}
	if file := os.Getenv("WARRENER_BENCH_OUT"); file != "" {
		if err := r.store(file); err != nil {
			b.Fatal(err)
		}
	}
}

// String is all that was measured, in a line.
func (r *row) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s, %d objects: %.4g %s", r.ID, r.Objects, r.Figure, r.Unit)
	if r.Ratio > 0 {
		fmt.Fprintf(&s, ", limit %.4g, ratio %.2f", r.Limit, r.Ratio)
	}
	for _, m := range slices.Concat(r.Counts, r.Details) {
		fmt.Fprintf(&s, "; %s: %.4g %s", m.Name, m.Value, m.Unit)
	}
	return s.String()
}

func (r *row) store(file string) error {
	var rows []*row
	content, err := os.ReadFile(file) //nolint:gosec // the file that the user names
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if len(content) > 0 {
		if err := json.Unmarshal(content, &rows); err != nil {
			return err
		}
	}
	rows = slices.DeleteFunc(rows, func(other *row) bool { return other.ID == r.ID })
	rows = append(rows, r)
	slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(a.ID, b.ID) })
	out, err := json.MarshalIndent(rows, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(out, '\n'), 0o644) //nolint:gosec // documentation
}

// processor is the name of the machine's processor.
func processor() string {
	content, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
