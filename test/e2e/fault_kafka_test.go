package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// The same for Kafka, one fault after the other, since a broker has one address:
// the sound connection to the same cluster takes its other listener.
func TestFaultsKafka(t *testing.T) {
	t.Parallel()
	kafka := harness.PrivateKafka(t, harness.KafkaOptions{Wired: true, SASL: true})
	w := newTopicWard(t, kafka)
	sound, elsewhere := w.declare("sound", "sound"), w.declare("elsewhere", "elsewhere")
	w.ready(sound, elsewhere)
	w.unhurt = max(leastUnhurt, slowdown*w.took(sound, elsewhere))
	for _, f := range []fault{
		{name: "latency", toxics: []harness.Toxic{{Type: "latency", Attributes: map[string]int{"latency": 200, "jitter": 100}}}},
		{name: "reset", toxics: []harness.Toxic{{Type: "reset_peer"}}, says: "closed the connection"},
		{name: "deaf", toxics: []harness.Toxic{{Type: "timeout", Downstream: true}}, says: "no answer"},
		{name: "cut", toxics: []harness.Toxic{{Type: "limit_data", Downstream: true, Attributes: map[string]int{"bytes": 400}}}, says: "closed the connection"},
	} {
		edited, deleted := w.declare("events", f.name+"-edited"), w.declare("events", f.name+"-deleted")
		changed := w.declare("events", f.name+"-changed-mind")
		w.ready(w.connection, edited, deleted, changed)

		kafka.Wire.Poison(t, f.toxics...)
		begin := time.Now()
		w.next(edited)
		w.next(changed)
		w.remove(deleted, changed)
		made := w.declare("events", f.name+"-made")
		took := w.took(sound, elsewhere)
		w.observe(3*time.Second, nil)
		w.next(edited)
		if f.says != "" {
			says(t, w.reaches(w.connection, metav1.ConditionFalse, v1alpha1.ReasonConnectionUnavailable), f.says)
		}
		took = max(took, w.took(sound, elsewhere))
		late := w.declare("events", f.name+"-late")
		w.observe(time.Second, nil)

		lasted := time.Since(begin)
		cure := time.Now()
		kafka.Wire.Cure(t)
		w.observe(harness.Patience, func() (bool, string) {
			for _, object := range []client.Object{w.connection, edited, made, late} {
				w.get(object)
				if observed, conditions := conditionsOf(object); observed != object.GetGeneration() || !saysReady(conditions) {
					return false, describe(object)
				}
			}
			for _, gone := range []*v1alpha1.Topic{deleted, changed} {
				if has, there := w.retention(gone); there {
					return false, fmt.Sprintf("%s is there with %q", gone.Spec.Name, has)
				}
			}
			return true, ""
		})
		t.Logf("%s: %s, well again %s after it; edits over sound connections took up to %s", f.name, lasted, time.Since(cure), took)
	}
	if refused := slices.Concat(w.eventsWith("Warning "+v1alpha1.ReasonAdoptionRefused), w.eventsWith("Warning "+v1alpha1.ReasonConflict)); len(refused) > 0 {
		t.Errorf("not its own any more: %q", refused)
	}
	if has, there := w.retentionOf(w.admins["events"], w.prefixes["events"]+"foreign"); !there || has != "1234" {
		t.Errorf("the topic that is not declared has %q", has)
	}
}

// topicWard has a connection that is to have faults and two sound ones: to the
// same cluster and to another one.
type topicWard struct {
	*stage
	connection *v1alpha1.KafkaConnection
	admins     map[string]*kadm.Client
	prefixes   map[string]string
	topics     []*v1alpha1.Topic
	// unhurt is how soon edits over sound connections have to be done, once it is known
	// how long they take without faults.
	unhurt time.Duration
}

