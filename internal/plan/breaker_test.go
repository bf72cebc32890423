package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// history is a cluster of queues q00, q01 and so on, under a breaker with small
// numbers: more than 3, or a quarter, within ten minutes.
type history struct {
	breaker plan.Breaker
	world   *plan.World
	known   topology.Departures
	now     time.Time
	allow   plan.Allowance
	news    bool
}

func newHistory(queues int) *history {
	h := &history{
		breaker: plan.Breaker{Floor: 3, Share: 4, Window: 10 * time.Minute, Most: 100},
		world:   plan.NewWorld(), now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
	}
	for i := range queues {
		h.apply(i)
	}
	return h
}

func numbered(i int) *topology.Claim {
	return cr(fmt.Sprintf("shop/q%02d", i), wants(queue(fmt.Sprintf("q%02d", i))))
}

// apply declares a queue, and puts it on the books.
func (h *history) apply(i int) { h.put(numbered(i)) }

func (h *history) put(claim *topology.Claim) {
	h.world.SetClaim(claim)
	for _, entry := range owned(claim) {
		h.world.SetEntry(entry)
	}
}

// elsewhere is a queue that is reached over another connection.
func elsewhere(i int) *topology.Claim {
	claim := numbered(i)
	claim.Connection.Namespace = "elsewhere"
	return claim
}

// remove takes resources away, seen or not.
func (h *history) remove(from, to int) {
	for i := from; i < to; i++ {
		h.world.RemoveClaim(numbered(i).Owner.OwnerKey, true)
	}
}

// judge lets the breaker look at it, and has gone from the broker what may go.
func (h *history) judge() {
	h.known, h.news = h.breaker.Judge(h.world, h.known, h.allow, h.now)
	held := plan.HeldOwners(h.world, h.known)
	for owner := range h.world.Ended() {
		if !held[owner] {
			for _, id := range h.world.Holdings(owner) {
				h.world.DropEntry(id)
			}
		}
	}
}

func (h *history) wait(d time.Duration) { h.now = h.now.Add(d) }

// ack allows what is held now, over the connection that all of it is reached by.
func (h *history) ack() {
	h.allow = plan.Allowance{Connection: numbered(0).Connection, Window: h.known.WindowID()}
}

// held and left are the numbers of what is held, and of what is on the books.
func (h *history) held() int { return len(plan.HeldOwners(h.world, h.known)) }
func (h *history) left() int { return h.world.Entries() }

