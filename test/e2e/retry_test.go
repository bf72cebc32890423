package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
)

const (
	// early is what two clocks may differ by; late is what the way through the
	// exchanges may take, beyond the lateness of the TTL itself.
	early, late = 2 * time.Millisecond, 150 * time.Millisecond

	msec = time.Millisecond
)

// A poison message is delivered when it is due, as often as declared, and is
// dead after that; one that succeeds at the third attempt is nowhere afterwards.
func TestRetryTimeline(t *testing.T) {
	drawn := &timelines{}
	if path := os.Getenv("WARRENER_TIMELINE_OUT"); path != "" {
		t.Cleanup(func() {
			data, err := drawn.json()
			must(t, err)
			must(t, os.WriteFile(path, data, 0o600)) //nolint:gosec // whoever runs the test says where
		})
	}
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		orders := exchange("orders", "shop", v1alpha1.ExchangeTypeTopic)
		objects := []client.Object{orders}
		var queues []*v1alpha1.Queue
		add := func(q *v1alpha1.Queue) {
			q.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"created." + q.Name}}}
			queues, objects = append(queues, q), append(objects, q)
		}
		for _, kind := range bothTypes {
			add(tiered(string(kind)+".tiers", kind, 200*msec, 400*msec, 800*msec))
			published := tiered(string(kind)+".published", kind, 200*msec, 400*msec, 800*msec)
			published.Spec.Retry.Strategy = v1alpha1.RetryPublished
			add(published)
		}
		native := queue("native", "shop", v1alpha1.QueueTypeQuorum)
		native.Spec.DeadLetter = &v1alpha1.DeadLetter{}
		native.Spec.Retry = &v1alpha1.Retry{
			Strategy: v1alpha1.RetryNative, MaxRetries: new(int32(3)),
			Backoff: &v1alpha1.Backoff{Initial: metav1.Duration{Duration: 200 * msec}, Max: &metav1.Duration{Duration: 800 * msec}},
		}
		if s.broker.Version == "4.3" {
			add(native)
		} else {
			s.create(native)
			says(t, s.stalled(native, v1alpha1.ReasonUnsupportedByBroker), "4.3", s.broker.Version)
		}
		s.create(objects...)
		s.ready(objects...)
		for _, q := range queues {
			t.Run(q.Name, func(t *testing.T) {
				t.Parallel()
				// Lateness is a matter of the machine, too: three times in a row it is not.
				for try := 1; ; try++ {
					measured, tooLate := timelineOf(t, s, q, try)
					if len(tooLate) == 0 || t.Failed() {
						drawn.add(measured)
						return
					}
					t.Logf("try %d: %s", try, strings.Join(tooLate, "; "))
					if try == 3 {
						t.Fatal("too late three times")
					}
				}
			})
		}
	})
}

// timelineOf sends a queue a poison message, and one that succeeds at attempt 3.
func timelineOf(t *testing.T, s *scene, q *v1alpha1.Queue, try int) (drawn timeline, tooLate []string) {
	t.Helper()
	retry, key := compile.RetryOf(q), "created."+q.Name
	control := newControl(t, s, q, try)
	book, dead := newDiary(), newDiary()
	publisher := amqpChannel(t, s.broker, s.virtualHost)
	settle := func(d amqp.Delivery, n int) error {
		if string(d.Body) == "third" && n == 3 {
			return d.Ack(false)
		}
		if err := fails(t, publisher, retry, d, n); err != nil {
			return err
		}
		if string(d.Body) == "poison" && n <= len(retry.Steps) {
			return control.start(n, retry.Steps[n-1].Delay)
		}
		return nil
	}
	stopDead := consume(t, s.broker, s.virtualHost, retry.DeadQueue, dead, ack)
	stop := consume(t, s.broker, s.virtualHost, q.Name, book, settle)
	send(t, amqpChannel(t, s.broker, s.virtualHost), plain("orders", key, "poison"), plain("orders", key, "third"))
	dead.waitFor(t, "the poison message to be dead", 1)
	control.out.waitFor(t, "the control messages", len(retry.Steps))
	time.Sleep(300 * msec)
	stop()
	stopDead()

	drawn = timeline{RabbitMQ: s.broker.Version, Type: string(q.Spec.Type), Strategy: string(retry.Strategy)}
	attempts := book.of("poison")
	if len(attempts) != retry.MaxRetries+1 {
		t.Fatalf("the poison message was delivered %d times, and %d retries are declared", len(attempts), retry.MaxRetries)
	}
	for i, attempt := range attempts {
		point := timelinePoint{Attempt: i + 1, RoutingKey: attempt.RoutingKey, At: millis(attempt.at.Sub(attempts[0].at))}
		if i > 0 {
			lateness := attempt.at.Sub(attempts[i-1].at) - retry.Steps[i-1].Delay
			allowed := late + max(control.lateness(i), 0)
			point.Late, point.Control = millis(lateness), millis(control.lateness(i))
			if lateness < -early {
				t.Errorf("attempt %d came %s before its due time", i+1, -lateness)
			}
			if lateness > allowed {
				tooLate = append(tooLate, fmt.Sprintf("attempt %d came %s after its due time, and %s are allowed", i+1, lateness, allowed))
			}
			t.Logf("attempt %d: %.1f ms late, control %.1f ms", i+1, point.Late, point.Control)
		}
		checkAttempt(t, retry, attempt, i+1, key)
		drawn.Attempts = append(drawn.Attempts, point)
	}
	if n := len(book.of("third")); n != 3 {
		t.Errorf("the message that succeeds at attempt 3 was delivered %d times", n)
	}
	if n, messages := dead.count(); n != 1 || messages != 1 || len(dead.of("poison")) != 1 {
		t.Fatalf("%d deliveries of %d messages in %s, and only the poison message was to be there, once", n, messages, retry.DeadQueue)
	}
	last := dead.of("poison")[0].at.Sub(attempts[len(attempts)-1].at)
	if last > late+control.worst() {
		tooLate = append(tooLate, fmt.Sprintf("dead %s after the last attempt", last))
	}
	drawn.DeadAt = millis(dead.of("poison")[0].at.Sub(attempts[0].at))
	s.empty(t, q.Name)
	return drawn, tooLate
}

