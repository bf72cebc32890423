package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
)

// operationMetrics tells of operations as they are at the moment of a scrape, by
// the books: those of a connection that is gone, which nobody carries on with, are
// told like the others.
var operationMetrics = &operationCollector{now: time.Now}

var (
	operationsUnderway = prometheus.NewDesc("warrener_operations",
		"Operations under way (Migrate, Recreate, Reassign), by the step that they are at; empty before the first.",
		[]string{"connection", "kind", "step"}, nil)
	operationOldest = prometheus.NewDesc("warrener_operation_oldest_seconds",
		"Age of the oldest operation under way, since this process came to know of it.",
		[]string{"connection", "kind"}, nil)
	operationIdle = prometheus.NewDesc("warrener_operation_idle_seconds",
		"How long the step and the counts of an operation under way have been the same: of the one that stands still for longest.",
		[]string{"connection", "kind"}, nil)
	operationsEnded = prometheus.NewDesc("warrener_operations_ended_total",
		"Operations that ended: done, in-use (a queue that was to be unused was not, and is as it was), or dropped (nobody wants it any more).",
		[]string{"connection", "kind", "outcome"}, nil)
	operationMoved = prometheus.NewDesc("warrener_operation_moved_total",
		"Messages (Migrate) or partitions (Reassign) that operations have moved.",
		[]string{"connection", "kind"}, nil)
)

type operationCollector struct {
	now func() time.Time

	mu       sync.Mutex
	registry *Registry // nil before there is one
	// stranded is what was under way when this process began, of clusters that no
	// connection has led to since.
	stranded map[clusterKey][]engine.Underway
}

// watch has a registry's operations told.
func (c *operationCollector) watch(r *Registry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registry = r
}

// findStranded reads once, at the start of the work, what is under way by the inventory:
// a cluster's books are loaded by the first connection to it, and there may be none.
func (c *operationCollector) findStranded(ctx context.Context, r *Registry) error {
	var list v1alpha1.BrokerInventoryList
	if err := r.reader.List(ctx, &list, client.InNamespace(r.options.InventoryNamespace)); err != nil {
		return fmt.Errorf("read the inventories: %w", err)
	}
	found := map[clusterKey][]engine.Underway{}
	for i := range list.Items {
		object := &list.Items[i]
		dropIfRestored(object)
		store := inventoryStore{broker: object.BrokerType, clusterID: object.ClusterID}
		for _, line := range object.Entries {
			entry, err := store.parse(line)
			if err != nil || entry.Operation == "" {
				continue // whoever loads it says what is wrong with it
			}
			key := clusterKey{object.BrokerType, object.ClusterID}
			found[key] = append(found[key], engine.Underway{
				ID: entry.ID, Kind: entry.Operation, Connection: entry.Connection, Since: c.now(), Moved: c.now(),
			})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stranded = found
	return nil
}

// lookForStranded is findStranded as the manager runs it: metrics are no reason to
// end.
func (r *Registry) lookForStranded(ctx context.Context) error {
	if err := operationMetrics.findStranded(ctx, r); err != nil {
		r.log.Info("operations of connections that are gone are not counted", "error", err.Error())
	}
	return nil
}

// Describe implements prometheus.Collector.
func (c *operationCollector) Describe(out chan<- *prometheus.Desc) {
	for _, what := range []*prometheus.Desc{operationsUnderway, operationOldest, operationIdle, operationsEnded, operationMoved} {
		out <- what
	}
}

// Collect implements prometheus.Collector.
func (c *operationCollector) Collect(out chan<- prometheus.Metric) {
	underway, counts := c.read()
	type series struct{ connection, kind, step string }
	number, oldest, idle := map[series]int{}, map[series]time.Duration{}, map[series]time.Duration{}
	now := c.now()
	for _, o := range underway {
		all := series{o.Connection.String(), string(o.Kind), ""}
		oldest[all] = max(oldest[all], now.Sub(o.Since))
		idle[all] = max(idle[all], now.Sub(o.Moved))
		number[series{all.connection, all.kind, o.Step}]++
	}
	emit := func(what *prometheus.Desc, sort prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(what, sort, value, labels...)
	}
	for of, n := range number {
		emit(operationsUnderway, prometheus.GaugeValue, float64(n), of.connection, of.kind, of.step)
	}
	for of, age := range oldest {
		emit(operationOldest, prometheus.GaugeValue, age.Seconds(), of.connection, of.kind)
		emit(operationIdle, prometheus.GaugeValue, idle[of].Seconds(), of.connection, of.kind)
	}
	for of, n := range counts {
		if of.Outcome == "" {
			emit(operationMoved, prometheus.CounterValue, float64(n), of.Connection.String(), string(of.Kind))
		} else {
			emit(operationsEnded, prometheus.CounterValue, float64(n), of.Connection.String(), string(of.Kind), of.Outcome)
		}
	}
}

// read gathers from all clusters. A connection that came to reach another cluster
// has counts of both.
func (c *operationCollector) read() (underway []engine.Underway, counts map[engine.OperationKey]int64) {
	c.mu.Lock()
	registry, stranded := c.registry, c.stranded
	c.mu.Unlock()
	counts = map[engine.OperationKey]int64{}
	if registry == nil {
		return nil, counts
	}
	clusters := registry.reached()
	for _, cluster := range clusters {
		underway = append(underway, cluster.Operations()...)
		for key, n := range cluster.OperationCounts() {
			counts[key] += n
		}
	}
	for key, some := range stranded {
		if clusters[key] == nil {
			underway = append(underway, slices.DeleteFunc(slices.Clone(some), func(o engine.Underway) bool {
				return !registry.isMine(context.Background(), o.Connection)
			})...)
		}
	}
	return underway, counts
}

// reached returns the clusters that any connection has led to.
func (r *Registry) reached() map[clusterKey]*engine.Cluster {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.clusters)
}
