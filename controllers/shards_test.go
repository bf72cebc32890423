package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

const leaderLease = "warrener-controller"

// crew are replicas that share an API server and a clock.
type crew struct {
	t      failing
	ctx    context.Context
	api    client.WithWatch
	now    time.Time
	alive  map[string]*Shards
	made   int
	shards int
	// before is called before each request about leases; its error is that of the
	// request, which is carried out all the same if late is set.
	before func(replica, verb string) (late bool, err error)
}

type failing interface {
	Fatalf(format string, args ...any)
	Helper()
}

func newCrew(t failing, ctx context.Context, shards int) *crew { //nolint:revive // t comes first in tests
	t.Helper()
	scheme := runtime.NewScheme()
	if err := coordinationv1.AddToScheme(scheme); err != nil {
		t.Fatalf("%v", err)
	}
	return &crew{t: t, ctx: ctx, api: fake.NewClientBuilder().WithScheme(scheme).Build(), now: noon, alive: map[string]*Shards{}, shards: shards}
}

// join starts a replica, which has made no round yet.
func (c *crew) join() *Shards {
	c.made++
	name := fmt.Sprintf("pod-%02d", c.made)
	through := func(verb string, call func() error) error {
		if c.before == nil {
			return call()
		}
		late, err := c.before(name, verb)
		if err == nil {
			return call()
		}
		if late {
			_ = call()
		}
		return err
	}
	s := NewShards(interceptor.NewClient(c.api, interceptor.Funcs{
		Get: func(ctx context.Context, under client.WithWatch, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
			return through("get", func() error { return under.Get(ctx, key, into, o...) })
		},
		List: func(ctx context.Context, under client.WithWatch, into client.ObjectList, o ...client.ListOption) error {
			return through("list", func() error { return under.List(ctx, into, o...) })
		},
		Create: func(ctx context.Context, under client.WithWatch, object client.Object, o ...client.CreateOption) error {
			return through("create", func() error { return under.Create(ctx, object, o...) })
		},
		Update: func(ctx context.Context, under client.WithWatch, object client.Object, o ...client.UpdateOption) error {
			return through("update", func() error { return under.Update(ctx, object, o...) })
		},
		Patch: func(ctx context.Context, under client.WithWatch, object client.Object, p client.Patch, o ...client.PatchOption) error {
			return through("patch", func() error { return under.Patch(ctx, object, p, o...) })
		},
		Delete: func(ctx context.Context, under client.WithWatch, object client.Object, o ...client.DeleteOption) error {
			return through("delete", func() error { return under.Delete(ctx, object, o...) })
		},
	}), ShardOptions{Namespace: "warrener-system", Name: name, Shards: c.shards, LeaderLease: leaderLease}, logr.Discard())
	s.clock = func() time.Time { return c.now }
	s.took, s.lost = func(context.Context, []int) {}, func(context.Context, int) {}
	c.alive[name] = s
	return s
}

// round lets a replica make one; one that was replaced ends.
func (c *crew) round(s *Shards) error {
	err := s.round(c.ctx)
	if errors.Is(err, ErrReplaced) {
		delete(c.alive, s.self)
	}
	return err
}

// settle lets all that are alive make rounds for some time.
func (c *crew) settle(d time.Duration) {
	for end := c.now.Add(d); c.now.Before(end); c.now = c.now.Add(ReplicaRound) {
		for _, name := range slices.Sorted(maps.Keys(c.alive)) {
			_ = c.round(c.alive[name])
		}
	}
}

// held counts the shards of those that are alive.
func (c *crew) held() map[string]int {
	out := map[string]int{}
	for name, s := range c.alive {
		out[name] = len(s.tenures)
	}
	return out
}

func TestShardsAreSharedAndMove(t *testing.T) {
	c := newCrew(t, t.Context(), 8)
	a, b := c.join(), c.join()
	c.settle(ReplicaRound)
	check(t, "nobody takes anything at first sight", map[string]int{"pod-01": 0, "pod-02": 0}, c.held())
	c.settle(ReplicaRound)
	check(t, "two share", map[string]int{"pod-01": 4, "pod-02": 4}, c.held())

	var leave []func()
	for n := range c.shards {
		if l, ok := a.Enter(n); ok {
			leave = append(leave, l)
		}
	}
	third := c.join()
	c.settle(3 * ReplicaRound)
	check(t, "nothing is given up that is worked on", map[string]int{"pod-01": 4, "pod-02": 3, "pod-03": 1}, c.held())
	again := 0
	for n := range c.shards {
		if l, ok := a.Enter(n); ok {
			again++
			l()
		}
	}
	check(t, "but nothing new begins on it", 3, again)
	for _, l := range leave {
		l()
	}
	check(t, "whoever waits for it is woken", 1, len(a.wake))
	c.settle(2 * ReplicaRound)
	check(t, "and then it is given up", map[string]int{"pod-01": 3, "pod-02": 3, "pod-03": 2}, c.held())

	if err := b.end(t.Context()); err != nil {
		t.Fatal(err)
	}
	delete(c.alive, b.self)
	c.settle(ReplicaRound)
	check(t, "who ends leaves all at once", map[string]int{"pod-01": 4, "pod-03": 4}, c.held())

	delete(c.alive, third.self) // killed
	c.settle(ReplicaLeaseDuration)
	check(t, "who dies may still be alive", map[string]int{"pod-01": 4}, c.held())
	c.before = func(_, verb string) (bool, error) {
		if verb == "delete" {
			c.before = nil
			check(t, "it is alive after all", nil, third.renew(t.Context()), sameError)
		}
		return false, nil
	}
	c.settle(ReplicaRound)
	check(t, "who renews at the last moment is alive", map[string]int{"pod-01": 4}, c.held())
	c.settle(ReplicaLeaseDuration + ReplicaRound)
	check(t, "until its lease has run out", map[string]int{"pod-01": 8}, c.held())
	if err := third.round(t.Context()); !errors.Is(err, ErrReplaced) {
		t.Errorf("who was taken for dead goes on: %v", err)
	}
}

