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
			s.ready(q)
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
	second.waitFor(t, "the second attempts", half)
	group("once")
	first.waitFor(t, "the first attempts", 2*half)

	changed.Store(true)
	edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.Retry.Delays = durations(300*msec, 500*msec) })
	var message string
	within(t, "the status to say what drains", func(ctx context.Context) (bool, string) {
		s.get(q)
		if is := meta.FindStatusCondition(q.Status.Conditions, v1alpha1.ConditionReady); is != nil && ctx.Err() == nil {
			message = is.Message
		}
		return strings.Contains(message, "draining"), message
	})
	says(t, message, before[0].Name)
	after.waitFor(t, "all that waited to come back", 2*half)
	// What drains is looked at every 30 s at least, and the depth of a quorum queue
	// is some seconds old when it is read.
	within(t, "the old tiers to be gone", func(context.Context) (bool, string) {
		found := strings.Join(s.family(q.Name), " ")
		return !strings.Contains(found, before[0].Name) && !strings.Contains(found, before[1].Name), found
	})
	within(t, "the status to say no more of it", func(context.Context) (bool, string) {
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
