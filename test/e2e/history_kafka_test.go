package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// The topics of a history on Kafka; the last two declarations are of one.
var kafkaTopics = []string{"plain", "other", "retried", "twin", "twin"}

const (
	kafkaRetried   = 2
	firstKafkaTwin = 3
	foreignKey     = "segment.bytes" // which no declaration has

	byHandRetention = "77000"
)

// topicState is what a cluster tells of a topic.
type topicState struct {
	ID         string
	Partitions int
	Config     map[string]string
	Records    int
}

type kafkaWorld struct {
	h           *history
	here, there *harness.Kafka
	admins      map[*harness.Kafka]*kadm.Client
	prefix      string
	// partitions of each slot, which only grow.
	partitions []int32
	slotOf     map[string]int // of every topic that was ever declared
	// retained ones may stay for ever and keep what is set on them, kept ones
	// have to stay. foreignIn is the id of the topic that somebody set a key on.
	retained, kept map[string]bool
	// spared topics were under Retain at some time: a controller that was killed
	// may not know of anything later.
	spared         map[string]bool
	foreignIn      map[string]string
	messages       map[string]bounds
	elsewhere      map[string]bounds // in the cluster that was left
	foreign        map[string]topicState
	written, kills int
	// left is the cluster that was left for good, as it was then.
	left   *harness.Kafka
	frozen map[string]topicState
}

func newKafkaWorld(h *history, one, three *harness.Kafka) world {
	w := &kafkaWorld{
		h: h, here: one, there: three, prefix: one.NewTopicPrefix(h.t),
		partitions: []int32{1, 1, 1, 1, 1}, slotOf: map[string]int{}, messages: map[string]bounds{},
		retained: map[string]bool{}, kept: map[string]bool{}, spared: map[string]bool{}, foreignIn: map[string]string{},
	}
	three.DeleteTopicsLater(h.t, w.prefix)
	w.admins = map[*harness.Kafka]*kadm.Client{}
	for _, cluster := range []*harness.Kafka{one, three} {
		// A client answers from memory, for some seconds if it is not told otherwise.
		w.admins[cluster] = kadm.NewClient(cluster.Client(h.t, kgo.MetadataMinAge(10*time.Millisecond)))
		answer, err := w.admins[cluster].CreateTopic(h.t.Context(), 1, 1, map[string]*string{foreignKey: kadm.StringPtr("20000000")}, w.prefix+"foreign")
		must(h.t, err)
		must(h.t, answer.Err)
	}
	for _, cluster := range []*harness.Kafka{one, three} {
		within(h.t, "the foreign topic to be there", func(context.Context) (bool, string) {
			w.foreign = w.look(one)
			now := w.look(cluster)
			return len(now) == 1 && len(w.foreign) == 1, fmt.Sprint(now)
		})
	}
	return w
}

func (w *kafkaWorld) connect() ([]client.Object, v1alpha1.Connection) {
	return nil, w.h.kafka(w.h.name, w.here.Bootstrap...)
}

func (w *kafkaWorld) swap(c v1alpha1.Connection) {
	spec := &c.(*v1alpha1.KafkaConnection).Spec
	if slices.Equal(spec.BootstrapServers, w.here.Bootstrap) {
		spec.BootstrapServers = w.there.Bootstrap
	} else {
		spec.BootstrapServers = w.here.Bootstrap
	}
}

func (w *kafkaWorld) moved() {
	w.left, w.frozen = w.here, still(w.h, func() map[string]topicState { return w.look(w.here) })
	w.here, w.there = w.there, w.here
	now := w.look(w.here)
	w.foreign = map[string]topicState{w.prefix + "foreign": now[w.prefix+"foreign"]}
	clear(w.retained)
	clear(w.kept)
	for name := range now {
		if _, known := w.slotOf[name]; known {
			w.retained[name] = true // it was left for good before, and nobody's since
		}
	}
	clear(w.foreignIn)
	w.messages, w.elsewhere = allAtRisk(w.elsewhere), w.messages
}

func (w *kafkaWorld) slots() int { return len(kafkaTopics) }

