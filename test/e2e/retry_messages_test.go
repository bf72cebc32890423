package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

var bothTypes = []v1alpha1.QueueType{v1alpha1.QueueTypeClassic, v1alpha1.QueueTypeQuorum}

// tiered is a queue with a tier for each delay.
func tiered(name string, kind v1alpha1.QueueType, delays ...time.Duration) *v1alpha1.Queue {
	q := queue(name, "shop", kind)
	q.Spec.Retry = &v1alpha1.Retry{Strategy: v1alpha1.RetryTiers, Delays: durations(delays...)}
	return q
}

func durations(all ...time.Duration) []metav1.Duration {
	out := make([]metav1.Duration, 0, len(all))
	for _, d := range all {
		out = append(out, metav1.Duration{Duration: d})
	}
	return out
}

// diary is what consumers have seen, by the body of messages.
type diary struct {
	mu   sync.Mutex
	seen map[string][]entry
}

type entry struct {
	at time.Time
	amqp.Delivery
}

func newDiary() *diary { return &diary{seen: map[string][]entry{}} }

// note returns how often the message has been seen, this time included.
func (d *diary) note(delivery amqp.Delivery, at time.Time) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	body := string(delivery.Body)
	d.seen[body] = append(d.seen[body], entry{at, delivery})
	return len(d.seen[body])
}

func (d *diary) of(body string) []entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]entry(nil), d.seen[body]...)
}

// count is the number of deliveries, and of messages among them.
func (d *diary) count() (deliveries, messages int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, entries := range d.seen {
		deliveries += len(entries)
	}
	return deliveries, len(d.seen)
}

// waitFor waits until so many different messages have been seen.
func (d *diary) waitFor(t testing.TB, what string, messages int) {
	t.Helper()
	within(t, what, d.has(messages))
}

func (d *diary) has(messages int) func(context.Context) (bool, string) {
	return func(context.Context) (bool, string) {
		deliveries, found := d.count()
		return found >= messages, fmt.Sprintf("%d deliveries of %d messages, %d wanted", deliveries, found, messages)
	}
}

// consume reads a queue on a connection of its own. settle gets each delivery and
// how often its message has been seen; that it fails shows as a message that
// never comes. stop ends it: what was not settled is back in the queue then.
func consume(t testing.TB, broker *harness.RabbitMQ, virtualHost, queue string, book *diary, settle func(delivery amqp.Delivery, n int) error) (stop func()) {
	t.Helper()
	channel := amqpChannel(t, broker, virtualHost)
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for delivery := range deliveries {
			if settle(delivery, book.note(delivery, time.Now())) != nil {
				return
			}
		}
	}()
	return func() {
		_ = channel.Close()
		<-done
	}
}

func ack(delivery amqp.Delivery, _ int) error { return delivery.Ack(false) }

// letter is a message on its way.
type letter struct {
	exchange, key string
	amqp.Publishing
}

func plain(exchange, key, body string) letter {
	return letter{exchange, key, amqp.Publishing{Body: []byte(body)}}
}

// send publishes letters, which are to reach a queue, and waits until the broker
// has answered all of them; it returns those that it did not take.
func send(t testing.TB, channel *amqp.Channel, letters ...letter) (refused []string) {
	t.Helper()
	var confirmations []*amqp.DeferredConfirmation
	for _, l := range letters {
		l.DeliveryMode = amqp.Persistent
		confirmation, err := channel.PublishWithDeferredConfirmWithContext(t.Context(), l.exchange, l.key, true, false, l.Publishing)
		must(t, err)
		confirmations = append(confirmations, confirmation)
	}
	for i, l := range letters {
		ok, err := confirmations[i].WaitContext(t.Context())
		must(t, err)
		if !ok {
			refused = append(refused, string(l.Body))
		}
	}
	return refused
}

// family lists a queue and those that Warrener makes for it.
func (s *scene) family(queue string) []string {
	s.t.Helper()
	var all []brokerQueue
	s.broker.Must(s.t, "GET", "/api/queues/"+url.PathEscape(s.virtualHost)+"?columns=name", nil, &all)
	var out []string
	for _, q := range all {
		if q.Name == queue || strings.HasPrefix(q.Name, queue+".") {
			out = append(out, q.Name)
		}
	}
	return out
}

// empty fails the test unless nothing is left in a queue and those around it, and
// stays so for a moment. Consumers have stopped: what they held counts.
func (s *scene) empty(t testing.TB, queue string) {
	t.Helper()
	channel := amqpChannel(t, s.broker, s.virtualHost)
	time.Sleep(300 * time.Millisecond)
	for _, name := range s.family(queue) {
		if left := ready(t, channel, name); left != 0 {
			t.Errorf("%s holds %d messages, and nothing was to be left", name, left)
		}
	}
}

// deaths reads x-death: "queue reason" with its entry.
func deaths(headers amqp.Table) map[string]amqp.Table {
	out := map[string]amqp.Table{}
	all, _ := headers["x-death"].([]any)
	for _, each := range all {
		death, _ := each.(amqp.Table)
		out[fmt.Sprint(death["queue"], " ", death["reason"])] = death
	}
	return out
}

// inTier says whether a message was in a tier of a queue.
func inTier(headers amqp.Table, queue string) bool {
	for where := range deaths(headers) {
		if strings.HasPrefix(where, queue+".retry.") {
			return true
		}
	}
	return false
}

// timeline is one poison message, for the pictures of the documentation; times
// are in milliseconds after its first delivery.
type timeline struct {
	RabbitMQ string          `json:"rabbitmq"`
	Type     string          `json:"type"`
	Strategy string          `json:"strategy"`
	Attempts []timelinePoint `json:"attempts"`
	DeadAt   float64         `json:"deadAt"`
}

type timelinePoint struct {
	Attempt    int     `json:"attempt"`
	RoutingKey string  `json:"routingKey"`
	At         float64 `json:"at"`
	// Late is how long after its due time the attempt came, Control how late a
	// message was that waited as long, at the same moment, in a queue with nothing
	// but a TTL.
	Late    float64 `json:"late"`
	Control float64 `json:"control"`
}

// timelines collects them from parallel tests.
type timelines struct {
	mu  sync.Mutex
	all []timeline
}

func (c *timelines) add(one timeline) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, one)
}

func (c *timelines) json() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.MarshalIndent(c.all, "", "  ")
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
