package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrener-dev/warrener/internal/rabbitmq"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/internal/trace"
	"github.com/warrener-dev/warrener/test/harness"
)

// What trace says is what the broker does: random topologies and messages are
// declared and published for real on every version, and compared queue by queue.
// The answer is asked twice: of the topology as it was drawn, and of the broker as
// Warrener reads it.
//
// WARRENER_LONG=1 draws 2,000 topologies for each version, others each time;
// otherwise it is 100, always the same, in which everything in covered happens.
// WARRENER_TRACE_SEED=<seed of a failure> draws that one alone.

func TestTrace(t *testing.T) {
	t.Parallel()
	for _, broker := range harness.RabbitMQs(t) {
		t.Run(broker.Version, func(t *testing.T) {
			t.Parallel()
			seen := map[string]int{}
			began := time.Now()
			topologies, messages := 0, 0
			for batch := range slices.Chunk(traceSeeds(t), 100) {
				t.Run(fmt.Sprintf("from %d", batch[0]), func(t *testing.T) { // which cleans up
					p := newPost(t, broker, batch)
					p.publish()
					p.compare(seen)
					topologies += len(p.all)
					messages += len(p.all) * len(p.all[0].Messages)
				})
			}
			t.Logf("RabbitMQ %s: %d topologies, %d messages in %s; %s", broker.Version, topologies, messages, time.Since(began).Round(10*time.Millisecond), counts(seen))
			if os.Getenv("WARRENER_TRACE_SEED") != "" {
				return
			}
			for _, what := range covered {
				if seen[what] == 0 {
					t.Errorf("the random topologies never had %s: the comparison says nothing about it", what)
				}
			}
		})
	}
}

func counts(seen map[string]int) string {
	var out []string
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		out = append(out, fmt.Sprintf("%s %d", what, seen[what]))
	}
	return strings.Join(out, ", ")
}

func traceSeeds(t testing.TB) []int {
	t.Helper()
	if text := os.Getenv("WARRENER_TRACE_SEED"); text != "" {
		seed, err := strconv.Atoi(text)
		must(t, err)
		return []int{seed}
	}
	n, first := 100, 1
	if os.Getenv("WARRENER_LONG") != "" {
		n, first = 2000, int(time.Now().Unix()%1_000_000)*1000
	}
	seeds := make([]int, n)
	for i := range seeds {
		seeds[i] = first + i
	}
	return seeds
}

// post declares topologies in a virtual host, publishes their messages, and notes
// what arrives.
type post struct {
	t           *testing.T
	broker      *harness.RabbitMQ
	virtualHost string
	all         []*traced
	// arrived are the queues of each message by its body, and returned the
	// messages that came back.
	arrived  map[string][]string
	returned map[string]bool
}

func newPost(t *testing.T, broker *harness.RabbitMQ, seeds []int) *post {
	t.Helper()
	p := &post{t: t, broker: broker, virtualHost: broker.NewVirtualHost(t), arrived: map[string][]string{}, returned: map[string]bool{}}
	mostHashes := 4
	if broker.Version == "4.3" { // which refuses bindings with more
		mostHashes = 2
	}
	for _, seed := range seeds {
		p.all = append(p.all, randomTopology(p.virtualHost, seed, mostHashes))
	}
	return p
}

func body(seed, message int) string { return fmt.Sprintf("%d/%d", seed, message) }

