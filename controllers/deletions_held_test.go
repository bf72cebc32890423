package controllers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

func heldOwners(n int) engine.HeldDeletions {
	out := engine.HeldDeletions{Window: fmt.Sprintf("20260501-120000-%d", n)}
	for i := range n {
		out.Owners = append(out.Owners, owner(fmt.Sprintf("q%02d", i)))
	}
	return out
}

func TestHeldDeletionsInStatus(t *testing.T) {
	s := &session{key: connectionKey()}
	var status v1alpha1.ConnectionStatus
	s.heldInto(&status, heldOwners(60), 3, noon)
	check(t, "all are counted, and the first are named", [2]int{60, v1alpha1.MaxHeldDeletions}, [2]int{int(status.HeldDeletions.Count), len(status.HeldDeletions.Owners)})
	condition := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionDeletionHeld)
	check(t, "the condition says what is held and both ways on",
		"60 resources are gone, and what they declared stays on the broker until somebody decides, because unusually many went at once: "+
			"Queue shop/q00, Queue shop/q01, Queue shop/q02, Queue shop/q03, Queue shop/q04, and 55 more. To keep it, apply them again. To delete it: "+
			"kubectl annotate --overwrite -n shop rabbitmqconnection/broker topology.warrener.dev/allow-deletes=20260501-120000-60", condition.Message)
	check(t, "it is of this generation", int64(3), condition.ObservedGeneration)
	s.heldInto(&status, heldOwners(1), 3, noon)
	check(t, "one is one", "1 resource is gone, and what", meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionDeletionHeld).Message[:28])
	s.heldInto(&status, engine.HeldDeletions{}, 3, noon)
	check(t, "nothing stays of it", v1alpha1.ConnectionStatus{}, status, cmpopts.EquateEmpty())
}

func TestAnnounceHeld(t *testing.T) {
	held := func(window string) v1alpha1.ConnectionStatus {
		return v1alpha1.ConnectionStatus{HeldDeletions: &v1alpha1.HeldDeletions{Window: window, Count: 1}}
	}
	none := v1alpha1.ConnectionStatus{}
	for name, c := range map[string]struct {
		reason        string
		before, after v1alpha1.ConnectionStatus
		want          int
	}{
		"Opens":   {"a window opens", none, held("20260501-120000-1"), 1},
		"Grows":   {"that more join is no news", held("20260501-120000-1"), held("20260501-120000-7"), 0},
		"Another": {"another window is", held("20260501-120000-1"), held("20260501-130000-1"), 1},
		"Closes":  {"so is that it is decided", held("20260501-120000-1"), none, 1},
		"Nothing": {"and nothing is nothing", none, none, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := &events{}
			announceHeld(r, connectionObject(), connectionKey(), c.before, c.after)
			check(t, c.reason, c.want, len(r.take()))
		})
	}
}

func TestForgetting(t *testing.T) {
	for value, want := range map[string]struct {
		mark string
		what engine.Forgetting
	}{
		"":          {},
		"all":       {}, // no mark: it would be a standing order
		"1 all":     {"1", engine.Forgetting{All: true}},
		" 1\nall\n": {"1", engine.Forgetting{All: true}},
		"2026-11-22T00:45:36Z\nqueue shop/a\n\nQueue shop/b": {"2026-11-22T00:45:36Z", engine.Forgetting{Names: []string{"queue shop/a", "Queue shop/b"}}},
		`1 queue shop/"a b"`: {"1", engine.Forgetting{Names: []string{`queue shop/"a b"`}}},
	} {
		mark, what := forgetting(value)
		check(t, value, want.mark, mark)
		check(t, value, want.what, what)
	}
}

func TestInventoryKeepsDepartures(t *testing.T) {
	c := newClient(t, interceptor.Funcs{})
	s := newStore(c, "me")
	load(t, s)
	want := topology.Departures{
		Opened: noon, Last: 7, List: []topology.Departure{
			{Owner: owner("a"), Seen: noon, Weight: 1},
			{Owner: owner("b"), Seen: noon.Add(time.Second), Weight: 12, Held: 7},
			{Owner: owner("c"), Seen: noon, Weight: 1, Allowed: true},
		},
	}
	if err := s.Write(t.Context(), entries(0, 100), nil, &want); err != nil {
		t.Fatal(err)
	}
	first := shardsOf(t, c)[0]
	check(t, "one line a resource, for people", []string{
		"Queue/shop/a gone=2026-05-01T12:00:00Z", "Queue/shop/b gone=2026-05-01T12:00:01Z weight=12 held=7", "Queue/shop/c gone=2026-05-01T12:00:00Z allowed=true",
	}, first.Departures)
	check(t, "and the window", v1alpha1.DeletionWindow{Name: "20260501-120000", Last: 7}, *first.DeletionWindow)
	write(t, s, entries(100, 101)) // says nothing of departures
	_, got, err := newStore(c, "other").Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check(t, "another process reads what was written", want, got)
	for _, shard := range shardsOf(t, c)[1:] {
		if len(shard.Departures) > 0 || shard.DeletionWindow != nil {
			t.Errorf("shard %d has departures, too", shard.Shard)
		}
	}

	broken := first.DeepCopy()
	broken.ResourceVersion = shardsOf(t, c)[0].ResourceVersion
	broken.Departures = slices.Concat(broken.Departures, []string{"Queue/shop/d held=x"})
	if err := c.Update(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	if _, _, err := newStore(c, "third").Load(t.Context()); err == nil {
		t.Error("what cannot be read is not nothing")
	}
}
