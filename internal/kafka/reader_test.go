package kafka

import (
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

// lag makes brokers answer for some time, or for ever, as if no config was set on any topic.
type lag struct {
	cluster *kfake.Cluster
	mu      sync.Mutex
	until   map[int32]time.Time
	asked   map[int32]int
}

func newLag(cluster *kfake.Cluster) *lag {
	l := &lag{cluster: cluster, until: map[int32]time.Time{}, asked: map[int32]int{}}
	cluster.ControlKey(int16(kmsg.DescribeConfigs), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		response, stale := l.answer(cluster.CurrentNode(), request.(*kmsg.DescribeConfigsRequest))
		return response, nil, stale
	})
	return l
}

func (l *lag) answer(node int32, request *kmsg.DescribeConfigsRequest) (_ kmsg.Response, stale bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[node]++
	if !time.Now().Before(l.until[node]) {
		return nil, false
	}
	response := request.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for _, asked := range request.Resources {
		answered := kmsg.NewDescribeConfigsResponseResource()
		answered.ResourceType, answered.ResourceName = asked.ResourceType, asked.ResourceName
		response.Resources = append(response.Resources, answered)
	}
	return response, true
}

func (l *lag) by(took time.Duration, nodes ...int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, node := range nodes {
		l.until[node] = time.Now().Add(took)
	}
}

func (l *lag) readers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked)
}

const retention = "60000"

// retaining is a step that sets one key of a topic.
func retaining() topology.Step {
	return topology.Step{
		Verb: topology.VerbUpdate, ID: topology.TopicID("events"),
		Want:    &topology.Topic{Name: "events", Config: map[string]string{"retention.ms": retention}},
		Changes: []topology.Change{{Path: "config.retention.ms", From: topology.Unset, To: retention}},
	}
}

// readsRetained checks that the key reads as retaining has set it.
func readsRetained(t *testing.T, b *Broker) {
	t.Helper()
	if got := look(t, b, "events").Config["retention.ms"]; got != retention {
		t.Fatalf("retention.ms reads %q after it was set to %s", got, retention)
	}
}

// What Apply has changed is what Observe sees next, although brokers learn of it one by one.
func TestReadsWhatItHasChanged(t *testing.T) {
	t.Parallel()
	cluster, bootstrap := inMemory(t, kfake.NumBrokers(3), kfake.SeedTopics(1, "events"))
	b := connect(t, Options{BootstrapServers: bootstrap})
	lag := newLag(cluster)
	lag.by(time.Hour, 1, 2)
	lag.by(100*time.Millisecond, 0)
	applyAll(t, b, []topology.Step{retaining()})
	for range 6 {
		readsRetained(t, b)
	}
	if n := lag.readers(); n != 1 {
		t.Errorf("%d brokers were read, want one", n)
	}
}

// Where the broker that was read is gone, the next one is read, once it has had the time to catch up.
func TestReadsTheNextBroker(t *testing.T) {
	t.Parallel()
	cluster, bootstrap := inMemory(t, kfake.NumBrokers(3), kfake.SeedTopics(1, "events"))
	b := connect(t, Options{BootstrapServers: bootstrap})
	lag := newLag(cluster)
	applyAll(t, b, []topology.Step{retaining()})
	lag.by(mostShownWait-time.Second, 1, 2)
	if err := cluster.RemoveNode(0); err != nil {
		t.Fatal(err)
	}
	readsRetained(t, b)
	if n := lag.readers(); n != 2 {
		t.Errorf("%d brokers were read, want the first and then one other", n)
	}
}

func TestPickReader(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		reason string
		live   []int32
		failed map[int32]time.Time
		want   int32
	}{
		"Lowest":    {reason: "whoever reads a cluster reads the same broker", live: []int32{3, 1, 2}, want: 1},
		"Failed":    {reason: "one that has failed is passed over", live: []int32{3, 1, 2}, failed: map[int32]time.Time{1: ago(time.Second)}, want: 2},
		"Forgotten": {reason: "for a while", live: []int32{3, 1, 2}, failed: map[int32]time.Time{1: ago(avoidFor)}, want: 1},
		"All":       {reason: "of those that have all failed, the one that has had most time", live: []int32{1, 2}, failed: map[int32]time.Time{1: ago(time.Second), 2: ago(2 * time.Second)}, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := reader{failed: c.failed}
			if got := r.pick(c.live, now); got != c.want {
				t.Errorf("%s: picked %d, want %d", c.reason, got, c.want)
			}
		})
	}
}
