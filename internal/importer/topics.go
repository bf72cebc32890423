package importer

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

const maxTopicName = 249

// throttles come and go with every reassignment, and are nobody's config.
var throttles = []string{"leader.replication.throttled.replicas", "follower.replication.throttled.replicas"}

// retryNames are the names that topics for retries and dead letters have in the
// wild, Warrener's own first.
var retryNames = []struct{ retry, dead string }{
	{v1alpha1.DefaultRetryTopicName, v1alpha1.DefaultDeadLetterTopicName},
	{"{topic}-retry-{delayMs}", "{topic}-dlt"},
	{v1alpha1.DefaultRetryTopicName, "{topic}.DLT"},
}

// topics are the custom resources of all topics.
func (r *run) topics() []v1alpha1.Object {
	names := r.topicNames()
	objects, folded := map[string]*v1alpha1.Topic{}, map[string]bool{}
	for _, name := range names {
		live := r.live[topology.TopicID(name)].(*topology.Topic)
		plain := r.topic(live)
		if _, reason := r.fits(plain); reason != "" {
			r.note(live.ID(), "left out: %s", reason)
			continue
		}
		objects[name] = plain
		r.noteTopic(live)
	}
	for _, name := range names {
		if objects[name] == nil || folded[name] {
			continue
		}
		if with, derived := r.foldTopic(objects[name], names); with != nil {
			objects[name] = with
			for _, other := range derived {
				folded[other] = true
			}
		}
	}
	var out []v1alpha1.Object
	for _, name := range names {
		if t := objects[name]; t != nil && !folded[name] {
			r.toBeNamed(t, topology.TopicID(name), name)
			out = append(out, t)
		}
	}
	return out
}

// topicNames are those of all topics that are not Kafka's own, sorted.
func (r *run) topicNames() []string {
	var names []string
	for id := range r.live {
		if id.Kind == topology.KindTopic && !isSystemTopic(id.Name) && r.options.wants(id) {
			names = append(names, id.Name)
		}
	}
	slices.Sort(names)
	return names
}

func isSystemTopic(name string) bool { return strings.HasPrefix(name, "__") }

func (r *run) topic(live *topology.Topic) *v1alpha1.Topic {
	id := live.ID()
	t := &v1alpha1.Topic{ObjectMeta: r.meta(id), Spec: v1alpha1.TopicSpec{
		ConnectionRef: r.ref(id), Name: live.Name, DeletionPolicy: r.retained(id),
	}}
	if live.Partitions > 0 {
		t.Spec.Partitions = &live.Partitions
	}
	if live.ReplicationFactor > 0 && !uneven(live) {
		t.Spec.ReplicationFactor = &live.ReplicationFactor
	}
	config := maps.Clone(live.Config)
	maps.DeleteFunc(config, func(key, value string) bool { return slices.Contains(throttles, key) || tooLong(value) })
	if len(config) > 0 {
		t.Spec.Config = config
	}
	return t
}

// uneven tells whether partitions have different numbers of replicas.
func uneven(live *topology.Topic) bool {
	return slices.ContainsFunc(live.Assignments, func(replicas []int32) bool { return len(replicas) != int(live.ReplicationFactor) })
}

const maxConfigValue = 8192

func tooLong(value string) bool { return utf8.RuneCountInString(value) > maxConfigValue }

// noteTopic reports what of a topic no manifest can say.
func (r *run) noteTopic(live *topology.Topic) {
	if uneven(live) {
		r.note(live.ID(), "its partitions have different numbers of replicas: replicationFactor is left out, and stays as it is")
	}
	for _, key := range slices.Sorted(maps.Keys(live.Config)) {
		if tooLong(live.Config[key]) {
			r.note(live.ID(), "config %s is left out: its value is longer than the %d characters that a manifest has room for", key, maxConfigValue)
		}
	}
	for _, key := range live.Hidden {
		r.note(live.ID(), "config %s is set, and the broker does not tell the value: left out", key)
	}
}

// foldTopic adds the topics for retries and dead letters to the topic that they
// serve; nil if it has none.
func (r *run) foldTopic(plain *v1alpha1.Topic, names []string) (with *v1alpha1.Topic, derived []string) {
	for _, form := range retryNames {
		dead, there := r.live[topology.TopicID(strings.ReplaceAll(form.dead, "{topic}", plain.Spec.Name))].(*topology.Topic)
		if !there {
			continue
		}
		retry := &v1alpha1.TopicRetry{}
		if form.dead != v1alpha1.DefaultDeadLetterTopicName {
			retry.DeadLetter.Name = form.dead
		}
		retry.DeadLetter.Config = r.topic(dead).Spec.Config
		before, after, _ := strings.Cut(strings.ReplaceAll(form.retry, "{topic}", plain.Spec.Name), "{delay")
		after = strings.TrimPrefix(strings.TrimPrefix(after, "Ms"), "}")
		r.retryTopics(retry, names, before, after, form.retry)
		candidate := plain.DeepCopy()
		candidate.Spec.Retry = retry
		wants, reason := r.fits(candidate)
		if reason != "" || !r.standsFor(candidate, wants) {
			continue
		}
		for _, want := range wants[1:] {
			derived = append(derived, want.Resource.ID().Name)
		}
		return candidate, derived
	}
	return nil, nil
}

// retryTopics finds the topics of all delays, the shortest first.
func (r *run) retryTopics(retry *v1alpha1.TopicRetry, names []string, before, after, form string) {
	for _, name := range names {
		text, ok := strings.CutPrefix(name, before)
		if text, ok = cutSuffix(text, after, ok); !ok {
			continue
		}
		delay, valid := parseMillis(text)
		if !strings.Contains(form, "{delayMs}") {
			parsed, err := time.ParseDuration(text)
			delay, valid = parsed, err == nil && parsed > 0
		}
		if !valid {
			continue
		}
		retry.Delays = append(retry.Delays, metav1.Duration{Duration: delay})
		retry.Topics.Config = r.topic(r.live[topology.TopicID(name)].(*topology.Topic)).Spec.Config
	}
	slices.SortFunc(retry.Delays, func(a, b metav1.Duration) int { return cmp.Compare(a.Duration, b.Duration) })
	if len(retry.Delays) > 0 && form != v1alpha1.DefaultRetryTopicName {
		retry.Topics.Name = form
	}
}

func cutSuffix(text, suffix string, before bool) (string, bool) {
	out, ok := strings.CutSuffix(text, suffix)
	return out, ok && before
}

// standsFor tells whether the topics that a retry derives have nothing of their
// own: what is set on them and not in the retry would be lost.
func (r *run) standsFor(candidate *v1alpha1.Topic, wants []topology.Want) bool {
	owner := topology.TopicID(candidate.Spec.Name)
	for _, want := range wants[1:] {
		wanted, ok := want.Resource.(*topology.Topic)
		if !ok {
			return false
		}
		id := wanted.ID()
		own := r.topic(r.live[id].(*topology.Topic))
		if !maps.Equal(own.Spec.Config, wanted.Config) || *own.Spec.Partitions != wanted.Partitions ||
			r.namespaceOf(id) != r.namespaceOf(owner) || r.source.Known[id].Retain != r.source.Known[owner].Retain {
			return false
		}
	}
	return true
}
