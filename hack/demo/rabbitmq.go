package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// arrival bounds the wait for a message that is expected somewhere.
const arrival = 5 * time.Second

// message is one publication and the queues that it must reach.
type message struct {
	exchange, kind string
	key            string
	headers        amqp.Table
	queues         []string // sorted; none: the broker returns it
}

// published is every route through the exchanges of config/samples.
var published = []message{
	{exchange: "orders", kind: "topic", key: "order.eu.created", queues: []string{"audit", "order.process"}},
	{exchange: "orders", kind: "topic", key: "order.us.created", queues: []string{"audit", "order.process", "order.us"}},
	{exchange: "orders", kind: "topic", key: "order.us.shipped", queues: []string{"audit", "order.us"}},
	{exchange: "orders", kind: "topic", key: "payment.eu.card.captured", queues: []string{"payment.process"}},
	{exchange: "orders", kind: "topic", key: "odrer.eu.created", queues: []string{"orders.unrouted"}},
	{exchange: "order.announcements", kind: "fanout", queues: []string{"analytics", "inventory", "notifications"}},
	{exchange: "vip", kind: "headers", headers: amqp.Table{"region": "EU", "type": "premium"}, queues: []string{"vip.eu"}},
	{exchange: "vip", kind: "headers", headers: amqp.Table{"region": "EU", "type": "basic"}},
	{exchange: "order.commands", kind: "direct", key: "ship", queues: []string{"shipping"}},
	{exchange: "order.commands", kind: "direct", key: "invoice", queues: []string{"billing"}},
	{exchange: "order.commands", kind: "direct", key: "dance"},
}

const (
	mainQueue = "order.process"
	deadQueue = "order.process.dead"
)

