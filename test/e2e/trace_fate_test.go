package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/internal/trace"
	"github.com/warrener-dev/warrener/test/harness"
)

// Where dead letters come to rest, and how often a consumer sees them before, is
// what trace says: random queues with times to live dead-letter to each other, in
// cycles too, and a message goes round in them for real.
//
// WARRENER_LONG=1 draws 600 of them for each version, otherwise 60.

// dying is a handful of queues that dead-letter to each other.
type dying struct {
	seed     int
	message  trace.Message
	rejects  bool // a consumer of the first queue rejects whatever comes
	exchange *topology.Exchange
	back     *topology.Exchange // a fanout to one queue: a key is changed on the way through it
	bindings []*topology.Binding
	queues   []*topology.Queue
}

func (d *dying) home() string { return d.queues[0].Name }

func (d *dying) resources() []topology.Resource {
	out := []topology.Resource{d.exchange, d.back}
	for _, q := range d.queues {
		out = append(out, q)
	}
	for _, b := range d.bindings {
		out = append(out, b)
	}
	return out
}

// String is for the person who looks into a failure.
func (d *dying) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  key %q, headers %s, a consumer rejects: %v\n  %s %s\n", d.message.Key, d.message.Headers.Canonical(), d.rejects, d.exchange.Name, d.exchange.Type)
	for _, q := range d.queues {
		fmt.Fprintf(&b, "  %s %s %s\n", q.Name, q.Type, q.Arguments.Canonical())
	}
	for _, binding := range d.bindings {
		fmt.Fprintf(&b, "  %s\n", binding.ID())
	}
	return b.String()
}

// deadLetterWays stand as often as they are drawn.
var deadLetterWays = []string{"", "default", "default", "exchange", "exchange", "exchange", "exchange", "back", "back", "back", "missing"}

func randomDying(virtualHost string, seed int) *dying {
	return rapid.Custom(func(t *rapid.T) *dying {
		name := func(i int) string { return fmt.Sprintf("d%d.%d", seed, i) }
		d := &dying{seed: seed, rejects: chance(t, "rejects", 50)}
		d.exchange = &topology.Exchange{VirtualHost: virtualHost, Name: name(9), Type: rapid.SampledFrom([]string{"direct", "fanout", "topic", "headers", "headers"}).Draw(t, "type")}
		d.back = &topology.Exchange{VirtualHost: virtualHost, Name: name(7), Type: "fanout"}
		count := rapid.SampledFrom([]int{2, 3, 3, 4}).Draw(t, "queues")
		anyQueue := func(label string) string {
			return name(rapid.SampledFrom([]int{0, 1, 2, 3}[:count]).Draw(t, label))
		}
		d.bindings = append(d.bindings, &topology.Binding{VirtualHost: virtualHost, Source: d.back.Name, DestinationType: topology.DestinationQueue, Destination: anyQueue("back")})
		for i := range count {
			kinds := []string{"classic", "classic", "quorum"}
			q := &topology.Queue{VirtualHost: virtualHost, Name: name(i), Type: rapid.SampledFrom(kinds).Draw(t, "queue type"), Durable: true, Arguments: topology.Arguments{}}
			if i < count-1 && chance(t, "ttl", 80) {
				q.Arguments["x-message-ttl"] = rapid.SampledFrom([]int64{20, 50, 100}).Draw(t, "time to live")
			}
			switch rapid.SampledFrom(deadLetterWays).Draw(t, "dead letters") {
			case "default":
				q.Arguments["x-dead-letter-exchange"] = ""
				q.Arguments["x-dead-letter-routing-key"] = anyQueue("dead-letter queue")
			case "exchange":
				q.Arguments["x-dead-letter-exchange"] = d.exchange.Name
				if chance(t, "dead-letter key", 50) {
					q.Arguments["x-dead-letter-routing-key"] = anyQueue("dead-letter key")
				}
			case "back":
				q.Arguments["x-dead-letter-exchange"] = d.back.Name
				q.Arguments["x-dead-letter-routing-key"] = anyQueue("new key")
			case "missing":
				q.Arguments["x-dead-letter-exchange"] = name(8)
			}
			d.queues = append(d.queues, q)
			b := &topology.Binding{VirtualHost: virtualHost, Source: d.exchange.Name, DestinationType: topology.DestinationQueue, Destination: q.Name, RoutingKey: anyQueue("binding key")}
			if d.exchange.Type == "headers" {
				b.Arguments = topology.Arguments{"x-match": rapid.SampledFrom([]string{"all-with-x", "any-with-x"}).Draw(t, "match")}
				which := rapid.SampledFrom([]string{"first", "last"}).Draw(t, "which death")
				if chance(t, "by reason", 60) {
					b.Arguments["x-"+which+"-death-reason"] = rapid.SampledFrom([]string{"rejected", "expired"}).Draw(t, "reason")
				} else {
					b.Arguments["x-"+which+"-death-queue"] = anyQueue("death queue")
				}
			}
			d.bindings = append(d.bindings, b)
		}
		if d.rejects && count > 2 && chance(t, "a round", 60) {
			d.round(name(count - 1))
		}
		d.message = trace.Message{Key: d.home()}
		if chance(t, "CC", 20) {
			d.message.Headers = topology.Arguments{"CC": []any{anyQueue("CC queue")}}
		}
		return d
	}).Example(seed)
}

