package kafka

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// throttled serialises the tests that look at the rates of the brokers, which
// all topics share. They begin without any: what is there was left by a test that
// was killed, as the others see for themselves that nothing stays.
func (m *mover) throttled() {
	m.Helper()
	m.cluster.Exclusive(m, "throttle")
	if rates := m.rates(); len(rates) > 0 {
		m.Logf("the brokers have rates that a killed test left, and lose them: %v", rates)
		setRates(m, m.cluster, "")
		m.throttledTo("cleared", nil)
	}
	m.Cleanup(func() { setRates(m, m.cluster, "") }) // where the test failed
}

// throttledTo waits for the brokers to have rates: each learns of them for
// itself.
func (m *mover) throttledTo(what string, want map[string]string) {
	m.Helper()
	harness.Eventually(m, fmt.Sprintf("%s: the rates are %v", what, want), func() bool { return maps.Equal(want, m.rates()) })
}

func (m *mover) rates() map[string]string { return ratesOf(m, m.admin) }

// ratesOf lists the throttle of every broker, by "broker key".
func ratesOf(t testing.TB, admin *kadm.Client) map[string]string {
	t.Helper()
	configs, err := admin.DescribeBrokerConfigs(t.Context(), 1, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, broker := range configs {
		for _, c := range broker.Configs {
			if c.Key == leaderRate || c.Key == followerRate {
				out[broker.Name+" "+c.Key] = c.MaybeValue()
			}
		}
	}
	return out
}

// setRates sets the throttle of every broker by hand; "" unsets.
func setRates(t testing.TB, k *harness.Kafka, rate string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Bootstrap...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var changes []kadm.AlterConfig
	for _, key := range []string{leaderRate, followerRate} {
		change := kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &rate}
		if rate == "" {
			change = kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key}
		}
		changes = append(changes, change)
	}
	if _, err := kadm.NewClient(client).AlterBrokerConfigs(context.WithoutCancel(t.Context()), changes, 1, 2, 3); err != nil {
		t.Fatal(err)
	}
}

func allRates(rate int64) map[string]string {
	out := map[string]string{}
	for broker := range 3 {
		for _, key := range []string{leaderRate, followerRate} {
			out[strconv.Itoa(broker+1)+" "+key] = strconv.FormatInt(rate, 10)
		}
	}
	return out
}

// The throttle is there while replicas are copied, whoever comes back to it, and
// is gone afterwards: when all is done, and when it is called off.
func TestThrottle(t *testing.T) {
	m := newMover(t)
	m.throttled()
	const rate, quick = 8 << 10, 8 << 20 // the first takes minutes
	for _, name := range []string{"done", "cancelled"} {
		m.topic(name, []int32{1})
		m.fill(name, 0, 4)
		want := &topology.Topic{Name: m.prefix + name, ReplicationFactor: 2, Throttle: rate}
		m.advance(m.broker, want)
		m.throttledTo(name, allRates(rate))
		if diff := cmp.Diff(map[string]string{leaderReplicas: "00:1", followerReplicas: "00:2"}, m.config(name)); diff != "" {
			t.Fatalf("%s: throttled replicas (-want +got)\n%s", name, diff)
		}
		if changes := want.Diff(look(t, m.broker, want.Name)); len(changes) > 0 {
			t.Errorf("%s: on its way is as good as there: %v", name, changes)
		}
		if name == "cancelled" {
			want.ReplicationFactor = 1
			if changes := want.Diff(look(t, m.broker, want.Name)); len(changes) != 1 || changes[0].Mode != topology.Gradual {
				t.Errorf("what is on the wrong way is a difference: %v", changes)
			}
		}
		// Somebody else goes on, who knows what the broker knows.
		m.broker = connect(t, Options{BootstrapServers: m.cluster.Bootstrap})
		if message := m.advance(m.broker, want).Message; name == "done" && !strings.Contains(message, "throttled to 8.0 KiB/s on each broker") {
			t.Errorf("it says %q", message)
		}
		if name == "done" {
			harness.Eventually(t, "it says how much is copied", func() bool {
				return strings.Contains(m.advance(m.broker, want).Message, " of 4.0 MiB copied (")
			})
		}
		want.Throttle = quick
		m.finish(want)
		m.throttledTo("after "+name, nil)
		if config := m.config(name); len(config) > 0 {
			t.Errorf("%s: left over: %v", name, config)
		}
	}
	if diff := cmp.Diff([][]int32{{1}}, m.assignments("cancelled")); diff != "" {
		t.Errorf("called off (-want +got)\n%s", diff)
	}
}