func (w *kafkaWorld) build(slot int, e event) v1alpha1.Object {
	// Twins do not grow: one that takes over from the other would declare fewer
	// partitions than there are, which nobody can make so.
	if e.Variant%5 == 0 && w.partitions[slot] < 3 && slot < firstKafkaTwin {
		w.partitions[slot]++
	}
	t := topic(w.prefix+kafkaTopics[slot], w.h.name, w.partitions[slot])
	t.Name = fmt.Sprintf("%s-%s-%d", w.h.name, kafkaTopics[slot], slot)
	t.Spec.PartitionGrowth = v1alpha1.PartitionGrowthAlways
	t.Spec.Config = map[string]string{"retention.ms": strconv.Itoa(600_000_000 + e.Variant%3)}
	if e.Variant%4 == 0 {
		t.Spec.Config["max.message.bytes"] = "5000"
	}
	if e.Variant%7 == 0 {
		t.Spec.Config = nil
	}
	if slot == kafkaRetried {
		t = retried(t, 5*time.Second)
	}
	t.Spec.DeletionPolicy = []v1alpha1.DeletionPolicy{v1alpha1.DeleteIfUnused, v1alpha1.DeleteAlways, v1alpha1.Retain}[e.Deletion]
	t.Spec.Policies = v1alpha1.Policies{
		AdoptionPolicy: []v1alpha1.AdoptionPolicy{v1alpha1.AdoptIfIdentical, v1alpha1.AdoptAlways, v1alpha1.AdoptNever}[e.Adoption],
		DriftPolicy:    []v1alpha1.DriftPolicy{v1alpha1.DriftCorrect, v1alpha1.DriftReport}[e.Drift],
		Suspend:        e.Suspend,
	}
	return t
}

func (w *kafkaWorld) probe() v1alpha1.Object {
	t := topic(w.prefix+"probe", w.h.name, 1)
	t.Name, t.Spec.Suspend = w.h.name+"-probe", true
	return t
}

func (w *kafkaWorld) needs(v1alpha1.Object) []int { return nil }

func (w *kafkaWorld) claim(object v1alpha1.Object) map[string]*topology.Topic {
	claim := compile.Claim(object, compile.ConnectionDefaults{})
	if claim.Invalid != nil {
		w.h.t.Fatalf("%s: %v", object.GetName(), claim.Invalid)
	}
	out := map[string]*topology.Topic{}
	for _, want := range claim.Want {
		t := want.Resource.(*topology.Topic)
		out[t.Name] = t
	}
	return out
}

func (w *kafkaWorld) applied(slot int, object v1alpha1.Object) {
	for name := range w.claim(object) {
		w.slotOf[name] = slot
		w.spared[name] = w.spared[name] || object.GetPolicies().Deletion == v1alpha1.Retain
		delete(w.kept, name)
	}
}

func (w *kafkaWorld) twinOf(slot int) (declaration, bool) {
	if slot < firstKafkaTwin {
		return declaration{}, false
	}
	d, declared := w.h.declared[2*firstKafkaTwin+1-slot]
	return d, declared
}

func (w *kafkaWorld) departed(slot int, object v1alpha1.Object) {
	ready, drift, _ := readiness(object)
	twin, paired := w.twinOf(slot)
	policy := object.GetPolicies().Deletion
	now := w.look(w.here)
	for name := range w.claim(object) {
		_, there := now[name]
		if w.spared[name] && object.GetStatus().ObservedGeneration < object.GetGeneration() {
			w.retained[name] = true
		}
		delete(w.spared, name)
		switch {
		case policy == v1alpha1.Retain:
			w.retained[name] = true
			if ready && drift == "" && there && !paired {
				w.kept[name] = true
			}
		case policy == v1alpha1.DeleteAlways && (!paired || twin.event.Suspend):
			w.messages[name] = w.messages[name].atRisk()
		}
	}
}

// look reads the topics of this history. One that goes or comes meanwhile has
// the reading begin again.
func (w *kafkaWorld) look(cluster *harness.Kafka) (out map[string]topicState) {
	w.h.t.Helper()
	within(w.h.t, "the topics to be readable", func(ctx context.Context) (bool, string) {
		var err error
		out, err = w.read(ctx, w.admins[cluster])
		return err == nil, fmt.Sprint(err)
	})
	return out
}

