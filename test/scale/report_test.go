package scale

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/test/harness"
)

// result of one measurement.
type result struct {
	objects      int
	limit        time.Duration
	created      time.Duration
	took         time.Duration
	requests     int
	rss          int64 // bytes
	idleSweeps   int
	idleRequests int
	idleCPU      time.Duration
}

// isSweepStart recognises the request that begins a sweep.
func isSweepStart(path string) bool { return strings.HasPrefix(path, "/api/overview") }

// write replaces the measured block of docs/benchmarks.md, if
// WARRENER_BENCH_WRITE is set.
func (r *result) write(b *testing.B) {
	b.Helper()
	block := r.markdown()
	b.Log("\n" + block)
	if os.Getenv("WARRENER_BENCH_WRITE") == "" {
		return
	}
	page := filepath.Join(harness.Root(b), "docs", "benchmarks.md")
	content, err := os.ReadFile(page)
	if err != nil {
		b.Fatal(err)
	}
	const begin, end = "<!-- measured -->\n", "<!-- /measured -->"
	head, rest, ok := strings.Cut(string(content), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		b.Fatalf("%s has no block between %q and %q", page, begin, end)
	}
	if err := os.WriteFile(page, []byte(head+begin+block+end+tail), 0o644); err != nil { //nolint:gosec // a page of documentation
		b.Fatal(err)
	}
}

func (r *result) markdown() string {
	var s strings.Builder
	fmt.Fprintf(&s, "\nMeasured on %s, %d cores, %s, RabbitMQ 4.0, Kubernetes %s.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), os.Getenv("WARRENER_TEST_KUBERNETES"))
	s.WriteString("| what | figure |\n|---|---|\n")
	row := func(what, format string, args ...any) {
		fmt.Fprintf(&s, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	row("custom resources", "%d", r.objects)
	row("limit: created and patched once, no controller, 16 writers (mean of before and after)", "%.1f s", r.limit.Seconds())
	row("all created", "%.1f s", r.created.Seconds())
	row("all Ready", "%.1f s", r.took.Seconds())
	row("**ratio to the limit**", "**%.2f**", r.took.Seconds()/r.limit.Seconds())
	row("requests to the broker until all Ready", "%d", r.requests)
	row("peak memory of the controller (RSS)", "%d MiB", r.rss>>20)
	row(fmt.Sprintf("idle pass: requests to the broker (mean of %d)", r.idleSweeps), "%d", r.idleRequests)
	row("idle pass: writes to the broker and the API server", "0")
	row("idle pass: CPU time of the controller", "%d ms", r.idleCPU.Milliseconds())
	s.WriteString("\n")
	return s.String()
}
