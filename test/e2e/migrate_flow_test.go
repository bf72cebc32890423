package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrener-dev/warrener/internal/migration"
	"github.com/warrener-dev/warrener/internal/rabbitmq"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// drained empties a queue and returns what was in it, in order.
func drained(t testing.TB, broker *harness.RabbitMQ, virtualHost, queue string, many int) []string {
	t.Helper()
	book := newDiary()
	var order []string
	arrived := make(chan string, 100)
	stop := consume(t, broker, virtualHost, queue, book, func(d amqp.Delivery, _ int) error {
		arrived <- string(d.Body) + " " + d.RoutingKey
		return d.Ack(false)
	})
	defer stop()
	deadline := time.After(time.Minute)
	for len(order) < many {
		select {
		case body := <-arrived:
			order = append(order, body)
		case <-deadline:
			t.Fatalf("%d of %d messages in %s: %v", len(order), many, queue, order)
		}
	}
	return order
}

// TestMigrateWithoutConsumers: nobody consumes, so that a shovel moves what the
// queue holds, messages that carry a user's name among them. Order, keys and
// topology stay, in virtual hosts with awkward names too.
func TestMigrateWithoutConsumers(t *testing.T) {
	t.Parallel()
	for i, broker := range harness.RabbitMQs(t) {
		t.Run(broker.Version, func(t *testing.T) {
			t.Parallel()
			vh := []string{"a b/ü%2F", "orders?x=1&y#z", "..and+more"}[i] + broker.NewVirtualHost(t)
			path := "/api/vhosts/" + url.PathEscape(vh)
			broker.Must(t, http.MethodPut, path, map[string]any{}, nil)
			t.Cleanup(func() { broker.Do(&lasting{TB: t}, http.MethodDelete, path, nil) })
			name := "order process/ü"
			live, want := migrant(vh, name, "classic", nil), migrant(vh, name, "quorum", topology.Arguments{"x-max-length": int64(1000), "x-overflow": "reject-publish"})
			prepare(t, broker, append([]topology.Resource{live}, shopBindings(vh, name)...)...)
			before := inventoryOf(t, broker, vh)
			channel := amqpChannel(t, broker, vh)
			var sent []string
			post := func() {
				key := fmt.Sprintf("order.%d", len(sent))
				l := plain("orders", key, fmt.Sprint(len(sent)))
				l.UserId = "guest"
				if refused := send(t, channel, l); len(refused) > 0 {
					t.Fatalf("refused: %v", refused)
				}
				sent = append(sent, fmt.Sprintf("%d %s", len(sent), key))
			}
			for range 30 {
				post()
			}
			var messages []string
			out := migrating{broker: broker, want: want, each: func(p topology.Progress) {
				if !slices.Contains(messages, p.Message) {
					messages = append(messages, p.Message)
				}
				if len(sent) < 60 {
					post()
				}
			}}.run(t, 5*time.Minute)
			t.Logf("%s, queue away for %s\n%s", out.took.Round(time.Second), out.away, strings.Join(messages, "\n"))
			if !slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(m, "moved to "+migration.NamesOf(name).Backlog) }) {
				t.Errorf("nothing was said of the backlog")
			}
			if diff := cmp.Diff(before, inventoryOf(t, broker, vh)); diff != "" {
				t.Errorf("another topology (- before, + after):\n%s", diff)
			}
			if diff := cmp.Diff(sent, drained(t, broker, vh, name, len(sent))); diff != "" {
				t.Errorf("sent -, got +\n%s", diff)
			}
		})
	}
}

// lasting is a test whose context has not ended in its cleanup.
type lasting struct{ testing.TB }

func (*lasting) Context() context.Context { return context.Background() }

