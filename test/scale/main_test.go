package scale

import (
	"cmp"
	"os"
	"strconv"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	harness.Main(m)
}

// series is the RabbitMQ that is measured.
func series() string { return cmp.Or(os.Getenv("WARRENER_BENCH_RABBITMQ"), "4.0") }

// exchangeType is that of all exchanges of a workload. Bindings of topic exchanges are imported,
// others are not.
func exchangeType() v1alpha1.ExchangeType {
	return cmp.Or(v1alpha1.ExchangeType(os.Getenv("WARRENER_BENCH_EXCHANGES")), v1alpha1.ExchangeTypeTopic)
}

// scaled makes a number of objects, edits or connections smaller by
// WARRENER_BENCH_SCALE, for a look on a busy machine: 0.1 is a tenth.
func scaled(tb testing.TB, n int) int {
	tb.Helper()
	text := os.Getenv("WARRENER_BENCH_SCALE")
	if text == "" {
		return n
	}
	factor, err := strconv.ParseFloat(text, 64)
	if err != nil || factor <= 0 || factor > 1 {
		tb.Fatalf("WARRENER_BENCH_SCALE is %q: write a number above 0, and up to 1", text)
	}
	return max(int(float64(n)*factor), 1)
}
