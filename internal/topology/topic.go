package topology

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const configPrefix = "config."

// Topic is a Kafka topic. Zero and nil fields are not declared: the broker's
// default at creation, and then nobody's business.
type Topic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	// Assignments are the replicas (broker ids) of each partition by number.
	Assignments [][]int32
	// Config holds, of a wanted topic, the declared keys; of a live one those
	// set on the topic itself (source DYNAMIC_TOPIC_CONFIG): defaults of the
	// broker are not drift.
	Config map[string]string
	// Hidden keys of a live topic are set, but the broker does not tell the
	// value (sensitive). They cannot be compared, so a declared one counts as
	// converged.
	Hidden []string
	// TopicID is the broker's UUID of a live topic, as text.
	TopicID string
	// Throttle bounds the bytes per second that each broker sends, and receives,
	// for a reassignment of this topic; 0: no bound. It is no difference to
	// what is live.
	Throttle int64
	// Follows, of a wanted topic, names the topic that it serves: it may grow
	// whenever that one may, and more partitions than declared serve as well.
	Follows string

	// released config keys are to be unset; see Partial.
	released []string
}

// ID implements Resource.
func (t *Topic) ID() ID { return TopicID(t.Name) }

// TopicID identifies a topic by name.
func TopicID(name string) ID { return ID{Kind: KindTopic, Name: name} }

// PathTopicID is the path of a difference that no Diff has: the topic is another
// one of the same name.
const PathTopicID = "topicId"

// TopicIDOf gives the broker's id of a live topic; "" if it is not known, and of
// everything that is no topic.
func TopicIDOf(live Resource) string {
	if t, ok := live.(*Topic); ok {
		return t.TopicID
	}
	return ""
}

// Needs implements Resource.
func (t *Topic) Needs() []ID { return nil }

// Diff implements Resource.
func (t *Topic) Diff(live Resource) []Change {
	found, ok := live.(*Topic)
	if !ok {
		return wrongKind(t, live)
	}
	changes := t.diffPartitions(found)
	changes = append(changes, t.diffReplicas(found)...)
	for key, value := range t.Config {
		now, set := found.Config[key]
		switch {
		case !set && slices.Contains(found.Hidden, key):
		case !set:
			changes = append(changes, Change{Path: configPrefix + key, From: Unset, To: value})
		case !sameConfigValue(now, value):
			changes = append(changes, Change{Path: configPrefix + key, From: now, To: value})
		}
	}
	for _, path := range t.released {
		key := strings.TrimPrefix(path, configPrefix)
		if now, set := found.Config[key]; set {
			changes = append(changes, Change{Path: path, From: now, To: Unset})
		} else if slices.Contains(found.Hidden, key) {
			changes = append(changes, Change{Path: path, From: "(hidden)", To: Unset})
		}
	}
	return sortChanges(changes)
}

// ConfigKey gives the config key of a Change.Path, if it is one.
func ConfigKey(path string) (key string, ok bool) { return strings.CutPrefix(path, configPrefix) }

// sameConfigValue tells whether two values are one to Kafka, which reports a
// value as it has parsed it: `compact, delete` reads back as `compact,delete`,
// `0.50` as `0.5`, `TRUE` as `true`.
func sameConfigValue(a, b string) bool {
	return canonicalConfigValue(a) == canonicalConfigValue(b)
}

func canonicalConfigValue(value string) string {
	parts := strings.Split(value, ",")
	for i, part := range parts {
		parts[i] = strings.TrimSpace(part)
	}
	value = strings.Join(parts, ",")
	if truth := strings.ToLower(value); truth == "true" || truth == "false" {
		return truth
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return strconv.FormatInt(n, 10)
	}
	if f, err := strconv.ParseFloat(value, 64); err == nil {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return value
}

// Paths of changes of the counts.
const (
	PathPartitions        = "partitions"
	PathReplicationFactor = "replicationFactor"
)

// WantedPartitions is the declared number of partitions, which assignments
// declare too; 0 if nothing does.
func (t *Topic) WantedPartitions() int32 {
	if t.Partitions == 0 {
		return int32(len(t.Assignments))
	}
	return t.Partitions
}

func (t *Topic) diffPartitions(found *Topic) []Change {
	wanted := t.WantedPartitions()
	if wanted == 0 || wanted == found.Partitions {
		return nil
	}
	change := Change{
		Path: PathPartitions,
		From: strconv.Itoa(int(found.Partitions)),
		To:   strconv.Itoa(int(wanted)),
	}
	if wanted < found.Partitions {
		if t.Follows != "" {
			return nil
		}
		change.Mode = Forbidden
		change.Why = fmt.Sprintf("Kafka cannot take partitions away: set partitions back to %d, or create another topic and move the data", found.Partitions)
	}
	return []Change{change}
}

// diffReplicas compares where the replicas are, or will be once a running
// reassignment is through, with where they shall be.
func (t *Topic) diffReplicas(found *Topic) []Change {
	var changes []Change
	if t.ReplicationFactor != 0 {
		if fewest, most := found.replicaCounts(); fewest != t.ReplicationFactor || most != t.ReplicationFactor {
			from := strconv.Itoa(int(fewest))
			if fewest != most {
				from += " to " + strconv.Itoa(int(most))
			}
			changes = append(changes, Change{
				Path: PathReplicationFactor, Mode: Gradual,
				From: from, To: strconv.Itoa(int(t.ReplicationFactor)),
			})
		}
	}
	for i, replicas := range t.Assignments {
		if i < len(found.Assignments) && !slices.Equal(replicas, found.Assignments[i]) {
			changes = append(changes, Change{
				Path: fmt.Sprintf("assignments[%d]", i), Mode: Gradual,
				From: fmt.Sprint(found.Assignments[i]), To: fmt.Sprint(replicas),
			})
		}
	}
	return changes
}

// replicaCounts are the smallest and the largest number of replicas of any
// partition: they differ in the middle of a change.
func (t *Topic) replicaCounts() (fewest, most int16) {
	fewest, most = t.ReplicationFactor, t.ReplicationFactor
	for i, replicas := range t.Assignments {
		count := int16(len(replicas))
		if i == 0 {
			fewest, most = count, count
		}
		fewest, most = min(fewest, count), max(most, count)
	}
	return fewest, most
}

// DeclaredFields implements Partial: the config keys.
func (t *Topic) DeclaredFields() []string {
	fields := make([]string, 0, len(t.Config))
	for key := range t.Config {
		fields = append(fields, configPrefix+key)
	}
	slices.Sort(fields)
	return fields
}

// Releasing implements Partial.
func (t *Topic) Releasing(fields []string) Resource {
	released := *t
	released.released = slices.DeleteFunc(slices.Clone(fields), func(field string) bool {
		key, isConfig := strings.CutPrefix(field, configPrefix)
		_, again := t.Config[key]
		return !isConfig || again
	})
	return &released
}

// ReleasedConfig lists the config keys that are to be unset, sorted.
func (t *Topic) ReleasedConfig() []string {
	keys := make([]string, 0, len(t.released))
	for _, field := range t.released {
		keys = append(keys, strings.TrimPrefix(field, configPrefix))
	}
	slices.Sort(keys)
	return keys
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// wrongKind answers Diff between kinds, which only a broken adapter can ask.
func wrongKind(want, live Resource) []Change {
	return []Change{{
		Path: "kind", From: fmt.Sprintf("%T", live), To: fmt.Sprintf("%T", want), Mode: Forbidden,
		Why: "the adapter returned an object of another kind: please report this as a bug",
	}}
}
