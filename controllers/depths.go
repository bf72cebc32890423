package controllers

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/warrener-dev/warrener/internal/topology"
)

// depths are the metrics of queues and of topics for dead letters, as the last
// sweep of each connection read them. One collector holds them all, so that a
// scrape sees one sweep's, and what is gone is gone.
var depths = &depthCollector{of: map[topology.ConnectionKey]map[topology.ID]topology.Depth{}}

var (
	queueMessages = prometheus.NewDesc("warrener_queue_messages",
		"Messages in a queue that custom resources own, unacknowledged ones included, as the last sweep read them.",
		[]string{"connection", "virtual_host", "queue"}, nil)
	queueConsumers = prometheus.NewDesc("warrener_queue_consumers",
		"Consumers of a queue that custom resources own, as the last sweep read them.",
		[]string{"connection", "virtual_host", "queue"}, nil)
	deadLetterTopicMessages = prometheus.NewDesc("warrener_dead_letter_topic_messages",
		"Records in a topic for dead letters, at most: end offsets - start offsets, as the last sweep read them.",
		[]string{"connection", "topic"}, nil)
)

type depthCollector struct {
	mu sync.Mutex
	of map[topology.ConnectionKey]map[topology.ID]topology.Depth
}

// set replaces all that is told of a connection.
func (c *depthCollector) set(key topology.ConnectionKey, depths map[topology.ID]topology.Depth) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(depths) == 0 {
		delete(c.of, key)
		return
	}
	c.of[key] = depths
}

// Describe implements prometheus.Collector.
func (c *depthCollector) Describe(out chan<- *prometheus.Desc) {
	out <- queueMessages
	out <- queueConsumers
	out <- deadLetterTopicMessages
}

// Collect implements prometheus.Collector. Snapshots are not changed once they
// are read, so the lock is for the map of them alone.
func (c *depthCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gauge := func(what *prometheus.Desc, n int64, labels ...string) {
		if n != topology.UnknownCount {
			out <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, float64(n), labels...)
		}
	}
	for key, depths := range c.of {
		for id, depth := range depths {
			if id.Kind == topology.KindTopic {
				gauge(deadLetterTopicMessages, depth.Messages, key.String(), id.Name)
				continue
			}
			gauge(queueMessages, depth.Messages, key.String(), id.Scope, id.Name)
			gauge(queueConsumers, depth.Consumers, key.String(), id.Scope, id.Name)
		}
	}
}
