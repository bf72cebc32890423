package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

func newStore(c client.Client, holder string) *inventoryStore {
	return &inventoryStore{client: c, reader: c, namespace: "warrener-system", holder: holder, broker: v1alpha1.BrokerTypeRabbitMQ, clusterID: "rabbit@one"}
}

// entries with long names, so that about ninety fill a shard.
func entries(from, to int) []topology.Entry {
	var out []topology.Entry
	for i := from; i < to; i++ {
		name := fmt.Sprintf("q%04d.%s", i, strings.Repeat("x", 1000))
		out = append(out, topology.Entry{
			ID: topology.QueueID("shop", name), Owners: []topology.OwnerKey{owner("q")},
			Connection: connectionKey(), Deletion: topology.DeleteIfUnused,
		})
	}
	return out
}

func idsOf(entries []topology.Entry) []topology.ID {
	var out []topology.ID
	for _, e := range entries {
		out = append(out, e.ID)
	}
	return out
}

func load(t *testing.T, s *inventoryStore) topology.Inventory {
	t.Helper()
	inventory, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return inventory
}

func write(t *testing.T, s *inventoryStore, put []topology.Entry, drop ...topology.ID) {
	t.Helper()
	if err := s.Write(t.Context(), put, drop, nil); err != nil {
		t.Fatal(err)
	}
}

func shardsOf(t *testing.T, c client.Client) []v1alpha1.BrokerInventory {
	t.Helper()
	var list v1alpha1.BrokerInventoryList
	if err := c.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.BrokerInventory) int { return int(a.Shard - b.Shard) })
	return list.Items
}

func TestInventoryKeepsEntries(t *testing.T) {
	c := newClient(t, interceptor.Funcs{})
	s := newStore(c, "me")
	check(t, "nothing is there at first", topology.Inventory{}, load(t, s))
	want := []topology.Entry{
		{
			ID: topology.QueueID("/", `odd "name" = x`), Owners: []topology.OwnerKey{owner("a"), owner("b")}, Connection: connectionKey(),
			Deletion: topology.Retain, HandOverTo: "audit/q", LeftBehind: "it holds messages",
		},
		{ID: topology.VirtualHostID("shop"), Owners: []topology.OwnerKey{owner("v")}, Connection: connectionKey(), Deletion: topology.Delete, Fields: []string{"description", "tags"}},
	}
	write(t, s, want)
	check(t, "one line an object, for people", []string{
		`queue / "odd \"name\" = x" owner=Queue/shop/a owner=Queue/shop/b policy=Retain via=shop/broker hand-over=audit/q left-behind="it holds messages"`,
		`vhost "" shop owner=Queue/shop/v policy=Delete via=shop/broker field=description field=tags`,
	}, shardsOf(t, c)[0].Entries)
	check(t, "another process reads what was written", topology.Inventory{want[0].ID: want[0], want[1].ID: want[1]}, load(t, newStore(c, "other")))
}

func TestShardsFillAndSplit(t *testing.T) {
	var writes atomic.Int64
	c := newClient(t, interceptor.Funcs{})
	counting := interceptor.NewClient(c, interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			writes.Add(1)
			return c.Update(ctx, o, opts...)
		},
	})
	s := newStore(counting, "me")
	load(t, s)
	const waves, each = 125, 2
	for i := range waves {
		write(t, s, entries(each*i, each*i+each))
	}
	shards := shardsOf(t, c)
	fit := shardBytes / weigh(entries(0, 1)[0])
	want := (waves*each + fit - 1) / fit
	if len(shards) != want || want < 3 {
		t.Errorf("%d entries, of which %d fit into one, make %d shards, want %d", waves*each, fit, len(shards), want)
	}
	for i, shard := range shards {
		text, err := json.Marshal(shard.Entries)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > shardBytes+2 {
			t.Errorf("shard %d has %d bytes, want at most %d", i, len(text), shardBytes)
		}
		check(t, "they are numbered", int32(i), shard.Shard)
	}
	check(t, "the head counts them", int32(want), shards[0].Shards)
	if most := int64(waves + 2*want); writes.Load() > most { // each new one is written again with its own UID, and the head
		t.Errorf("%d waves cost %d updates, want at most %d", waves, writes.Load(), most)
	}

	write(t, s, nil, idsOf(entries(0, 50))...)
	write(t, s, entries(250, 290))
	check(t, "room that was made is used", want, len(shardsOf(t, c)))
	all := topology.Inventory{}
	for _, e := range entries(50, 290) {
		all[e.ID] = e
	}
	check(t, "and nothing is lost", all, load(t, newStore(c, "other")))
}