func (w *kafkaWorld) read(ctx context.Context, admin *kadm.Client) (map[string]topicState, error) {
	details, err := admin.ListTopics(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]topicState{}
	var names []string
	for name, detail := range details {
		if strings.HasPrefix(name, w.prefix) && detail.Err == nil {
			out[name] = topicState{ID: detail.ID.String(), Partitions: len(detail.Partitions), Config: map[string]string{}}
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return out, nil
	}
	resources, err := admin.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return nil, err
	}
	for _, resource := range resources {
		for _, config := range resource.Configs {
			if config.Source == kmsg.ConfigSourceDynamicTopicConfig {
				out[resource.Name].Config[config.Key] = config.MaybeValue()
			}
		}
	}
	start, err := admin.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	end, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	end.Each(func(last kadm.ListedOffset) {
		first, _ := start.Lookup(last.Topic, last.Partition)
		if err = errors.Join(err, last.Err, first.Err); err == nil {
			state := out[last.Topic]
			state.Records += int(last.Offset - first.Offset)
			out[last.Topic] = state
		}
	})
	return out, err
}

// of finds a topic that is there by hand of a declaration.
func (w *kafkaWorld) of(slot int) (string, topicState, bool) {
	name := w.prefix + kafkaTopics[slot]
	state, there := w.look(w.here)[name]
	return name, state, there
}

func (w *kafkaWorld) hand(e event) string {
	name, state, there := w.of(e.Slot % w.slots())
	if !there {
		return "nothing"
	}
	set := func(key, value string) string {
		answers, err := w.admins[w.here].AlterTopicConfigs(w.h.t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, name)
		must(w.h.t, err)
		return fmt.Sprintf("set %s=%s on %s: %v", key, value, name, answers[0].Err)
	}
	switch e.Variant % 3 {
	case 0:
		return set("retention.ms", byHandRetention)
	case 1:
		w.foreignIn[name] = state.ID
		return set(foreignKey, "30000000")
	}
	return w.destroy(name)
}

func (w *kafkaWorld) destroy(name string) string {
	answers, err := w.admins[w.here].DeleteTopics(w.h.t.Context(), name)
	must(w.h.t, err)
	delete(w.kept, name)
	w.messages[name] = bounds{}
	return fmt.Sprintf("delete %s: %v", name, answers.Error())
}

func (w *kafkaWorld) fill(slot int) string {
	d, declared := w.h.declared[slot]
	name, _, there := w.of(slot)
	if !declared || !there {
		return "nothing"
	}
	w.h.get(d.object)
	if ready, _, _ := readiness(d.object); !ready {
		return d.object.GetName() + " is not Ready"
	}
	producer := w.here.Client(w.h.t, kgo.DefaultProduceTopic(name), kgo.UnknownTopicRetries(1), kgo.RecordDeliveryTimeout(10*time.Second))
	err := producer.ProduceSync(w.h.t.Context(), kgo.StringRecord("precious")).FirstErr()
	now := w.messages[name]
	now.high++
	if err == nil {
		now.low++
	}
	w.messages[name] = now
	return fmt.Sprintf("%s: %v", name, err)
}

func (w *kafkaWorld) drain(slot int) string {
	name, _, there := w.of(slot)
	if !there {
		return "nothing"
	}
	admin := w.admins[w.here]
	end, err := admin.ListEndOffsets(w.h.t.Context(), name)
	must(w.h.t, err)
	_, err = admin.DeleteRecords(w.h.t.Context(), end.Offsets())
	if err == nil {
		w.messages[name] = bounds{}
	}
	return fmt.Sprintf("%s: %v", name, err)
}

func (w *kafkaWorld) unblock(int) {}

func (w *kafkaWorld) grant() {}

func (w *kafkaWorld) writes() (all []string, sure bool) {
	w.h.troupe.killing.Lock() // nobody answers while it is dead
	defer w.h.troupe.killing.Unlock()
	kills := w.h.troupe.kills
	connection := fmt.Sprintf(`connection="KafkaConnection %s/%s"`, w.h.namespace, w.h.name)
	total := 0
	for _, operation := range []string{"CreateTopics", "DeleteTopics", "CreatePartitions", "IncrementalAlterConfigs", "AlterPartitionAssignments"} {
		n, _ := metric(w.h.t, w.h.controller, "warrener_broker_requests_total", connection, fmt.Sprintf("operation=%q", operation))
		total += int(n)
	}
	if sure = kills == w.kills; sure && total != w.written {
		all = []string{fmt.Sprintf("%d requests that change something", total-w.written)}
	}
	w.written, w.kills = total, kills
	return all, sure
}
