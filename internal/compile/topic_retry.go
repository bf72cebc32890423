package compile

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// TopicRetry is how the messages of a topic are tried again, as plain data. The
// consumer does all of it: publishes, waits, gives up. TopicRetryOf makes it.
type TopicRetry struct {
	Topic string
	// Steps are the retries in order. Several of the same delay can share a
	// topic.
	Steps []TopicRetryStep
	// DeadLetterTopic is where a message goes after the last attempt.
	DeadLetterTopic string
}

// TopicRetryStep is one retry.
type TopicRetryStep struct {
	Retry int // from 1
	Delay time.Duration
	Topic string
}

// TopicRetryOf says how the messages of a topic are tried again; nil if the spec
// does not.
func TopicRetryOf(t *v1alpha1.Topic) *TopicRetry {
	spec := t.Spec.Retry
	if spec == nil {
		return nil
	}
	out := &TopicRetry{Topic: t.BrokerName()}
	name := spec.DeadLetter.Name
	if name == "" {
		name = v1alpha1.DefaultDeadLetterTopicName
	}
	out.DeadLetterTopic = strings.ReplaceAll(name, "{topic}", out.Topic)
	name = spec.Topics.Name
	if name == "" {
		name = v1alpha1.DefaultRetryTopicName
	}
	for i, delay := range spec.Delays {
		out.Steps = append(out.Steps, TopicRetryStep{
			Retry: i + 1, Delay: delay.Duration,
			Topic: strings.NewReplacer(
				"{topic}", out.Topic, "{delay}", shortDelay(delay.Duration),
				"{delayMs}", strconv.FormatInt(delay.Milliseconds(), 10), "{index}", strconv.Itoa(i),
			).Replace(name),
		})
	}
	return out
}

// shortDelay writes 90 s as 1m30s and 60 s as 1m: only units that count, and no
// character that a topic cannot have in its name.
func shortDelay(span time.Duration) string {
	var b strings.Builder
	for _, unit := range []struct {
		span time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := span / unit.span; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10) + unit.name)
			span %= unit.span
		}
	}
	return b.String()
}

// topicRetry wants the topics for retries and dead letters: as many partitions
// and replicas as the topic has, and configs of their own.
func (d *draft) topicRetry(t *v1alpha1.Topic, served *topology.Topic) {
	spec := t.Spec.Retry
	if served.Partitions == 0 {
		d.problem(retryPath, "the topics that retry creates have as many partitions as this one: write spec.partitions")
	}
	if len(spec.Delays) > v1alpha1.MaxRetries {
		d.problem(retryPath+".delays", "%d entries, and at most %d retries are possible", len(spec.Delays), v1alpha1.MaxRetries)
		return
	}
	for i, delay := range spec.Delays {
		if delay.Duration < time.Millisecond || delay.Duration%time.Millisecond != 0 {
			d.problem(index(retryPath+".delays", i), "%s is not a whole number of milliseconds, from 1ms up: write one", delay.Duration)
		}
	}
	d.configKeys(retryPath+".topics.config", spec.Topics.Config)
	d.configKeys(retryPath+".deadLetter.config", spec.DeadLetter.Config)

	replicas := served.ReplicationFactor
	if len(served.Assignments) > 0 {
		replicas = int16(len(served.Assignments[0]))
	}
	derive := func(path, name string, config map[string]string) {
		d.topicName(path, name)
		d.wantShared(&topology.Topic{
			Name: name, Partitions: served.Partitions, ReplicationFactor: replicas,
			Config: maps.Clone(config), Follows: served.Name, Throttle: served.Throttle,
		})
	}
	retry := TopicRetryOf(t)
	taken := map[string]time.Duration{served.Name: -1}
	for _, step := range retry.Steps {
		const path = retryPath + ".topics.name"
		delay, twice := taken[step.Topic]
		switch {
		case !twice:
			taken[step.Topic] = step.Delay
			derive(path, step.Topic, spec.Topics.Config)
		case delay < 0:
			d.problem(path, "%s is this topic itself: name others, with {delay}, {delayMs} or {index}", quote(step.Topic))
			return
		case delay != step.Delay:
			d.problem(path, "delays of %s and %s both lead to %s: tell them apart with {delay}, {delayMs} or {index}", shortDelay(delay), shortDelay(step.Delay), quote(step.Topic))
			return
		}
	}
	if _, twice := taken[retry.DeadLetterTopic]; twice {
		d.problem(retryPath+".deadLetter.name", "%s is taken by this topic, or by a retry: name another topic", quote(retry.DeadLetterTopic))
		return
	}
	derive(retryPath+".deadLetter.name", retry.DeadLetterTopic, spec.DeadLetter.Config)
	d.deadLetters = topology.TopicID(retry.DeadLetterTopic)
}

// configKeys checks the names of topic configs.
func (d *draft) configKeys(path string, config map[string]string) {
	if slices.Contains(slices.Collect(maps.Keys(config)), "") {
		d.problem(path, "has an empty key: write the name of a topic config, such as retention.ms")
	}
	for _, key := range []string{"leader.replication.throttled.replicas", "follower.replication.throttled.replicas"} {
		if _, declared := config[key]; declared {
			d.problem(path, "%s comes and goes with each reassignment: remove it, and write spec.reassignment.throttleBytesPerSecond", key)
		}
	}
}