// TestMigrateTakenBack: the owner wants the old queue again while messages are
// parked. They come back, and so do the bindings.
func TestMigrateTakenBack(t *testing.T) {
	inVirtualHosts(t, harness.SomeRabbitMQ(t), func(t *testing.T, broker *harness.RabbitMQ, vh string) {
		const name = "orders.taken.back"
		live, want := migrant(vh, name, "quorum", nil), migrant(vh, name, "classic", nil)
		prepare(t, broker, append([]topology.Resource{live}, shopBindings(vh, name)...)...)
		before := inventoryOf(t, broker, vh)
		channel := amqpChannel(t, broker, vh)
		send(t, channel, plain("orders", "order.1", "1"))
		b, err := rabbitmq.New(rabbitmq.Options{Endpoint: broker.ManagementURL, Username: broker.User, Password: broker.Password})
		must(t, err)
		within(t, "messages are led around the queue", func(ctx context.Context) (bool, string) {
			progress, err := b.Advance(ctx, topology.Operation{Kind: topology.OperationMigrate, Want: want, Live: live})
			return err == nil && progress.Step == "Draining", fmt.Sprintf("%+v, %v", progress, err)
		})
		send(t, channel, plain("orders", "order.2", "2"), plain("orders", "order.3", "3"))
		migrating{broker: broker, want: live}.run(t, 5*time.Minute)
		if diff := cmp.Diff(before, inventoryOf(t, broker, vh)); diff != "" {
			t.Errorf("another topology (- before, + after):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"1 order.1", "2 order.2", "3 order.3"}, drained(t, broker, vh, name, 3)); diff != "" {
			t.Errorf("sent -, got +\n%s", diff)
		}
	})
}

// TestMigrateWaitsForDelays: messages that wait in a delay queue would be lost if
// their time ended while the queue is away; so it is not replaced before they
// are back.
func TestMigrateWaitsForDelays(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.0")
	vh := broker.NewVirtualHost(t)
	const name = "orders.delayed"
	delay := migrant(vh, name+".retry.9000", "classic", topology.Arguments{
		"x-message-ttl": int64(9000), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": name,
	})
	prepare(t, broker, migrant(vh, name, "classic", nil), delay)
	f := newTraffic(t, broker, vh, name)
	f.consume()
	channel := amqpChannel(t, broker, vh)
	send(t, channel, plain("", delay.Name, "retried 1"))
	f.mu.Lock()
	f.confirmed["retried"] = []int{1}
	f.mu.Unlock()
	said := false
	migrating{broker: broker, want: migrant(vh, name, "quorum", nil), each: func(p topology.Progress) {
		said = said || strings.Contains(p.Message, "1 message in "+delay.Name+" will come back to it through the default exchange")
	}}.run(t, 5*time.Minute)
	if !said {
		t.Errorf("nobody was told what is waited for")
	}
	if a := f.settle(time.Minute); len(a.lost) > 0 {
		t.Errorf("lost: %s", a)
	}
}

// TestMigrateIntoALimit: what was parked comes back in portions that fit, and a
// queue that drops its oldest messages drops none of them.
func TestMigrateIntoALimit(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.3")
	vh := broker.NewVirtualHost(t)
	const name = "orders.limited"
	prepare(t, broker, append([]topology.Resource{migrant(vh, name, "quorum", nil)}, shopBindings(vh, name)...)...)
	channel := amqpChannel(t, broker, vh)
	for i := range 25 {
		send(t, channel, plain("orders", "order.x", fmt.Sprintf("p %d", i+1)))
	}
	f := newTraffic(t, broker, vh, name)
	for i := range 25 {
		f.confirmed["p"] = append(f.confirmed["p"], i+1)
	}
	returning := false
	migrating{broker: broker, want: migrant(vh, name, "classic", topology.Arguments{"x-max-length": int64(10)}), each: func(p topology.Progress) {
		if strings.Contains(p.Message, "follow in portions") && !returning {
			returning = true
			f.consume()
		}
	}}.run(t, 5*time.Minute)
	if a := f.settle(time.Minute); len(a.lost) > 0 || a.inversions > 0 || !returning {
		t.Errorf("portions seen: %v; %s", returning, a)
	}
}
