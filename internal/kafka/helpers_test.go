package kafka

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// connect is a Broker that is closed with the test.
func connect(t testing.TB, options Options) *Broker {
	t.Helper()
	b, err := New(options)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(b.Close)
	return b
}

func sharedBroker(t testing.TB) (*Broker, string) {
	t.Helper()
	shared := harness.SharedKafka(t)
	prefix := shared.NewTopicPrefix(t)
	return connect(t, Options{BootstrapServers: shared.Bootstrap}), prefix
}

// requests counts requests by API.
type requests struct {
	mu    sync.Mutex
	byAPI map[string]int
}

func (r *requests) observe(api string, _ error, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byAPI == nil {
		r.byAPI = map[string]int{}
	}
	r.byAPI[api]++
}

// take returns the counts so far and begins anew.
func (r *requests) take() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.byAPI
	r.byAPI = nil
	return out
}

func topicIDs(topics []*topology.Topic) []topology.ID {
	ids := make([]topology.ID, len(topics))
	for i, t := range topics {
		ids[i] = t.ID()
	}
	return ids
}

// steps are what a plan makes of the difference between wants and the broker.
func steps(t testing.TB, b *Broker, wants ...*topology.Topic) []topology.Step {
	t.Helper()
	snapshot := observe(t, b, topology.Selection{IDs: topicIDs(wants)})
	var out []topology.Step
	for _, want := range wants {
		live, presence := snapshot.Look(want.ID())
		switch presence {
		case topology.Absent:
			out = append(out, topology.Step{Verb: topology.VerbCreate, ID: want.ID(), Want: want})
		case topology.Present:
			if changes := want.Diff(live); len(changes) > 0 {
				out = append(out, topology.Step{Verb: topology.VerbUpdate, ID: want.ID(), Want: want, Live: live, Changes: changes})
			}
		case topology.Unknown:
			t.Fatalf("%s: existence unknown: %v", want.ID(), snapshot.UnreadReason(want.ID()))
		}
	}
	return out
}

func observe(t testing.TB, b *Broker, selection topology.Selection) *topology.Snapshot {
	t.Helper()
	snapshot, err := b.Observe(t.Context(), selection)
	if err != nil {
		t.Fatalf("Observe: %v", err)
	}
	return snapshot
}

// look reads one topic that must exist.
func look(t testing.TB, b *Broker, name string) *topology.Topic {
	t.Helper()
	id := topology.TopicID(name)
	snapshot := observe(t, b, topology.Selection{IDs: []topology.ID{id}})
	live, presence := snapshot.Look(id)
	if presence != topology.Present {
		t.Fatalf("%s: presence %v, unread because of: %v", id, presence, snapshot.UnreadReason(id))
	}
	return live.(*topology.Topic)
}

// applyAll runs steps that must succeed.
func applyAll(t testing.TB, b *Broker, wave []topology.Step) {
	t.Helper()
	for _, outcome := range b.Apply(t.Context(), wave) {
		if outcome.Err != nil {
			t.Fatalf("Apply: %v", outcome.Err)
		}
	}
}

// converge applies the difference, and fails the test where the broker refuses.
func converge(t testing.TB, b *Broker, wants ...*topology.Topic) {
	t.Helper()
	applyAll(t, b, steps(t, b, wants...))
	harness.Eventually(t, "all topics are as wanted", func() bool {
		snapshot := observe(t, b, topology.Selection{IDs: topicIDs(wants)})
		for _, want := range wants {
			live, presence := snapshot.Look(want.ID())
			if presence != topology.Present || len(want.Diff(live)) > 0 || !everybodyKnows(t, b, live.(*topology.Topic)) {
				return false
			}
		}
		return true
	})
}

// everybodyKnows tells whether all brokers have heard of a topic with so many
// partitions: they learn of it one by one, and any of them may be asked next.
func everybodyKnows(t testing.TB, b *Broker, topic *topology.Topic) bool {
	t.Helper()
	for _, node := range b.client.DiscoveredBrokers() {
		request, asked := kmsg.NewPtrMetadataRequest(), kmsg.NewMetadataRequestTopic()
		asked.Topic = &topic.Name
		request.Topics = append(request.Topics, asked)
		response, err := node.Request(t.Context(), request)
		if err != nil {
			t.Fatalf("metadata of a broker: %v", err)
		}
		if known := response.(*kmsg.MetadataResponse).Topics; len(known) != 1 || len(known[0].Partitions) != int(topic.Partitions) {
			return false
		}
	}
	return true
}

// failure is what tests compare of an error: the class, and words of it.
type failure struct {
	Class     topology.Class
	Operation string
	Words     []string
}

// check reports where err is not as wanted; nil wants no error.
func (f *failure) check(t testing.TB, reason string, err error) {
	t.Helper()
	if f == nil {
		if err != nil {
			t.Errorf("%s: unexpected error: %v", reason, err)
		}
		return
	}
	var classified *topology.Error
	if !errors.As(err, &classified) {
		t.Errorf("%s: want a *topology.Error of class %s, got %T: %v", reason, f.Class, err, err)
		return
	}
	if classified.Class != f.Class {
		t.Errorf("%s: class %s, want %s: %v", reason, classified.Class, f.Class, err)
	}
	if f.Operation != "" && classified.Operation != f.Operation {
		t.Errorf("%s: operation %q, want %q", reason, classified.Operation, f.Operation)
	}
	for _, words := range f.Words {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %q lacks %q", reason, err, words)
		}
	}
}

func within(t testing.TB, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}
