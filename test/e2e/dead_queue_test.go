package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// surelyBuried is a quorum queue that dead-letters at-least-once, without retries.
func surelyBuried(name string) *v1alpha1.Queue {
	q := queue(name, "shop", v1alpha1.QueueTypeQuorum)
	q.Spec.Overflow = v1alpha1.OverflowRejectPublish
	q.Spec.DeadLetter = &v1alpha1.DeadLetter{Strategy: v1alpha1.DeadLetterAtLeastOnce}
	return q
}

// suspend has the controller leave objects alone, or look after them again.
func (s *scene) suspend(is bool, queues ...*v1alpha1.Queue) {
	s.t.Helper()
	for _, q := range queues {
		edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.Suspend = is })
	}
	for _, q := range queues {
		if is {
			s.reaches(q, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)
		} else {
			s.ready(q)
		}
	}
}

// deleteQueue deletes a queue by hand.
func (s *scene) deleteQueue(name string) {
	s.t.Helper()
	s.broker.Must(s.t, "DELETE", queuePath(s.virtualHost, name), nil, nil)
}

// expire sends messages that expire in a queue, and waits until they have.
func (s *scene) expire(t *testing.T, channel *amqp.Channel, queue string, bodies ...string) {
	t.Helper()
	letters := make([]letter, len(bodies))
	for i, body := range bodies {
		letters[i] = plain("", queue, body)
		letters[i].Expiration = "50"
	}
	send(t, channel, letters...)
	within(t, "all in "+queue+" to expire", func(context.Context) (bool, string) {
		n := ready(t, channel, queue)
		return n == 0, fmt.Sprintf("%d are left", n)
	})
}

// keeps waits until the broker says that a queue holds n dead messages that found
// no queue, and nothing else. Totals are some seconds old.
func (s *scene) keeps(t *testing.T, queue string, n int) {
	t.Helper()
	within(t, fmt.Sprintf("%s to keep %d dead letters", queue, n), func(context.Context) (bool, string) {
		var found brokerQueue
		find(t, s.broker, queuePath(s.virtualHost, queue), &found)
		return found.Messages == n && found.Undead == n, fmt.Sprintf("it holds %d, of which %d are dead", found.Messages, found.Undead)
	})
}

// Messages that die while somebody has deleted the dead queue stay where they
// died; those that die when it is back arrive.
func TestDeadQueueComesBack(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		queues := []*v1alpha1.Queue{surelyBuried("plain"), tiered("tiers", v1alpha1.QueueTypeQuorum, 100*msec)}
		for _, q := range queues {
			s.create(q)
		}
		for _, q := range queues {
			s.ready(q)
		}
		s.suspend(true, queues...)
		channel := amqpChannel(t, s.broker, s.virtualHost)
		for _, q := range queues {
			s.deleteQueue(q.Name + ".dead")
			s.expire(t, channel, q.Name, "early 1", "early 2", "early 3")
		}
		for _, q := range queues {
			s.keeps(t, q.Name, 3)
			if find(t, s.broker, queuePath(s.virtualHost, q.Name+".dead"), nil) {
				t.Errorf("%s is suspended, and its dead queue is back", q.Name)
			}
		}
		s.suspend(false, queues...)
		for _, q := range queues {
			s.expire(t, channel, q.Name, "late 1", "late 2")
			for range 2 {
				dead := receive(t, channel, q.Name+".dead")
				must(t, dead.Ack(false))
				if !strings.HasPrefix(string(dead.Body), "late") {
					t.Errorf("%s: %q is dead: what died before is looked at again after minutes", q.Name, dead.Body)
				}
			}
		}
		// They count: a queue that holds nothing else is not empty.
		for _, q := range queues {
			s.keeps(t, q.Name, 3)
			s.remove(q)
		}
		within(t, "both queues to be left behind", func(context.Context) (bool, string) {
			s.get(s.connection)
			listed := fmt.Sprint(s.connection.Status.LeftBehind)
			return strings.Contains(listed, "/plain") && strings.Contains(listed, "/tiers"), listed
		})
		for _, q := range queues {
			s.keeps(t, q.Name, 3)
		}
	})
}

// burials are messages that die while the dead queue is gone: more than the 32
// that the broker tries to bury at a time, of which those that expire leave some.
type burials struct {
	s              *scene
	queue          string
	retries        bool
	died, dead     *diary
	stop, stopDead func()
}

const expiring, rejected = 20, 40

func bodies(how string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s %d", how, i)
	}
	return out
}

func (b *burials) die(t *testing.T) {
	t.Helper()
	channel := amqpChannel(t, b.s.broker, b.s.virtualHost)
	for _, body := range bodies("expired", expiring) {
		b.s.expire(t, channel, b.queue, body)
		b.died.note(amqp.Delivery{Body: []byte(body)}, time.Now())
	}
	b.stop = consume(t, b.s.broker, b.s.virtualHost, b.queue, b.died, func(d amqp.Delivery, _ int) error { return d.Reject(false) })
	publish(t, channel, "", b.queue, bodies("rejected", rejected)...)
	b.died.waitFor(t, "all to be rejected", expiring+rejected)
}

// judge holds the way into the dead queue to 200 s.
func (b *burials) judge(t *testing.T, back time.Time) {
	t.Helper()
	const limit = 200 * time.Second
	for how, n := range map[string]int{"expired": expiring, "rejected": rejected} {
		var waits, after []time.Duration
		attempts := 0
		for _, body := range bodies(how, n) {
			arrived, died := b.dead.of(body), b.died.of(body)
			if len(arrived) == 0 {
				t.Fatalf("%s: %q is lost", b.queue, body)
			}
			waits = append(waits, arrived[0].at.Sub(died[0].at))
			after = append(after, arrived[0].at.Sub(back))
			attempts = max(attempts, len(died))
		}
		deliveries, messages := b.dead.count()
		t.Logf("RabbitMQ %s, %s, %s: dead %.1f to %.1f s after they died, %.1f to %.1f s after the dead queue was back; %d attempts; %d doubled",
			b.s.broker.Version, b.queue, how, slices.Min(waits).Seconds(), slices.Max(waits).Seconds(),
			slices.Min(after).Seconds(), slices.Max(after).Seconds(), attempts, deliveries-messages)
		if slices.Max(after) > limit {
			t.Errorf("%s, %s: the last was dead %s after the dead queue was back, and %s are promised", b.queue, how, slices.Max(after), limit)
		}
		if how == "rejected" && b.retries && attempts <= 2 {
			t.Errorf("%s: %d attempts, and rejected messages were to be tried again as long as nothing buries them", b.queue, attempts)
		}
	}
}
