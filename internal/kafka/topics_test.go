package kafka

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

func TestCreateAndReadBack(t *testing.T) {
	b, prefix := sharedBroker(t)
	for name, c := range map[string]struct {
		reason string
		want   topology.Topic
		live   topology.Topic
	}{
		"Defaults": {
			reason: "what is not declared is the broker's choice",
			live:   topology.Topic{Partitions: 1, ReplicationFactor: 1, Assignments: [][]int32{{1}}},
		},
		"Counts": {
			reason: "declared counts are taken over",
			want:   topology.Topic{Partitions: 3, ReplicationFactor: 1},
			live:   topology.Topic{Partitions: 3, ReplicationFactor: 1, Assignments: [][]int32{{1}, {1}, {1}}},
		},
		"Assignments": {
			reason: "assignments declare both counts",
			want:   topology.Topic{Assignments: [][]int32{{1}, {1}}},
			live:   topology.Topic{Partitions: 2, ReplicationFactor: 1, Assignments: [][]int32{{1}, {1}}},
		},
		"Config": {
			reason: "only what is set on the topic is read back",
			want:   topology.Topic{Partitions: 1, Config: map[string]string{"retention.ms": "604800000", "cleanup.policy": "delete"}},
			live: topology.Topic{
				Partitions: 1, ReplicationFactor: 1, Assignments: [][]int32{{1}},
				Config: map[string]string{"retention.ms": "604800000", "cleanup.policy": "delete"},
			},
		},
		"Spelling": {
			reason: "Kafka reports values as it parsed them, and that is no difference",
			want: topology.Topic{Config: map[string]string{
				"cleanup.policy": "compact, delete", "preallocate": "TRUE", "min.cleanable.dirty.ratio": "0.50",
				"retention.ms": " 604800000 ", "segment.ms": "+86400000", "max.message.bytes": "01000000",
			}},
			live: topology.Topic{
				Partitions: 1, ReplicationFactor: 1, Assignments: [][]int32{{1}},
				Config: map[string]string{
					"cleanup.policy": "compact,delete", "preallocate": "true", "min.cleanable.dirty.ratio": "0.5",
					"retention.ms": "604800000", "segment.ms": "86400000", "max.message.bytes": "1000000",
				},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Name = prefix + name
			c.live.Name = c.want.Name
			converge(t, b, &c.want)
			live := look(t, b, c.want.Name)
			if diff := cmp.Diff(&c.live, live, cmpopts.IgnoreUnexported(topology.Topic{}), cmpopts.IgnoreFields(topology.Topic{}, "TopicID")); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", c.reason, diff)
			}
			if len(live.TopicID) != 22 {
				t.Errorf("the topic id is %q, want 22 characters as Kafka's tools print it", live.TopicID)
			}
			if again := c.want.Diff(live); len(again) > 0 {
				t.Errorf("%s: still different: %s", c.reason, topology.DescribeChanges(again))
			}
		})
	}
}

func TestUpdateTouchesOnlyWhatIsDeclared(t *testing.T) {
	shared := harness.SharedKafka(t)
	b, prefix := sharedBroker(t)
	name := prefix + "events"
	converge(t, b, &topology.Topic{Name: name, Partitions: 1, Config: map[string]string{"retention.ms": "1000000", "segment.ms": "60000"}})

	foreign := []kadm.AlterConfig{{Name: "leader.replication.throttled.replicas", Value: kadm.StringPtr("0:1")}}
	if _, err := shared.Admin(t).AlterTopicConfigs(t.Context(), foreign, name); err != nil {
		t.Fatal(err)
	}

	wanted := (&topology.Topic{Name: name, Partitions: 3, Config: map[string]string{"retention.ms": "2000000", "max.message.bytes": "4096"}}).
		Releasing([]string{"config.retention.ms", "config.segment.ms"}).(*topology.Topic)
	converge(t, b, wanted)

	live := look(t, b, name)
	if diff := cmp.Diff(map[string]string{
		"retention.ms": "2000000", "max.message.bytes": "4096", "leader.replication.throttled.replicas": "0:1",
	}, live.Config); diff != "" {
		t.Errorf("changed keys are set, released ones unset, and a key that nobody declared stays (-want +got)\n%s", diff)
	}
	if live.Partitions != 3 {
		t.Errorf("config and partitions of one step: %d partitions, want 3", live.Partitions)
	}
}

