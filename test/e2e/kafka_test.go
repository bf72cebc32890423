package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// kafkaScene is a stage with a Kafka that works: the controller runs, and the
// connection "events" is Ready.
type kafkaScene struct {
	*stage
	broker     *harness.Kafka
	admin      *kadm.Client
	prefix     string // of the topics of this scene
	connection *v1alpha1.KafkaConnection
}

func newKafkaScene(t *testing.T) *kafkaScene {
	t.Helper()
	return newKafkaSceneOn(t, harness.SharedKafka(t))
}

func newKafkaSceneOn(t *testing.T, broker *harness.Kafka) *kafkaScene {
	t.Helper()
	s := &kafkaScene{stage: newStage(t), broker: broker, admin: broker.Admin(t), prefix: broker.NewTopicPrefix(t)}
	s.controller.Start(t)
	s.connection = s.kafka("events", broker.Bootstrap...)
	s.create(s.connection)
	s.ready(s.connection)
	return s
}

// topic makes a Topic with the scene's prefix.
func (s *kafkaScene) topic(name string, partitions int32, config map[string]string) *v1alpha1.Topic {
	t := topic(s.prefix+name, "events", partitions)
	t.Spec.Config = config
	return t
}

// describe renders what is set on a topic itself, sorted: its id, its
// partitions, its own configs. An absent topic has nothing.
func (s *kafkaScene) describe(t *v1alpha1.Topic) []string {
	s.t.Helper()
	// A client answers from memory for some seconds; a new one has none.
	details, err := s.broker.Admin(s.t).ListTopics(s.t.Context(), t.BrokerName())
	must(s.t, err)
	detail := details[t.BrokerName()]
	if detail.Err != nil {
		return nil
	}
	out := []string{fmt.Sprintf("id %s", detail.ID), fmt.Sprintf("%d partitions", len(detail.Partitions))}
	for key, value := range s.configs(t) {
		out = append(out, key+"="+value)
	}
	slices.Sort(out)
	return out
}

// configs are those set on the topic itself.
func (s *kafkaScene) configs(t *v1alpha1.Topic) map[string]string {
	s.t.Helper()
	resources, err := s.admin.DescribeTopicConfigs(s.t.Context(), t.BrokerName())
	must(s.t, err)
	out := map[string]string{}
	for _, config := range resources[0].Configs {
		if config.Source == kmsg.ConfigSourceDynamicTopicConfig {
			out[config.Key] = config.MaybeValue()
		}
	}
	return out
}

// alter changes configs of a topic by hand; an empty value unsets.
func (s *kafkaScene) alter(t *v1alpha1.Topic, config map[string]string) {
	s.t.Helper()
	var changes []kadm.AlterConfig
	for key, value := range config {
		change := kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value}
		if value == "" {
			change = kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key}
		}
		changes = append(changes, change)
	}
	answers, err := s.admin.AlterTopicConfigs(s.t.Context(), changes, t.BrokerName())
	must(s.t, err)
	for _, answer := range answers {
		must(s.t, answer.Err)
	}
}

// produce writes messages to a topic.
func (s *kafkaScene) produce(t *v1alpha1.Topic, messages int) {
	s.t.Helper()
	client := s.broker.Client(s.t, kgo.DefaultProduceTopic(t.BrokerName()))
	for i := range messages {
		must(s.t, client.ProduceSync(s.t.Context(), kgo.StringRecord(fmt.Sprintf("message %d", i))).FirstErr())
	}
}
