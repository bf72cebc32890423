package importer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// strimzi gathers KafkaTopics, by the cluster that they name.
type strimzi struct{ clusters map[strimziCluster]*Source }

type strimziCluster struct{ namespace, name string }

func newStrimzi() *strimzi { return &strimzi{clusters: map[strimziCluster]*Source{}} }

// add takes a resource in; false if there is no kind for it.
func (s *strimzi) add(r *resource) (bool, error) {
	if r.Kind != "KafkaTopic" {
		return false, nil
	}
	var spec struct {
		Name       string                     `json:"topicName"`
		Partitions int32                      `json:"partitions"`
		Replicas   int16                      `json:"replicas"`
		Config     map[string]json.RawMessage `json:"config"`
	}
	if len(r.Spec) > 0 {
		if err := json.Unmarshal(r.Spec, &spec); err != nil {
			return false, err
		}
	}
	t := &topology.Topic{Name: cmp.Or(spec.Name, r.Metadata.Name), Partitions: max(spec.Partitions, 0), ReplicationFactor: max(spec.Replicas, 0)}
	for key, raw := range spec.Config {
		value, err := configValue(raw)
		if err != nil {
			return false, fmt.Errorf("spec.config[%s]: %w", key, err)
		}
		if t.Config == nil {
			t.Config = map[string]string{}
		}
		t.Config[key] = value
	}
	source := s.cluster(r)
	if first, twice := source.Known[t.ID()]; twice {
		source.Notes = append(source.Notes, noteOf(t.ID(), "%s declares it a second time, after %s: left out", r, first.Name))
		return true, nil
	}
	source.Live.Objects[t.ID()] = t
	source.Known[t.ID()] = Known{Namespace: r.Metadata.Namespace, Name: r.Metadata.Name}
	return true, nil
}

// configValue is a config as Kafka has it: text, whatever YAML made of it.
func configValue(raw json.RawMessage) (string, error) {
	if len(raw) > 0 && raw[0] == '"' {
		var text string
		return text, json.Unmarshal(raw, &text)
	}
	if len(raw) == 0 || raw[0] != '[' {
		return string(raw), nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return "", err
	}
	text := ""
	for i, item := range list {
		value, err := configValue(item)
		if err != nil {
			return "", err
		}
		if i > 0 {
			text += ","
		}
		text += value
	}
	return text, nil
}

func (s *strimzi) cluster(r *resource) *Source {
	key := strimziCluster{r.Metadata.Namespace, r.Metadata.Labels["strimzi.io/cluster"]}
	if s.clusters[key] == nil {
		c := Connection{Broker: v1alpha1.BrokerTypeKafka, Namespace: key.namespace, Name: key.name}
		if key.name != "" {
			c.Servers = []string{serviceOf(key.name+"-kafka-bootstrap", key.namespace) + ":9092"}
		}
		s.clusters[key] = &Source{
			Origin: "custom resources of kafka.strimzi.io", Connection: c,
			Live: snapshotOf(map[topology.ID]topology.Resource{}), Known: map[topology.ID]Known{}, Partial: true,
		}
	}
	return s.clusters[key]
}

func (s *strimzi) sources() []*Source {
	keys := slices.SortedFunc(maps.Keys(s.clusters), func(a, b strimziCluster) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	var out []*Source
	for _, key := range keys {
		out = append(out, s.clusters[key])
	}
	return out
}
