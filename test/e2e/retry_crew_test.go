package e2e

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// deadline is for all messages to come to an end, which takes ten seconds on a
// machine that does nothing else.
const deadline = 3 * time.Minute

// prefetch is how many deliveries a consumer holds at most.
const prefetch = 10

// crew reads a queue and its dead queue, and keeps the ledger.
type crew struct {
	t    *testing.T
	s    *scene
	book *ledger
	quit context.Context // done when the consumers are to go
	stop func()          // ends the consumers; more than once does no harm
	wg   sync.WaitGroup
}

func newCrew(t *testing.T, s *scene, queue string) *crew {
	t.Helper()
	quit, cancel := context.WithCancel(context.Background())
	c := &crew{t: t, s: s, book: newLedger(queue), quit: quit}
	c.stop = func() {
		cancel()
		c.wg.Wait()
	}
	t.Cleanup(c.stop)
	return c
}

// work starts a consumer that handles what it can and rejects the rest. It
// crashes so many times, at moments that random chooses.
func (c *crew) work(crashes int, random *rand.Rand) {
	c.wg.Go(func() {
		for left := crashes; c.live(left > 0, random); left-- {
			continue
		}
	})
}

// live is one life of a consumer; false if it ended well.
func (c *crew) live(crashes bool, random *rand.Rand) bool {
	var wire net.Conn
	dial := amqp.DefaultDial(10 * time.Second)
	connection, deliveries, err := c.consume(c.book.queue, func(network, address string) (net.Conn, error) {
		var err error
		wire, err = dial(network, address)
		return wire, err
	})
	if err != nil {
		c.t.Errorf("consume from %s: %v", c.book.queue, err)
		return false
	}
	defer func() { _ = connection.Close() }()
	settles := 30 + random.IntN(120) // before it crashes
	var latest []amqp.Delivery
	var crash <-chan time.Time
	for {
		select {
		case <-c.quit.Done():
			return false
		case <-crash:
			// What it sent last may be lost with the connection. The broker had at most
			// prefetch deliveries open, so it sends no others again.
			_ = wire.Close()
			c.book.crashed(latest)
			return true
		case d, open := <-deliveries:
			if !open {
				c.t.Errorf("the broker closed the connection of a consumer of %s", c.book.queue)
				return false
			}
			latest = append(latest[max(0, len(latest)+1-prefetch):], d)
			ok := c.book.saw(d)
			if settles--; crashes && settles <= 0 {
				if crash == nil {
					crash = time.After(time.Duration(random.IntN(50)) * msec)
				}
				continue // held
			}
			if err := c.settle(d, ok); err != nil {
				c.t.Errorf("settle a message of %s: %v", c.book.queue, err)
				return false
			}
		}
	}
}

func (c *crew) settle(d amqp.Delivery, ok bool) error {
	if !ok {
		return d.Reject(false)
	}
	c.book.handled(d.MessageId)
	return d.Ack(false)
}

func (c *crew) consume(queue string, dial func(network, address string) (net.Conn, error)) (*amqp.Connection, <-chan amqp.Delivery, error) {
	return subscribe(c.s.broker, c.s.virtualHost, queue, prefetch, dial)
}

// bury starts the one consumer of the dead queue. each gets the letters when they
// are in the ledger.
func (c *crew) bury(each func(dead amqp.Delivery)) {
	c.t.Helper()
	connection, deliveries, err := c.consume(c.book.queue+".dead", nil)
	must(c.t, err)
	c.wg.Go(func() {
		defer func() { _ = connection.Close() }()
		for {
			select {
			case <-c.quit.Done():
				return
			case d, open := <-deliveries:
				if !open {
					c.t.Errorf("the broker closed the connection of the consumer of %s.dead", c.book.queue)
					return
				}
				c.book.buried(d)
				each(d)
				if err := d.Ack(false); err != nil {
					c.t.Errorf("acknowledge a letter of %s.dead: %v", c.book.queue, err)
				}
			}
		}
	})
}

// reject takes at most so many messages, rejects them at once, so that none comes
// back in between, and returns them.
func (c *crew) reject(channel *amqp.Channel, most int) (out []amqp.Delivery) {
	c.t.Helper()
	for range most {
		d, ok, err := channel.Get(c.book.queue, false)
		must(c.t, err)
		if !ok {
			break
		}
		c.book.saw(d)
		out = append(out, d)
	}
	if len(out) > 0 {
		must(c.t, out[len(out)-1].Nack(true, false))
	}
	return out
}

func leave(amqp.Delivery) {}

// post is a way to the broker that tells the ledgers what comes back unrouted.
func (c *crew) post() *amqp.Channel {
	c.t.Helper()
	channel := amqpChannel(c.t, c.s.broker, c.s.virtualHost)
	returns := channel.NotifyReturn(make(chan amqp.Return, 1))
	go func() {
		for r := range returns {
			c.book.returned(r)
		}
	}()
	return channel
}

// finish waits until all messages of the crews have come to an end and nothing is
// left, and holds what happened to what was to happen.
func finish(t *testing.T, limit time.Duration, crews ...*crew) {
	t.Helper()
	end := time.Now().Add(limit)
	for _, c := range crews {
		for !c.book.done() && time.Now().Before(end) { // what is missing then, check tells
			time.Sleep(50 * msec)
		}
	}
	for _, c := range crews {
		channel := amqpChannel(t, c.s.broker, c.s.virtualHost)
		for _, name := range c.s.family(c.book.queue) {
			for ready(t, channel, name) > 0 && time.Now().Before(end) {
				time.Sleep(50 * msec)
			}
		}
	}
	time.Sleep(time.Second) // longer than any tier: a copy would be back by now
	for _, c := range crews {
		c.stop()
		c.book.check(t)
		c.s.empty(t, c.book.queue)
	}
}
