package e2e

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// Messages take the way that the topology declares: by their key into the
// queue, and rejected or expired ones into the dead queue, under the queue's
// name, with an x-death that tells where they came from.
func TestDeadLetters(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		orders := exchange("orders", "shop", "topic")
		s.create(orders)
		channel := amqpChannel(t, s.broker, s.virtualHost)
		for _, kind := range []v1alpha1.QueueType{v1alpha1.QueueTypeClassic, v1alpha1.QueueTypeQuorum} {
			work := queue(string(kind)+".work", "shop", kind)
			work.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{string(kind) + ".*.created"}}}
			work.Spec.DeadLetter = &v1alpha1.DeadLetter{}
			brief := queue(string(kind)+".brief", "shop", kind)
			brief.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{string(kind) + ".brief"}}}
			brief.Spec.MessageTTL = &metav1.Duration{Duration: 50 * time.Millisecond}
			brief.Spec.DeadLetter = &v1alpha1.DeadLetter{}
			s.create(work, brief)
			s.ready(orders, work, brief)

			key := string(kind) + ".us.created"
			publish(t, channel, "orders", key, "rejected", "accepted")
			publish(t, channel, "orders", string(kind)+".us.cancelled") // bound by nobody: dropped
			first, second := receive(t, channel, work.Name), receive(t, channel, work.Name)
			if first.RoutingKey != key || string(first.Body) != "rejected" || string(second.Body) != "accepted" {
				t.Errorf("%s: received %q under %q and %q", work.Name, first.Body, first.RoutingKey, second.Body)
			}
			must(t, first.Reject(false))
			must(t, second.Ack(false))
			dead := receive(t, channel, work.Name+".dead")
			must(t, dead.Ack(false))
			checkDeath(t, dead, "rejected", work.Name, "orders", key)

			publish(t, channel, "orders", string(kind)+".brief", "expired")
			expired := receive(t, channel, brief.Name+".dead")
			must(t, expired.Ack(false))
			checkDeath(t, expired, "expired", brief.Name, "orders", string(kind)+".brief")

			for _, name := range []string{work.Name, work.Name + ".dead", brief.Name, brief.Name + ".dead"} {
				if left := ready(t, channel, name); left != 0 {
					t.Errorf("%s holds %d more messages", name, left)
				}
			}
		}
	})
}

// checkDeath holds a dead letter to what a consumer of dead queues relies on.
func checkDeath(t *testing.T, dead amqp.Delivery, reason, queue, exchange, key string) {
	t.Helper()
	if string(dead.Body) != reason || dead.RoutingKey != queue {
		t.Errorf("the dead letter is %q under %q, not %q under the name of its queue", dead.Body, dead.RoutingKey, reason)
	}
	deaths, _ := dead.Headers["x-death"].([]any)
	if len(deaths) != 1 {
		t.Fatalf("x-death has %d entries: %v", len(deaths), dead.Headers)
	}
	death, _ := deaths[0].(amqp.Table)
	delete(death, "time")
	wanted := amqp.Table{"count": int64(1), "reason": reason, "queue": queue, "exchange": exchange, "routing-keys": []any{key}}
	if diff := cmp.Diff(wanted, death); diff != "" {
		t.Errorf("x-death of %s (-wanted +found):\n%s", queue, diff)
	}
}

// amqpChannel opens a channel in confirm mode that ends with the test.
func amqpChannel(t testing.TB, broker *harness.RabbitMQ, virtualHost string) *amqp.Channel {
	t.Helper()
	connection, err := amqp.Dial(broker.AMQPURL(virtualHost))
	if err != nil {
		t.Fatalf("AMQP: %v", err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	channel, err := connection.Channel()
	if err != nil {
		t.Fatalf("AMQP channel: %v", err)
	}
	must(t, channel.Confirm(false))
	must(t, channel.Qos(10, 0, false)) // streams demand a limit
	return channel
}

// subscribe consumes over a connection of its own, which the caller closes. Dial
// may be nil.
func subscribe(broker *harness.RabbitMQ, virtualHost, queue string, prefetch int, dial func(network, address string) (net.Conn, error)) (*amqp.Connection, <-chan amqp.Delivery, error) {
	connection, err := amqp.DialConfig(broker.AMQPURL(virtualHost), amqp.Config{Dial: dial})
	if err != nil {
		return nil, nil, err
	}
	channel, err := connection.Channel()
	if err == nil {
		err = channel.Qos(prefetch, 0, false)
	}
	var deliveries <-chan amqp.Delivery
	if err == nil {
		deliveries, err = channel.Consume(queue, "", false, false, false, false, nil)
	}
	if err != nil {
		_ = connection.Close()
		return nil, nil, err
	}
	return connection, deliveries, nil
}

// publish sends messages and waits until the broker has them. Without bodies it
// sends one.
func publish(t testing.TB, channel *amqp.Channel, exchange, key string, bodies ...string) {
	t.Helper()
	if len(bodies) == 0 {
		bodies = []string{"message"}
	}
	for _, body := range bodies {
		confirmation, err := channel.PublishWithDeferredConfirmWithContext(t.Context(), exchange, key, false, false,
			amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(body)})
		must(t, err)
		if ok, err := confirmation.WaitContext(t.Context()); err != nil || !ok {
			t.Fatalf("publish to %q: confirmed %v, %v", exchange, ok, err)
		}
	}
}

// receive takes one message, which the caller settles.
func receive(t testing.TB, channel *amqp.Channel, queue string) amqp.Delivery {
	t.Helper()
	var taken amqp.Delivery
	within(t, "a message in "+queue, func(context.Context) (bool, string) {
		delivery, ok, err := channel.Get(queue, false)
		must(t, err)
		taken = delivery
		return ok, "it is empty"
	})
	return taken
}

// ready is the number of messages that a queue could deliver; 0 for a stream,
// whatever it holds.
func ready(t testing.TB, channel *amqp.Channel, queue string) int {
	t.Helper()
	state, err := channel.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		t.Fatalf("look at %s: %v", queue, err)
	}
	return state.Messages
}

// firstOf is the first message of a stream.
func firstOf(t testing.TB, channel *amqp.Channel, stream string) string {
	t.Helper()
	tag := fmt.Sprintf("reader-%d", time.Now().UnixNano())
	deliveries, err := channel.Consume(stream, tag, false, false, false, false, amqp.Table{"x-stream-offset": "first"})
	must(t, err)
	defer func() { must(t, channel.Cancel(tag, false)) }()
	select {
	case delivery := <-deliveries:
		must(t, delivery.Ack(false))
		return string(delivery.Body)
	case <-time.After(harness.Patience):
		t.Fatalf("%s delivers nothing", stream)
	}
	return ""
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