func TestShardsAnswerWhoMayWrite(t *testing.T) {
	c := newCrew(t, t.Context(), 2)
	a := c.join()
	c.settle(2 * ReplicaRound)
	renewed := a.renewed
	asks := 0
	c.before = func(string, string) (bool, error) { asks++; return false, nil }
	may := func(destroys bool) error { _, err := a.Permit(t.Context(), 0, destroys); return err }

	until, err := a.Permit(t.Context(), 0, false)
	check(t, "the holder may", nil, err, sameError)
	check(t, "for as long as the lease lasts, but for two seconds", renewed.Add(10*time.Second), until)
	check(t, "nothing is read for that", 0, asks)
	check(t, "what is not held may not be written", ErrNotLeading, errOf(a.Permit(t.Context(), 5, false)), sameError)
	check(t, "to delete, it reads its leases", nil, may(true), sameError)
	check(t, "both", 2, asks)
	check(t, "for more of the same step, it does not", nil, may(true), sameError)
	check(t, "it does not", 2, asks)

	c.now = c.now.Add(goodReading)
	var lease coordinationv1.Lease
	if err := c.api.Get(t.Context(), a.named(shardLease(0)), &lease); err != nil {
		t.Fatal(err)
	}
	other := "pod-07"
	lease.Spec.HolderIdentity = &other
	if err := c.api.Update(t.Context(), &lease); err != nil {
		t.Fatal(err)
	}
	check(t, "a lease that was taken away counts for what destroys", ErrNotLeading, may(true), sameError)
	check(t, "and ends the replica", ErrReplaced, c.round(a), sameError)
	check(t, "which writes nothing", ErrReplaced, may(false), sameError)
}

func errOf(_ time.Time, err error) error { return err }

func TestShardsRunOut(t *testing.T) {
	c := newCrew(t, t.Context(), 2)
	a := c.join()
	c.settle(2 * ReplicaRound)
	c.before = func(string, string) (bool, error) { return false, errors.New("the API server is away") }
	c.now = a.renewed.Add(replicaGood - time.Millisecond)
	check(t, "a renewal counts for a while", nil, a.Held(), sameError)
	c.now = c.now.Add(time.Millisecond)
	check(t, "then nothing is written on the API server", ErrNotLeading, a.Held(), sameError)
	check(t, "nor on a broker", ErrNotLeading, errOf(a.Permit(t.Context(), 0, false)), sameError)
	c.settle(time.Minute)
	c.before = nil
	check(t, "while nobody can renew, nobody is dead", nil, c.round(a), sameError)
	check(t, "and it goes on", nil, errOf(a.Permit(t.Context(), 0, false)), sameError)
}

// Replicas that work alone, and ones with another number of shards, come first or
// later, but never at the same time.
func TestShardsAndLeaders(t *testing.T) {
	c := newCrew(t, t.Context(), 4)
	leader := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "warrener-system", Name: leaderLease}}
	leader.Spec.HolderIdentity = new("someone")
	if err := c.api.Create(t.Context(), leader); err != nil {
		t.Fatal(err)
	}
	c.join()
	renewing := func(rounds int) {
		for range rounds {
			now := metav1.NewMicroTime(c.now)
			leader.Spec.RenewTime = &now
			if err := c.api.Update(t.Context(), leader); err != nil {
				t.Fatal(err)
			}
			c.settle(ReplicaRound)
		}
	}
	renewing(10)
	check(t, "a leader does all", map[string]int{"pod-01": 0}, c.held())
	c.settle(ReplicaLeaseDuration + ReplicaRound)
	check(t, "until it is gone", map[string]int{"pod-01": 4}, c.held())

	if err := c.api.Get(t.Context(), client.ObjectKeyFromObject(leader), leader); err != nil {
		t.Fatal(err)
	}
	leader.Spec.HolderIdentity = new("another")
	renewing(2)
	check(t, "a new one has all", map[string]int{"pod-01": 0}, c.held())
	leader.Spec.HolderIdentity = new("")
	renewing(2)
	check(t, "until it has ended", map[string]int{"pod-01": 4}, c.held())

	c.shards = 5
	c.join()
	c.settle(5 * ReplicaRound)
	check(t, "another number waits", map[string]int{"pod-01": 4, "pod-02": 0}, c.held())
	delete(c.alive, "pod-01")
	c.settle(ReplicaLeaseDuration + 2*ReplicaRound)
	check(t, "until nobody has the other", map[string]int{"pod-02": 5}, c.held())
}

