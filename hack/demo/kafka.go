package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topics of config/samples, and what must be true of them on the broker.
var topics = []struct {
	name       string
	partitions int
	config     []string // name=value
}{
	{name: "order-events", partitions: 3, config: []string{"cleanup.policy=delete", "retention.ms=604800000"}},
	{name: "user.events", partitions: 3},
	{name: "user-profiles", partitions: 3, config: []string{"cleanup.policy=compact", "min.compaction.lag.ms=60000"}},
}

// written are the records, in order. Equal keys must meet in one partition.
var written = []struct{ topic, key, value string }{
	{"order-events", "order-1001", "created"},
	{"order-events", "order-1002", "created"},
	{"order-events", "order-1001", "paid"},
	{"user.events", "ada", "signed in"},
	{"user.events", "ada", "signed out"},
	{"user-profiles", "ada", `{"plan":"premium"}`},
}

type kafka struct {
	bootstrap []string
	client    *kgo.Client
}

func dialKafka(bootstrap []string) (*kafka, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap...))
	if err != nil {
		return nil, fmt.Errorf("set up the client: %w", err)
	}
	return &kafka{bootstrap, client}, nil
}

func (k *kafka) close() { k.client.Close() }

// topics compares what the broker has with what the samples declare.
func (k *kafka) topics(ctx context.Context) (table, error) {
	t := table{heads: []string{"TOPIC", "PARTITIONS", "CONFIG"}}
	admin := kadm.NewClient(k.client)
	var names []string
	for _, topic := range topics {
		names = append(names, topic.name)
	}
	found, err := admin.ListTopics(ctx, names...)
	if err != nil {
		return t, fmt.Errorf("list the topics: %w", err)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return t, fmt.Errorf("read the topics' configs: %w", err)
	}
	for _, topic := range topics {
		if err := found[topic.name].Err; err != nil {
			return t, fmt.Errorf("topic %s: %w", topic.name, err)
		}
		config, err := configs.On(topic.name, nil)
		if err != nil {
			return t, fmt.Errorf("topic %s: read its config: %w", topic.name, err)
		}
		r := check(declared(config, topic.config), configOf(topic.config), topic.name, fmt.Sprint(len(found[topic.name].Partitions)))
		if n := len(found[topic.name].Partitions); n != topic.partitions {
			r.wanted = fmt.Sprintf("%d partitions", topic.partitions)
		}
		t.rows = append(t.rows, r)
	}
	return t, nil
}

// declared are the values that the broker has for the keys in wanted.
func declared(config kadm.ResourceConfig, wanted []string) string {
	var values []string
	for _, w := range wanted {
		name, _, _ := strings.Cut(w, "=")
		for _, c := range config.Configs {
			if c.Key == name {
				values = append(values, name+"="+c.MaybeValue())
			}
		}
	}
	return configOf(values)
}

func configOf(values []string) string {
	if len(values) == 0 {
		return "the broker's defaults"
	}
	return strings.Join(values, " ")
}

// records writes every record and reads it back from where it was stored.
func (k *kafka) records(ctx context.Context) (table, error) {
	t := table{heads: []string{"TOPIC", "KEY", "PARTITION", "OFFSET", "VALUE READ BACK"}}
	home := map[string]int32{} // partition of topic and key
	for _, w := range written {
		sent, err := k.client.ProduceSync(ctx, &kgo.Record{Topic: w.topic, Key: []byte(w.key), Value: []byte(w.value)}).First()
		if err != nil {
			return t, fmt.Errorf("write %s to %s: %w", w.key, w.topic, err)
		}
		got, err := k.read(ctx, sent)
		if err != nil {
			return t, err
		}
		r := check(string(got.Value), w.value, w.topic, w.key, fmt.Sprint(sent.Partition), fmt.Sprint(sent.Offset))
		first, seen := home[w.topic+"/"+w.key]
		if seen && first != sent.Partition {
			r.wanted = fmt.Sprintf("partition %d, as before for this key", first)
		}
		home[w.topic+"/"+w.key] = sent.Partition
		t.rows = append(t.rows, r)
	}
	return t, nil
}

// read fetches the record at the place that the producer was told.
func (k *kafka) read(ctx context.Context, at *kgo.Record) (*kgo.Record, error) {
	place := fmt.Sprintf("%s, partition %d, offset %d", at.Topic, at.Partition, at.Offset)
	reader, err := kgo.NewClient(kgo.SeedBrokers(k.bootstrap...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		at.Topic: {at.Partition: kgo.NewOffset().At(at.Offset)},
	}))
	if err != nil {
		return nil, fmt.Errorf("read %s: set up the client: %w", place, err)
	}
	defer reader.Close()
	fetches := reader.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", place, err)
	}
	records := fetches.Records()
	if len(records) == 0 || records[0].Offset != at.Offset {
		return nil, fmt.Errorf("read %s: the record is not there", place)
	}
	return records[0], nil
}
