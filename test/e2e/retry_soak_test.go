package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/test/harness"
)

// A thousand messages on every way into a queue with 20 tiers, every third of
// them poisonous, two consumers that crash; beside it queues that expire and
// overflow. None is lost, none comes again but what a crashed consumer held, and
// each poisonous one is dead exactly once.
func TestRetrySoak(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		byKey, byHeader := exchange("orders", "shop", v1alpha1.ExchangeTypeTopic), exchange("orders-by-header", "shop", v1alpha1.ExchangeTypeHeaders)
		s.create(byKey, byHeader)
		var yards []*yard
		for _, kind := range bothTypes {
			yards = append(yards, newYard(s, kind, seed))
		}
		for _, y := range yards {
			for _, q := range y.all() {
				s.ready(q)
			}
		}
		for _, y := range yards {
			t.Run(string(y.work.Spec.Type), func(t *testing.T) {
				t.Parallel()
				for name, play := range map[string]func(*testing.T, *scene, *yard){"mixed": mixed, "expired": expired, "overflowed": overflowed} {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						play(t, s, y)
					})
				}
			})
		}
	})
}

// yard is the queues of one type.
type yard struct {
	seed  uint64
	work  *v1alpha1.Queue   // with 20 tiers, fed on every way
	copy  *v1alpha1.Queue   // gets copies of what work gets
	brief *v1alpha1.Queue   // with a TTL
	full  []*v1alpha1.Queue // one for each overflow mode that retries go with
}

func (y *yard) all() []*v1alpha1.Queue {
	return append([]*v1alpha1.Queue{y.work, y.copy, y.brief}, y.full...)
}

func newYard(s *scene, kind v1alpha1.QueueType, seed uint64) *yard {
	var twenty []time.Duration
	for n := range 20 {
		twenty = append(twenty, time.Duration(20*(n+1))*msec)
	}
	named := func(name string, delays ...time.Duration) *v1alpha1.Queue {
		q := tiered(string(kind)+"."+name, kind, delays...)
		q.Spec.Bindings = []v1alpha1.BindingSource{
			{Source: "orders", RoutingKeys: []string{q.Name + ".#", "warrener." + q.Name + ".#"}},
			{Source: "orders-by-header", Headers: &v1alpha1.HeaderBinding{Values: v1alpha1.Arguments{"for": v1alpha1.MustValue(q.Name)}}},
		}
		return q
	}
	y := &yard{seed: seed, work: named("work", twenty...), copy: named("copy", 20*msec, 40*msec)}
	y.brief = named("brief", 50*msec, 100*msec, 150*msec, 200*msec)
	y.brief.Spec.MessageTTL = &metav1.Duration{Duration: time.Second}
	modes := []v1alpha1.Overflow{v1alpha1.OverflowRejectPublish}
	if kind == v1alpha1.QueueTypeClassic {
		modes = []v1alpha1.Overflow{v1alpha1.OverflowDropHead, v1alpha1.OverflowRejectPublishDLX}
	}
	for _, mode := range modes {
		q := named(string(mode), 50*msec, 100*msec, 150*msec)
		q.Spec.MaxLength, q.Spec.Overflow = new(int64(10)), mode
		y.full = append(y.full, q)
	}
	for _, q := range y.all() {
		s.create(q)
	}
	return y
}

// addressed is a letter with an id.
func addressed(l letter, id string) letter {
	l.MessageId, l.Body = id, bodyOf(id)
	return l
}

var (
	large   = map[string]bool{"400": true, "401": true, "402": true, "403": true, "404": true, "405": true}
	padding = bytes.Repeat([]byte("0123456789abcdef"), 2<<20/16)
)

// bodyOf is the body of a message: its id, in front of 2 MB for some.
func bodyOf(id string) []byte {
	if large[id] {
		return append([]byte(id), padding...)
	}
	return []byte(id)
}

// way is one into a queue.
type way struct {
	letter
	attempts []int // on which a message is delivered that is always rejected
	copied   bool  // to the other queue, too
	expires  bool  // before a consumer is there, if it is sent early
	replay   bool  // what is dead is sent again, with all its headers
}