func TestInventoryFence(t *testing.T) {
	for name, put := range map[string][]topology.Entry{
		"KnownShard": entries(500, 501), "NewShard": entries(500, 700), "NewShardInPlaceOfALostOne": entries(500, 521), "FirstShard": entries(500, 501),
		"AsItIs": entries(0, 1), "AllAsItIs": entries(0, 80),
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, interceptor.Funcs{})
			old, next := newStore(c, "old"), newStore(c, "next")
			load(t, old)
			if name == "FirstShard" {
				load(t, next)
				write(t, next, entries(0, 1))
			} else {
				write(t, old, entries(0, 80))
				if name == "NewShardInPlaceOfALostOne" {
					lost := shardsOf(t, c)[2]
					if err := c.Delete(t.Context(), &lost); err != nil {
						t.Fatal(err)
					}
					load(t, old)
				}
				load(t, next)
			}
			before := shardsOf(t, c)
			if err := old.Write(t.Context(), put, nil, nil); !errors.Is(err, engine.ErrFenced) {
				t.Errorf("who has been replaced must not write: %v", err)
			}
			check(t, "nothing has changed, and no shard was added", before, shardsOf(t, c))
			write(t, next, entries(80, 81))
			load(t, old)
			write(t, old, put)
			if err := next.Write(t.Context(), nil, idsOf(entries(0, 1)), nil); !errors.Is(err, engine.ErrFenced) {
				t.Errorf("reading it again fences off the other: %v", err)
			}
		})
	}
}

// Before what is on the books already is changed or deleted on the broker, its shards are
// confirmed: many of them by one look, which is what keeps thousands of deletions cheap.
func TestInventoryConfirms(t *testing.T) {
	var updates, looks int
	c := newClient(t, interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			updates++
			return c.Update(ctx, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			looks++
			return c.List(ctx, list, opts...)
		},
	})
	s := newStore(c, "me")
	load(t, s)
	write(t, s, entries(0, 80))
	if n := len(s.shards); n <= fewShards {
		t.Fatalf("all fits into %d shards", n)
	}
	other := entries(80, 81)[0]
	other.ID, other.Deletion = entries(0, 1)[0].ID, topology.Retain
	for _, step := range []struct {
		reason         string
		do             func()
		updates, looks int
	}{
		{"many that stay as they are", func() { write(t, s, entries(0, 80)) }, 0, 1},
		{"few of them: a look would read all", func() { write(t, s, entries(0, 1)) }, 1, 0},
		{"one that changes, among many", func() { write(t, s, append(entries(1, 80), other)) }, 1, 1},
		{"one that another pass has changed, and not stored yet", func() {
			if _, _, err := s.change(entries(0, 1), nil, nil); err != nil {
				t.Fatal(err)
			}
			write(t, s, entries(0, 80))
		}, 1, 1},
	} {
		updates, looks = 0, 0
		step.do()
		check(t, step.reason+": updates and looks", []int{step.updates, step.looks}, []int{updates, looks})
	}
}

