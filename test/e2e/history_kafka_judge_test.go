package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

func (w *kafkaWorld) judge() []string {
	var out []string
	problem := func(format string, arguments ...any) { out = append(out, fmt.Sprintf(format, arguments...)) }
	live := w.look(w.here)
	wanted := map[string]bool{}
	for _, slot := range slices.Sorted(maps.Keys(w.h.declared)) {
		d := w.h.declared[slot]
		w.h.get(d.object)
		ready, drift, reason := readiness(d.object)
		if twin, paired := w.twinOf(slot); !ready && paired && reason == v1alpha1.ReasonConflict {
			w.h.get(twin.object)
			ready, _, _ = readiness(twin.object)
			if ready {
				continue
			}
		}
		if !ready {
			problem("%s", describe(d.object))
			continue
		}
		for name, want := range w.claim(d.object) {
			wanted[name] = true
			if !strings.Contains(drift, want.ID().String()) {
				out = append(out, w.differences(want, live)...)
			}
		}
	}
	w.h.get(w.h.connection)
	left := map[string]bool{}
	for _, entry := range w.h.connection.GetStatus().LeftBehind {
		left[entry.Object] = true
	}
	used := map[int]bool{}
	for name, state := range live {
		if slot, known := w.slotOf[name]; known && state.Records > 0 {
			used[slot] = true
		}
		if known := w.messages[name]; state.Records < known.low || state.Records > known.high {
			problem("%s holds %d records, not %d to %d", name, state.Records, known.low, known.high)
		}
	}
	for name := range live {
		slot, known := w.slotOf[name]
		switch {
		case wanted[name] || w.retained[name] || w.foreign[name].ID != "":
		case !known:
			problem("%s is there, and nobody ever declared it", name)
		case !left[topology.TopicID(name).String()]:
			problem("%s is declared no longer, and is there and not listed as left behind", name)
		case !used[slot] && !(slot >= firstKafkaTwin && (used[firstKafkaTwin] || used[firstKafkaTwin+1])):
			problem("%s is declared no longer, is left behind, and is empty", name)
		}
	}
	for name, known := range w.messages {
		if _, there := live[name]; !there && known.low > 0 {
			problem("%s is gone with %d records", name, known.low)
		}
	}
	for name := range w.kept {
		if _, there := live[name]; !there {
			problem("%s was retained and is missing", name)
		}
	}
	for name, before := range w.foreign {
		if diff := cmp.Diff(before, live[name]); diff != "" {
			problem("%s is somebody else's and changed (-before +after):\n%s", name, diff)
		}
	}
	then, where := w.foreign, w.there
	if w.left != nil {
		then, where = w.frozen, w.left
	}
	now := w.look(where)
	if w.left == nil { // the foreign topics of the two have ids of their own
		then = maps.Clone(then)
		state := then[w.prefix+"foreign"]
		state.ID = now[w.prefix+"foreign"].ID
		then[w.prefix+"foreign"] = state
	}
	if diff := cmp.Diff(then, now); diff != "" {
		problem("the other cluster changed (-before +after):\n%s", diff)
	}
	return out
}

// differences are those between a topic and its declaration.
func (w *kafkaWorld) differences(want *topology.Topic, live map[string]topicState) (out []string) {
	state, there := live[want.Name]
	if !there {
		return []string{want.Name + " is declared and missing"}
	}
	wanted := maps.Clone(want.Config)
	if wanted == nil {
		wanted = map[string]string{}
	}
	if id := w.foreignIn[want.Name]; id != "" && id == state.ID {
		wanted[foreignKey] = "30000000"
	}
	if _, declared := wanted["retention.ms"]; !declared && state.Config["retention.ms"] == byHandRetention {
		wanted["retention.ms"] = byHandRetention
	}
	if w.retained[want.Name] { // what was set on it then may be set still
		for key, value := range state.Config {
			if _, declared := wanted[key]; !declared {
				wanted[key] = value
			}
		}
	}
	if diff := cmp.Diff(wanted, state.Config); diff != "" {
		out = append(out, fmt.Sprintf("%s has other configs (-declared +live):\n%s", want.Name, diff))
	}
	if n := int(want.WantedPartitions()); state.Partitions != n && !(want.Follows != "" && state.Partitions > n) {
		out = append(out, fmt.Sprintf("%s has %d partitions, not %d", want.Name, state.Partitions, n))
	}
	return out
}
