package e2e

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/test/harness"
)

// scrape reads the metrics of a controller as text.
func scrape(t testing.TB, c *harness.Controller) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Metrics, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("scrape: %v", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %s %v", answer.Status, err)
	}
	return string(body)
}

// metric sums the series of a name whose labels contain all of the fragments,
// such as `lane="sweep"`; found is how many there are.
func metric(t testing.TB, c *harness.Controller, name string, fragments ...string) (sum float64, found int) {
	t.Helper()
series:
	for line := range strings.Lines(scrape(t, c)) {
		labels, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ok || !strings.HasPrefix(labels, "{") && !strings.HasPrefix(labels, " ") {
			continue
		}
		for _, fragment := range fragments {
			if !strings.Contains(labels, fragment) {
				continue series
			}
		}
		value, err := strconv.ParseFloat(labels[strings.LastIndexByte(labels, ' ')+1:], 64)
		if err != nil {
			t.Fatalf("metric %s: %v", line, err)
		}
		sum += value
		found++
	}
	return sum, found
}