// round makes a retry of the first two queues: the consumer's queue leaves the key
// as it is, and gets the message back with another one, which leads to the end the
// next time.
func (d *dying) round(end string) {
	home, waits := d.queues[0], d.queues[1]
	home.Arguments = topology.Arguments{"x-dead-letter-exchange": d.exchange.Name}
	waits.Arguments = topology.Arguments{"x-message-ttl": int64(30), "x-dead-letter-exchange": d.back.Name, "x-dead-letter-routing-key": waits.Name}
	d.exchange.Type = "direct"
	bind := func(source *topology.Exchange, key, queue string) *topology.Binding {
		return &topology.Binding{VirtualHost: source.VirtualHost, Source: source.Name, DestinationType: topology.DestinationQueue, Destination: queue, RoutingKey: key}
	}
	d.bindings = []*topology.Binding{bind(d.back, "", home.Name), bind(d.exchange, home.Name, waits.Name), bind(d.exchange, waits.Name, end)}
}

func TestTraceOfDeadLetters(t *testing.T) {
	t.Parallel()
	for _, broker := range harness.RabbitMQs(t) {
		t.Run(broker.Version, func(t *testing.T) {
			t.Parallel()
			n := 60
			if os.Getenv("WARRENER_LONG") != "" {
				n = 600
			}
			met := map[string]int{}
			for first := 0; first < n; first += 60 {
				t.Run(fmt.Sprintf("from %d", first), func(t *testing.T) { // which cleans up
					newGraveyard(t, broker, first, 60, met).bury()
				})
			}
			t.Logf("RabbitMQ %s: %d topologies; %s", broker.Version, n, counts(met))
			for _, what := range []string{"a cycle that drops", "a cycle by rejections that ends", "dropped", "rests"} {
				if met[what] == 0 {
					t.Errorf("the random topologies never had %s: the comparison says nothing about it", what)
				}
			}
		})
	}
}

// graveyard is a virtual host in which messages die.
type graveyard struct {
	t           *testing.T
	broker      *harness.RabbitMQ
	virtualHost string
	all         []*dying
	// rests are the queues in which copies end, by seed, deliveries how often the
	// consumer gets the message, as trace says.
	rests      map[int][]string
	deliveries map[int]int

	mu       sync.Mutex
	rejected map[int]int
}

func newGraveyard(t *testing.T, broker *harness.RabbitMQ, first, n int, met map[string]int) *graveyard {
	t.Helper()
	g := &graveyard{t: t, broker: broker, virtualHost: broker.NewVirtualHost(t), rests: map[int][]string{}, deliveries: map[int]int{}, rejected: map[int]int{}}
	for seed := first; len(g.all) < n; seed++ {
		// Drawn anew if it would go on for ever, or multiply.
		d := randomDying(g.virtualHost, 1_000_000+first*100+seed)
		if g.predict(d, met) {
			g.all = append(g.all, d)
		}
	}
	return g
}

