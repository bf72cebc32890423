package engine

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

func names(keys []topology.OwnerKey) []string {
	var out []string
	for _, key := range keys {
		out = append(out, key.Name)
	}
	return out
}

// Who edits an object waits for it; who rolls out thousands does not wait for one.
func TestEditsComeBeforeARollOut(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/zebra", wants(queue("zebra"))))
	s.edits()
	for i := range 20 {
		s.set(cr(fmt.Sprintf("shop/new%02d", i), wants(queue(fmt.Sprint("new", i)))))
	}
	s.set(cr("shop/zebra", wants(queue("zebra", "x-max-length", int64(1)))))
	check(t, "the edit is among the first few", []string{"new00", "new01", "new02", "zebra"}, names(s.cluster.takeDirty(via, Everything, 4)))
	check(t, "then those that wait longest", []string{"new03", "new04", "new05", "new06"}, names(s.cluster.takeDirty(via, Everything, 4)))
}

// A binding that is taken up before its queue would be told to be blocked, and to
// be well a moment later: a status write for nothing.
func TestWhatOthersNeedComesFirst(t *testing.T) {
	s := newStage(t)
	s.set(
		cr("shop/binding", wants(bind("orders", "mail", "#"))),
		cr("shop/mail", wants(queue("mail"), bind("orders", "mail", "own"))),
		cr("shop/orders", wants(exchange("orders"))),
		cr("shop/stray", wants(bind("elsewhere", "nowhere", "#"))),
	)
	check(t, "exchange, and what waits for nobody", []string{"orders", "stray"}, names(s.cluster.takeDirty(via, Everything, 2)))
	check(t, "then by the time they wait", []string{"binding", "mail"}, names(s.cluster.takeDirty(via, Everything, 2)))
}

// Edits do not wait for a roll-out, which gathers and runs beside them.
func TestRollOutBesideEdits(t *testing.T) {
	s := newStage(t)
	pass := func(part Part) int { return len(s.pass(part).Verdicts) }
	due := func(part Part) string {
		at, any := s.cluster.NextOf(via, part)
		if !any {
			return "never"
		}
		return at.Sub(s.clock()).String()
	}
	set := func(from, to int) {
		for i := from; i < to; i++ {
			s.set(cr(fmt.Sprintf("shop/new%04d", i), wants(queue(fmt.Sprint("new", i)))))
		}
	}
	s.set(cr("shop/old", wants(queue("old"))))
	s.edits()

	s.set(cr("shop/old", wants(queue("old", "x-max-length", int64(1)))))
	set(0, 10)
	check(t, "an edit is due at once", "0s", due(Edited))
	check(t, "what is new gathers", rolloutPause.String(), due(RolledOut))
	check(t, "and is not taken up before", 0, pass(RolledOut))
	check(t, "nor by the edits", 1, pass(Edited))
	check(t, "which are through", "never", due(Edited))
	s.wait(rolloutPause - time.Millisecond)
	set(10, 20)
	check(t, "more of it is waited for", rolloutPause.String(), due(RolledOut))
	s.wait(rolloutPause)
	check(t, "until there is none", 20, pass(RolledOut))
	check(t, "that is all", "never", due(RolledOut))

	began := s.clock()
	for i := 20; s.clock().Sub(began) < rolloutWait; i++ {
		set(i, i+1)
		s.wait(rolloutPause - time.Millisecond)
	}
	if at, any := s.cluster.NextOf(via, RolledOut); !any || at.After(s.clock()) {
		t.Errorf("the first one has waited for more than %s, and waits until %s after it began", rolloutWait, at.Sub(began))
	}
	pass(RolledOut)
	set(1000, 1000+MostEdits)
	check(t, "a pass full is enough", "0s", due(RolledOut))
	set(1000+MostEdits, 1010+MostEdits)
	check(t, "and stays so when more come", "0s", due(RolledOut))
	s.cluster.RemoveClaim(key("shop/new1500"), true)
	check(t, "or one goes", MostEdits, pass(RolledOut))
	check(t, "what is left gathers anew", rolloutPause.String(), due(RolledOut))
	s.wait(rolloutPause)
	check(t, "and is not forgotten", 9, pass(RolledOut))
	check(t, "to the last", "never", due(RolledOut))

	set(3000, 3000+MostEdits)
	check(t, "a pass full again", "0s", due(RolledOut))
	for i := range MostEdits {
		s.cluster.RemoveClaim(key(fmt.Sprintf("shop/new%04d", 3000+i)), true)
	}
	check(t, "of what is gone nothing is taken", 0, pass(RolledOut))
	check(t, "and nothing is waited for", "never", due(RolledOut))
}

// untilRollOut is how long the next roll-out gathers still.
func (s *stage) untilRollOut() time.Duration {
	s.t.Helper()
	at, any := s.cluster.NextOf(via, RolledOut)
	if !any {
		s.t.Fatalf("nothing is due")
	}
	return at.Sub(s.clock())
}

