package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// What drains is looked at soon, ever less often while nothing moves, and told
// not more often than every ten seconds.
func TestDrainPace(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	owner := topology.OwnerKey{Kind: "Queue", Namespace: "shop", Name: "q"}
	tier := topology.QueueID("shop", "q.retry.1.1000")
	c := NewCluster(nil, func() time.Time { return now })
	c.setEntry(topology.Entry{ID: tier, Owners: []topology.OwnerKey{owner}})
	look := func(messages int64) string {
		held := plan.Held{Owner: owner, ID: tier, Reason: plan.LeftBehind, Drains: true, Messages: messages, Message: fmt.Sprintf("holds %d", messages)}
		told := c.noteDraining([]topology.OwnerKey{owner}, &plan.Plan{Held: []plan.Held{held}})[owner]
		next, _ := c.Next(topology.ConnectionKey{})
		return fmt.Sprintf("%v next in %s", told, next.Sub(now))
	}
	var got []string
	for _, at := range []struct {
		after    time.Duration
		messages int64
	}{
		{0, 500}, {3 * time.Second, 400}, {3 * time.Second, 300}, {3 * time.Second, 200}, {3 * time.Second, 200},
		{6 * time.Second, 200}, {12 * time.Second, 200}, {24 * time.Second, 200}, {30 * time.Second, 199},
	} {
		now = now.Add(at.after)
		got = append(got, look(at.messages))
	}
	want := []string{
		"[holds 500] next in 3s", "[holds 500] next in 3s", "[holds 500] next in 3s", "[holds 500] next in 3s", "[holds 200] next in 6s",
		"[holds 200] next in 12s", "[holds 200] next in 24s", "[holds 200] next in 30s", "[holds 199] next in 3s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if told := c.noteDraining([]topology.OwnerKey{owner}, &plan.Plan{}); len(told) > 0 || len(c.draining) > 0 {
		t.Errorf("what has drained is told no longer: %v, %v", told, c.draining)
	}
}
