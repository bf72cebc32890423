// Command benchpage turns the results of `make bench` into a page: it replaces
// the measured block of docs/benchmarks.md, and draws its pictures beside it.
//
//	go run ./hack/benchpage docs/benchmarks.json docs/benchmarks.md
//
// main.go   what is read and written
// table.go  the tables
// chart.go  bars, lines and steps as SVG
// plots.go  which of them are drawn
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// row is one workload's result, as test/scale writes it.
type row struct {
	ID        string    `json:"id"`
	Workload  string    `json:"workload"`
	Objects   int       `json:"objects"`
	Figure    float64   `json:"figure"`
	Unit      string    `json:"unit"`
	Limit     float64   `json:"limit"`
	LimitIs   string    `json:"limitIs"`
	Ratio     float64   `json:"ratio"`
	AimRatio  float64   `json:"aimRatio"`
	AimFigure float64   `json:"aimFigure"`
	Counts    []measure `json:"counts"`
	Details   []measure `json:"details"`
	Latencies []float64 `json:"latencies"` // milliseconds, sorted
	Machine   machine   `json:"machine"`
}

type measure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

type machine struct {
	Date       string `json:"date"`
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Go         string `json:"go"`
	RabbitMQ   string `json:"rabbitmq"`
	Kubernetes string `json:"kubernetes"`
}

// The measured block of the page stands between these.
const begin, end = "<!-- measured -->\n", "<!-- /measured -->"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: benchpage RESULTS.json PAGE.md")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "benchpage:", err)
		os.Exit(1)
	}
}

func run(results, page string) error {
	raw, err := os.ReadFile(results) //nolint:gosec // the file that the user names
	if err != nil {
		return err
	}
	var rows []row
	if err := json.Unmarshal(raw, &rows); err != nil {
		return fmt.Errorf("%s: %w", results, err)
	}
	rows = inOrder(rows)
	content, err := os.ReadFile(page) //nolint:gosec // the same
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(content), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no block between %q and %q", page, begin, end)
	}
	block := tables(rows)
	stem := strings.TrimSuffix(page, filepath.Ext(page))
	for _, p := range plots(rows) {
		picture := stem + "-" + p.name + ".svg"
		if err := os.WriteFile(picture, []byte(p.svg), 0o644); err != nil { //nolint:gosec // a picture of the documentation
			return err
		}
		block += fmt.Sprintf("![%s](%s)\n\n%s\n\n", p.title, filepath.Base(picture), p.text)
	}
	return os.WriteFile(page, []byte(head+begin+"\n"+block+end+tail), 0o644) //nolint:gosec // a page of the documentation
}