// publish returns when everything that was published has arrived or come back:
// queues deliver in order, so whatever follows the last message ends it.
func (p *post) publish() {
	t := p.t
	t.Helper()
	declaring, publishing, reading := amqpChannel(t, p.broker, p.virtualHost), amqpChannel(t, p.broker, p.virtualHost), amqpChannel(t, p.broker, p.virtualHost)
	must(t, reading.Qos(0, 0, false))
	deliveries := map[string]<-chan amqp.Delivery{}
	for _, queue := range traceQueues {
		_, err := reading.QueueDeclare(queue, true, false, false, false, nil)
		must(t, err)
		deliveries[queue], err = reading.Consume(queue, "", true, true, false, false, nil)
		must(t, err)
	}
	for _, one := range p.all {
		declare(t, declaring, one)
	}
	// What was declared without waiting is there when the next call has been
	// answered.
	must(t, declaring.ExchangeDeclarePassive("amq.direct", "direct", true, false, false, false, nil))

	returns := publishing.NotifyReturn(make(chan amqp.Return, 10_000))
	var confirmations []*amqp.DeferredConfirmation
	send := func(exchange, key string, message amqp.Publishing) {
		t.Helper()
		confirmation, err := publishing.PublishWithDeferredConfirmWithContext(t.Context(), exchange, key, true, false, message)
		must(t, err)
		confirmations = append(confirmations, confirmation)
	}
	for _, one := range p.all {
		for i, m := range one.Messages {
			send(m.Exchange, m.Key, amqp.Publishing{Body: []byte(body(one.Seed, i)), Headers: tableOf(m.Headers)})
		}
	}
	const end = "end"
	for _, queue := range traceQueues {
		send("", queue, amqp.Publishing{Body: []byte(end)})
	}
	for _, confirmation := range confirmations {
		ok, err := confirmation.WaitContext(t.Context())
		must(t, err)
		if !ok {
			t.Fatal("the broker did not take a message")
		}
	}
	for len(returns) > 0 { // a message comes back before its confirmation does
		p.returned[string((<-returns).Body)] = true
	}
	deadline := time.After(2 * time.Minute)
	for queue, from := range deliveries {
		for last := false; !last; {
			select {
			case delivery := <-from:
				if last = string(delivery.Body) == end; !last {
					p.arrived[string(delivery.Body)] = append(p.arrived[string(delivery.Body)], queue)
				}
			case <-deadline:
				t.Fatalf("%s does not deliver to its end", queue)
			}
		}
	}
}

// declare declares without waiting for each answer.
func declare(t testing.TB, channel *amqp.Channel, one *traced) {
	t.Helper()
	for _, x := range one.Exchanges {
		must(t, channel.ExchangeDeclare(x.Name, x.Type, x.Durable, false, x.Internal, true, tableOf(x.Arguments)))
	}
	for _, b := range one.Bindings {
		if b.DestinationType == topology.DestinationQueue {
			must(t, channel.QueueBind(b.Destination, b.RoutingKey, b.Source, true, tableOf(b.Arguments)))
		} else {
			must(t, channel.ExchangeBind(b.Destination, b.RoutingKey, b.Source, true, tableOf(b.Arguments)))
		}
	}
}

// tableOf is what an AMQP client sends for canonical values. Integers have many
// sizes, and all are one to the broker.
func tableOf(arguments topology.Arguments) amqp.Table {
	out := amqp.Table{}
	for name, value := range arguments {
		if n, integer := value.(int64); integer && len(arguments)%2 == 0 {
			value = int32(n)
		}
		out[name] = value
	}
	return out
}

// compare asks trace, twice, and compares.
func (p *post) compare(seen map[string]int) {
	t := p.t
	t.Helper()
	drawn := []topology.Resource{}
	for _, queue := range traceQueues {
		drawn = append(drawn, &topology.Queue{VirtualHost: p.virtualHost, Name: queue, Type: topology.QueueTypeClassic})
	}
	for _, one := range p.all {
		drawn = append(drawn, one.resources()...)
	}
	worlds := map[string]*trace.World{
		"as drawn":           trace.NewWorld(trace.Options{VirtualHost: p.virtualHost, Version: p.broker.Version, Resources: drawn}),
		"as the broker says": trace.NewWorld(trace.Options{VirtualHost: p.virtualHost, Version: p.broker.Version, Resources: p.observe(drawn), Listed: true}),
	}
	failed := 0
	for _, one := range p.all {
		for i, m := range one.Messages {
			arrived := slices.Sorted(slices.Values(p.arrived[body(one.Seed, i)]))
			for which, world := range worlds {
				got := world.Trace(m)
				if slices.Equal(arrived, landed(got.Queues)) && (got.Outcome == trace.Unroutable) == p.returned[body(one.Seed, i)] && len(got.Possible) == 0 {
					continue
				}
				if failed++; failed <= 3 {
					t.Errorf("seed %d, message %d, %s: exchange %q, key %q, headers %s\n  the broker: %q, returned %v\n  trace: %q, %s\n%s", one.Seed, i, which,
						m.Exchange, m.Key, m.Headers.Canonical(), arrived, p.returned[body(one.Seed, i)], landed(got.Queues), got.Outcome, one)
				}
			}
			note(seen, m, worlds["as drawn"].Trace(m))
		}
	}
	if failed > 0 {
		t.Fatalf("%d answers differ from the broker", failed)
	}
}