func TestRefusals(t *testing.T) {
	b, prefix := sharedBroker(t)
	converge(t, b, &topology.Topic{Name: prefix + "wide", Partitions: 4}, &topology.Topic{Name: prefix + "a.b", Partitions: 1})
	wide := look(t, b, prefix+"wide")
	update := func(want *topology.Topic, paths ...string) topology.Step {
		want.Name = wide.Name
		step := topology.Step{Verb: topology.VerbUpdate, ID: want.ID(), Want: want, Live: wide}
		for _, path := range paths {
			step.Changes = append(step.Changes, topology.Change{Path: path})
		}
		return step
	}
	create := func(name string, want topology.Topic) topology.Step {
		want.Name = prefix + name
		return topology.Step{Verb: topology.VerbCreate, ID: want.ID(), Want: &want}
	}
	rejected := func(operation string, words ...string) *failure {
		return &failure{Class: topology.ClassRejected, Operation: operation, Words: words}
	}
	cases := []struct {
		reason string
		step   topology.Step
		want   *failure
	}{
		{"a good one among bad ones is created", create("good", topology.Topic{Partitions: 2}), nil},
		{"more replicas than brokers", create("replicas", topology.Topic{ReplicationFactor: 5}), rejected(opCreate, "INVALID_REPLICATION_FACTOR", "5")},
		{"a value of the wrong type", create("value", topology.Topic{Config: map[string]string{"retention.ms": "a week"}}), rejected(opCreate, "INVALID_CONFIG", "retention.ms", "a week")},
		{"a key that does not exist", create("key", topology.Topic{Config: map[string]string{"retention": "1"}}), rejected(opCreate, "INVALID_CONFIG", "retention")},
		{"a negative number of partitions", create("negative", topology.Topic{Partitions: -7}), rejected(opCreate, "INVALID_PARTITIONS")},
		{"replicas on a broker that is not there", create("assigned", topology.Topic{Assignments: [][]int32{{1}, {99}}}), rejected(opCreate, "99")},
		{"a name with a space", create("a name", topology.Topic{}), rejected(opCreate, "INVALID_TOPIC_EXCEPTION")},
		{"a name of 300 characters", create(strings.Repeat("n", 300), topology.Topic{}), rejected(opCreate, "INVALID_TOPIC_EXCEPTION")},
		{"a name that collides in Kafka's metrics", create("a_b", topology.Topic{}), rejected(opCreate, "collides", "a.b")},
		{"a value that would cut the connection", create("huge", topology.Topic{Config: map[string]string{"leader.replication.throttled.replicas": strings.Repeat("0:1,", 10_000)}}), rejected("create", "leader.replication.throttled.replicas", "32767")},
		{"an internal topic", topology.Step{Verb: topology.VerbCreate, ID: topology.TopicID("__mine"), Want: &topology.Topic{Name: "__mine"}}, rejected("create", "internal")},
		{"it exists", create("wide", topology.Topic{Partitions: 4}), &failure{Class: topology.ClassExists, Operation: opCreate, Words: []string{"exists now"}}},
		{"fewer partitions", update(&topology.Topic{Partitions: 2}, topology.PathPartitions), rejected(opAddPartitions, "INVALID_PARTITIONS")},
		{"as many partitions as there are", update(&topology.Topic{Partitions: 4}, topology.PathPartitions), rejected(opAddPartitions, "INVALID_PARTITIONS")},
		{"a bad config keeps the partitions from growing", update(&topology.Topic{Partitions: 6, Config: map[string]string{"retention.ms": "soon"}}, "config.retention.ms", topology.PathPartitions), rejected(opAlterConfig, "INVALID_CONFIG", "retention.ms")},
		{"a change that nobody can make", update(&topology.Topic{ReplicationFactor: 2}, "replicationFactor"), rejected("update", "replicationFactor")},
		{"a topic that is gone", topology.Step{
			Verb: topology.VerbUpdate, ID: topology.TopicID(prefix + "nowhere"),
			Want: &topology.Topic{Name: prefix + "nowhere", Config: map[string]string{"retention.ms": "1"}}, Live: &topology.Topic{},
			Changes: []topology.Change{{Path: "config.retention.ms"}},
		}, &failure{Class: topology.ClassTransient, Operation: opAlterConfig, Words: []string{"UNKNOWN_TOPIC_OR_PARTITION"}}},
		{"deleting what is gone", topology.Step{Verb: topology.VerbDelete, ID: topology.TopicID(prefix + "nowhere")}, nil},
		{"another good one", create("good-too", topology.Topic{}), nil},
	}
	wave := make([]topology.Step, len(cases))
	for i, c := range cases {
		wave[i] = c.step
	}
	// Some steps are about one topic, which a plan never does: Kafka refuses
	// requests that name a topic twice, and only that pair may suffer.
	for _, apply := range []string{"Validate", "Apply"} {
		run := b.Validate
		if apply == "Apply" {
			run = b.Apply
		}
		outcomes := run(t.Context(), wave)
		if len(outcomes) != len(cases) {
			t.Fatalf("%s: %d outcomes of %d steps", apply, len(outcomes), len(cases))
		}
		for i, c := range cases {
			if outcomes[i].Step.ID != c.step.ID {
				t.Errorf("%s: outcome %d is of %s, want %s", apply, i, outcomes[i].Step.ID, c.step.ID)
			}
			c.want.check(t, apply+": "+c.reason, outcomes[i].Err)
		}
		if _, presence := observe(t, b, topology.Selection{IDs: []topology.ID{topology.TopicID(prefix + "good")}}).Look(topology.TopicID(prefix + "good")); (presence == topology.Present) != (apply == "Apply") {
			t.Errorf("after %s the good topic is %v", apply, presence)
		}
	}
	if live := look(t, b, wide.Name); live.Partitions != 4 {
		t.Errorf("the refused updates changed the partitions to %d", live.Partitions)
	}
}

