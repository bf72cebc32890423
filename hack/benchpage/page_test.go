package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var results = []row{
	{ID: "create-10500", Workload: "created", Objects: 10500, Figure: 30, Unit: "s", Limit: 22, LimitIs: "without a controller", Ratio: 30.0 / 22, AimRatio: 1.5,
		Counts: []measure{{"status writes", 10500, ""}}, Details: []measure{{"created", 12, "s"}}},
	{ID: "offline", Workload: "off <&>", Objects: 10500, Figure: 40, Unit: "s", Limit: 20, LimitIs: "upload", Ratio: 2, AimRatio: 1.5},
	{ID: "memory-50400", Workload: "memory", Objects: 50400, Figure: 480, Unit: "MiB", AimFigure: 500, Details: []measure{{"CPU per object", 1.6, "ms"}}},
	{ID: "memory-10500", Workload: "memory", Objects: 10500, Figure: 140, Unit: "MiB", AimFigure: 150, Details: []measure{{"CPU per object", 1.5, "ms"}}},
	{ID: "edit-quiet", Workload: "edit", Objects: 10500, Figure: 90, Unit: "ms", AimFigure: 500, Latencies: []float64{20, 30, 90}},
}

// The page keeps what people wrote, and has a line for each result; made again
// from the same results it is the same.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	page, data := filepath.Join(dir, "benchmarks.md"), filepath.Join(dir, "benchmarks.json")
	encoded, err := json.Marshal(results)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{data: string(encoded), page: "# Head\n\n" + begin + "old\n" + end + "\n\nTail\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var made [2]string
	for i := range made {
		if err := run(data, page); err != nil {
			t.Fatal(err)
		}
		made[i] = read(t, page)
	}
	if made[0] != made[1] {
		t.Error("made again, the page differs")
	}
	for _, want := range []string{
		"# Head\n\n" + begin, end + "\n\nTail\n", "| created | 10,500 | 30 s | 22 s | **1.36** | ratio ≤ 1.5: met |",
		"| 40 s | 20 s | **2** | ratio ≤ 1.5: **missed** |", "| edit | 10,500 | 90 ms |  |  | ≤ 500 ms: met |", "| `create-10500` | status writes | 10,500 |",
		"* `offline`: upload\n",
	} {
		if !strings.Contains(made[0], want) {
			t.Errorf("the page lacks %q:\n%s", want, made[0])
		}
	}
	if strings.Contains(made[0], "old") {
		t.Error("the page still has the last results")
	}
	for _, picture := range []string{"ratios", "memory", "cost", "edits"} {
		name := "benchmarks-" + picture + ".svg"
		if !strings.Contains(made[0], "("+name+")") {
			t.Errorf("the page does not show %s", name)
		}
		wellFormed(t, filepath.Join(dir, name))
	}
}

// Rows of several days stand side by side: each says whose machine it is of.
func TestMeasuredOn(t *testing.T) {
	old, other := machine{Date: "2026-11-23", CPU: "one"}, machine{Date: "2026-12-01", CPU: "another"}
	rows := []row{{ID: "a", Machine: old}, {ID: "b", Machine: other}, {ID: "c", Machine: old}}
	for _, want := range []string{"2026-11-23: 0 cores (one), , RabbitMQ , Kubernetes of the test environment: `a`, `c`.\n", "2026-12-01: 0 cores (another), , RabbitMQ , Kubernetes of the test environment: `b`.\n"} {
		if is := measured(rows); !strings.Contains(is, want) {
			t.Errorf("the page lacks %q:\n%s", want, is)
		}
	}
	if is := measured(rows[:1]); strings.Contains(is, "`a`") {
		t.Errorf("where all is of one machine that is enough: %s", is)
	}
}

func TestPageWithoutBlock(t *testing.T) {
	dir := t.TempDir()
	page, data := filepath.Join(dir, "p.md"), filepath.Join(dir, "r.json")
	for name, content := range map[string]string{data: "[]", page: "# Head\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(data, page); err == nil || !strings.Contains(err.Error(), "measured") {
		t.Errorf("a page with no place for results: %v", err)
	}
}

func wellFormed(t *testing.T, file string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(read(t, file)))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
