package kafka

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestDepths(t *testing.T) {
	cluster, bootstrap := inMemory(t, kfake.SeedTopics(3, "t", "t.dlt", "empty.dlt", "unread.dlt"))
	var seen requests
	b := connect(t, Options{BootstrapServers: bootstrap, OnRequest: seen.observe})
	producer, err := kgo.NewClient(kgo.SeedBrokers(bootstrap...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	for _, topic := range []string{"t", "t.dlt", "t.dlt", "unread.dlt"} {
		if err := producer.ProduceSync(within(t, 20*time.Second), &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "unread.dlt", Err: kerr.TopicAuthorizationFailed})
	var ids []topology.ID
	for _, name := range []string{"t.dlt", "empty.dlt", "unread.dlt", "nowhere"} {
		ids = append(ids, topology.TopicID(name))
	}
	got := observe(t, b, topology.Selection{All: true, Depths: ids}).Depths
	want := map[topology.ID]topology.Depth{
		topology.TopicID("t.dlt"): {Messages: 2, Consumers: -1}, topology.TopicID("empty.dlt"): {Consumers: -1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is asked for, as far as it can be read (-want +got):\n%s", diff)
	}
	seen.take()
	observe(t, b, topology.Selection{All: true})
	if n := seen.take()["ListOffsets"]; n != 0 {
		t.Errorf("nobody asked for depths, and %d requests were sent for them", n)
	}
}