// fails does what a consumer does under a strategy with a message that it could
// not handle.
func fails(t *testing.T, publisher *amqp.Channel, retry *compile.Retry, d amqp.Delivery, n int) error {
	switch retry.Strategy {
	case v1alpha1.RetryTiers:
		return d.Reject(false)
	case v1alpha1.RetryNative:
		return d.Reject(true)
	}
	to := retry.DeadQueue
	if n <= len(retry.Steps) {
		to = retry.Steps[n-1].Queue
	}
	confirmation, err := publisher.PublishWithDeferredConfirm("", to, true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: d.Body, Headers: amqp.Table{"attempt": int32(n + 1)}})
	if err != nil {
		return err
	}
	if ok, err := confirmation.WaitContext(t.Context()); err != nil || !ok {
		return fmt.Errorf("publish to %s: confirmed %v, %w", to, ok, err)
	}
	return d.Ack(false)
}

// checkAttempt holds a delivery to what the documentation promises of it.
func checkAttempt(t *testing.T, retry *compile.Retry, d entry, n int, key string) {
	t.Helper()
	wanted := key
	if n > 1 && retry.Strategy != v1alpha1.RetryNative {
		wanted = retry.Steps[n-2].RoutingKey
	}
	if d.RoutingKey != wanted {
		t.Errorf("attempt %d has the key %q, not %q", n, d.RoutingKey, wanted)
	}
	if n == 1 || retry.Strategy != v1alpha1.RetryTiers {
		return
	}
	death := deaths(d.Headers)[retry.Queue+" rejected"]
	keys, _ := death["routing-keys"].([]any)
	if death["count"] != int64(n-1) || death["exchange"] != "orders" || len(keys) == 0 || keys[0] != key {
		t.Errorf("attempt %d does not tell where the message is from: %v", n, d.Headers)
	}
}

// control measures how late a TTL is that nothing else is wired to: what a broker
// on a busy machine does anyway.
type control struct {
	channel *amqp.Channel
	prefix  string
	out     *diary
	mu      sync.Mutex
	due     map[int]time.Time
}

func newControl(t *testing.T, s *scene, q *v1alpha1.Queue, try int) *control {
	t.Helper()
	c := &control{channel: amqpChannel(t, s.broker, s.virtualHost), prefix: fmt.Sprintf("control-%d-%s", try, q.Name), out: newDiary(), due: map[int]time.Time{}}
	s.declareQueue(c.prefix, q.Spec.Type, nil)
	for _, step := range compile.RetryOf(q).Steps {
		s.declareQueue(c.waiting(step.Delay), q.Spec.Type, map[string]any{
			"x-message-ttl": step.Delay.Milliseconds(), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": c.prefix,
		})
	}
	consume(t, s.broker, s.virtualHost, c.prefix, c.out, ack)
	return c
}

func (c *control) waiting(delay time.Duration) string {
	return c.prefix + "-" + strconv.FormatInt(delay.Milliseconds(), 10)
}

func (c *control) start(n int, delay time.Duration) error {
	c.mu.Lock()
	c.due[n] = time.Now().Add(delay)
	c.mu.Unlock()
	return c.channel.Publish("", c.waiting(delay), false, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(strconv.Itoa(n))})
}

func (c *control) lateness(n int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.of(strconv.Itoa(n))[0].at.Sub(c.due[n])
}

func (c *control) worst() time.Duration {
	worst := time.Duration(0)
	for n := range c.due {
		worst = max(worst, c.lateness(n))
	}
	return worst
}

