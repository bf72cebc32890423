package controllers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// +kubebuilder:rbac:groups=topology.warrener.dev,resources=brokerinventories,namespace=warrener-system,verbs=get;list;create;update;delete

const (
	// shardBytes bounds a shard, so that one write stays a small write: the API server takes 3 ms for one, and
	// 39 ms for one of 100 KiB. A hundred objects or so fit into it. etcd's
	// own limit is 1.5 MiB an object.
	shardBytes = 16 << 10
	// spareBytes more are taken by a shard where a few entries would have to wait else.
	spareBytes = 4 << 10
	// fewEntries are what an edit writes: those of one object with a long list.
	fewEntries = 20
	// writtenAtATime objects are written at a time: a pass waits for them, and the API
	// server has others to serve between any two.
	writtenAtATime = 8
	labelCluster   = "topology.warrener.dev/cluster"
)

// inventoryStore is an engine.Store in BrokerInventory objects: numbered
// shards, filled one after the other, so that a wave of creates writes one or
// two of them. Every write is a compare-and-swap on the shard; Load rewrites
// all of them, and so fences off whoever loaded before. Writes that concern other shards
// do not wait for each other, and those of one shard go together.
type inventoryStore struct {
	client    client.Client
	reader    client.Reader // uncached
	namespace string
	holder    string
	broker    v1alpha1.BrokerType
	clusterID string

	// mu guards what follows, shards and all, for moments only.
	mu     sync.Mutex
	shards []*inventoryShard
	where  map[topology.ID]int // shard of each entry
	// counted is how many shards the first one tells of, where it is stored: who writes one
	// that is not among them writes the first one, too.
	counted int
}

var _ engine.Store = (*inventoryStore)(nil)

// clusterLabel makes a label value and object name part of any cluster id.
func clusterLabel(clusterID string) string {
	sum := sha256.Sum256([]byte(clusterID))
	return hex.EncodeToString(sum[:8])
}

func (s *inventoryStore) shardName(n int) string {
	return fmt.Sprintf("%s-%s-%d", strings.ToLower(string(s.broker)), clusterLabel(s.clusterID), n)
}

// Load implements engine.Store.
func (s *inventoryStore) Load(ctx context.Context) (topology.Inventory, topology.Departures, error) {
	var departures topology.Departures
	var list v1alpha1.BrokerInventoryList
	if err := s.reader.List(ctx, &list, client.InNamespace(s.namespace), client.MatchingLabels{labelCluster: clusterLabel(s.clusterID)}); err != nil {
		return nil, departures, fmt.Errorf("read the inventory of cluster %s: %w", s.clusterID, err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.BrokerInventory) int { return cmp.Compare(a.Shard, b.Shard) })
	// An inventory holds for the cluster in it and for no other.
	own := slices.DeleteFunc(list.Items, func(o v1alpha1.BrokerInventory) bool { return o.ClusterID != s.clusterID || o.BrokerType != s.broker })
	if err := s.claim(ctx, own); err != nil {
		return nil, departures, err
	}
	inventory := topology.Inventory{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shards, s.where, s.counted = nil, map[topology.ID]int{}, 0
	for i := range own {
		object := &own[i]
		if i == 0 {
			s.counted = min(int(object.Shards), len(own)) // one may have been lost
			var err error
			if departures, err = compile.Departures(object); err != nil {
				return nil, departures, fmt.Errorf("BrokerInventory %s/%s: %w", object.Namespace, object.Name, err)
			}
		}
		sh := newShard(object)
		for _, line := range object.Entries {
			entry, err := s.parse(line)
			if err != nil {
				return nil, departures, fmt.Errorf("BrokerInventory %s/%s: %q: %w", object.Namespace, object.Name, line, err)
			}
			sh.add(entry)
			s.where[entry.ID] = len(s.shards)
			inventory[entry.ID] = entry
		}
		object.Entries = nil
		s.shards = append(s.shards, sh)
	}
	return inventory, departures, nil
}

// Write implements engine.Store.
func (s *inventoryStore) Write(ctx context.Context, put []topology.Entry, drop []topology.ID, departures *topology.Departures) error {
	touched, same, err := s.change(put, drop, departures)
	if err != nil {
		return err
	}
	if err := s.confirm(ctx, touched, same); err != nil {
		return err
	}
	return s.flush(ctx, touched)
}

// change makes the changes of a write in memory. Who writes one of the touched shards at
// this moment may write them, too. The same are shards in which an entry is stored as it is put.
func (s *inventoryStore) change(put []topology.Entry, drop []topology.ID, departures *topology.Departures) (touched map[*inventoryShard]int, same map[*inventoryShard]bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched, same = map[*inventoryShard]int{}, map[*inventoryShard]bool{}
	last := -1
	touch := func(n int) {
		s.shards[n].changes++
		touched[s.shards[n]] = s.shards[n].changes
		last = max(last, n)
	}
	for _, id := range drop {
		if n, ok := s.where[id]; ok {
			s.remove(n, id)
			touch(n)
		}
	}
	for _, entry := range put {
		n, known := s.where[entry.ID]
		switch {
		case known && s.shards[n].stores(entry):
			same[s.shards[n]] = true
			continue
		case known:
			s.remove(n, entry.ID)
		default:
			n = s.roomFor(weigh(entry), len(put) <= fewEntries)
		}
		s.shards[n].add(entry)
		s.where[entry.ID] = n
		touch(n)
	}
	if departures != nil {
		if len(s.shards) == 0 {
			s.start()
		}
		if err := putDepartures(s.shards[0].object, *departures); err != nil {
			return nil, nil, err
		}
		touch(0)
	}
	if last >= s.counted {
		touch(0)
	}
	return touched, same, nil
}

func (s *inventoryStore) remove(n int, id topology.ID) {
	s.shards[n].remove(id)
	delete(s.where, id)
}

// roomFor finds a shard that can take an entry, or starts a new one. It is one that nobody
// writes at the moment if there is one: who writes a few entries, for an edit, shall not wait
// for those of a roll-out, and rather gets one that is a little too large.
func (s *inventoryStore) roomFor(bytes int, few bool) int {
	busy, roomy := -1, -1
	for n := len(s.shards) - 1; n >= 0; n-- {
		switch size := s.shards[n].bytes + bytes; {
		case size <= shardBytes && !s.shards[n].inFlight:
			return n
		case size <= shardBytes:
			busy = max(busy, n)
		case size <= shardBytes+spareBytes && !s.shards[n].inFlight:
			roomy = max(roomy, n)
		}
	}
	switch {
	case busy >= 0 && few && roomy >= 0:
		return roomy
	case busy >= 0:
		return busy
	}
	return s.start()
}

// start begins a new shard.
func (s *inventoryStore) start() int {
	n, number := len(s.shards), 0
	if n > 0 { // not n: somebody may have deleted one in between
		number = int(s.shards[n-1].object.Shard) + 1
	}
	s.shards = append(s.shards, newShard(&v1alpha1.BrokerInventory{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: s.shardName(number),
			Labels: map[string]string{labelCluster: clusterLabel(s.clusterID)},
		},
		ClusterID: s.clusterID, BrokerType: s.broker, Shard: int32(number), Holder: s.holder,
	}))
	return n
}