// ways are those into a queue; their number is no multiple of three.
func ways(version, queue, other string) []way {
	with := func(header string, keys ...any) amqp.Publishing {
		return amqp.Publishing{Headers: amqp.Table{header: keys}}
	}
	created, copied, last := queue+".created", queue+".copied", 21
	key := func(n int) string { return compile.AttemptKey(queue, n) }
	// Before 4.0, the broker believes a publisher that says how its message died first.
	lie := amqp.Publishing{Headers: amqp.Table{
		"x-first-death-reason": "expired", "x-first-death-queue": "elsewhere", "x-last-death-reason": "expired",
		"x-death": []any{amqp.Table{"queue": "elsewhere", "reason": "expired", "exchange": "", "count": int64(1), "routing-keys": []any{"elsewhere"}}},
	}}
	believed := fromTo(1, last)
	if version == "3.10" {
		believed = []int{1}
	}
	return []way{
		{letter: letter{"orders", created, amqp.Publishing{}}, attempts: fromTo(1, last)},
		{letter: letter{"", queue, amqp.Publishing{}}, attempts: fromTo(1, last), replay: true},
		{letter: letter{"orders-by-header", "", amqp.Publishing{Headers: amqp.Table{"for": queue}}}, attempts: fromTo(1, last)},
		{letter: letter{"orders", created, amqp.Publishing{Expiration: "50"}}, attempts: fromTo(1, last), expires: true, replay: true},
		// Keys that look like those of tiers: the queue's own count, as documented.
		{letter: letter{"orders", key(3), amqp.Publishing{}}, attempts: fromTo(3, last)},
		{letter: letter{"orders", key(last), amqp.Publishing{}}, attempts: []int{last}},
		{letter: letter{"orders-by-header", key(5), amqp.Publishing{Headers: amqp.Table{"for": queue}}}, attempts: fromTo(5, last)},
		{letter: letter{"orders", copied, with("CC", key(3))}, attempts: append([]int{1}, fromTo(4, last)...)},
		{letter: letter{"orders", key(last + 1), amqp.Publishing{}}, attempts: fromTo(1, last)},
		{letter: letter{"orders", key(3) + ".again", with("CC", "nobody.reads", compile.AttemptKey("nobody", 3))}, attempts: fromTo(1, last)},
		// The same queue by several keys, another one too, and none at all.
		{letter: letter{"orders", copied, with("CC", queue+".again", compile.AttemptKey("elsewhere", 2))}, attempts: fromTo(1, last)},
		{letter: letter{"orders", copied, with("BCC", queue+".again", created)}, attempts: fromTo(1, last)},
		{letter: letter{"", queue, with("CC", "no-such-queue")}, attempts: fromTo(1, last)},
		{letter: letter{"orders", copied, with("CC", other+".copied", compile.AttemptKey(other, 22))}, attempts: fromTo(1, last), copied: true},
		{letter: letter{"", queue, with("BCC", other)}, attempts: fromTo(1, last), copied: true},
		{letter: letter{"", queue, lie}, attempts: believed},
	}
}

// okAt is the attempt that handles the i-th message: every third is poisonous,
// every third succeeds later, at the very last attempt too.
func okAt(i int) int {
	switch i % 3 {
	case 0:
		return never
	case 1:
		return []int{2, 3, 5, 21}[i/3%4]
	}
	return 1
}

func mixed(t *testing.T, s *scene, y *yard) {
	const messages, early = 1000, 300
	crew, others := newCrew(t, s, y.work.Name), newCrew(t, s, y.copy.Name)
	entrances := ways(s.broker.Version, y.work.Name, y.copy.Name)
	letters := make([]letter, messages)
	again := map[string]bool{}
	for i := range letters {
		id, how := fmt.Sprint(i), entrances[i%len(entrances)]
		l := addressed(how.letter, id)
		f := fateOf(how.attempts, okAt(i))
		switch {
		case how.expires && i < early:
			f = fate{death: "expired"}
		case how.expires:
			l.Expiration = "600000" // and never comes to that
		}
		if how.replay && f.death != "" && i < early {
			again[id] = true
		}
		crew.book.foresee(id, f)
		if how.copied {
			others.book.foresee(id, fateOf(fromTo(1, 3), okAt(i)))
		}
		letters[i] = l
	}
	for id := range again {
		crew.book.foresee("again "+id, replayed(s.broker.Version, crew.book.fates[id]))
	}
	dead := make(chan amqp.Delivery, len(again))
	crew.bury(func(d amqp.Delivery) {
		if again[d.MessageId] {
			dead <- d
		}
	})
	others.bury(leave)

	post := crew.post()
	send(t, post, letters[:early]...)
	time.Sleep(200 * msec) // what expires has expired when the consumers come
	for n := range uint64(2) {
		crew.work(10, rand.New(rand.NewPCG(y.seed, n)))
		others.work(2, rand.New(rand.NewPCG(y.seed, 2+n)))
	}
	if refused := send(t, post, letters[early:]...); len(refused) > 0 {
		t.Errorf("the broker did not take %d messages", len(refused))
	}
	resend := func() bool {
		select {
		case d := <-dead:
			send(t, post, addressed(letter{"", y.work.Name, amqp.Publishing{Headers: d.Headers}}, "again "+d.MessageId))
			return true
		case <-time.After(deadline):
			t.Error("no more dead letters that could be sent again")
			return false
		}
	}
	for left := len(again); left > 0 && resend(); left-- {
		continue
	}
	finish(t, deadline, crew, others)
	if crew.book.crashes < 10 {
		t.Errorf("%d crashes, and 20 were planned", crew.book.crashes)
	}
}

