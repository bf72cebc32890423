package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrener-dev/warrener/internal/manifest"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/internal/trace"
)

// traceLimit is how long reading a broker may take unless somebody says otherwise.
const traceLimit = 30 * time.Second

type traceFlags struct {
	source     manifest.Source
	brokers    brokerFlags
	live       bool
	connection string
	version    string
	timeout    time.Duration
	exitCode   bool
	output     format

	exchange, key, virtualHost string
	headers, cc, bcc           []string
	expiration                 time.Duration

	topic       string
	partitioner string
	// hasExchange, hasKey and hasExpiration tell an empty value from none.
	hasExchange, hasKey, hasExpiration bool
}

func (a *app) trace() *cobra.Command {
	var f traceFlags
	command := &cobra.Command{
		Use:   "trace (--exchange NAME | --topic NAME) [--key KEY]",
		Short: "Show where a message goes, and what becomes of it",
		Long: "Show where a message goes: through which exchanges to which queues, exactly as the broker matches, or to\n" +
			"which partition. And what becomes of it there: when it expires, is rejected or overflows, each retry with\n" +
			"its time, until the dead queue.\n\n" +
			"Of manifests (-f, -k) it tells what will be once they are applied. With --rabbitmq-url or --kafka-brokers it\n" +
			"reads the live broker, with --live the one that the connection among the manifests leads to. Nothing is\n" +
			"published, and nothing is changed.",
		Example: "  " + a.verb("trace -f topology/ --exchange orders --key order.us.created") + "\n" +
			"  " + a.verb("trace --rabbitmq-url http://localhost:15672 --exchange vip --header region=EU --header level=2") + "\n" +
			"  " + a.verb("trace -f topology/ --topic order-events --key 4711 --partitioner librdkafka"),
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			flags := command.Flags()
			f.hasExchange, f.hasKey, f.hasExpiration = flags.Changed("exchange"), flags.Changed("key"), flags.Changed("expiration")
			ctx, cancel := context.WithTimeout(command.Context(), f.timeout)
			defer cancel()
			return a.runTrace(ctx, f)
		},
	}
	flags := command.Flags()
	addSource(flags, &f.source)
	f.brokers.add(flags)
	flags.BoolVar(&f.live, "live", false, "read the broker that the connection among the manifests leads to")
	flags.StringVar(&f.connection, "connection", "", "the connection, NAME or NAMESPACE/NAME, where the manifests have several")
	flags.StringVar(&f.version, "rabbitmq-version", "", "the RabbitMQ that the manifests are for, such as 4.0; the newest unless given, and ignored live")
	flags.StringVar(&f.exchange, "exchange", "", `the exchange that the message is published to; "" is the default exchange`)
	flags.StringVar(&f.key, "key", "", "the routing key, or the key of a Kafka record")
	flags.StringArrayVar(&f.headers, "header", nil, "a header as NAME=VALUE; 2, 1.5, true and null are no texts, and \"2\" in quotes is one")
	flags.StringArrayVar(&f.cc, "cc", nil, "a routing key in the header CC")
	flags.StringArrayVar(&f.bcc, "bcc", nil, "a routing key in the header BCC")
	flags.DurationVar(&f.expiration, "expiration", 0, "the message's own time to live")
	flags.StringVar(&f.virtualHost, "vhost", "", "the virtual host; that of the connection unless given, or the only one with the exchange")
	flags.StringVar(&f.topic, "topic", "", "the topic that a Kafka record is published to")
	flags.StringVar(&f.partitioner, "partitioner", string(trace.Java), "how the Kafka client picks partitions: java, librdkafka, kafkajs or kafkajs-legacy")
	flags.BoolVar(&f.exitCode, "exit-code", false, "end with 2 unless it is certain to reach a queue, or a partition")
	flags.DurationVar(&f.timeout, "timeout", traceLimit, "how long reading the broker may take")
	flags.VarP(&f.output, "output", "o", "json or yaml, for programs")
	return command
}

// tracing is the answer, for either kind of broker.
type tracing interface {
	Text(out io.Writer, paint trace.Paint)
}

func (a *app) runTrace(ctx context.Context, f traceFlags) error {
	if f.hasExchange == (f.topic != "") {
		return errors.New(`say what is published to: --exchange NAME on RabbitMQ ("" is the default exchange), or --topic NAME on Kafka`)
	}
	var answer tracing
	var outcome trace.Outcome
	var about traceOrigin
	if f.topic != "" {
		partitioner, err := trace.ParsePartitioner(f.partitioner)
		if err != nil {
			return fmt.Errorf("--partitioner: %w", err)
		}
		topics, origin, err := a.tracedTopics(ctx, f)
		if err != nil {
			return err
		}
		record := trace.Record{Topic: f.topic}
		if f.hasKey {
			record.Key = []byte(f.key)
		}
		found := topics.Trace(record, partitioner)
		answer, outcome, about = found, found.Outcome, origin
	} else {
		message, err := f.message()
		if err != nil {
			return err
		}
		world, origin, err := a.tracedWorld(ctx, f)
		if err != nil {
			return err
		}
		found := world.Trace(message)
		answer, outcome, about = found, found.Outcome, origin
	}
	if err := a.showTrace(f.output, about, answer); err != nil {
		return err
	}
	if f.exitCode && outcome != trace.Routed {
		return errFound
	}
	return nil
}

func (a *app) showTrace(output format, about traceOrigin, answer tracing) error {
	if output == "" {
		p := a.page()
		p.printf("%s\n\n", p.paint(cell{about.String(), plain}))
		answer.Text(a.Out, func(emphasis trace.Emphasis, text string) string {
			return p.paint(cell{text, map[trace.Emphasis]colour{
				trace.Heading: bold, trace.Good: green, trace.Careful: yellow, trace.Bad: red,
			}[emphasis]})
		})
		return nil
	}
	return output.print(a.Out, struct {
		Origin traceOrigin `json:"origin"`
		Trace  tracing     `json:"trace"`
	}{about, answer})
}

// message is what the flags say.
func (f *traceFlags) message() (trace.Message, error) {
	m := trace.Message{Exchange: f.exchange, Key: f.key}
	for _, text := range f.headers {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return m, fmt.Errorf("--header %q: write NAME=VALUE", text)
		}
		m.Headers = withHeader(m.Headers, name, headerValue(value))
	}
	for name, keys := range map[string][]string{"CC": f.cc, "BCC": f.bcc} {
		if len(keys) == 0 {
			continue
		}
		list := make([]any, 0, len(keys))
		for _, key := range keys {
			list = append(list, key)
		}
		m.Headers = withHeader(m.Headers, name, list)
	}
	if f.hasExpiration {
		if f.expiration < 0 || f.expiration%time.Millisecond != 0 {
			return m, fmt.Errorf("--expiration %s: write whole milliseconds, from 0 up", f.expiration)
		}
		ms := f.expiration.Milliseconds()
		m.ExpirationMs = &ms
	}
	return m, nil
}

func withHeader(headers topology.Arguments, name string, value any) topology.Arguments {
	if headers == nil {
		headers = topology.Arguments{}
	}
	headers[name] = value
	return headers
}

// headerValue reads what JSON knows, but for what is nothing else than a text.
func headerValue(text string) any {
	if value, err := topology.ParseValue([]byte(text)); err == nil {
		return value
	}
	return text
}
