package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/test/harness"
)

// The broker goes down while messages wait in two tiers, and their time comes
// before it is back: each finishes its timeline, and is dead once. Classic queues
// promise that of an orderly stop only.
func TestRetryRestart(t *testing.T) {
	t.Parallel()
	for _, version := range harness.RabbitMQVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, harness.PrivateRabbitMQ(t, version, harness.RabbitMQOptions{}))
			var queues []*v1alpha1.Queue
			for _, kind := range []v1alpha1.QueueType{v1alpha1.QueueTypeQuorum, v1alpha1.QueueTypeClassic} {
				// 3.10 takes 6 s to go down in an orderly way.
				q := tiered(string(kind), kind, 3*time.Second, 9*time.Second, 300*msec)
				s.create(q)
				queues = append(queues, q)
			}
			for _, q := range queues {
				s.ready(q)
			}
			restarted(t, s, "stopped", s.broker.Stop, queues...)
			restarted(t, s, "killed", s.broker.Kill, queues[0])
		})
	}
}

// travellers are messages on their way through the tiers of a queue: half of them
// wait for their first retry, half for their second, when the broker goes down.
type travellers struct {
	s                 *scene
	retry             *compile.Retry
	name              string
	book, dead, twice *diary
	stop              func() // the consumer
}

const halfOfTravellers = 50

func restarted(t *testing.T, s *scene, name string, down func(testing.TB), queues ...*v1alpha1.Queue) {
	t.Helper()
	var all []*travellers
	for _, q := range queues {
		m := &travellers{s: s, retry: compile.RetryOf(q), name: name, book: newDiary(), dead: newDiary(), twice: newDiary()}
		m.work(t)
		all = append(all, m)
	}
	channel := amqpChannel(t, s.broker, s.virtualHost)
	for _, m := range all {
		m.send(t, channel, "second tier")
	}
	for _, m := range all {
		m.twice.waitFor(t, "the second attempts", halfOfTravellers)
	}
	for _, m := range all {
		m.send(t, channel, "first tier")
	}
	for _, m := range all {
		m.book.waitFor(t, "the first attempts", 2*halfOfTravellers)
		// A rejection has no confirm: what is in a tier has been rejected.
		within(t, "all messages to wait", func(context.Context) (bool, string) {
			waiting := m.waiting(t, channel)
			return waiting == 2*halfOfTravellers, fmt.Sprintf("%d wait", waiting)
		})
	}
	going := time.Now()
	down(t)
	gone := time.Now()
	last := gone
	for _, m := range all {
		m.stop()
		for _, body := range m.bodies() {
			if due := m.due(body, gone); due.After(last) {
				last = due
			}
		}
	}
	time.Sleep(time.Until(last.Add(200 * msec))) // their time comes
	start := time.Now()
	s.broker.Start(t)
	t.Logf("%s: going down took %.1f s, and it was down for %.1f s, of which the start took %.1f",
		name, gone.Sub(going).Seconds(), time.Since(gone).Seconds(), time.Since(start).Seconds())

	for _, m := range all {
		m.work(t)
		defer m.stop()
		defer consume(t, s.broker, s.virtualHost, m.retry.DeadQueue, m.dead, ack)()
	}
	for _, m := range all {
		m.dead.waitFor(t, m.retry.Queue+": all to be dead", 2*halfOfTravellers)
	}
	time.Sleep(500 * msec) // longer than the last tier: a copy would be back by now
	for _, m := range all {
		m.judge(t, gone)
	}
	for _, m := range all {
		s.empty(t, m.retry.Queue)
	}
}

func (m *travellers) bodies() []string {
	var out []string
	for _, group := range []string{"first tier", "second tier"} {
		for i := range halfOfTravellers {
			out = append(out, fmt.Sprintf("%s %s %d", m.name, group, i))
		}
	}
	return out
}

func (m *travellers) send(t *testing.T, channel *amqp.Channel, group string) {
	t.Helper()
	var letters []letter
	for _, body := range m.bodies() {
		if strings.Contains(body, group) {
			letters = append(letters, plain("", m.retry.Queue, body))
		}
	}
	send(t, channel, letters...)
}

// work rejects whatever comes.
func (m *travellers) work(t *testing.T) {
	t.Helper()
	m.stop = consume(t, m.s.broker, m.s.virtualHost, m.retry.Queue, m.book, func(d amqp.Delivery, n int) error {
		if n == 2 {
			m.twice.note(d, time.Now())
		}
		return d.Reject(false)
	})
}

func (m *travellers) waiting(t *testing.T, channel *amqp.Channel) (n int) {
	t.Helper()
	for _, step := range m.retry.Steps {
		n += ready(t, channel, step.Queue)
	}
	return n
}

// due is when a message was to come back, or to be dead, that was on its way when
// the broker went down.
func (m *travellers) due(body string, gone time.Time) time.Time {
	n, at := 0, time.Time{}
	for _, each := range m.book.of(body) {
		if each.at.Before(gone) {
			n, at = n+1, each.at
		}
	}
	if n > len(m.retry.Steps) {
		return at
	}
	return at.Add(m.retry.Steps[n-1].Delay)
}

// judge holds each message to its timeline. One whose time came while the broker
// went down was on its way, and may be there twice: at-least-once is that. So may
// a delivery of which the broker itself says that it is made again.
func (m *travellers) judge(t *testing.T, gone time.Time) {
	t.Helper()
	waited, passing, doubled := map[int]int{}, 0, 0
	for _, body := range m.bodies() {
		moving := !m.due(body, gone).After(gone)
		var keys []string
		before := 0
		for _, each := range m.book.of(body) {
			if each.at.Before(gone) {
				before++
			}
			if slices.Contains(keys, each.RoutingKey) && (moving || each.Redelivered) {
				doubled++
				continue
			}
			keys = append(keys, each.RoutingKey)
		}
		waited[before]++
		if moving {
			passing++
		}
		wanted := []string{m.retry.Queue}
		for _, step := range m.retry.Steps {
			wanted = append(wanted, step.RoutingKey)
		}
		died := len(m.dead.of(body))
		doubled += max(died-1, 0)
		if !slices.Equal(keys, wanted) || died == 0 || (died > 1 && !moving) {
			t.Errorf("%s: %s: delivered as %q, and %d times dead", m.retry.Queue, body, keys, died)
		}
	}
	t.Logf("%s %s: messages that waited in each tier: %v; %d were due before the broker was down; %d deliveries doubled",
		m.retry.Queue, m.name, waited, passing, doubled)
}