// flight is a write that has been permitted and may still be under way.
type flight struct {
	replica string
	shard   int
	until   time.Time
	leave   func()
}

// However slowly the API server answers, whoever stands still, dies or does not hear
// of what he has done: nobody writes to what another one may still be writing to, and
// in the end the living share everything.
func TestShardsAreHeldByOne(t *testing.T) {
	games := uint64(15)
	if os.Getenv("WARRENER_LONG") != "" {
		games = 500
	}
	writes := 0
	for seed := range games {
		g := &game{crew: newCrew(t, t.Context(), 3), random: rand.New(rand.NewPCG(seed, 0)), asleep: map[string]*Shards{}, seed: seed}
		g.before = g.trouble
		for range 60 {
			g.step()
		}
		g.before = nil
		for _, f := range g.flights {
			f.leave()
		}
		g.join()
		g.settle(2 * ReplicaLeaseDuration)
		held := g.held()
		if total := sum(held); total != g.shards || slices.Max(slices.Collect(maps.Values(held))) > (g.shards+len(held)-1)/len(held) {
			t.Fatalf("seed %d: of %d shards each holds %v", seed, g.shards, held)
		}
		writes += g.writes
	}
	if writes < int(games)*10 {
		t.Errorf("there were but %d writes in %d games", writes, games)
	}
}

// game is played by replicas that sleep, and an API server that stumbles.
type game struct {
	*crew
	seed    uint64
	random  *rand.Rand
	asleep  map[string]*Shards
	flights []flight
	writes  int
}

// trouble befalls a request.
func (g *game) trouble(string, string) (late bool, err error) {
	g.now = g.now.Add(time.Duration(g.random.IntN(300)) * time.Millisecond)
	switch g.random.IntN(80) {
	case 0:
		return false, errors.New("no answer")
	case 1:
		return true, errors.New("no answer")
	case 2:
		g.now = g.now.Add(time.Duration(g.random.IntN(15)) * time.Second)
	}
	return false, nil
}

// step does one thing. A replica is asleep or stands still for as long as it is not
// picked.
func (g *game) step() {
	s := g.pick()
	switch g.random.IntN(12) {
	case 0, 1, 2:
		_ = g.round(s)
	case 3, 4:
		g.settle(3 * ReplicaRound)
	case 5, 6, 7:
		g.write(s)
	case 8:
		if len(g.alive) < 4 {
			g.join()
		}
	case 9:
		g.now = g.now.Add(time.Duration(g.random.IntN(8000)) * time.Millisecond)
	case 10:
		delete(g.alive, s.self)
		g.asleep[s.self] = s
	case 11:
		for name, sleeper := range g.asleep {
			g.alive[name] = sleeper
			g.write(sleeper) // the first thing that it does
		}
		clear(g.asleep)
	}
}

func (g *game) pick() *Shards {
	names := slices.Sorted(maps.Keys(g.alive))
	if len(names) == 0 {
		return g.join()
	}
	return g.alive[names[g.random.IntN(len(names))]]
}

// write begins a write on each shard of a replica. One ends with its permission, and
// the broker may still be busy with it for a moment.
func (g *game) write(s *Shards) {
	for n := range g.shards {
		leave, ok := s.Enter(n)
		if !ok {
			continue
		}
		until, err := s.Permit(g.ctx, n, g.random.IntN(2) == 0)
		g.flights = slices.DeleteFunc(g.flights, func(f flight) bool {
			over := !g.now.Before(f.until.Add(writeMargin)) || f.replica == s.self && g.random.IntN(3) == 0
			if over {
				f.leave()
			}
			return over
		})
		if err != nil {
			leave()
			continue
		}
		for _, f := range g.flights {
			if f.shard == n && f.replica != s.self {
				g.t.Fatalf("seed %d: %s writes to shard %d, and %s may do so for another %s",
					g.seed, s.self, n, f.replica, f.until.Add(writeMargin).Sub(g.now))
			}
		}
		g.writes++
		g.flights = append(g.flights, flight{s.self, n, until, leave})
	}
}

func sum(of map[string]int) int {
	total := 0
	for _, n := range of {
		total += n
	}
	return total
}