// flush writes the touched shards, the first one before the others: it counts them, so
// that a process which has been fenced off cannot add one either.
func (s *inventoryStore) flush(ctx context.Context, touched map[*inventoryShard]int) error {
	if len(touched) == 0 {
		return nil
	}
	first := s.first()
	if change, ok := touched[first]; ok {
		if err := s.put(ctx, first, change); err != nil {
			return err
		}
	}
	var group errgroup.Group
	group.SetLimit(writtenAtATime)
	for sh, change := range touched {
		if sh != first {
			group.Go(func() error { return s.put(ctx, sh, change) })
		}
	}
	return group.Wait()
}

func (s *inventoryStore) first() *inventoryShard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shards[0]
}

// put writes a shard, unless it has been written since a change of it.
func (s *inventoryStore) put(ctx context.Context, sh *inventoryShard, change int) error {
	sh.writing.Lock()
	defer sh.writing.Unlock()
	object, upTo, err := s.unstored(sh, change)
	if object == nil || err != nil {
		return err
	}
	err = s.save(ctx, object)
	s.mu.Lock()
	defer s.mu.Unlock()
	sh.inFlight = false
	if err != nil {
		return err
	}
	sh.stored = upTo
	sh.object.ObjectMeta, sh.object.OwnUID = object.ObjectMeta, object.OwnUID
	if sh == s.shards[0] {
		s.counted = int(object.Shards)
	}
	return nil
}

// unstored is a shard as it is to be written, with all of its changes so far; nil if that
// one of them is stored.
func (s *inventoryStore) unstored(sh *inventoryShard, change int) (object *v1alpha1.BrokerInventory, upTo int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.stored >= change {
		return nil, 0, nil
	}
	if sh == s.shards[0] {
		sh.object.Shards = int32(len(s.shards))
	}
	object, err = sh.render()
	sh.inFlight = err == nil
	return object, sh.changes, err
}

func (s *inventoryStore) save(ctx context.Context, object *v1alpha1.BrokerInventory) error {
	if object.ResourceVersion != "" {
		return s.update(ctx, object)
	}
	err := s.client.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		return engine.ErrFenced
	}
	if err != nil {
		return fmt.Errorf("create BrokerInventory %s/%s: %w", object.Namespace, object.Name, err)
	}
	if object.OwnUID == string(object.UID) {
		return nil
	}
	// A crash before this costs nothing: the entries are ahead of the broker.
	object.OwnUID = string(object.UID)
	return s.update(ctx, object)
}

func (s *inventoryStore) update(ctx context.Context, object *v1alpha1.BrokerInventory) error {
	err := s.client.Update(ctx, object)
	switch {
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		return engine.ErrFenced
	case err != nil:
		return fmt.Errorf("write BrokerInventory %s/%s: %w", object.Namespace, object.Name, err)
	}
	return nil
}

// parse reads one line. The inventory is of one kind of broker, which names the
// kind of connection.
func (s *inventoryStore) parse(line string) (topology.Entry, error) {
	var entry topology.Entry
	if err := entry.UnmarshalText([]byte(line)); err != nil {
		return entry, err
	}
	entry.Connection.Kind = string(s.broker) + "Connection"
	return entry, nil
}