func TestBreaker(t *testing.T) {
	cases := map[string]struct {
		reason     string
		queues     int
		play       func(h *history)
		held, left int
	}{
		"Few": {
			reason: "what stays within the limit goes",
			queues: 8, play: func(h *history) { h.remove(0, 3); h.judge() }, held: 0, left: 5,
		},
		"AtOnce": {
			reason: "of too many at once none goes",
			queues: 8, play: func(h *history) { h.remove(0, 4); h.judge() }, held: 4, left: 8,
		},
		"OneByOne": {
			reason: "of too many one by one the first go, and everything after them is held",
			queues: 8, held: 3, left: 5,
			play: func(h *history) {
				for i := range 6 {
					h.remove(i, i+1)
					h.judge()
					h.wait(200 * time.Millisecond)
				}
			},
		},
		"SlowlyEnough": {
			reason: "what went ten minutes ago counts no more",
			queues: 8, held: 0, left: 2,
			play: func(h *history) {
				h.remove(0, 3)
				h.judge()
				h.wait(10 * time.Minute)
				h.remove(3, 6)
				h.judge()
			},
		},
		"NotYetSlowlyEnough": {
			reason: "a second less and it does",
			queues: 8, held: 3, left: 5,
			play: func(h *history) {
				h.remove(0, 3)
				h.judge()
				h.wait(10*time.Minute - time.Second)
				h.remove(3, 6)
				h.judge()
			},
		},
		"Quarter": {
			reason: "of many resources a quarter may go",
			queues: 40, play: func(h *history) { h.remove(0, 10); h.judge() }, held: 0, left: 30,
		},
		"MoreThanAQuarter": {
			reason: "and no more",
			queues: 40, play: func(h *history) { h.remove(0, 11); h.judge() }, held: 11, left: 40,
		},
		"QuarterOfWhatWas": {
			reason: "the quarter is of what there was before: it does not shrink while it is used up",
			queues: 40, held: 0, left: 30,
			play: func(h *history) {
				for i := range 10 {
					h.remove(i, i+1)
					h.judge()
				}
			},
		},
		"MoreJoin": {
			reason: "while a window is open everything joins it, however late",
			queues: 8, held: 5, left: 8,
			play: func(h *history) {
				h.remove(0, 4)
				h.judge()
				h.wait(time.Hour)
				h.remove(4, 5)
				h.judge()
			},
		},
		"StaysHeld": {
			reason: "time alone releases nothing",
			queues: 8, held: 4, left: 8,
			play: func(h *history) { h.remove(0, 4); h.judge(); h.wait(24 * time.Hour); h.judge() },
		},
		"Allowed": {
			reason: "what is allowed goes",
			queues: 8, play: func(h *history) { h.remove(0, 4); h.judge(); h.ack(); h.judge() }, held: 0, left: 4,
		},
		"AllowedAndMore": {
			reason: "an acknowledgement covers what was held when it was given",
			queues: 8, held: 1, left: 4,
			play: func(h *history) {
				h.remove(0, 4)
				h.judge()
				h.ack()
				h.remove(4, 5)
				h.judge()
				h.judge()
			},
		},
		"JoinedBeforeAllowed": {
			reason: "what joined after the id was read is held on",
			queues: 8, held: 2, left: 4,
			play: func(h *history) {
				h.remove(0, 4)
				h.judge()
				h.ack()
				allow := h.allow
				h.allow = plan.Allowance{}
				h.remove(4, 6)
				h.judge()
				h.allow = allow
				h.judge()
			},
		},
		"CountsAnew": {
			reason: "after an acknowledgement the count begins anew",
			queues: 12, held: 0, left: 5,
			play: func(h *history) {
				h.remove(0, 4)
				h.judge()
				h.ack()
				h.judge()
				h.remove(4, 7)
				h.judge()
			},
		},
		"TripsAnew": {
			reason: "and an old acknowledgement is worth nothing for a new window",
			queues: 12, held: 4, left: 8,
			play: func(h *history) {
				h.remove(0, 4)
				h.judge()
				h.ack()
				h.judge()
				h.remove(4, 8)
				h.judge()
				h.judge()
			},
		},
		"WrongWindow": {
			reason: "only the id of the window counts",
			queues: 8, held: 4, left: 8,
			play: func(h *history) {
				h.remove(0, 4)
				h.judge()
				h.allow = plan.Allowance{Connection: numbered(0).Connection, Window: "20200101-000000-4"}
				h.judge()
			},
		},
		"WrongConnection": {
			reason: "a connection speaks for what is reached over it, and for nobody else's",
			queues: 8, held: 4, left: 8,
			play: func(h *history) {
				h.remove(0, 4)
				h.judge()
				h.ack()
				h.allow.Connection.Namespace = "elsewhere"
				h.judge()
			},
		},
		"OverAnotherConnection": {
			reason: "what is held over one connection, which may be gone for good, does not hold what goes over another",
			queues: 20, held: 8, left: 26,
			play: func(h *history) {
				for i := 20; i < 28; i++ {
					h.put(elsewhere(i))
				}
				h.remove(0, 8)
				h.judge()
				h.remove(20, 22)
				h.judge()
			},
		},
		"TripsOverAnotherConnectionToo": {
			reason: "but too many are too many there, too",
			queues: 20, held: 16, left: 28,
			play: func(h *history) {
				for i := 20; i < 28; i++ {
					h.put(elsewhere(i))
				}
				h.remove(0, 8)
				h.judge()
				h.remove(20, 28)
				h.judge()
			},
		},
		"AppliedAgain": {
			reason: "what is applied again is out of it, and the last ones do not go because they are few",
			queues: 8, held: 1, left: 8,
			play: func(h *history) {
				h.remove(0, 4)
				h.judge()
				for i := range 3 {
					h.apply(i)
					h.judge()
				}
			},
		},
		"AllAppliedAgain": {
			reason: "once all are back the window is closed, and nothing of it counts",
			queues: 8, held: 0, left: 5,
			play: func(h *history) {
				h.remove(0, 4)
				h.judge()
				for i := range 4 {
					h.apply(i)
				}
				h.judge()
				h.remove(4, 7)
				h.judge()
			},
		},
		"Retain": {
			reason: "what is retained is not deleted, so it does not count",
			queues: 0, held: 0, left: 8,
			play: func(h *history) {
				for i := range 8 {
					claim := numbered(i)
					claim.Policy.Deletion = topology.Retain
					h.put(claim)
					h.world.RemoveClaim(claim.Owner.OwnerKey, true)
				}
				h.judge()
			},
		},
		"Bindings": {
			reason: "nor do bindings, which hold no message",
			queues: 1, held: 0, left: 9,
			play: func(h *history) {
				for i := range 8 {
					claim := cr(fmt.Sprintf("shop/b%d", i), wants(bind("orders", "q00", fmt.Sprint(i))))
					h.put(claim)
					h.world.RemoveClaim(claim.Owner.OwnerKey, true)
				}
				h.judge()
			},
		},
		"TakenOver": {
			reason: "what another resource declares by then is not deleted, so nobody has gone",
			queues: 8, held: 0, left: 8,
			play: func(h *history) {
				for i := range 8 {
					h.world.SetClaim(cr(fmt.Sprintf("shop/new%d", i), wants(queue(fmt.Sprintf("q%02d", i)))))
				}
				h.remove(0, 8)
				h.judge()
			},
		},
		"VirtualHost": {
			reason: "a virtual host that goes with all that is in it counts for all of that",
			queues: 4, held: 1, left: 5,
			play: func(h *history) {
				claim := cr("shop/v", wants(shop), deletion(topology.Delete))
				h.put(claim)
				h.world.RemoveClaim(claim.Owner.OwnerKey, true)
				h.judge()
			},
		},
		"VirtualHostIfUnused": {
			reason: "one that goes only when it is empty counts for itself",
			queues: 4, held: 0, left: 4,
			play: func(h *history) {
				claim := cr("shop/v", wants(shop))
				h.put(claim)
				h.world.RemoveClaim(claim.Owner.OwnerKey, true)
				h.judge()
			},
		},
		"NoPlaces": {
			reason: "what finds no place in the window is held all the same",
			queues: 8, held: 2, left: 2,
			play: func(h *history) {
				h.breaker.Most = 6
				h.remove(0, 8)
				h.judge()
				h.ack()
				h.judge()
				h.judge()
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHistory(tc.queues)
			tc.play(h)
			if h.held() != tc.held || h.left() != tc.left {
				t.Errorf("%s: %d held and %d on the books, want %d and %d; %+v", tc.reason, h.held(), h.left(), tc.held, tc.left, h.known)
			}
		})
	}
}