// replayed is the fate of a dead letter that is sent again as it is.
func replayed(version string, f fate) fate {
	out := fate{attempts: fromTo(1, 21), okAt: never, death: "rejected", replayed: true}
	if version == "3.10" && f.death == "expired" {
		out.attempts = []int{1} // it has died of something else first, for this broker
	}
	return out
}

// expired has messages expire in the queue, at once, or on their way back after a
// rejection.
func expired(t *testing.T, s *scene, y *yard) {
	const messages = 60
	q := y.brief
	crew := newCrew(t, s, q.Name)
	var letters []letter
	for i := range messages {
		id := fmt.Sprint("brief ", i)
		crew.book.foresee(id, fate{death: "expired"})
		letters = append(letters, addressed(letter{"orders", q.Name + ".created", amqp.Publishing{}}, id))
	}
	crew.bury(leave)
	post := crew.post()
	send(t, post, letters...)
	late := crew.reject(post, messages/2)
	if len(late) == 0 {
		t.Error("all expired before they could be rejected")
	}
	for _, d := range late {
		crew.book.foresee(d.MessageId, fate{attempts: []int{crew.book.attempt(d)}, death: "expired"})
	}
	finish(t, deadline, crew)
}

// overflowed fills queues, has messages come back to a full one, and starts
// consumers then.
func overflowed(t *testing.T, s *scene, y *yard) {
	limit := deadline
	var crews []*crew
	for _, q := range y.full {
		c := newCrew(t, s, q.Name)
		crews = append(crews, c)
		p := &pouring{crew: c, q: q, channel: c.post(), version: s.broker.Version}
		p.back = q.Spec.Type == v1alpha1.QueueTypeClassic || harness.Long() && s.broker.Version != "3.10"
		c.bury(leave)
		p.pour(t, 40)
		if p.back {
			c.reject(p.channel, 5)
			p.pour(t, 10)
			for _, step := range compile.RetryOf(q).Steps {
				within(t, "the rejected messages to be back", func(context.Context) (bool, string) {
					return ready(t, p.channel, step.Queue) == 0, "some wait in " + step.Queue
				})
			}
			p.pour(t, 10)
		}
		if q.Spec.Type == v1alpha1.QueueTypeQuorum && p.back {
			limit = 10 * time.Minute // up to three for each return
		}
		if p.refused == 0 && q.Spec.Overflow != v1alpha1.OverflowDropHead {
			t.Errorf("%s never was full", q.Name)
		}
		for n := range uint64(2) {
			c.work(0, rand.New(rand.NewPCG(y.seed, n)))
		}
	}
	finish(t, limit, crews...)
}

// pouring sends a queue more than it holds. back says whether messages are to come
// back to it while it is full: a quorum queue refuses those, and the tier offers
// them again after three minutes; on 3.10 not within ten.
type pouring struct {
	*crew
	q             *v1alpha1.Queue
	channel       *amqp.Channel
	version       string
	back          bool
	sent, refused int
}

func (p *pouring) pour(t *testing.T, n int) {
	t.Helper()
	for range n {
		id := fmt.Sprint("full ", p.sent)
		p.book.foresee(id, p.fate())
		p.sent++
		if len(send(t, p.channel, addressed(letter{"", p.q.Name, amqp.Publishing{}}, id))) == 0 {
			continue
		}
		if p.refused++; p.q.Spec.Overflow == v1alpha1.OverflowRejectPublish {
			p.book.foresee(id, fate{refused: true})
		}
	}
}

// fate is that of the next message. All that can come back are rejected the first
// time, so that rejecting any by hand is right.
func (p *pouring) fate() fate {
	attempt := max(2, okAt(p.sent))
	switch {
	case !p.back:
		attempt = 1
	case p.version == "3.10" && p.q.Spec.Type == v1alpha1.QueueTypeClassic:
		// It drops what is rejected, overflows on its way back, and is rejected
		// again, as documented.
		attempt = 2
	}
	f := fateOf(fromTo(1, 4), attempt)
	f.open = p.q.Spec.Overflow != v1alpha1.OverflowRejectPublish
	return f
}
