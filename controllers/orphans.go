package controllers

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// reportOrphans tells what stays on the broker of a connection that is gone, in
// the one place that is left for it: as events on the inventory, in the
// controller's namespace. What was told of it on the connection went with it.
func (r *Registry) reportOrphans(s *session) {
	cluster := s.attached()
	if cluster == nil {
		return
	}
	s.reporting.Lock()
	defer s.reporting.Unlock()
	s.mu.Lock()
	clusterID := s.clusterID
	s.mu.Unlock()
	before := s.orphans
	s.countInto(&s.orphans, cluster)
	s.heldInto(&s.orphans, cluster.HeldDeletions(s.key), 0, time.Now())
	inventory := r.inventoryOf(s.key, clusterID)
	announceLeftBehind(r.events, inventory, before, s.orphans)
	announceHeld(r.events, inventory, s.key, before, s.orphans)
}

// inventoryOf names the first shard of a cluster's inventory.
func (r *Registry) inventoryOf(key topology.ConnectionKey, clusterID string) *v1alpha1.BrokerInventory {
	store := inventoryStore{broker: brokerOf(key), clusterID: clusterID}
	return &v1alpha1.BrokerInventory{ObjectMeta: metav1.ObjectMeta{
		Namespace: r.options.InventoryNamespace, Name: store.shardName(0),
	}}
}

// brokerOf tells the kind of broker that a connection is to.
func brokerOf(key topology.ConnectionKey) v1alpha1.BrokerType {
	if key.Kind == v1alpha1.KindKafkaConnection {
		return v1alpha1.BrokerTypeKafka
	}
	return v1alpha1.BrokerTypeRabbitMQ
}
