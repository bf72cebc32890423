//go:build long

package e2e

import (
	"math/rand/v2"
	"net/http"
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
func TestMigrateCutOff(t *testing.T) {
	const rounds = 12
	inVirtualHosts(t, harness.RabbitMQs(t), func(t *testing.T, broker *harness.RabbitMQ, vh string) {
		const name, perSecond = "order.process", 50
		forms := []*topology.Queue{migrant(vh, name, "classic", nil), migrant(vh, name, "quorum", nil)}
		prepare(t, broker, append([]topology.Resource{forms[0]}, shopBindings(vh, name)...)...)
		before := inventoryOf(t, broker, vh)
		f := newTraffic(t, broker, vh, name)
		stop := f.publish("created", "orders", "order.created", perSecond)
		f.consume()
		for round := 1; round <= rounds; round++ {
			m := migrating{broker: broker, want: forms[round%2], next: 8, die: func(_ int, request *http.Request) death {
				if strings.Contains(request.URL.Path, "/e/orders/") && rand.IntN(2) == 0 {
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
	})
}