// An edit does not wait for a roll-out that writes other shards, and who waits for a
// shard is written together with whoever else does.
func TestInventoryWritesSideBySide(t *testing.T) {
	c := newClient(t, interceptor.Funcs{})
	var holding atomic.Pointer[string]
	held, release, writes := make(chan struct{}), make(chan struct{}), atomic.Int64{}
	s := newStore(interceptor.NewClient(c, interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			writes.Add(1)
			if name := holding.Load(); name != nil && *name == o.GetName() && holding.CompareAndSwap(name, nil) {
				close(held)
				<-release
			}
			return c.Update(ctx, o, opts...)
		},
	}), "me")
	load(t, s)
	write(t, s, entries(0, 45))
	of := func(shard int) topology.Entry {
		i := slices.IndexFunc(entries(0, 45), func(e topology.Entry) bool { return s.where[e.ID] == shard })
		return entries(0, 45)[i]
	}
	slow := s.shardName(1)
	holding.Store(&slow)
	var waiting sync.WaitGroup
	beside := func(put []topology.Entry, drop ...topology.ID) {
		if err := s.Write(t.Context(), put, drop, nil); err != nil {
			t.Error(err)
		}
	}
	waiting.Go(func() { beside([]topology.Entry{of(1)}) })
	<-held
	write(t, s, []topology.Entry{of(0)})
	write(t, s, nil, of(2).ID)
	before := writes.Load()
	const more = 5
	gone := slices.DeleteFunc(idsOf(entries(0, 45)), func(id topology.ID) bool { return s.where[id] != 1 })[:more]
	for _, id := range gone {
		waiting.Go(func() { beside(nil, id) })
	}
	eventually(t, "all have made their changes", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.shards[1].changes-s.shards[1].stored == 1+more
	})
	close(release)
	waiting.Wait()
	check(t, "one write for all who waited", int64(1), writes.Load()-before)
	check(t, "nothing is lost", 45-1-more, len(load(t, newStore(c, "other"))))
}