// What goes gathers longer than what comes, as nobody waits for it, unless something comes.
func TestDeparturesGather(t *testing.T) {
	s := newStage(t)
	due := s.untilRollOut
	claims := many(s, 200, aQueue)
	s.edits()
	s.wait(time.Hour)
	leave := func() { s.remove(claims[0]); claims = claims[1:] }
	leave()
	check(t, "others may follow", departurePause, due())
	const step = departurePause - time.Millisecond
	began := s.clock()
	for due() > 0 {
		s.wait(min(due(), step))
		if due() > 0 {
			leave()
		}
	}
	check(t, "the longest wait", departureWait, s.clock().Sub(began))

	s.pass(RolledOut)
	s.wait(time.Hour)
	for range int(rolloutWait / step) {
		leave()
		s.wait(step)
	}
	s.set(cr("shop/new", wants(queue("new"))))
	s.wait(rolloutPause)
	check(t, "somebody may wait for what comes, which is due", true, due() <= 0)
	s.pass(RolledOut)

	s.wait(time.Hour)
	leave()
	s.set(cr("shop/newer", wants(queue("newer"))))
	check(t, "beside what comes", rolloutPause, due())
	s.cluster.RemoveClaim(key("shop/newer"), true)
	check(t, "which has gone again", departurePause, due())
	leave()
	s.set(claims[0])
	s.cluster.RemoveClaim(claims[0].Owner.OwnerKey, true)
	check(t, "and what is declared again, and goes again, goes", departurePause, due())
}

func TestWhatIsDirtyIsSorted(t *testing.T) {
	a, b := key("shop/a"), key("shop/b")
	kinds := map[topology.OwnerKey]kind{}
	d := newDirty(func() time.Time { return time.Time{} }, func(key topology.OwnerKey) kind { return kinds[key] })
	put := func(key topology.OwnerKey, now kind) func() {
		return func() { kinds[key] = now; d.add(key) }
	}
	for _, step := range []struct {
		what                      string
		do                        func()
		edited, rolledOut, coming int
		order                     []string
	}{
		{"one goes", put(a, going), 0, 1, 0, []string{"a"}},
		{"another one comes", put(b, coming), 0, 2, 1, []string{"a", "b"}},
		{"the first is new when it is declared again", put(a, coming), 0, 2, 2, []string{"a", "b"}},
		{"and goes again", put(a, going), 0, 2, 1, []string{"a", "b"}},
		{"the second is there", put(b, edited), 1, 1, 0, []string{"a"}},
		{"and was not", put(b, coming), 0, 2, 1, []string{"a", "b"}},
		{"they are taken", func() { d.remove(a); d.remove(b); d.remove(b) }, 0, 0, 0, nil},
	} {
		step.do()
		var order []string
		for _, q := range d.order {
			if d.waits(q) && !slices.Contains(order, q.key.Name) {
				order = append(order, q.key.Name)
			}
		}
		check(t, step.what, []any{step.edited, step.rolledOut, step.coming, step.order}, []any{len(d.edited), len(d.rolledOut), d.coming, order})
	}
}

// The longer a pass takes, the more the next one gathers: what comes in trickles would
// be rolled out in many passes that cost almost as much as a full one.
func TestRollOutsGatherTwiceAsLongAsTheyTake(t *testing.T) {
	s := newStage(t)
	made := 0
	create := func() {
		s.set(cr(fmt.Sprintf("shop/new%04d", made), wants(queue(fmt.Sprint("new", made)))))
		made++
	}
	roll := func(takes time.Duration) {
		t.Helper()
		s.broker.during = func(context.Context) { s.wait(takes) }
		defer func() { s.broker.during = nil }()
		if report, err := s.cluster.EditsOf(context.Background(), s.session, RolledOut); err != nil || report == nil {
			t.Fatal(report, err)
		}
	}
	due := s.untilRollOut
	for _, c := range []struct{ takes, pause, wait time.Duration }{
		{0, rolloutPause, rolloutWait},
		{100 * time.Millisecond, rolloutPause, rolloutWait},
		{3 * time.Second, 750 * time.Millisecond, 6 * time.Second},
		{time.Minute, mostRestraint / 8, mostRestraint},
	} {
		s.wait(time.Hour)
		create()
		check(t, "long after the last one it does not matter how long that took", rolloutPause, due())
		s.wait(rolloutPause)
		roll(c.takes)
		create()
		check(t, fmt.Sprintf("after %s: the pause that ends it", c.takes), c.pause, due())
		began := s.clock()
		for due() > 0 {
			s.wait(min(due(), rolloutPause/2))
			if due() > 0 {
				create()
			}
		}
		check(t, fmt.Sprintf("after %s: the longest wait", c.takes), c.wait, s.clock().Sub(began))
		roll(0)
	}
}

// What a roll-out waits for depends on the first and the last of those that are in it
// still, whoever has come and gone in between.
func TestRollOutsWaitForThoseThatAreThere(t *testing.T) {
	s := newStage(t)
	due := func() string {
		at, any := s.cluster.NextOf(via, RolledOut)
		if !any {
			return "never"
		}
		return at.Sub(s.clock()).String()
	}
	const step = 10 * time.Millisecond
	create := func(name string) { s.set(cr("shop/"+name, wants(queue(name)))) }
	for _, name := range []string{"a", "b", "c"} {
		create(name)
		s.wait(step)
	}
	check(t, "the last one", (rolloutPause - step).String(), due())
	s.cluster.RemoveClaim(key("shop/c"), true)
	check(t, "the last one that is left", (rolloutPause - 2*step).String(), due())
	create("a")
	check(t, "who comes again keeps its place", (rolloutPause - 2*step).String(), due())
	create("c")
	check(t, "and who has gone gets a new one", rolloutPause.String(), due())
	for range 20 * MostEdits {
		create("d")
		s.cluster.RemoveClaim(key("shop/d"), true)
	}
	check(t, "who came and went changes nothing", rolloutPause.String(), due())
	if n := len(s.cluster.dirty.order); n > 1000 {
		t.Errorf("the order of %d has %d places", len(s.cluster.dirty.rolledOut), n)
	}
	for _, name := range []string{"a", "b", "c"} {
		s.cluster.RemoveClaim(key("shop/"+name), true)
	}
	check(t, "nobody is left", "never", due())
}