// What dies of anything but a rejection is in the dead queue, once, and was in no
// tier, which the usual wiring loses.
func TestOnlyRejectionsAreRetried(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		var all []*v1alpha1.Queue
		var objects []client.Object
		add := func(name string, kind v1alpha1.QueueType, change func(*v1alpha1.QueueSpec)) *v1alpha1.Queue {
			q := tiered(string(kind)+"."+name, kind, 100*msec, 200*msec)
			change(&q.Spec)
			all, objects = append(all, q), append(objects, q)
			return q
		}
		ttl := func(s *v1alpha1.QueueSpec) { s.MessageTTL = &metav1.Duration{Duration: 400 * msec} }
		full := func(overflow v1alpha1.Overflow) func(*v1alpha1.QueueSpec) {
			return func(s *v1alpha1.QueueSpec) { s.MaxLength, s.Overflow = new(int64(1)), overflow }
		}
		for _, kind := range bothTypes {
			add("ttl", kind, ttl)
			add("late", kind, ttl)
			add("expiration", kind, func(*v1alpha1.QueueSpec) {})
		}
		head := add("head", v1alpha1.QueueTypeClassic, full(v1alpha1.OverflowDropHead))
		refuses := add("dlx", v1alpha1.QueueTypeClassic, full(v1alpha1.OverflowRejectPublishDLX))
		returns := add("returns", v1alpha1.QueueTypeQuorum, full(v1alpha1.OverflowRejectPublish))
		limit := add("limit", v1alpha1.QueueTypeQuorum, func(s *v1alpha1.QueueSpec) { s.DeliveryLimit = new(int64(2)) })
		s.create(objects...)
		s.ready(objects...)

		channel := amqpChannel(t, s.broker, s.virtualHost)
		for _, q := range all {
			switch _, what, _ := strings.Cut(q.Name, "."); what {
			case "ttl":
				send(t, channel, plain("", q.Name, "expired"))
			case "late": // rejected, tried again, and expired then
				send(t, channel, plain("", q.Name, "expired"))
				d := receive(t, channel, q.Name)
				must(t, d.Reject(false))
			case "expiration":
				l := plain("", q.Name, "expired")
				l.Expiration = "50"
				send(t, channel, l)
			}
		}
		send(t, channel, plain("", head.Name, "maxlen"), plain("", head.Name, "stays"))
		send(t, channel, plain("", refuses.Name, "stays"))
		if refused := send(t, channel, plain("", refuses.Name, "maxlen")); len(refused) != 1 {
			t.Errorf("%s is full, and the broker refused %q", refuses.Name, refused)
		}
		taken, refused := fill(t, channel, returns.Name)
		if refused == 0 || taken == 0 {
			t.Errorf("%s took %d messages and refused %d", returns.Name, taken, refused)
		}
		crashes(t, s, channel, limit.Name, 2)

		for _, q := range all {
			if q != returns {
				deadOnce(t, s, q)
			}
		}
		drain(t, channel, head.Name, 1)
		drain(t, channel, refuses.Name, 1)
		drain(t, channel, returns.Name, taken)
		time.Sleep(500 * msec) // a copy in a tier would be back by now
		for _, q := range all {
			s.empty(t, q.Name)
		}
	})
}

// fill publishes to a queue until it has refused some messages.
func fill(t *testing.T, channel *amqp.Channel, queue string) (taken, refused int) {
	t.Helper()
	for taken+refused < 100 && refused < 3 {
		refused += len(send(t, channel, plain("", queue, "returned")))
		taken++
	}
	return taken - refused, refused
}

// crashes has a message exceed the delivery limit, after it was tried again once.
// Brokers before 4.0 would take that for another rejection: they only know why a
// message died first. 4.3 remembers the rejection as a delivery.
func crashes(t *testing.T, s *scene, channel *amqp.Channel, queue string, limit int) {
	t.Helper()
	send(t, channel, plain("", queue, "delivery_limit"))
	left := limit + 1
	if s.broker.Version != "3.10" {
		d := receive(t, channel, queue)
		must(t, d.Reject(false))
	}
	if s.broker.Version == "4.3" {
		left--
	}
	for range left {
		d := receive(t, channel, queue)
		must(t, d.Reject(true))
	}
}

// deadOnce waits for the one message in a dead queue; its body says why it was to
// die.
func deadOnce(t *testing.T, s *scene, q *v1alpha1.Queue) {
	t.Helper()
	channel := amqpChannel(t, s.broker, s.virtualHost)
	d := receive(t, channel, q.Name+".dead")
	must(t, d.Ack(false))
	found := deaths(d.Headers)
	if _, ok := found[q.Name+" "+string(d.Body)]; !ok {
		t.Errorf("%s: the dead letter %q died of %v", q.Name, d.Body, d.Headers["x-death"])
	}
	_, triedAgain := found[q.Name+" rejected"]
	if inTier(d.Headers, q.Name) != triedAgain {
		t.Errorf("%s: %q was in a tier: %v", q.Name, d.Body, d.Headers["x-death"])
	}
	if _, second := found[q.Name+".retry.2.200 expired"]; second && s.broker.Version != "3.10" {
		t.Errorf("%s: %q was in the second tier: %v", q.Name, d.Body, d.Headers["x-death"])
	}
}

// drain takes exactly n messages out of a queue.
func drain(t *testing.T, channel *amqp.Channel, queue string, n int) {
	t.Helper()
	for range n {
		d := receive(t, channel, queue)
		must(t, d.Ack(false))
	}
}
