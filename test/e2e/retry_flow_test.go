package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
)

// The delays change while 500 messages wait, half of them for their first retry
// and half for their second: all come back, once, with the attempts that they
// have had, and the old tiers go when they are empty.
func TestRetryRetimed(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		var queues []*v1alpha1.Queue
		for _, kind := range bothTypes {
			q := tiered(string(kind), kind, 8*time.Second, 8*time.Second) // time enough to edit in, on a busy machine
			s.create(q)
			queues = append(queues, q)
		}
		for _, q := range queues {
			s.ready(30*time.Second, q)
		}
		for _, q := range queues {
			t.Run(q.Name, func(t *testing.T) {
				t.Parallel()
				retimed(t, s, q)
			})
		}
	})
}

func retimed(t *testing.T, s *scene, q *v1alpha1.Queue) {
	t.Helper()
	const half = 250
	before := compile.RetryOf(q).DelayQueues
	channel := amqpChannel(t, s.broker, s.virtualHost)
	group := func(name string) {
		letters := make([]letter, half)
		for i := range letters {
			letters[i] = plain("", q.Name, fmt.Sprintf("%s %d", name, i))
		}
		send(t, channel, letters...)
	}
	var changed atomic.Bool
	first, second, after := newDiary(), newDiary(), newDiary()
	stop := consume(t, s.broker, s.virtualHost, q.Name, newDiary(), func(d amqp.Delivery, n int) error {
		if changed.Load() {
			after.note(d, time.Now())
			return d.Ack(false)
		}
		book := first
		if n == 2 {
			book = second
		}
		if err := d.Reject(false); err != nil {
			return err
		}
		book.note(d, time.Now())
		return nil
	})
	group("twice")
	second.waitFor(t, 40*time.Second, "the second attempts", half)
	group("once")
	first.waitFor(t, 20*time.Second, "the first attempts", 2*half)

	changed.Store(true)
	edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.Retry.Delays = durations(300*msec, 500*msec) })
	var message string
	within(t, 15*time.Second, "the status to say what drains", func(ctx context.Context) (bool, string) {
		s.get(q)
		if is := meta.FindStatusCondition(q.Status.Conditions, v1alpha1.ConditionReady); is != nil && ctx.Err() == nil {
			message = is.Message
		}
		return strings.Contains(message, "draining"), message
	})
	says(t, message, before[0].Name)
	after.waitFor(t, 30*time.Second, "all that waited to come back", 2*half)
	// What drains is looked at every 30 s at least, and the depth of a quorum queue
	// is some seconds old when it is read.
	within(t, 45*time.Second, "the old tiers to be gone", func(context.Context) (bool, string) {
		found := strings.Join(s.family(q.Name), " ")
		return !strings.Contains(found, before[0].Name) && !strings.Contains(found, before[1].Name), found
	})
	within(t, 10*time.Second, "the status to say no more of it", func(context.Context) (bool, string) {
		s.get(q)
		return !strings.Contains(describe(q), "draining"), describe(q)
	})
	stop()
	for i := range half {
		for body, attempt := range map[string]int{fmt.Sprintf("once %d", i): 2, fmt.Sprintf("twice %d", i): 3} {
			back := after.of(body)
			if len(back) != 1 || back[0].RoutingKey != compile.AttemptKey(q.Name, attempt) {
				t.Fatalf("%q came back %d times, and was to once, for attempt %d", body, len(back), attempt)
			}
		}
	}
	s.empty(t, q.Name)
}

