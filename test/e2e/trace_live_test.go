package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/warrener-dev/warrener/test/harness"
)

// Where trace says that the broker closes the channel, it does, and with the code
// that trace names.
func TestTraceOfRefusals(t *testing.T) {
	t.Parallel()
	for _, broker := range harness.RabbitMQs(t) {
		t.Run(broker.Version, func(t *testing.T) {
			t.Parallel()
			virtualHost := broker.NewVirtualHost(t)
			broker.Must(t, http.MethodPut, "/api/exchanges/"+virtualHost+"/inner", map[string]any{"type": "fanout", "internal": true, "durable": true}, nil)
			cases := map[string]struct {
				exchange string
				headers  amqp.Table
				says     string
			}{
				"no such exchange": {"nowhere", nil, "404 NOT_FOUND"},
				"internal":         {"inner", nil, "403 ACCESS_REFUSED"},
				"CC is no list":    {"amq.topic", amqp.Table{"CC": "a"}, "406 PRECONDITION_FAILED"},
			}
			for name, c := range cases {
				channel := amqpChannel(t, broker, virtualHost)
				closed := channel.NotifyClose(make(chan *amqp.Error, 1))
				must(t, channel.PublishWithContext(t.Context(), c.exchange, "a", false, false, amqp.Publishing{Headers: c.headers}))
				// A call of its own, so that there is an answer to wait for.
				if _, err := channel.QueueDeclare("", false, true, true, false, nil); err == nil {
					t.Errorf("%s: the channel is open", name)
					continue
				}
				reason := <-closed
				arguments := []string{"--exchange", c.exchange}
				if c.headers != nil {
					arguments = append(arguments, "--header", "CC=a")
				}
				answer := traceLive(t, broker, virtualHost, arguments...)
				if answer.Code != 2 || !strings.Contains(answer.Out, c.says) {
					t.Errorf("%s: trace should say %q, got %d %s %s", name, c.says, answer.Code, answer.Out, answer.Err)
				}
				if code := strings.Fields(c.says)[0]; !strings.Contains(reason.Error(), code) {
					t.Errorf("%s: trace says %s, and the broker %v", name, c.says, reason)
				}
			}
		})
	}
}

// traceLive asks the command line about a live broker.
func traceLive(t testing.TB, broker *harness.RabbitMQ, virtualHost string, arguments ...string) harness.Answer {
	t.Helper()
	return harness.CLIWith(t, []string{"WARRENER_RABBITMQ_USERNAME=" + broker.User, "WARRENER_RABBITMQ_PASSWORD=" + broker.Password},
		append([]string{"trace", "--rabbitmq-url", broker.ManagementURL, "--vhost", virtualHost, "--exit-code"}, arguments...)...)
}

// The command line reads live brokers, policies included, and manifests for live
// brokers with the Secret among them; neither shows the password.
func TestTraceLive(t *testing.T) {
	t.Parallel()
	for _, broker := range harness.RabbitMQs(t) {
		t.Run(broker.Version, func(t *testing.T) {
			t.Parallel()
			virtualHost := broker.NewVirtualHost(t)
			put := func(path string, body map[string]any) {
				t.Helper()
				broker.Must(t, http.MethodPut, "/api/"+path, body, nil)
			}
			put("exchanges/"+virtualHost+"/orders", map[string]any{"type": "topic", "durable": true})
			put("exchanges/"+virtualHost+"/rest", map[string]any{"type": "fanout", "durable": true})
			put("queues/"+virtualHost+"/left", map[string]any{"durable": true})
			put("queues/"+virtualHost+"/dead", map[string]any{"durable": true})
			broker.Must(t, http.MethodPost, "/api/bindings/"+virtualHost+"/e/rest/q/left", map[string]any{}, nil)
			put("policies/"+virtualHost+"/rest", map[string]any{"pattern": "^ord", "apply-to": "exchanges", "definition": map[string]any{"alternate-exchange": "rest"}})
			put("policies/"+virtualHost+"/short", map[string]any{"pattern": "^left$", "apply-to": "queues",
				"definition": map[string]any{"message-ttl": 300, "dead-letter-exchange": "", "dead-letter-routing-key": "dead"}})

			answer := traceLive(t, broker, virtualHost, "--exchange", "orders", "--key", "a.b")
			for _, want := range []string{"no binding matches: alternate exchange rest (fanout)", "It goes to queue left.", "300ms  expired → (default) → dead: stays"} {
				if answer.Code != 0 || !strings.Contains(answer.Out, want) {
					t.Errorf("trace should say %q, got %d %s %s", want, answer.Code, answer.Out, answer.Err)
				}
			}
			channel := amqpChannel(t, broker, virtualHost)
			publish(t, channel, "orders", "a.b", "way to go")
			if got := receive(t, channel, "dead"); string(got.Body) != "way to go" {
				t.Errorf("the message should be in dead, got %q", got.Body)
			}
			testManifestsLive(t, broker, virtualHost)
		})
	}
}

