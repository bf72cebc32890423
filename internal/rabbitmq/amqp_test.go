package rabbitmq

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrener-dev/warrener/test/harness"
)

// dial opens a channel that ends with the test.
func dial(t testing.TB, server *harness.RabbitMQ, virtualHost string) *amqp.Channel {
	t.Helper()
	connection, err := amqp.Dial(server.AMQPURL(virtualHost))
	if err != nil {
		t.Fatalf("AMQP: %v", err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	channel, err := connection.Channel()
	if err != nil {
		t.Fatalf("AMQP channel: %v", err)
	}
	return channel
}

// publish sends messages to a queue and waits until the broker has them.
func publish(t testing.TB, channel *amqp.Channel, queue string, messages int) {
	t.Helper()
	if err := channel.Confirm(false); err != nil {
		t.Fatalf("confirm mode: %v", err)
	}
	for range messages {
		confirmation, err := channel.PublishWithDeferredConfirmWithContext(t.Context(), "", queue, true, false,
			amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("m")})
		if err != nil {
			t.Fatalf("publish: %v", err)
		}
		if ok, err := confirmation.WaitContext(t.Context()); err != nil || !ok {
			t.Fatalf("publish: confirmed %v, %v", ok, err)
		}
	}
}

// offer sends a message and tells whether the broker took it; the channel is in
// confirm mode.
func offer(t testing.TB, channel *amqp.Channel, queue string) bool {
	t.Helper()
	confirmation, err := channel.PublishWithDeferredConfirmWithContext(t.Context(), "", queue, true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("m")})
	if err != nil {
		t.Fatalf("publish: %v", err)
	}
	ok, err := confirmation.WaitContext(t.Context())
	if err != nil {
		t.Fatalf("publish: %v", err)
	}
	return ok
}

// waiting is the number of messages that a queue could deliver.
func waiting(t testing.TB, channel *amqp.Channel, queue string) int {
	t.Helper()
	state, err := channel.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		t.Fatalf("look at %s: %v", queue, err)
	}
	return state.Messages
}
