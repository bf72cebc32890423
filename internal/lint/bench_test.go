package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/manifest"
)

// town writes objects into a hundred files: exchanges, queues with dead letters
// and retries, bindings, topics.
func town(tb testing.TB, objects int) string {
	tb.Helper()
	root := tb.TempDir()
	const files = 100
	for f := range files {
		var text strings.Builder
		for i := range objects / files / 10 {
			name := fmt.Sprintf("n%d.%d", f, i)
			text.WriteString(exchangeText(name, "type: topic", "alternateExchange: "+name+".rest"))
			text.WriteString(exchangeText(name+".rest", "type: fanout"))
			text.WriteString(bound(name+".rest", name+".rest"))
			for q := range 5 {
				text.WriteString(queueText(fmt.Sprintf("%s.q%d", name, q), "type: quorum", "maxLength: 1000", "overflow: reject-publish",
					[]string{"deadLetter: {}", "retry: {strategy: Tiers, delays: [1s, 5s, 25s]}"}[q%2],
					"bindings: [{source: "+name+", routingKeys: [order.*.created, order.#]}]"))
			}
			text.WriteString(written("ExchangeBinding", name+".more", "source: "+name, "destinationType: queue", "destination: "+name+".q1", "routingKeys: [a, b]"))
			text.WriteString(topicText(name, "partitions: 6", "replicationFactor: 3", "config: {min.insync.replicas: \"2\", retention.ms: \"1000\"}"))
		}
		if f == 0 {
			text.WriteString(connection)
		}
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("%d.yaml", f)), []byte(text.String()), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return root
}

// 10,000 objects, reading the files included.
func BenchmarkLint(b *testing.B) {
	root := town(b, 10_000)
	before := cpu(b)
	defer func() { b.ReportMetric((cpu(b)-before).Seconds()/float64(b.N), "cpu-s/op") }()
	for b.Loop() {
		set, err := manifest.Load(b.Context(), manifest.Source{Files: []string{root}})
		if err != nil {
			b.Fatal(err)
		}
		report, err := Check(set, Options{})
		if err != nil || report.Objects != 10_002 || len(report.Findings) > 0 {
			b.Fatal(err, report.Objects, report.Findings[:min(3, len(report.Findings))])
		}
	}
}

// cpu is the time that all processors together have spent: on a busy machine, the
// clock tells little.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
