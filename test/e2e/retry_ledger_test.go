package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrener-dev/warrener/internal/compile"
)

// fate is what is to become of a message under Tiers.
type fate struct {
	attempts []int  // the attempts on which it is delivered, in order
	okAt     int    // the first attempt that could handle it
	death    string // why it ends in the dead queue; "" if it is handled
	replayed bool   // it was dead before, and has the headers of that
	refused  bool   // the broker did not take it: it is nowhere
	// open leaves the attempts and the end to the moment, as with a full queue: it
	// is handled once, or dead once.
	open bool
}

// never is an attempt that no message has: okAt of a poisonous one.
const never = 1 << 10

// fateOf says what becomes of a message that would be delivered on all these
// attempts, and that a consumer can handle from one of them on.
func fateOf(attempts []int, okAt int) fate {
	last := slices.IndexFunc(attempts, func(n int) bool { return n >= okAt })
	if last < 0 {
		return fate{attempts: attempts, okAt: okAt, death: "rejected"}
	}
	return fate{attempts: attempts[:last+1], okAt: okAt}
}

// fromTo are the attempts of a message whose first one counts as first.
func fromTo(first, last int) (out []int) {
	for n := first; n <= last; n++ {
		out = append(out, n)
	}
	return out
}

// record is what became of a message.
type record struct {
	seen    []int       // attempts of its deliveries, in order
	excused map[int]int // attempt: how many crashes it may have come again for
	acked   int
	dead    []map[string]amqp.Table // the deaths of each dead letter, by "queue reason"
}

// extra is how often it was delivered again on the same attempt.
func (r *record) extra() int {
	once := slices.Clone(r.seen)
	slices.Sort(once)
	return len(r.seen) - len(slices.Compact(once))
}

// breach says how a record breaks a fate; "" if it does not.
func (f fate) breach(queue string, r *record) string {
	for _, n := range r.seen {
		if again := count(r.seen, n) - 1; again > r.excused[n] {
			return fmt.Sprintf("attempt %d came %d times more, and %d crashes excuse that", n, again, r.excused[n])
		}
	}
	found := fmt.Sprintf("delivered as %v, handled %d times, %d times dead", r.seen, r.acked, len(r.dead))
	switch {
	case f.open && (r.acked > 0) == (len(r.dead) > 0) || len(r.dead) > 1:
		return found + "; to be handled or dead, once"
	case f.open:
		return ""
	case !slices.Equal(slices.Compact(slices.Clone(r.seen)), f.attempts):
		return fmt.Sprintf("%s; to be delivered as %v", found, f.attempts)
	case (f.death != "") != (len(r.dead) == 1) || (f.death == "" && !f.refused) != (r.acked > 0):
		return fmt.Sprintf("%s; to die of %q", found, f.death)
	case f.death == "":
		return ""
	}
	death, ok := r.dead[0][queue+" "+f.death]
	if !ok || f.death == "rejected" && !f.replayed && death["count"] != int64(len(f.attempts)) {
		return fmt.Sprintf("died of %v; to die of %s in %s after %d attempts", r.dead[0], f.death, queue, len(f.attempts))
	}
	return ""
}

func count(all []int, one int) (n int) {
	for _, each := range all {
		if each == one {
			n++
		}
	}
	return n
}

// ledger is the fate of every message of a queue, and what became of it, by the
// message's id.
type ledger struct {
	queue    string
	attempts map[string]int // routing key: the attempt that it stands for

	mu      sync.Mutex
	fates   map[string]fate
	records map[string]*record
	strange []string // what nobody foresaw
	crashes int
}

func newLedger(queue string) *ledger {
	l := &ledger{queue: queue, attempts: map[string]int{}, fates: map[string]fate{}, records: map[string]*record{}}
	for n := 2; n <= 21; n++ {
		l.attempts[compile.AttemptKey(queue, n)] = n
	}
	return l
}