func TestDelete(t *testing.T) {
	b, prefix := sharedBroker(t)
	kept := &topology.Topic{Name: prefix + "again", Partitions: 1}
	converge(t, b, kept, &topology.Topic{Name: prefix + "plain", Partitions: 1}, &topology.Topic{Name: prefix + "unnamed", Partitions: 1})
	old := look(t, b, kept.Name)
	remove := func(name string, live *topology.Topic) topology.Step {
		step := topology.Step{Verb: topology.VerbDelete, ID: topology.TopicID(name)}
		if live != nil {
			step.Live = live
		}
		return step
	}
	plain := look(t, b, prefix+"plain")
	for _, o := range b.Apply(t.Context(), []topology.Step{remove(kept.Name, old), remove(plain.Name, plain), remove(prefix+"unnamed", nil)}) {
		(*failure)(nil).check(t, "topics are deleted, with and without a known id", o.Err)
	}
	harness.Eventually(t, "the topics are gone", func() bool {
		s := observe(t, b, topology.Selection{IDs: []topology.ID{kept.ID(), plain.ID(), topology.TopicID(prefix + "unnamed")}})
		return len(s.Objects) == 0 && len(s.Unread) == 0
	})

	converge(t, b, kept)
	again := b.Apply(t.Context(), []topology.Step{remove(kept.Name, old), remove(plain.Name, plain)})
	(&failure{Class: topology.ClassTransient, Operation: opDelete, Words: []string{"created another topic"}}).
		check(t, "a topic created again under the name is another topic", again[0].Err)
	(*failure)(nil).check(t, "a topic that is gone already", again[1].Err)
	if live := look(t, b, kept.Name); live.TopicID == old.TopicID {
		t.Error("the new topic has the old id")
	}
}

func TestInternalTopicsAreSeenOnly(t *testing.T) {
	shared := harness.SharedKafka(t)
	b, prefix := sharedBroker(t)
	name := "__" + prefix + "state"
	if _, err := shared.Admin(t).CreateTopic(t.Context(), 1, 1, nil, name); err != nil {
		t.Fatal(err)
	}
	admin := shared.Admin(t)
	t.Cleanup(func() { _, _ = admin.DeleteTopic(context.Background(), name) })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) { // until the broker has heard of it
		_, presence := observe(t, b, topology.Selection{All: true}).Look(topology.TopicID(name))
		if presence == topology.Present {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("an internal topic is %v in a full snapshot, want present", presence)
		}
	}
	outcome := b.Apply(t.Context(), []topology.Step{{Verb: topology.VerbDelete, ID: topology.TopicID(name)}})[0]
	(&failure{Class: topology.ClassRejected, Words: []string{"internal"}}).check(t, "an internal topic is never deleted", outcome.Err)
}

// Config is most of what reading topics costs, and what goes needs none of it.
func TestDepartingTopicsComeWithoutConfig(t *testing.T) {
	kafka := harness.SharedKafka(t)
	b := connect(t, Options{BootstrapServers: kafka.Bootstrap})
	prefix := kafka.NewTopicPrefix(t)
	var ids []topology.ID
	for _, name := range []string{"stays", "goes"} {
		want := &topology.Topic{Name: prefix + name, Partitions: 1, ReplicationFactor: 1, Config: map[string]string{"retention.ms": "1000"}}
		outcome := b.Apply(t.Context(), []topology.Step{{Verb: topology.VerbCreate, ID: want.ID(), Want: want}})[0]
		(*failure)(nil).check(t, "create", outcome.Err)
		ids = append(ids, want.ID())
	}
	live, err := b.Observe(t.Context(), topology.Selection{IDs: ids, Departing: ids[1:]})
	if err != nil {
		t.Fatal(err)
	}
	for i, config := range []map[string]string{{"retention.ms": "1000"}, nil} {
		is, ok := live.Objects[ids[i]].(*topology.Topic)
		if !ok {
			t.Fatalf("%s is missing: %+v", ids[i], live)
		}
		if diff := cmp.Diff(config, is.Config); diff != "" {
			t.Errorf("config of %s (-want +got):\n%s", ids[i], diff)
		}
		if is.TopicID == "" || is.Partitions != 1 {
			t.Errorf("all else is known: %+v", is)
		}
	}
}
