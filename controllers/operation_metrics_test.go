package controllers

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/shard"
	"github.com/warrener-dev/warrener/internal/topology"
)

// gather renders what a collector tells, sorted; seconds to the minute.
func gather(t *testing.T, c prometheus.Collector) []string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			line := family.GetName()
			for _, label := range metric.GetLabel() {
				line += " " + label.GetName() + "=" + label.GetValue()
			}
			value := metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			if age := time.Duration(value) * time.Second; age >= time.Minute {
				value = math.Floor(age.Minutes()) * time.Minute.Seconds()
			}
			out = append(out, fmt.Sprintf("%s %g", line, value))
		}
	}
	slices.Sort(out)
	return out
}

// An operation whose connection is gone for good is told by the books, after a
// restart too; and once, when a connection leads to its cluster again.
func TestOperationsWithoutAConnection(t *testing.T) {
	api := newClient(t, interceptor.Funcs{})
	moving := entries(0, 1)[0]
	moving.Operation = topology.OperationMigrate
	store := newStore(api, "before")
	load(t, store)
	write(t, store, append(entries(1, 3), moving))

	r, _, _ := newRegistry(api)
	later := 90 * time.Minute
	c := &operationCollector{now: time.Now}
	check(t, "before there is a registry", []string(nil), gather(t, c))
	c.watch(r)
	if err := c.findStranded(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return time.Now().Add(later) }
	stranded := []string{
		"warrener_operation_idle_seconds connection=RabbitMQConnection shop/broker kind=Migrate 5400",
		"warrener_operation_oldest_seconds connection=RabbitMQConnection shop/broker kind=Migrate 5400",
		"warrener_operations connection=RabbitMQConnection shop/broker kind=Migrate step= 1",
	}
	check(t, "nobody carries on with it", stranded, gather(t, c))
	own, _ := homesOf("rabbit@one")
	for reason, held := range map[string]int{"it is told by the replica that holds its shard": own, "and by no other": own + 1} {
		share, _ := newShare(api, held%shard.Most)
		c.watch(share)
		want := stranded
		if held != own {
			want = nil
		}
		check(t, reason, want, gather(t, c))
	}
	c.watch(r)

	cluster := r.cluster(v1alpha1.BrokerTypeRabbitMQ, "rabbit@one")
	if err := cluster.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, "its cluster is reached: it is told once", stranded, gather(t, c))
}