// predict asks trace; false if the way has no end that can be waited for.
func (g *graveyard) predict(d *dying, met map[string]int) bool {
	world := trace.NewWorld(trace.Options{VirtualHost: g.virtualHost, Version: g.broker.Version, Resources: d.resources()})
	var rests []string
	deliveries, found := 0, map[string]bool{}
	for _, landing := range world.Trace(d.message).Queues {
		cause := trace.Unread
		if d.rejects && landing.Queue == d.home() {
			cause = trace.Rejected
		} else if d.rejects {
			return false // a copy would come by the consumer from elsewhere
		}
		for _, fate := range landing.Fates {
			if fate.Cause != cause {
				continue
			}
			if len(fate.Steps) > 60 {
				return false
			}
			for _, step := range fate.Steps {
				switch step.Event {
				case trace.Loops:
					return false
				case trace.Stays:
					rests = append(rests, step.Queue)
					found["rests"] = true
				case trace.Delivered:
					deliveries++
					if step.Delivery > 1 {
						found["a cycle by rejections that ends"] = true
					}
				case trace.Dropped:
					found["dropped"] = true
					if strings.Contains(step.Why, "cycle") {
						found["a cycle that drops"] = true
					}
				}
			}
		}
	}
	slices.Sort(rests)
	g.rests[d.seed], g.deliveries[d.seed] = rests, deliveries
	for what := range found {
		met[what]++
	}
	return true
}

func (g *graveyard) bury() {
	t := g.t
	t.Helper()
	connection, err := amqp.Dial(g.broker.AMQPURL(g.virtualHost))
	must(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	channel, err := connection.Channel()
	must(t, err)
	expected := map[string]int{}
	for _, d := range g.all {
		g.declare(channel, d)
		for _, queue := range g.rests[d.seed] {
			expected[queue]++
		}
	}
	for _, d := range g.all {
		if d.rejects {
			g.reject(connection, d)
		}
	}
	for _, d := range g.all {
		must(t, channel.PublishWithContext(t.Context(), "", d.message.Key, false, false, amqp.Publishing{Body: []byte("m"), DeliveryMode: amqp.Persistent, Headers: tableOf(d.message.Headers)}))
	}
	within(t, "every message at rest where trace says", func(context.Context) (bool, string) {
		return g.atRest(channel, expected)
	})
	// What arrives on top of that would be wrong.
	time.Sleep(400 * time.Millisecond)
	if ok, state := g.atRest(channel, expected); !ok {
		t.Errorf("messages went on from where trace says that they rest: %s", state)
	}
}

func (g *graveyard) declare(channel *amqp.Channel, d *dying) {
	t := g.t
	t.Helper()
	for _, x := range []*topology.Exchange{d.exchange, d.back} {
		must(t, channel.ExchangeDeclare(x.Name, x.Type, false, false, false, true, nil))
	}
	for _, q := range d.queues {
		arguments := tableOf(q.Arguments)
		arguments["x-queue-type"] = q.Type
		_, err := channel.QueueDeclare(q.Name, true, false, false, false, arguments)
		must(t, err)
	}
	for _, b := range d.bindings {
		must(t, channel.QueueBind(b.Destination, b.RoutingKey, b.Source, false, tableOf(b.Arguments)))
	}
}

func (g *graveyard) reject(connection *amqp.Connection, d *dying) {
	t := g.t
	t.Helper()
	channel, err := connection.Channel()
	must(t, err)
	must(t, channel.Qos(1, 0, false))
	deliveries, err := channel.Consume(d.home(), "", false, false, false, false, nil)
	must(t, err)
	go func() {
		for delivery := range deliveries {
			g.mu.Lock()
			g.rejected[d.seed]++
			g.mu.Unlock()
			if delivery.Reject(false) != nil {
				return
			}
		}
	}()
}

// atRest compares what is where; the first few that differ are told.
func (g *graveyard) atRest(channel *amqp.Channel, expected map[string]int) (bool, string) {
	g.t.Helper()
	var wrong []string
	for _, d := range g.all {
		var differs []string
		for _, q := range d.queues {
			if found := ready(g.t, channel, q.Name); found != expected[q.Name] {
				differs = append(differs, fmt.Sprintf("%s holds %d, and trace says %d", q.Name, found, expected[q.Name]))
			}
		}
		g.mu.Lock()
		rejected := g.rejected[d.seed]
		g.mu.Unlock()
		if d.rejects && rejected != g.deliveries[d.seed] {
			differs = append(differs, fmt.Sprintf("delivered %d times, and trace says %d", rejected, g.deliveries[d.seed]))
		}
		if len(differs) > 0 && len(wrong) < 3 {
			wrong = append(wrong, fmt.Sprintf("seed %d: %s\n%s", d.seed, strings.Join(differs, "; "), d))
		}
	}
	return len(wrong) == 0, strings.Join(wrong, "\n")
}
