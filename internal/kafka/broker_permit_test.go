package kafka

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestPermitIsAskedBeforeWritesAndNothingElse(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	refused := errors.New("another one leads")
	b := connect(t, Options{BootstrapServers: cluster.ListenAddrs(), Permit: func() error { return refused }})
	want := &topology.Topic{Name: "orders", Partitions: 1, ReplicationFactor: 1}
	for verb, step := range map[string]topology.Step{
		"create": {Verb: topology.VerbCreate, ID: want.ID(), Want: want},
		"delete": {Verb: topology.VerbDelete, ID: want.ID()},
	} {
		if outcomes := b.Apply(t.Context(), []topology.Step{step}); !errors.Is(outcomes[0].Err, refused) {
			t.Errorf("%s: %v", verb, outcomes[0].Err)
		}
	}
	if _, err := b.Probe(t.Context()); err != nil {
		t.Errorf("a read: %v", err)
	}
	for _, request := range []kmsg.Request{
		kmsg.NewPtrCreateTopicsRequest(), kmsg.NewPtrDeleteTopicsRequest(), kmsg.NewPtrCreatePartitionsRequest(),
		kmsg.NewPtrIncrementalAlterConfigsRequest(), kmsg.NewPtrAlterPartitionAssignmentsRequest(),
	} {
		if !changes(request) {
			t.Errorf("%T counts as a read", request)
		}
	}
}