// A throttle that was there before is somebody else's.
func TestForeignThrottle(t *testing.T) {
	m := newMover(t)
	m.throttled()
	setRates(t, m.cluster, "1048576")
	m.throttledTo("by hand", allRates(1<<20))
	m.topic("lent", []int32{1})
	m.fill("lent", 0, 3)
	want := &topology.Topic{Name: m.prefix + "lent", ReplicationFactor: 2, Throttle: 5}
	said := m.finish(want)
	if diff := cmp.Diff(allRates(1<<20), m.rates()); diff != "" {
		t.Errorf("rates that were there before (-want +got)\n%s", diff)
	}
	if !strings.Contains(said[0].Message, "throttled by the rate that somebody else has set") {
		t.Errorf("it says %q", said[0].Message)
	}
	if config := m.config("lent"); len(config) > 0 {
		t.Errorf("left over: %v", config)
	}

	m.topic("listed", []int32{1})
	list := map[string]string{leaderReplicas: "0:1", followerReplicas: "*"}
	alterTopic(t, m.admin, m.prefix+"listed", list)
	// Every broker answers by what it has heard of the change by then.
	for seen, deadline := 0, time.Now().Add(time.Minute); seen < 20; seen++ {
		if diff := cmp.Diff(list, m.config("listed")); diff != "" {
			if seen = -1; time.Now().After(deadline) {
				t.Fatalf("not set within a minute (-want +got)\n%s", diff)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	said = m.finish(&topology.Topic{Name: m.prefix + "listed", ReplicationFactor: 2, Throttle: 5})
	if diff := cmp.Diff(list, m.config("listed")); diff != "" {
		t.Errorf("lists that were there before (-want +got)\n%s", diff)
	}
	if !strings.Contains(said[0].Message, "without the declared throttle") {
		t.Errorf("it says %q", said[0].Message)
	}
}

func alterTopic(t testing.TB, admin *kadm.Client, topic string, config map[string]string) {
	t.Helper()
	var changes []kadm.AlterConfig
	for key, value := range config {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value})
	}
	answers, err := admin.AlterTopicConfigs(t.Context(), changes, topic)
	if err != nil || len(answers) != 1 || answers[0].Err != nil {
		t.Fatalf("alter %s: %+v, %v", topic, answers, err)
	}
}

// Topics that move at the same time share the rates; the last one takes them
// away. Another rate in the declaration is taken up on the way, and so is none.
func TestSharedThrottle(t *testing.T) {
	m := newMover(t)
	m.throttled()
	long, short := m.topic("long", []int32{1}), m.topic("short", []int32{2})
	m.fill("long", 0, 4)
	first := &topology.Topic{Name: long.Name, ReplicationFactor: 2, Throttle: 1000}
	m.advance(m.broker, first)
	m.throttledTo("at first", allRates(1000))
	first.Throttle = 8000
	m.advance(m.broker, first)
	m.throttledTo("another rate", allRates(8000))
	second := &topology.Topic{Name: short.Name, ReplicationFactor: 2, Throttle: 900_000}
	m.finish(second)
	if diff := cmp.Diff(allRates(8000), m.rates()); diff != "" {
		t.Fatalf("one of two topics is done (-want +got)\n%s", diff)
	}
	if config := m.config("short"); len(config) > 0 {
		t.Errorf("left over on the one that is done: %v", config)
	}
	if progress := m.advance(m.broker, first); progress.Done {
		t.Fatal("the other one is done: this test needs it to last")
	}
	first.Throttle = 0
	m.advance(m.broker, first)
	m.throttledTo("no throttle is declared any more", nil)
	if config := m.config("long"); len(config) > 0 {
		t.Errorf("no throttle is declared any more, and there are %v", config)
	}
	m.finish(first)
}

// A topic that is deleted on its way takes its throttle along, whoever deletes it. What is
// known of it is what is read of a topic that goes: no config.
func TestThrottleGoesWithItsTopic(t *testing.T) {
	for _, by := range []string{"who set it", "another process"} {
		t.Run(by, func(t *testing.T) {
			m := newMover(t)
			m.throttled()
			m.topic("doomed", []int32{1})
			m.fill("doomed", 0, 2)
			m.advance(m.broker, &topology.Topic{Name: m.prefix + "doomed", ReplicationFactor: 2, Throttle: 1000})
			m.throttledTo("on the way", allRates(1000))
			if by == "another process" {
				m.broker = connect(t, Options{BootstrapServers: m.cluster.Bootstrap})
			}
			live := look(t, m.broker, m.prefix+"doomed")
			live.Config = nil
			outcome := m.broker.Apply(t.Context(), []topology.Step{{Verb: topology.VerbDelete, ID: live.ID(), Live: live}})[0]
			(*failure)(nil).check(t, "delete", outcome.Err)
			m.throttledTo("afterwards", nil)
		})
	}
}
