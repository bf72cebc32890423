package kafka

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// Asking costs one request for each kind of write, however many topics there
// are, and changes nothing.
func TestValidateCost(t *testing.T) {
	shared := harness.SharedKafka(t)
	prefix := shared.NewTopicPrefix(t)
	var seen requests
	b := connect(t, Options{BootstrapServers: shared.Bootstrap, OnRequest: seen.observe})
	var there, wants []*topology.Topic
	for _, name := range []string{"a", "b", "c"} {
		there = append(there, &topology.Topic{Name: prefix + name, Partitions: 1})
		wants = append(wants,
			&topology.Topic{Name: prefix + name, Partitions: 3, Config: map[string]string{"retention.ms": "1000000"}},
			&topology.Topic{Name: prefix + name + ".dlt", Partitions: 3},
		)
	}
	converge(t, b, there...)
	before := observe(t, b, topology.Selection{IDs: topicIDs(wants)}).Objects
	wave := steps(t, b, wants...)
	seen.take()
	for _, outcome := range b.Validate(t.Context(), wave) {
		(*failure)(nil).check(t, "what would be accepted", outcome.Err)
	}
	counts := seen.take()
	delete(counts, "Connect")
	want := map[string]int{"CreateTopics": 1, "CreatePartitions": 1, "IncrementalAlterConfigs": 1}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("requests (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(before, observe(t, b, topology.Selection{IDs: topicIDs(wants)}).Objects, ignoreUnexported); diff != "" {
		t.Errorf("asking changed something (-before +after)\n%s", diff)
	}
}

var ignoreUnexported = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".released" }, cmp.Ignore())