// The head counts a shard before it is there, whoever adds it: see TestInventoryFence.
func TestInventoryGrowsOnAllSides(t *testing.T) {
	c := newClient(t, interceptor.Funcs{})
	s := newStore(interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if shard := o.(*v1alpha1.BrokerInventory); shard.Shard > 0 {
				if head := shardsOf(t, c)[0]; head.Shards <= shard.Shard {
					t.Errorf("shard %d is created, and the head counts %d", shard.Shard, head.Shards)
				}
			}
			return c.Create(ctx, o, opts...)
		},
	}), "me")
	load(t, s)
	var all sync.WaitGroup
	const writers, each = 20, 15
	for i := range writers {
		all.Go(func() {
			for n := range each {
				if err := s.Write(t.Context(), entries(i*each+n, i*each+n+1), nil, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	check(t, "all of it is stored", writers*each, len(load(t, newStore(c, "other"))))
}

func TestLostShards(t *testing.T) {
	for lost := range 3 {
		c := newClient(t, interceptor.Funcs{})
		s := newStore(c, "me")
		load(t, s)
		write(t, s, entries(0, 270))
		gone := shardsOf(t, c)[lost]
		if err := c.Delete(t.Context(), &gone); err != nil {
			t.Fatal(err)
		}
		of := slices.DeleteFunc(idsOf(entries(0, 270)), func(id topology.ID) bool { return s.where[id] != lost })
		if err := s.Write(t.Context(), nil, of[:1], nil); !errors.Is(err, engine.ErrFenced) {
			t.Errorf("a shard that somebody deleted is read anew: %v", err)
		}
		left := load(t, s)
		check(t, "what is lost is lost", 270-len(gone.Entries), len(left))
		write(t, s, entries(300, 500))
		check(t, fmt.Sprintf("without shard %d, more can be written", lost), len(left)+200, len(load(t, newStore(c, "other"))))
	}
}

func TestInventoryOfAnotherCluster(t *testing.T) {
	s := newStore(nil, "me")
	other := &v1alpha1.BrokerInventory{
		ObjectMeta: metav1.ObjectMeta{Namespace: "warrener-system", Name: "other", Labels: map[string]string{labelCluster: clusterLabel(s.clusterID)}},
		ClusterID:  "rabbit@two", BrokerType: s.broker, Holder: "them", Entries: []string{"not even readable"},
	}
	kafka := other.DeepCopy()
	kafka.Name, kafka.ClusterID, kafka.BrokerType = "kafka", s.clusterID, v1alpha1.BrokerTypeKafka
	elsewhere := other.DeepCopy()
	elsewhere.Namespace, elsewhere.ClusterID = "default", s.clusterID
	c := newClient(t, interceptor.Funcs{}, other, kafka, elsewhere)
	s.client, s.reader = c, c
	check(t, "an inventory holds for the cluster in it and for no other", topology.Inventory{}, load(t, s))
	for _, shard := range shardsOf(t, c) {
		check(t, "the others are not touched either", "them", shard.Holder)
	}
}

// A copy that was put back from a backup has another UID than the one that it
// remembers: it names what may belong to others by now.
func TestRestoredInventory(t *testing.T) {
	c := newClient(t, interceptor.Funcs{})
	first := newStore(c, "one")
	load(t, first)
	write(t, first, entries(0, 3))
	var list v1alpha1.BrokerInventoryList
	if err := c.List(t.Context(), &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%d shards, %v", len(list.Items), err)
	}
	shard := &list.Items[0]
	if shard.OwnUID != string(shard.UID) {
		t.Errorf("a new shard remembers the UID %q, not %q", shard.OwnUID, shard.UID)
	}
	shard.OwnUID = "of-the-backup"
	shard.Departures = []string{"not even readable"}
	if err := c.Update(t.Context(), shard); err != nil {
		t.Fatal(err)
	}
	if found := load(t, newStore(c, "two")); len(found) != 0 {
		t.Errorf("a restored inventory is believed: %v", found)
	}
	again := newStore(c, "three")
	load(t, again)
	write(t, again, entries(5, 6))
	if found := load(t, newStore(c, "four")); len(found) != 1 {
		t.Errorf("what was noted since is not believed: %v", found)
	}
}

func TestUnreadableInventory(t *testing.T) {
	for name, c := range map[string]struct{ line, want string }{
		"Nonsense":    {"nonsense", `BrokerInventory warrener-system/bad: "nonsense": an entry has a kind, a scope and a name`},
		"FromThePast": {"queue shop q colour=red", `BrokerInventory warrener-system/bad: "queue shop q colour=red": unknown key "colour"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(nil, "me")
			fake := newClient(t, interceptor.Funcs{}, &v1alpha1.BrokerInventory{
				ObjectMeta: metav1.ObjectMeta{Namespace: "warrener-system", Name: "bad", Labels: map[string]string{labelCluster: clusterLabel(s.clusterID)}},
				ClusterID:  s.clusterID, BrokerType: s.broker, Entries: []string{c.line},
			})
			s.client, s.reader = fake, fake
			_, _, err := s.Load(t.Context())
			check(t, "who reads it finds the line", c.want, fmt.Sprint(err))
		})
	}
}

func TestInventoryErrorsNameTheObject(t *testing.T) {
	away := errors.New("etcd is away")
	failing := newClient(t, interceptor.Funcs{
		Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return away },
	})
	s := newStore(failing, "me")
	load(t, s)
	err := s.Write(t.Context(), entries(0, 1), nil, nil)
	check(t, "the object and the cause", "create BrokerInventory warrener-system/"+s.shardName(0)+": etcd is away", fmt.Sprint(err))
	if !errors.Is(err, away) || errors.Is(err, engine.ErrFenced) {
		t.Errorf("an API server that is away is no fence: %v", err)
	}
	check(t, "after it the store is read again, and has nothing", topology.Inventory{}, load(t, s))
}

func TestDroppingWhatIsNotThere(t *testing.T) {
	c := newClient(t, interceptor.Funcs{})
	s := newStore(c, "me")
	load(t, s)
	write(t, s, nil, topology.QueueID("shop", "unknown"))
	check(t, "no shard for nothing", 0, len(shardsOf(t, c)))
	write(t, s, entries(0, 2))
	write(t, s, entries(1, 3), idsOf(entries(0, 1))...)
	check(t, "replaced, dropped and added in one write", idsOf(entries(1, 3)), slices.SortedFunc(maps.Keys(load(t, s)), topology.ID.Compare))
}
