package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// configs visits the tables of configs of a Topic.
func configs(w *world, visit func(o *object, path string, config map[string]string, replicas int)) {
	for _, o := range w.objects {
		t, ok := o.obj.(*v1alpha1.Topic)
		if !ok {
			continue
		}
		replicas := 0
		switch {
		case t.Spec.ReplicationFactor != nil:
			replicas = int(*t.Spec.ReplicationFactor)
		case len(t.Spec.Assignments) > 0:
			replicas = len(t.Spec.Assignments[0].Replicas)
		}
		visit(o, "spec.config", t.Spec.Config, replicas)
		if retry := t.Spec.Retry; retry != nil {
			visit(o, "spec.retry.topics.config", retry.Topics.Config, replicas)
			visit(o, "spec.retry.deadLetter.config", retry.DeadLetter.Config, replicas)
		}
	}
}

const minInsync = "min.insync.replicas"

// neverInsync is about topics that nobody can write to safely.
func neverInsync(w *world, found finder) {
	configs(w, func(o *object, path string, config map[string]string, replicas int) {
		if n, err := strconv.Atoi(config[minInsync]); err == nil && replicas > 0 && n > replicas {
			found(o.subject, path+"["+minInsync+"]", "%d replicas have to be in sync and there are %d: every write with acks=all fails; write at most %d", n, replicas, max(replicas-1, 1))
		}
	})
}

// barelyInsync is about topics that one broker can stop.
func barelyInsync(w *world, found finder) {
	configs(w, func(o *object, path string, config map[string]string, replicas int) {
		if n, err := strconv.Atoi(config[minInsync]); err == nil && replicas > 1 && n == replicas {
			found(o.subject, path+"["+minInsync+"]", "all %d replicas have to be in sync: while one broker is down or restarts, every write with acks=all fails; write at most %d, or a higher replicationFactor", n, replicas-1)
		}
	})
}

// timeOfCompacted is about limits that a compacted topic does not look at.
func timeOfCompacted(w *world, found finder) {
	configs(w, func(o *object, path string, config map[string]string, _ int) {
		if strings.TrimSpace(config["cleanup.policy"]) != "compact" {
			return
		}
		for _, key := range []string{"retention.bytes", "retention.ms"} {
			if value, set := config[key]; set && value != "-1" {
				found(o.subject, path+"["+key+"]", "cleanup.policy is compact, and such a topic deletes nothing by age or size: write cleanup.policy: \"compact,delete\", or remove %s", key)
			}
		}
	})
}

// collidingNames is about topics that Kafka cannot have side by side.
func collidingNames(w *world, found finder) {
	for _, b := range w.brokersInOrder() {
		taken := map[string]topology.ID{}
		for _, id := range b.order {
			if id.Kind != topology.KindTopic {
				continue
			}
			metric := strings.ReplaceAll(id.Name, ".", "_")
			other, twice := taken[metric]
			if !twice {
				taken[metric] = id
				continue
			}
			by, owner := b.wants[id][0], b.wants[other][0].by
			found(by.by.subject, nameField(by), "topic %s and topic %s of %s (%s) differ in . and _ only, which Kafka refuses, since its metrics could not tell them apart: rename one", id.Name, other.Name, owner.name, owner.position)
		}
	}
}

// brokersInOrder are all brokers, in the order of the objects that use them.
func (w *world) brokersInOrder() []*broker {
	var out []*broker
	for _, o := range w.objects {
		if !slices.Contains(out, o.broker) {
			out = append(out, o.broker)
		}
	}
	return out
}
