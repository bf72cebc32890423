// Package contract renders what applications are told of a queue or topic, as
// the data of a ConfigMap. It is pure, and sees nothing that is secret: no
// connection, no Secret.
//
// There is one document. contract.json is it; every flat key is a path into it,
// so that the two cannot say different things. docs/contract.md lists the keys:
// what stands there is an interface, and changes by additions only.
package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Key is the key of the whole document.
const Key = "contract.json"

// version counts changes that are no additions.
const version = 1

type document struct {
	Version         int                `json:"contractVersion"`
	Kind            string             `json:"kind"`
	Endpoints       []string           `json:"endpoints,omitempty"`
	VirtualHost     string             `json:"virtualHost,omitempty"`
	Queue           string             `json:"queue,omitempty"`
	QueueType       string             `json:"queueType,omitempty"`
	QueueDurable    *bool              `json:"queueDurable,omitempty"`
	QueueAutoDelete *bool              `json:"queueAutoDelete,omitempty"`
	QueueArguments  topology.Arguments `json:"queueArguments,omitempty"`
	Exchanges       []string           `json:"exchanges,omitempty"`
	Topic           string             `json:"topic,omitempty"`
	Partitions      int                `json:"partitions,omitempty"`
	Consumer        *consumer          `json:"consumer,omitempty"`
	GroupInstanceID *pattern           `json:"groupInstanceId,omitempty"`
	Retry           *retry             `json:"retry,omitempty"`
	DeadLetter      *deadLetter        `json:"deadLetter,omitempty"`
}

type consumer struct {
	Prefetch int    `json:"prefetch,omitempty"`
	Group    string `json:"group,omitempty"`
}

type pattern struct {
	Pattern string `json:"pattern"`
}

type deadLetter struct {
	Exchange       *string            `json:"exchange,omitempty"`
	RoutingKey     *string            `json:"routingKey,omitempty"`
	Queue          string             `json:"queue,omitempty"`
	QueueArguments topology.Arguments `json:"queueArguments,omitempty"`
	Topic          string             `json:"topic,omitempty"`
}

type retry struct {
	Strategy string `json:"strategy,omitempty"`
	// MaxRetries after the first delivery, and Attempts with it.
	MaxRetries int     `json:"maxRetries"`
	Attempts   int     `json:"attempts"`
	DelaysMs   []int64 `json:"delaysMs"`
	// Queues or Topics in which a message waits, one entry a retry.
	Queues      []string `json:"queues,omitempty"`
	DelayQueues string   `json:"delayQueues,omitempty"`
	Topics      []string `json:"topics,omitempty"`
	Trigger     string   `json:"trigger"`
	TriggerText string   `json:"triggerText"`
	GiveUp      string   `json:"giveUp"`
	GiveUpText  string   `json:"giveUpText"`
}

// Render makes the data of a ConfigMap. Endpoints are the addresses that
// applications connect to, without credentials.
func Render(c *compile.Contract, endpoints []string) (map[string]string, error) {
	doc := document{Version: version, Endpoints: bareOf(endpoints)}
	switch {
	case c.Queue != nil:
		doc.queue(c.Queue)
	case c.Topic != nil:
		doc.topic(c.Topic)
	}
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false) // for people to read
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(doc); err != nil {
		return nil, fmt.Errorf("render the contract: %w", err)
	}
	var tree map[string]json.RawMessage
	if err := json.Unmarshal(raw.Bytes(), &tree); err != nil {
		return nil, fmt.Errorf("flatten the contract: %w", err)
	}
	data := map[string]string{}
	if err := flatten(data, "", tree); err != nil {
		return nil, fmt.Errorf("flatten the contract: %w", err)
	}
	data[Key] = raw.String()
	return data, nil
}

// bareOf leaves out addresses with a user in them, which the API refuses: what
// is rendered here is for everybody to read.
func bareOf(endpoints []string) []string {
	return slices.DeleteFunc(slices.Clone(endpoints), func(e string) bool { return strings.Contains(e, "@") })
}