func newTopicWard(t *testing.T, kafka *harness.Kafka) *topicWard {
	t.Helper()
	direct := *kafka
	direct.Bootstrap = kafka.SASLBootstrap
	other := harness.SharedKafka(t)
	w := &topicWard{stage: newStage(t)}
	w.controller.Start(t)
	w.connection = w.kafka("events", kafka.Bootstrap...)
	sound := w.sasl("sound", kafka, v1alpha1.KafkaAuthenticationScramSha512)
	w.create(w.connection, w.credentials("sound", kafka.User, kafka.Password), sound, w.kafka("elsewhere", other.Bootstrap...))

	admin := kadm.NewClient(direct.Client(t, kafka.Login()))
	w.admins = map[string]*kadm.Client{"events": admin, "sound": admin, "elsewhere": other.Admin(t)}
	prefix := "faults."
	w.prefixes = map[string]string{"events": prefix, "sound": prefix, "elsewhere": other.NewTopicPrefix(t)}
	value := "1234"
	if _, err := admin.CreateTopic(t.Context(), 1, 1, map[string]*string{"retention.ms": &value}, prefix+"foreign"); err != nil {
		t.Fatal(err)
	}
	return w
}

// declare creates a topic whose retention has the generation.
func (w *topicWard) declare(connection, name string) *v1alpha1.Topic {
	w.t.Helper()
	o := topic(w.prefixes[connection]+name, connection, 1)
	o.Name = connection + "-" + name
	o.Spec.Config = map[string]string{"retention.ms": retentionAt(1)}
	w.create(o)
	w.topics = append(w.topics, o.DeepCopy())
	return o
}

func retentionAt(generation int64) string { return strconv.FormatInt(1_000_000+generation, 10) }

func (w *topicWard) next(o *v1alpha1.Topic) {
	w.t.Helper()
	edit(w.stage, o, func(o *v1alpha1.Topic) { o.Spec.Config["retention.ms"] = retentionAt(o.Generation + 1) })
}

func (w *topicWard) took(topics ...*v1alpha1.Topic) time.Duration {
	w.t.Helper()
	begin := time.Now()
	for _, o := range topics {
		w.next(o)
	}
	for _, o := range topics {
		w.ready(o)
	}
	took := time.Since(begin)
	if w.unhurt > 0 && took > w.unhurt {
		w.t.Errorf("topics whose connections work were Ready after %s, and %s is the most", took, w.unhurt)
	}
	return took
}

func (w *topicWard) observe(limit time.Duration, done func() (bool, string)) {
	w.t.Helper()
	observe(w.t, limit, w.truthful, done)
}

func (w *topicWard) truthful() {
	w.t.Helper()
	for _, declared := range w.topics {
		var o v1alpha1.Topic
		key := client.ObjectKeyFromObject(declared)
		if w.client.Get(w.t.Context(), key, &o) != nil {
			continue // deleted
		}
		if broken := sound(&o); broken != "" {
			w.t.Errorf("%s: %s", broken, describe(&o))
		}
		observed, conditions := conditionsOf(&o)
		if !saysReady(conditions) {
			continue
		}
		has, there := w.retention(&o)
		if n, err := strconv.ParseInt(has, 10, 64); there && err == nil && n >= 1_000_000+observed {
			continue
		}
		if w.client.Get(w.t.Context(), key, new(v1alpha1.Topic)) == nil {
			w.t.Errorf("the broker has it: %t, with %q, and the status says: %s", there, has, describe(&o))
		}
	}
}

// retention is what the broker has of a topic, asked past the wire.
func (w *topicWard) retention(o *v1alpha1.Topic) (value string, there bool) {
	w.t.Helper()
	return w.retentionOf(w.admins[o.Spec.ConnectionRef.Name], o.Spec.Name)
}

func (w *topicWard) retentionOf(admin *kadm.Client, name string) (value string, there bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), harness.Patience)
	defer cancel()
	configs, err := admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, config := range configs {
		for _, c := range config.Configs {
			if c.Key == "retention.ms" && config.Err == nil {
				return c.MaybeValue(), true
			}
		}
	}
	return "", false
}
