//go:build long

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/test/harness"
)

// At rest, what sharing costs the API server is the replicas' renewals and looks,
// whatever the number of shards.
func TestShardsAtRest(t *testing.T) {
	s := newStage(t)
	var replicas []*harness.Controller
	for range 3 {
		r := harness.NewController(t, s.kubeconfig, s.namespace, fmt.Sprint("--shards=", allShards))
		r.Start(t)
		replicas = append(replicas, r)
	}
	(&sharers{stage: s}).shared(len(replicas))
	time.Sleep(2 * time.Second) // a request is counted when it has been answered, which is after others see what it does
	requests := func(method string) (n float64) {
		for _, r := range replicas {
			sum, _ := metric(t, r, "rest_client_requests_total", `method="`+method+`"`)
			n += sum
		}
		return n
	}
	before, at := map[string]float64{}, time.Now()
	methods := []string{"PATCH", "GET", "PUT", "POST", "DELETE"}
	for _, method := range methods {
		before[method] = requests(method)
	}
	const span = 30 * time.Second
	time.Sleep(span)
	for _, method := range methods {
		rate := (requests(method) - before[method]) / time.Since(at).Seconds()
		t.Logf("%-6s %.2f a second", method, rate)
		if most := map[string]float64{"PATCH": 1.7, "GET": 3.5}[method]; rate > most {
			t.Errorf("%d replicas send %.2f %s a second, and %.1f are enough", len(replicas), rate, method, most)
		}
	}
}
