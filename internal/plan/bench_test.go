package plan_test

import (
	"fmt"
	"testing"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// tenThousand claims: a queue each, with its dead-letter objects, two bindings
// and a share in one exchange that all of them own.
func tenThousand(change func(i int, c *topology.Claim)) (*plan.World, *topology.Snapshot) {
	w := plan.NewWorld()
	entries := topology.Inventory{}
	live := &topology.Snapshot{Objects: objects(exchange("orders", "topic")), Usage: used{}}
	for i := range 10_000 {
		q := fmt.Sprintf("q%05d", i)
		c := cr("shop/"+q, wants(queue(q, "x-dead-letter-exchange", "dlx", "x-max-length", int64(1000))), shares(
			exchange("dlx", "direct"), queue(q+".dead"), bind("dlx", q+".dead", q), bind("orders", q, "k")))
		for _, e := range owned(c) {
			e.Owners = append(entries[e.ID].Owners, e.Owners...)
			entries[e.ID] = e
		}
		for _, want := range c.Want {
			live.Objects[want.Resource.ID()] = want.Resource
			live.Usage[want.Resource.ID()] = topology.Usage{}
		}
		change(i, c)
		w.SetClaim(c)
	}
	for _, e := range entries {
		w.SetEntry(e)
	}
	return w, live
}

func BenchmarkCompute(b *testing.B) {
	for name, change := range map[string]func(int, *topology.Claim){
		"Unchanged": func(int, *topology.Claim) {},
		"Edited":    func(i int, c *topology.Claim) { c.Want[4].Resource = bind("orders", fmt.Sprintf("q%05d", i), "new") },
		"Blocked":   func(i int, c *topology.Claim) { c.Want[4].Resource = bind("none", fmt.Sprintf("q%05d", i), "k") },
		"Gone":      func(_ int, c *topology.Claim) { c.Want = nil },
	} {
		b.Run(name, func(b *testing.B) {
			w, live := tenThousand(change)
			owners := w.Claims()
			if name == "Gone" {
				for _, owner := range owners {
					w.RemoveClaim(owner, true)
				}
			}
			focus := w.Focus(owners)
			b.ResetTimer()
			for b.Loop() {
				plan.Compute(plan.Input{World: w, Live: live, Focus: focus})
			}
		})
	}
}
