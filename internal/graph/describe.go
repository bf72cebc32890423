package graph

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// describe says what a node is: in a line below its name, and in full. Owners
// are the custom resources that want it.
func describe(id topology.ID, resource topology.Resource, owners []string) (note string, details []Field) {
	add := func(name, value string) { details = append(details, Field{name, value}) }
	switch r := resource.(type) {
	case *topology.Exchange:
		note = sentence(r.Type+" exchange", when("internal", r.Internal), when("transient", !r.Durable), when("auto-delete", r.AutoDelete))
		add("exchange", strings.TrimSuffix(note, " exchange"))
		addTable(add, r.Arguments)
	case *topology.Queue:
		note = sentence(r.Type+" queue", ttlOf(r), limitOf(r), when("transient", !r.Durable))
		add("queue", r.Type)
		add("durable", yesOrNo(r.Durable))
		addTable(add, r.Arguments)
	case *topology.Topic:
		note = topicNote(r)
		if n := r.WantedPartitions(); n > 0 {
			add("partitions", strconv.Itoa(int(n)))
		}
		if r.ReplicationFactor > 0 {
			add("replicas", strconv.Itoa(int(r.ReplicationFactor)))
		}
		for _, key := range slices.Sorted(maps.Keys(r.Config)) {
			add(key, r.Config[key])
		}
	default:
		note = string(id.Kind) + " declared elsewhere"
		if strings.HasPrefix(id.Name, "amq.") {
			note = "the broker's own " + string(id.Kind)
		}
	}
	if id.Scope != "" {
		add("virtual host", id.Scope)
	}
	if len(owners) > 0 {
		slices.Sort(owners)
		add("declared by", strings.Join(slices.Compact(owners), ", "))
	}
	return note, details
}

func addTable(add func(name, value string), arguments topology.Arguments) {
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		text := topology.RenderValue(arguments[name])
		if s, ok := arguments[name].(string); ok && s != "" {
			text = s
		}
		add(name, text)
	}
}

func topicNote(t *topology.Topic) string {
	partitions, replicas := "topic", ""
	switch n := t.WantedPartitions(); {
	case n == 1:
		partitions = "1 partition"
	case n > 1:
		partitions = strconv.Itoa(int(n)) + " partitions"
	}
	if t.ReplicationFactor > 1 {
		replicas = strconv.Itoa(int(t.ReplicationFactor)) + " replicas"
	}
	return sentence(partitions, replicas, when("compacted", strings.Contains(t.Config["cleanup.policy"], "compact")))
}

func ttlOf(q *topology.Queue) string {
	if millis, ok := q.Arguments[argTTL].(int64); ok {
		return "TTL " + span(millis)
	}
	return ""
}

func limitOf(q *topology.Queue) string {
	if most, ok := q.Arguments["x-max-length"].(int64); ok {
		return "max " + strconv.FormatInt(most, 10)
	}
	return ""
}

// sentence joins what there is to say.
func sentence(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), " · ")
}

func when(word string, set bool) string {
	if set {
		return word
	}
	return ""
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// span writes milliseconds as 500ms, 1m30s or 7d.
func span(millis int64) string {
	const day = 24 * 60 * 60 * 1000
	if millis >= day && millis%day == 0 {
		return strconv.FormatInt(millis/day, 10) + "d"
	}
	text := (time.Duration(millis) * time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