// content is what identifies a message to the reader of the table.
func (m message) content() string {
	if m.headers == nil {
		return m.key
	}
	var parts []string
	for name, value := range m.headers {
		parts = append(parts, fmt.Sprintf("%s=%v", name, value))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

type rabbitMQ struct {
	connection *amqp.Connection
	channel    *amqp.Channel
	returned   chan amqp.Return
}

func dialRabbitMQ(address, virtualHost string) (*rabbitMQ, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("the address is no URL: %w", err)
	}
	connection, err := amqp.DialConfig(address, amqp.Config{Vhost: virtualHost, Dial: amqp.DefaultDial(arrival)})
	if err != nil {
		return nil, fmt.Errorf("connect to virtual host %s at %s: %w", virtualHost, u.Host, err)
	}
	channel, err := connection.Channel()
	if err == nil {
		err = channel.Confirm(false)
	}
	if err != nil {
		_ = connection.Close()
		return nil, fmt.Errorf("open a channel with confirms: %w", err)
	}
	return &rabbitMQ{connection, channel, channel.NotifyReturn(make(chan amqp.Return, len(published)))}, nil
}

func (b *rabbitMQ) close() { _ = b.connection.Close() }

// routes publishes every message once, and reads all queues.
func (b *rabbitMQ) routes(ctx context.Context) (table, error) {
	t := table{heads: []string{"EXCHANGE", "TYPE", "KEY OR HEADERS", "ARRIVES IN"}}
	if err := b.purge(); err != nil {
		return t, err
	}
	nowhere := make([]bool, len(published))
	for i, m := range published {
		returned, err := b.publish(ctx, m, amqp.Publishing{MessageId: fmt.Sprint(i), Headers: m.headers})
		if err != nil {
			return t, err
		}
		nowhere[i] = returned
	}
	got, err := b.collect(ctx)
	if err != nil {
		return t, err
	}
	for i, m := range published {
		wanted := destination(m.queues, len(m.queues) == 0)
		t.rows = append(t.rows, check(destination(got[fmt.Sprint(i)], nowhere[i]), wanted, m.exchange, m.kind, m.content()))
	}
	return t, nil
}

// destination puts into words where a message went.
func destination(queues []string, returned bool) string {
	switch {
	case returned:
		return "nowhere: returned to the publisher"
	case len(queues) == 0:
		return "lost"
	}
	return strings.Join(queues, ", ")
}

// queues are all that a message can reach.
func queues() []string {
	result := []string{deadQueue}
	for _, m := range published {
		result = append(result, m.queues...)
	}
	slices.Sort(result)
	return slices.Compact(result)
}

// purge forgets what an earlier run left.
func (b *rabbitMQ) purge() error {
	for _, queue := range queues() {
		if _, err := b.channel.QueuePurge(queue, false); err != nil {
			return fmt.Errorf("empty queue %s: %w", queue, err)
		}
	}
	return nil
}

// publish waits until the broker has taken the message, and tells whether it
// was returned: a return precedes the confirm.
func (b *rabbitMQ) publish(ctx context.Context, m message, p amqp.Publishing) (returned bool, err error) {
	p.DeliveryMode = amqp.Persistent
	confirm, err := b.channel.PublishWithDeferredConfirmWithContext(ctx, m.exchange, m.key, true, false, p)
	if err != nil {
		return false, fmt.Errorf("publish to %s: %w", m.exchange, err)
	}
	taken, err := confirm.WaitContext(ctx)
	if err != nil {
		return false, fmt.Errorf("publish to %s: wait for the confirm: %w", m.exchange, err)
	}
	if !taken {
		return false, fmt.Errorf("publish to %s: the broker refused %s", m.exchange, m.content())
	}
	select {
	case <-b.returned:
		return true, nil
	default:
		return false, nil
	}
}

// collect consumes from all queues: the queues of each message id. What is
// expected is waited for, and what is not gets a moment to show up.
func (b *rabbitMQ) collect(ctx context.Context) (map[string][]string, error) {
	missing := 0
	for _, m := range published {
		missing += len(m.queues)
	}
	arrivals := make(chan amqp.Delivery)
	for _, queue := range queues() {
		// The queue's name is the consumer tag, which every delivery carries.
		deliveries, err := b.channel.ConsumeWithContext(ctx, queue, queue, true, false, false, false, nil)
		if err != nil {
			return nil, fmt.Errorf("consume from queue %s: %w", queue, err)
		}
		go func() {
			for d := range deliveries {
				arrivals <- d
			}
		}()
	}
	got := map[string][]string{}
	patience := time.After(arrival)
	for done := false; !done; {
		select {
		case d := <-arrivals:
			got[d.MessageId] = append(got[d.MessageId], d.ConsumerTag)
			if missing--; missing == 0 {
				patience = time.After(200 * time.Millisecond)
			}
		case <-patience:
			done = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	for _, queue := range queues() {
		if err := b.channel.Cancel(queue, false); err != nil {
			return nil, fmt.Errorf("end consuming from queue %s: %w", queue, err)
		}
	}
	for _, queues := range got {
		slices.Sort(queues)
	}
	return got, nil
}

// deadLetters has messages fail on their way, and shows where they end.
func (b *rabbitMQ) deadLetters(ctx context.Context) (table, error) {
	t := table{heads: []string{"IN QUEUE", "THE MESSAGE", "ENDS IN", "X-DEATH"}}
	m := message{exchange: "orders", key: "order.fr.created"}
	for _, failure := range []struct {
		what, reason string
		publishing   amqp.Publishing
		fail         func(context.Context) error
	}{
		{what: "is rejected by its consumer", reason: "rejected", fail: b.reject},
		{what: "expires after 50 ms", reason: "expired", publishing: amqp.Publishing{Expiration: "50"}},
	} {
		if _, err := b.publish(ctx, m, failure.publishing); err != nil {
			return t, err
		}
		if failure.fail != nil {
			if err := failure.fail(ctx); err != nil {
				return t, err
			}
		}
		dead, err := b.await(ctx, deadQueue, true)
		if err != nil {
			return t, err
		}
		wanted := fmt.Sprintf("reason=%s queue=%s exchange=orders routing-keys=[%s] count=1", failure.reason, mainQueue, m.key)
		t.rows = append(t.rows, check(death(dead), wanted, mainQueue, failure.what, deadQueue))
	}
	return t, b.purge()
}

// reject takes the next message of the main queue and refuses it for good.
func (b *rabbitMQ) reject(ctx context.Context) error {
	d, err := b.await(ctx, mainQueue, false)
	if err != nil {
		return err
	}
	if err := d.Reject(false); err != nil {
		return fmt.Errorf("reject a message of %s: %w", mainQueue, err)
	}
	return nil
}

// death is the broker's own record of why a message left its queue.
func death(d amqp.Delivery) string {
	deaths, _ := d.Headers["x-death"].([]any)
	if len(deaths) == 0 {
		return "no x-death header"
	}
	record, _ := deaths[0].(amqp.Table)
	return fmt.Sprintf("reason=%v queue=%v exchange=%v routing-keys=%v count=%v",
		record["reason"], record["queue"], record["exchange"], record["routing-keys"], record["count"])
}

// await reads the next message of a queue.
func (b *rabbitMQ) await(ctx context.Context, queue string, acknowledge bool) (amqp.Delivery, error) {
	for end := time.Now().Add(arrival); time.Now().Before(end); {
		d, ok, err := b.channel.Get(queue, acknowledge)
		if err != nil {
			return d, fmt.Errorf("read queue %s: %w", queue, err)
		}
		if ok {
			return d, nil
		}
		if err := pause(ctx); err != nil {
			return d, err
		}
	}
	return amqp.Delivery{}, fmt.Errorf("read queue %s: nothing arrived within %s", queue, arrival)
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}