// The limits of DESIGN: 60 of 80 queues at 5 a second.
func TestDefaultBreaker(t *testing.T) {
	h := newHistory(80)
	h.breaker = plan.DefaultBreaker
	for i := range 60 {
		h.remove(i, i+1)
		h.judge()
		h.wait(200 * time.Millisecond)
	}
	if h.held() != 10 || h.left() != 30 {
		t.Errorf("%d held and %d left, want 10 and 30: the first 50 go", h.held(), h.left())
	}
	if id := h.known.WindowID(); id != "20261122-000010-10" {
		t.Errorf("the window is %s", id)
	}
}

// Nothing is written while nothing happens, and what was written is enough for
// another process.
func TestBreakerIsCalm(t *testing.T) {
	h := newHistory(8)
	check := func(what string, wantNews bool) {
		t.Helper()
		before := h.known
		h.judge()
		if h.news != wantNews {
			t.Errorf("%s: news is %t", what, h.news)
		}
		if changed := !h.known.Equal(before); changed != wantNews {
			t.Errorf("%s: changed is %t", what, changed)
		}
	}
	check("nobody went", false)
	h.remove(0, 2)
	check("two went", true)
	check("nothing since", false)
	h.wait(time.Hour)
	check("they count no more, which is not worth a write", false)
	h.remove(2, 6)
	check("too many went", true)
	check("still held", false)

	var read topology.Departures
	read.Opened, _ = topology.ParseWindow(h.known.WindowName())
	read.Last = h.known.Last
	for _, d := range h.known.List {
		line, err := d.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back topology.Departure
		if err := back.UnmarshalText(line); err != nil {
			t.Fatal(err)
		}
		read.List = append(read.List, back)
	}
	if diff := cmp.Diff(h.known, read); diff != "" {
		t.Errorf("what is read is not what was written (-written +read):\n%s", diff)
	}
}

// What is held stays whole: queue, bindings and dead letters, and the virtual
// host that it is in.
func TestHeldStaysWhole(t *testing.T) {
	q, dead, dlx := queue("q", "x-dead-letter-exchange", "q.dlx"), queue("q.dead"), exchange("q.dlx", "direct")
	feed, inner := bind("orders", "q", "k"), bind("q.dlx", "q.dead", "q")
	claim, other := cr("shop/q", wants(q), shares(dead, dlx, inner, feed)), cr("shop/other", wants(queue("other")))
	host := cr("shop/v", wants(shop), deletion(topology.Delete))
	s := scenario{
		departed: []*topology.Claim{claim, other, host}, inventory: slices.Concat(owned(claim), owned(other), owned(host)),
		live:  []topology.Resource{q, dead, dlx, feed, inner, queue("other"), shop},
		usage: used{queue("other").ID(): {}},
	}
	in := s.input()
	in.Held = map[topology.OwnerKey]bool{key("shop/q"): true}
	want := []string{
		"delete if unused queue shop/other",
		"held Deleting shop/v vhost shop",
	}
	for _, id := range []string{"binding shop/orders -> queue q key k", "binding shop/q.dlx -> queue q.dead key q", "exchange shop/q.dlx", "queue shop/q", "queue shop/q.dead"} {
		want = append(want, "held DeletionHeld shop/q "+id)
	}
	got := render(plan.Compute(in))
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is held does not stay whole (-want +got):\n%s", diff)
	}
}
