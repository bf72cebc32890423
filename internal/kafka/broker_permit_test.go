package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

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
	b := connect(t, Options{BootstrapServers: cluster.ListenAddrs(), Permit: func(context.Context, bool) (time.Time, error) { return time.Time{}, refused }})
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

// A write must be over when its permission ends, on the broker too, and says what it is.
func TestPermitBoundsWrites(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	for _, test := range []struct {
		request  kmsg.Request
		destroys bool
	}{{kmsg.NewPtrCreateTopicsRequest(), false}, {kmsg.NewPtrDeleteTopicsRequest(), true}, {kmsg.NewPtrCreatePartitionsRequest(), false}} {
		var asked []bool
		b := connect(t, Options{BootstrapServers: cluster.ListenAddrs(), Permit: func(_ context.Context, destroys bool) (time.Time, error) {
			asked = append(asked, destroys)
			return time.Now().Add(3 * time.Second), nil
		}})
		_, _ = ask[kmsg.Response](t.Context(), b, "write", test.request) // it asks for nothing
		if len(asked) != 1 || asked[0] != test.destroys {
			t.Errorf("%T: asked %v", test.request, asked)
		}
		if took := test.request.(kmsg.TimeoutRequest).Timeout(); took > 2700 {
			t.Errorf("%T: the broker may take %d ms", test.request, took)
		}
	}
}