func testManifestsLive(t *testing.T, broker *harness.RabbitMQ, virtualHost string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shop.yaml")
	must(t, os.WriteFile(file, []byte(`
apiVersion: topology.warrener.dev/v1alpha1
kind: RabbitMQConnection
metadata: {name: shop}
spec: {endpoint: "`+broker.ManagementURL+`", virtualHost: "`+virtualHost+`", authentication: {secretRef: {name: login}}}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {username: "`+broker.User+`", password: "`+broker.Password+`"}
`), 0o600))
	answer := harness.CLIWith(t, nil, "trace", "-f", file, "--live", "--exchange", "orders", "--key", "a", "-o", "json")
	var got struct {
		Origin struct {
			Live       bool   `json:"live"`
			Connection string `json:"connection"`
		} `json:"origin"`
		Trace struct {
			Outcome string `json:"outcome"`
			Queues  []any  `json:"queues"`
		} `json:"trace"`
	}
	if err := json.Unmarshal([]byte(answer.Out), &got); err != nil {
		t.Fatal(errors.Join(err, errors.New(answer.Err)))
	}
	if !got.Origin.Live || got.Origin.Connection != "default/shop" || got.Trace.Outcome != "Routed" || len(got.Trace.Queues) != 1 {
		t.Errorf("of the live broker, by the connection of the manifests, to one queue: got %s", answer.Out)
	}
}

// Records go to the partition that trace names, on a live cluster.
func TestTraceOfTopics(t *testing.T) {
	t.Parallel()
	kafka := harness.SharedKafka(t)
	name := kafka.NewTopicPrefix(t) + "orders"
	_, err := kafka.Admin(t).CreateTopic(t.Context(), 7, 1, nil, name)
	must(t, err)
	for _, key := range []string{"", "order-4711", "äöü"} {
		records := kafka.Client(t).ProduceSync(t.Context(), &kgo.Record{Topic: name, Key: []byte(key), Value: []byte("v")})
		must(t, records.FirstErr())
		answer := harness.CLIWith(t, nil, "trace", "--kafka-brokers", strings.Join(kafka.Bootstrap, ","), "--topic", name, "--key", key, "-o", "json")
		var got struct {
			Trace struct {
				At struct {
					Partition  int32 `json:"partition"`
					Partitions int32 `json:"partitions"`
				} `json:"at"`
			} `json:"trace"`
		}
		if err := json.Unmarshal([]byte(answer.Out), &got); err != nil {
			t.Fatal(errors.Join(err, errors.New(answer.Err)))
		}
		if want := records[0].Record.Partition; got.Trace.At.Partition != want || got.Trace.At.Partitions != 7 {
			t.Errorf("key %q went to partition %d of 7, and trace says %s", key, want, answer.Out)
		}
	}
	answer := harness.CLIWith(t, nil, "trace", "--kafka-brokers", strings.Join(kafka.Bootstrap, ","), "--topic", name+".gone", "--key", "a", "--exit-code")
	if answer.Code != 2 || !strings.Contains(answer.Out, "UNKNOWN_TOPIC_OR_PARTITION") {
		t.Errorf("a topic that is not there: got %d %s %s", answer.Code, answer.Out, answer.Err)
	}
}