func (d *document) queue(c *compile.QueueContract) {
	d.Kind = "Queue"
	d.VirtualHost, d.Queue, d.QueueType = c.Queue.VirtualHost, c.Queue.Name, c.Queue.Type
	d.QueueDurable, d.QueueAutoDelete, d.QueueArguments = &c.Queue.Durable, &c.Queue.AutoDelete, c.Queue.Arguments
	d.Exchanges = c.Exchanges
	if c.Prefetch > 0 {
		d.Consumer = &consumer{Prefetch: c.Prefetch}
	}
	dead := deadLetter{
		Exchange:   text(c.Queue.Arguments, "x-dead-letter-exchange"),
		RoutingKey: text(c.Queue.Arguments, "x-dead-letter-routing-key"),
	}
	if queue := c.DeadLetterQueue; queue != nil {
		dead.Queue, dead.QueueArguments = queue.Name, queue.Arguments
	}
	if dead.Exchange != nil || dead.RoutingKey != nil || dead.Queue != "" {
		d.DeadLetter = &dead
	}
	if c.Retry != nil {
		d.Retry = queueRetry(c.Retry)
	}
}

func queueRetry(r *compile.Retry) *retry {
	out := newRetry(r.MaxRetries, r.Trigger, r.GiveUp)
	out.Strategy = string(r.Strategy)
	for _, step := range r.Steps {
		out.DelaysMs = append(out.DelaysMs, step.Delay.Milliseconds())
		if step.Queue != "" {
			out.Queues = append(out.Queues, step.Queue)
		}
	}
	if r.Trigger.Word == compile.PublishToDelayQueue {
		out.DelayQueues = "Managed"
		if r.ClientDeclared {
			out.DelayQueues = "ClientDeclared"
		}
	}
	return out
}

func (d *document) topic(c *compile.TopicContract) {
	d.Kind, d.Topic, d.Partitions = "Topic", c.Name, c.Partitions
	if c.Group != "" {
		d.Consumer = &consumer{Group: c.Group}
	}
	d.GroupInstanceID = &pattern{c.GroupInstanceID}
	if c.Retry == nil {
		return
	}
	d.DeadLetter = &deadLetter{Topic: c.Retry.DeadLetterTopic}
	giveUp := compile.Action{Word: compile.PublishToDeadLetterTopic, Text: "publish a copy to " + c.Retry.DeadLetterTopic + "; commit the offset when the brokers have acknowledged the copy"}
	trigger := compile.Action{Word: compile.PublishToRetryTopic, Text: "publish a copy to the topic of this retry, and commit the offset when the brokers have acknowledged it; whoever reads that topic waits until the record's timestamp is delaysMs old"}
	if len(c.Retry.Steps) == 0 {
		trigger = giveUp
	}
	d.Retry = newRetry(len(c.Retry.Steps), trigger, giveUp)
	for _, step := range c.Retry.Steps {
		d.Retry.DelaysMs = append(d.Retry.DelaysMs, step.Delay.Milliseconds())
		d.Retry.Topics = append(d.Retry.Topics, step.Topic)
	}
}

func newRetry(retries int, trigger, giveUp compile.Action) *retry {
	return &retry{
		MaxRetries: retries, Attempts: retries + 1, DelaysMs: []int64{},
		Trigger: trigger.Word, TriggerText: trigger.Text, GiveUp: giveUp.Word, GiveUpText: giveUp.Text,
	}
}

func text(args topology.Arguments, key string) *string {
	if value, ok := args[key].(string); ok {
		return &value
	}
	return nil
}

// flatten writes scalars as they are, lists of scalars with commas between, and
// what is below an object under its path; arguments stay JSON, because the type
// of a value counts there.
func flatten(data map[string]string, prefix string, tree map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		raw, path := tree[name], prefix+name
		switch {
		case name == "queueArguments":
			var compact bytes.Buffer
			if err := json.Compact(&compact, raw); err != nil {
				return err
			}
			data[path] = compact.String()
		case raw[0] == '{':
			var below map[string]json.RawMessage
			if err := json.Unmarshal(raw, &below); err != nil {
				return err
			}
			if err := flatten(data, path+".", below); err != nil {
				return err
			}
		case raw[0] == '[':
			var list []json.RawMessage
			if err := json.Unmarshal(raw, &list); err != nil {
				return err
			}
			words := make([]string, len(list))
			for i, item := range list {
				words[i] = bare(item)
			}
			data[path] = strings.Join(words, ",")
		default:
			data[path] = bare(raw)
		}
	}
	return nil
}

// bare is a scalar without its quotes.
func bare(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
