//go:build long

package e2e

import (
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// TestMigrateCutOff: a broker that is in the middle of a binding when the process
// dies that asked for it leaves it listed and leading nowhere, or leading on and
// not listed. The next process gets round both: nothing is lost, and nothing is
// there twice but what comes while such a binding leads to a detour just made.
// Another queue is bound with the same keys, and misses nothing either.
// WARRENER_ROUNDS sets how many migrations there are.
func TestMigrateCutOff(t *testing.T) {
	rounds := 12
	if n, err := strconv.Atoi(os.Getenv("WARRENER_ROUNDS")); err == nil {
		rounds = n
	}
	inVirtualHosts(t, harness.RabbitMQs(t), func(t *testing.T, broker *harness.RabbitMQ, vh string) {
		const name, beside, perSecond = "order.process", "order.audit", 50
		forms := []*topology.Queue{migrant(vh, name, "classic", nil), migrant(vh, name, "quorum", nil)}
		prepare(t, broker, append([]topology.Resource{forms[0]}, shopBindings(vh, name)...)...)
		prepare(t, broker, migrant(vh, beside, "classic", nil))
		for _, binding := range shopBindings(vh, beside) {
			if binding.ID().Kind == topology.KindBinding {
				prepare(t, broker, binding)
			}
		}
		before := inventoryOf(t, broker, vh)
		f := newTraffic(t, broker, vh, name)
		stop := f.publish("created", "orders", "order.created", perSecond)
		f.consume()
		other := newTraffic(t, broker, vh, beside)
		other.consume()
		for round := 1; round <= rounds; round++ {
			odds := 2 + round%2*3 // with 2, nearly all die on the way to the detour; with 5, some on the way back
			m := migrating{broker: broker, want: forms[round%2], next: 8, die: func(_ int, request *http.Request) death {
				aboutBinding := strings.Contains(request.URL.Path, "/e/orders/") || strings.HasPrefix(request.URL.Path, "/api/definitions/")
				if aboutBinding && rand.IntN(odds) == 0 {
					return duringIt
				}
				return lives
			}}
			out := m.run(t, 5*time.Minute)
			t.Logf("round %d (killed: %v): %s, %v; %s", round, out.killed, out.took.Round(time.Second), out.steps, f.account())
			if diff := cmp.Diff(before, inventoryOf(t, broker, vh)); diff != "" {
				t.Fatalf("round %d left another topology (- before, + after):\n%s", round, diff)
			}
		}
		stop()
		a := f.settle(time.Minute)
		if len(a.lost) > 0 || a.returned > 0 || a.confirmed < 100*rounds || len(a.doubled) > mostDoubled {
			t.Errorf("lost: %v; doubled: %v; %s", a.lost, a.doubled, a)
		}
		other.confirmed = f.confirmed
		if a := other.settle(time.Minute); len(a.lost) > 0 || len(a.doubled) > mostDoubled {
			t.Errorf("%s: lost: %v; doubled: %v; %s", beside, a.lost, a.doubled, a)
		}
	})
}