// attempt says which attempt a delivery is.
func (l *ledger) attempt(d amqp.Delivery) int { return cmp.Or(l.attempts[d.RoutingKey], 1) }

// foresee sets what is to become of a message, or changes it.
func (l *ledger) foresee(id string, f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fates[id] = f
}

// of is the record of a message; the lock is held.
func (l *ledger) of(id string) *record {
	r := l.records[id]
	if r == nil {
		r = &record{excused: map[int]int{}}
		l.records[id] = r
	}
	return r
}

// saw enters a delivery, and says whether the consumer can handle it.
func (l *ledger) saw(d amqp.Delivery) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sound(d)
	n, r := l.attempt(d), l.of(d.MessageId)
	if again := slices.Contains(r.seen, n); again && !d.Redelivered {
		l.strange = append(l.strange, fmt.Sprintf("%s: attempt %d came again and was no redelivery", d.MessageId, n))
	}
	r.seen = append(r.seen, n)
	return n >= l.fates[d.MessageId].okAt
}

// sound notes a message that nobody sent; the lock is held.
func (l *ledger) sound(d amqp.Delivery) {
	if _, known := l.fates[d.MessageId]; !known || !bytes.Equal(d.Body, bodyOf(d.MessageId)) {
		l.strange = append(l.strange, fmt.Sprintf("message %q under %q with %d bytes that nobody sent", d.MessageId, d.RoutingKey, len(d.Body)))
	}
}

// handled enters that a consumer acknowledged a message.
func (l *ledger) handled(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(id).acked++
}

// crashed enters that a consumer went with deliveries that the broker may not
// know to be settled.
func (l *ledger) crashed(held []amqp.Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crashes++
	for _, d := range held {
		l.of(d.MessageId).excused[l.attempt(d)]++
	}
}

// buried enters a dead letter.
func (l *ledger) buried(d amqp.Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sound(d)
	r := l.of(d.MessageId)
	r.dead = append(r.dead, deaths(d.Headers))
}

// returned enters a message that the broker could not route.
func (l *ledger) returned(r amqp.Return) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strange = append(l.strange, fmt.Sprintf("%s came back to the publisher from %q, %q: %s", r.MessageId, r.Exchange, r.RoutingKey, r.ReplyText))
}

// done says whether every message has come to an end.
func (l *ledger) done() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, f := range l.fates {
		if r := l.of(id); !f.refused && r.acked == 0 && len(r.dead) == 0 {
			return false
		}
	}
	return true
}

// check fails the test for every message that did not meet its fate, and logs the
// sums.
func (l *ledger) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	broken := slices.Clone(l.strange)
	sent, deliveries, extra, handled, refused := len(l.fates), 0, 0, 0, 0
	died := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(l.fates)) {
		f, r := l.fates[id], l.of(id)
		if breach := f.breach(l.queue, r); breach != "" {
			broken = append(broken, id+": "+breach)
		}
		deliveries, extra = deliveries+len(r.seen), extra+r.extra()
		if r.acked > 0 {
			handled++
		}
		if f.refused {
			refused++
		}
		for _, dead := range r.dead {
			died[l.reason(dead)]++
		}
	}
	t.Logf("%s: %d messages sent, %d of them refused; %d deliveries, %d of them again after %d crashes; %d handled; dead: %v",
		l.queue, sent, refused, deliveries, extra, l.crashes, handled, died)
	if len(broken) > 0 {
		t.Errorf("%s: %d messages did not meet their fate:\n%s", l.queue, len(broken), strings.Join(broken[:min(len(broken), 20)], "\n"))
	}
}

// reason is why a dead letter died in the queue.
func (l *ledger) reason(died map[string]amqp.Table) string {
	for _, reason := range []string{"expired", "maxlen", "rejected"} {
		if _, ok := died[l.queue+" "+reason]; ok {
			return reason
		}
	}
	return "something else"
}