func landed(all []trace.Landing) []string {
	var out []string
	for _, landing := range all {
		out = append(out, landing.Queue)
	}
	return out
}

// observe reads the broker as Warrener does.
func (p *post) observe(drawn []topology.Resource) []topology.Resource {
	t := p.t
	t.Helper()
	broker, err := rabbitmq.New(rabbitmq.Options{Endpoint: p.broker.ManagementURL, Username: p.broker.User, Password: p.broker.Password, Timeout: time.Minute})
	must(t, err)
	t.Cleanup(broker.Close)
	var ids []topology.ID
	for _, resource := range drawn {
		if b, ok := resource.(*topology.Binding); ok { // listings write null as a text
			listed := *b
			listed.Arguments = maps.Clone(b.Arguments)
			for name, value := range listed.Arguments {
				if value == nil {
					listed.Arguments[name] = "undefined"
				}
			}
			resource = &listed
		}
		ids = append(ids, resource.ID())
	}
	snapshot, err := broker.Observe(t.Context(), topology.Selection{IDs: ids})
	must(t, err)
	return slices.SortedFunc(maps.Values(snapshot.Objects), func(a, b topology.Resource) int { return a.ID().Compare(b.ID()) })
}

// covered is what the random topologies must have shown.
var covered = []string{
	"a message in one queue", "a message in several queues", "a message returned", "an alternate exchange taken", "an alternate exchange of an alternate exchange taken",
	"an exchange by way of another", "an exchange met twice", "a missing alternate exchange", "the default exchange", "CC", "BCC", "an empty word", "an empty key",
	"an integer that met a header", "a float that met a header", "an x- argument that met a header", "a null argument that met a header",
}

// note counts what a message met.
func note(seen map[string]int, m trace.Message, got *trace.Trace) {
	count := func(what string, when bool) {
		if when {
			seen[what]++
		}
	}
	count("a message in one queue", len(got.Queues) == 1)
	count("a message in several queues", len(got.Queues) > 1)
	count("a message returned", got.Outcome == trace.Unroutable)
	count("the default exchange", m.Exchange == "" && len(got.Queues) > 0)
	_, cc := m.Headers["CC"]
	_, bcc := m.Headers["BCC"]
	count("CC", cc && len(got.Queues) > 0)
	count("BCC", bcc && len(got.Queues) > 0)
	count("an empty word", strings.Contains("."+m.Key+".", "..") && m.Key != "" && len(got.Queues) > 0)
	count("an empty key", m.Key == "" && len(got.Queues) > 0)
	noteHop(count, got.Way, m.Headers, 0)
}

func noteHop(count func(string, bool), hop *trace.Hop, headers topology.Arguments, alternates int) {
	count("an exchange met twice", hop.Again)
	count("a missing alternate exchange", hop.Missing && alternates > 0)
	for _, route := range hop.Routes {
		if hop.Type == "headers" {
			for name, value := range route.Arguments {
				_, has := headers[name]
				_, integer := value.(int64)
				_, float := value.(float64)
				count("an integer that met a header", has && integer)
				count("a float that met a header", has && float)
				count("an x- argument that met a header", has && strings.HasPrefix(name, "x-"))
				count("a null argument that met a header", has && value == nil)
			}
		}
		if route.Hop != nil {
			count("an exchange by way of another", !route.Hop.Again)
			noteHop(count, route.Hop, headers, 0)
		}
	}
	if hop.Alternate != nil {
		count("an alternate exchange taken", !hop.Alternate.Missing)
		count("an alternate exchange of an alternate exchange taken", alternates > 0 && !cmp.Or(hop.Alternate.Missing, hop.Alternate.Again))
		noteHop(count, hop.Alternate, headers, alternates+1)
	}
}