// Three hundred messages on every way into a queue, every third of them
// poisonous, with keys and CC headers that look like those of tiers: none is
// lost, none doubled, and each poisonous one is dead exactly once.
func TestRetryMixed(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		byKey, byHeader := exchange("orders", "shop", v1alpha1.ExchangeTypeTopic), exchange("orders-by-header", "shop", v1alpha1.ExchangeTypeHeaders)
		s.create(byKey, byHeader)
		var queues []*v1alpha1.Queue
		for _, kind := range bothTypes {
			q := tiered(string(kind), kind, 50*msec, 100*msec, 150*msec, 200*msec)
			q.Spec.Bindings = []v1alpha1.BindingSource{
				{Source: "orders", RoutingKeys: []string{q.Name + ".#", "warrener." + q.Name + ".#"}},
				{Source: "orders-by-header", Headers: &v1alpha1.HeaderBinding{Values: v1alpha1.Arguments{"for": v1alpha1.MustValue(q.Name)}}},
			}
			queues = append(queues, q)
			s.create(q)
		}
		for _, q := range queues {
			s.ready(30*time.Second, q)
		}
		for _, q := range queues {
			t.Run(q.Name, func(t *testing.T) {
				t.Parallel()
				mixed(t, s, q)
			})
		}
	})
}

// ways are those into a queue.
func ways(queue, other string) []letter {
	cc := func(keys ...any) amqp.Publishing { return amqp.Publishing{Headers: amqp.Table{"CC": keys}} }
	return []letter{
		{"orders", queue + ".created", amqp.Publishing{}},
		{"", queue, amqp.Publishing{}},
		{"orders-by-header", "", amqp.Publishing{Headers: amqp.Table{"for": queue}}},
		{"orders", compile.AttemptKey(queue, 2), amqp.Publishing{}},
		{"orders", compile.AttemptKey(queue, 21), amqp.Publishing{}},
		{"orders", queue + ".copied", cc("nobody.reads", compile.AttemptKey("nobody", 3))},
		{"", queue, cc("no-such-queue")},
		{"orders", queue + ".copied", cc(queue+".again", compile.AttemptKey(other+".else", 2))},
	}
}

func mixed(t *testing.T, s *scene, q *v1alpha1.Queue) {
	t.Helper()
	const messages = 300
	retry := compile.RetryOf(q)
	entrances := ways(q.Name, "elsewhere")
	kind := func(body string) (i int) {
		if _, err := fmt.Sscanf(body, "message %d", &i); err != nil {
			t.Errorf("an unknown message %q", body)
		}
		return i
	}
	settle := func(d amqp.Delivery, n int) error {
		i := kind(string(d.Body))
		if i%3 == 0 || (i%3 == 1 && n == 1 && (i%len(entrances)) != 4) {
			return d.Reject(false)
		}
		return d.Ack(false)
	}
	book, dead := newDiary(), newDiary()
	stops := []func(){
		consume(t, s.broker, s.virtualHost, q.Name, book, settle),
		consume(t, s.broker, s.virtualHost, q.Name, book, settle),
		consume(t, s.broker, s.virtualHost, retry.DeadQueue, dead, ack),
	}
	letters := make([]letter, messages)
	for i := range letters {
		letters[i] = entrances[i%len(entrances)]
		letters[i].Body = fmt.Appendf(nil, "message %d", i)
	}
	send(t, amqpChannel(t, s.broker, s.virtualHost), letters...)
	dead.waitFor(t, 15*time.Second, "the poisonous messages to be dead", messages/3)
	time.Sleep(time.Second) // longer than any tier: a copy would be back by now
	for _, stop := range stops {
		stop()
	}
	for i := range messages {
		body := fmt.Sprintf("message %d", i)
		deliveries, died := len(book.of(body)), len(dead.of(body))
		wanted, entrance := 1, i%len(entrances)
		switch {
		case i%3 == 0 && entrance == 3: // counts as the second attempt, as documented
			wanted = retry.MaxRetries
		case i%3 == 0 && entrance == 4: // beyond the last tier
		case i%3 == 0:
			wanted = retry.MaxRetries + 1
		case i%3 == 1 && entrance != 4:
			wanted = 2
		}
		if deliveries != wanted || (died == 1) != (i%3 == 0) || died > 1 {
			t.Errorf("%s (%s %q): %d deliveries, and %d were to be; %d times dead", body, letters[i].exchange, letters[i].key, deliveries, wanted, died)
		}
	}
	s.empty(t, q.Name)
}
