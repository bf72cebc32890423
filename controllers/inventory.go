package controllers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

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
	// writtenAtATime objects are written at a time: a pass waits for them, and the API
	// server has others to serve between any two.
	writtenAtATime = 8

	labelCluster = "topology.warrener.dev/cluster"
)

// inventoryStore is an engine.Store in BrokerInventory objects: numbered
// shards, filled one after the other, so that a wave of creates writes one or
// two of them. Every write is a compare-and-swap on the shard; Load rewrites
// all of them, and so fences off whoever loaded before. The engine calls it
// from one goroutine at a time.
type inventoryStore struct {
	client    client.Client
	reader    client.Reader // uncached
	namespace string
	holder    string
	broker    v1alpha1.BrokerType
	clusterID string

	shards []*inventoryShard
	where  map[topology.ID]int // shard of each entry
}

// inventoryShard is one BrokerInventory as it was last read or written.
type inventoryShard struct {
	object  *v1alpha1.BrokerInventory
	entries map[topology.ID]topology.Entry
	bytes   int
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
	s.shards, s.where = nil, map[topology.ID]int{}
	slices.SortFunc(list.Items, func(a, b v1alpha1.BrokerInventory) int { return cmp.Compare(a.Shard, b.Shard) })
	// An inventory holds for the cluster in it and for no other.
	own := slices.DeleteFunc(list.Items, func(o v1alpha1.BrokerInventory) bool { return o.ClusterID != s.clusterID || o.BrokerType != s.broker })
	if err := s.claim(ctx, own); err != nil {
		return nil, departures, err
	}
	inventory := topology.Inventory{}
	for i := range own {
		object := &own[i]
		if len(s.shards) == 0 {
			var err error
			if departures, err = compile.Departures(object); err != nil {
				return nil, departures, fmt.Errorf("BrokerInventory %s/%s: %w", object.Namespace, object.Name, err)
			}
		}
		sh := &inventoryShard{object: object, entries: map[topology.ID]topology.Entry{}}
		for _, line := range object.Entries {
			entry, err := s.parse(line)
			if err != nil {
				return nil, departures, fmt.Errorf("BrokerInventory %s/%s: %q: %w", object.Namespace, object.Name, line, err)
			}
			sh.entries[entry.ID] = entry
			sh.bytes += weigh(entry)
			s.where[entry.ID] = len(s.shards)
			inventory[entry.ID] = entry
		}
		s.shards = append(s.shards, sh)
	}
	return inventory, departures, nil
}

// claim writes this process into all objects of an inventory: into the first one,
// which only one of two processes gets, and then into the others, of which there
// are hundreds in a large inventory, several at a time.
func (s *inventoryStore) claim(ctx context.Context, objects []v1alpha1.BrokerInventory) error {
	var group errgroup.Group
	group.SetLimit(writtenAtATime)
	for i := range objects {
		object := &objects[i]
		object.Holder = s.holder
		dropIfRestored(object)
		if i == 0 {
			if err := s.update(ctx, object); err != nil {
				return err
			}
			continue
		}
		group.Go(func() error { return s.update(ctx, object) })
	}
	return group.Wait()
}

// dropIfRestored empties an inventory that somebody restored from a backup: what
// it names may belong to others by now, or to resources of before.
func dropIfRestored(object *v1alpha1.BrokerInventory) {
	if uid := string(object.UID); object.OwnUID != uid {
		object.Entries, object.Departures, object.DeletionWindow, object.OwnUID = nil, nil, nil, uid
	}
}

// Write implements engine.Store.
func (s *inventoryStore) Write(ctx context.Context, put []topology.Entry, drop []topology.ID, departures *topology.Departures) error {
	touched := map[int]bool{}
	for _, id := range drop {
		n, ok := s.where[id]
		if !ok {
			continue
		}
		s.remove(n, id)
		touched[n] = true
	}
	for _, entry := range put {
		n, known := s.where[entry.ID]
		if known {
			s.remove(n, entry.ID)
		} else {
			n = s.roomFor(weigh(entry))
		}
		sh := s.shards[n]
		sh.entries[entry.ID] = entry
		sh.bytes += weigh(entry)
		s.where[entry.ID] = n
		touched[n] = true
	}
	if departures != nil {
		if len(s.shards) == 0 {
			s.roomFor(0)
		}
		if err := putDepartures(s.shards[0].object, *departures); err != nil {
			return err
		}
		touched[0] = true
	}
	return s.flush(ctx, touched)
}

func (s *inventoryStore) remove(n int, id topology.ID) {
	s.shards[n].bytes -= weigh(s.shards[n].entries[id])
	delete(s.shards[n].entries, id)
	delete(s.where, id)
}

// roomFor finds a shard that can take an entry, or starts a new one.
func (s *inventoryStore) roomFor(bytes int) int {
	for n := len(s.shards) - 1; n >= 0; n-- {
		if s.shards[n].bytes+bytes <= shardBytes {
			return n
		}
	}
	n, number := len(s.shards), 0
	if n > 0 { // not n: somebody may have deleted one in between
		number = int(s.shards[n-1].object.Shard) + 1
	}
	s.shards = append(s.shards, &inventoryShard{entries: map[topology.ID]topology.Entry{}, object: &v1alpha1.BrokerInventory{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: s.shardName(number),
			Labels: map[string]string{labelCluster: clusterLabel(s.clusterID)},
		},
		ClusterID: s.clusterID, BrokerType: s.broker, Shard: int32(number), Holder: s.holder,
	}})
	return n
}

// flush writes the touched shards, the first one before the others: it counts them, so
// that a process which has been fenced off cannot add one either.
func (s *inventoryStore) flush(ctx context.Context, touched map[int]bool) error {
	if len(s.shards) > 0 && int(s.shards[0].object.Shards) != len(s.shards) {
		touched[0] = true
	}
	if touched[0] {
		s.shards[0].object.Shards = int32(len(s.shards))
		if err := s.put(ctx, s.shards[0]); err != nil {
			return err
		}
	}
	var group errgroup.Group
	group.SetLimit(writtenAtATime)
	for n := range touched {
		if n > 0 {
			group.Go(func() error { return s.put(ctx, s.shards[n]) })
		}
	}
	return group.Wait()
}

// put writes a shard.
func (s *inventoryStore) put(ctx context.Context, sh *inventoryShard) error {
	lines, err := render(sh)
	if err != nil {
		return err
	}
	sh.object.Entries = lines
	return s.save(ctx, sh.object)
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

// render writes the entries of a shard, one line each.
func render(sh *inventoryShard) ([]string, error) {
	lines := make([]string, 0, len(sh.entries))
	for id, entry := range sh.entries {
		line, err := entry.MarshalText()
		if err != nil {
			return nil, fmt.Errorf("write the inventory entry of %s: %w", id, err)
		}
		lines = append(lines, string(line))
	}
	slices.Sort(lines)
	return lines, nil
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

// weigh is what an entry adds to the size of a shard: its line, the quotes and
// the comma.
func weigh(entry topology.Entry) int {
	line, err := entry.MarshalText()
	if err != nil {
		return shardBytes
	}
	return len(line) + 3
}
