package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Metrics, all by connection: kind/namespace/name. docs/metrics.md lists them
// for those who write alerts.
var (
	passSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "warrener_pass_duration_seconds", Help: "Duration of passes that had something to do, by lane.",
		Buckets: prometheus.ExponentialBuckets(0.005, 3, 9),
	}, []string{"connection", "lane"})
	observeSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "warrener_observe_seconds", Help: "Time that a pass spent on reading the broker.",
		Buckets: prometheus.ExponentialBuckets(0.002, 3, 9),
	}, []string{"connection"})
	stepsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "warrener_steps_total", Help: "Steps on broker objects, by kind, verb and outcome (ok, or the class of the failure).",
	}, []string{"connection", "kind", "verb", "outcome"})
	heldObjects = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "warrener_held", Help: "Objects that the last sweep held, by reason.",
	}, []string{"connection", "reason"})
	driftTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "warrener_drift_corrected_total", Help: "Broker objects that somebody else changed and that were put right.",
	}, []string{"connection"})
	driftReported = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "warrener_drift_reported", Help: "Broker objects that somebody else changed and that stay so under driftPolicy: Report, as the last sweep found them.",
	}, []string{"connection"})
	ledgerDepth = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "warrener_ledger_depth", Help: "Broker objects that failed and wait to be tried again.",
	}, []string{"connection"})
	shardHeld = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "warrener_shard_held", Help: "1 for each shard that this replica works on, if the work is shared.",
	}, []string{"shard"})
	connectionUp = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "warrener_connection_up", Help: "1 while the broker answers and accepts the credentials.",
	}, []string{"connection"})
	leftBehind = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "warrener_left_behind", Help: "Broker objects that stay although their custom resource is gone.",
	}, []string{"connection"})
	deletionsHeld = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "warrener_deletions_held", Help: "Custom resources whose deletion waits for a person, because unusually many went at once.",
	}, []string{"connection"})
	ownedObjects = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "warrener_owned_objects", Help: "Broker objects that custom resources own.",
	}, []string{"connection"})
	brokerRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "warrener_broker_requests_total", Help: "Requests to brokers, by operation and outcome.",
	}, []string{"connection", "operation", "outcome"})
	brokerRequestSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "warrener_broker_request_seconds", Help: "Time that a broker took to answer.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
	}, []string{"connection"})
)

func init() {
	metrics.Registry.MustRegister(passSeconds, observeSeconds, stepsTotal, heldObjects, driftTotal, driftReported, ledgerDepth,
		connectionUp, leftBehind, deletionsHeld, ownedObjects, brokerRequests, brokerRequestSeconds, depths, operationMetrics, shardHeld)
}

// countRequests is the requestHook of a connection.
func countRequests(key topology.ConnectionKey) requestHook {
	label := key.String()
	return func(operation, outcome string, took time.Duration) {
		brokerRequests.WithLabelValues(label, operation, outcome).Inc()
		brokerRequestSeconds.WithLabelValues(label).Observe(took.Seconds())
	}
}

// countPass records what a pass did.
func countPass(key topology.ConnectionKey, lane Lane, report *engine.Report, cluster *engine.Cluster, took time.Duration) {
	label := key.String()
	passSeconds.WithLabelValues(label, string(lane)).Observe(took.Seconds())
	observeSeconds.WithLabelValues(label).Observe(report.ObserveTime.Seconds())
	for _, outcome := range report.Outcomes {
		result := "ok"
		if outcome.Err != nil {
			result = string(topology.ClassOf(outcome.Err))
		}
		stepsTotal.WithLabelValues(label, string(outcome.Step.ID.Kind), string(outcome.Step.Verb), result).Inc()
	}
	for _, ids := range report.Corrected {
		driftTotal.WithLabelValues(label).Add(float64(len(ids)))
	}
	for _, topics := range report.Recreated {
		driftTotal.WithLabelValues(label).Add(float64(len(topics)))
	}
	ledgerDepth.WithLabelValues(label).Set(float64(cluster.Stats().Ledger))
}

// forgetConnection drops the series of a connection that is gone.
func forgetConnection(key topology.ConnectionKey) {
	labels := prometheus.Labels{"connection": key.String()}
	for _, vec := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		passSeconds, observeSeconds, stepsTotal, heldObjects, driftTotal, driftReported, ledgerDepth,
		connectionUp, leftBehind, deletionsHeld, ownedObjects, brokerRequests, brokerRequestSeconds,
	} {
		vec.DeletePartialMatch(labels)
	}
	depths.set(key, nil)
}

// countHeld sets the gauges of what a sweep found held.
func countHeld(key topology.ConnectionKey, held map[plan.Reason]int) {
	label := key.String()
	heldObjects.DeletePartialMatch(prometheus.Labels{"connection": label})
	driftReported.WithLabelValues(label).Set(float64(held[plan.Drifted]))
	for reason, n := range held {
		heldObjects.WithLabelValues(label, string(reason)).Set(float64(n))
	}
}
