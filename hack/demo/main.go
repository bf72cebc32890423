// Demo sends messages through the topology that config/samples declares, and
// prints where each of them went. It fails if one went elsewhere.
//
//	go run ./hack/demo -amqp amqp://guest:guest@127.0.0.1:5672 -kafka 127.0.0.1:9092
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	amqpURL := flag.String("amqp", "amqp://guest:guest@127.0.0.1:5672", "RabbitMQ, without a virtual host")
	virtualHost := flag.String("virtual-host", "shop", "virtual host of the samples")
	bootstrap := flag.String("kafka", "127.0.0.1:9092", "Kafka's bootstrap servers, separated by commas; empty to leave Kafka out")
	timeout := flag.Duration("timeout", 30*time.Second, "for everything together")
	flag.Parse()

	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	err := run(ctx, os.Stdout, *amqpURL, *virtualHost, strings.FieldsFunc(*bootstrap, func(r rune) bool { return r == ',' }))
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, amqpURL, virtualHost string, bootstrap []string) error {
	var total tally
	if err := total.rabbitMQ(ctx, out, amqpURL, virtualHost); err != nil {
		return fmt.Errorf("RabbitMQ: %w", err)
	}
	if len(bootstrap) > 0 {
		if err := total.kafka(ctx, out, bootstrap); err != nil {
			return fmt.Errorf("kafka: %w", err)
		}
	}
	if total.bad > 0 {
		return fmt.Errorf("%d of %d checks failed: the lines that begin with BAD", total.bad, total.checks)
	}
	fmt.Fprintf(out, "All %d checks passed.\n", total.checks)
	return nil
}

func (t *tally) rabbitMQ(ctx context.Context, out io.Writer, address, virtualHost string) error {
	fmt.Fprintf(out, "RabbitMQ, virtual host %s: what is published, and where it arrives\n\n", virtualHost)
	b, err := dialRabbitMQ(address, virtualHost)
	if err != nil {
		return err
	}
	defer b.close()
	if err := t.print(ctx, out, b.routes); err != nil {
		return err
	}
	return t.print(ctx, out, b.deadLetters)
}

func (t *tally) kafka(ctx context.Context, out io.Writer, bootstrap []string) error {
	fmt.Fprintf(out, "Kafka: what the topics look like, and what is written and read back\n\n")
	k, err := dialKafka(bootstrap)
	if err != nil {
		return err
	}
	defer k.close()
	if err := t.print(ctx, out, k.topics); err != nil {
		return err
	}
	return t.print(ctx, out, k.records)
}

// row is one check: what was done and what came of it. wanted is what should
// have come of it, if that is something else.
type row struct {
	cells  []string
	wanted string
}

func check(got, wanted string, cells ...string) row {
	r := row{cells: append(cells, got)}
	if got != wanted {
		r.wanted = wanted
	}
	return r
}

type table struct {
	heads []string
	rows  []row
}

// tally counts the checks over all tables.
type tally struct{ checks, bad int }

// print runs the checks of a table and prints it, complete or not.
func (t *tally) print(ctx context.Context, out io.Writer, checks func(context.Context) (table, error)) error {
	result, err := checks(ctx)
	if len(result.rows) == 0 {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "  \t%s\n", strings.Join(result.heads, "\t"))
	for _, r := range result.rows {
		t.checks++
		verdict := "ok"
		if r.wanted != "" {
			t.bad++
			verdict = "BAD"
			r.cells[len(r.cells)-1] += "   WANTED: " + r.wanted
		}
		fmt.Fprintf(w, "  %s\t%s\n", verdict, strings.Join(r.cells, "\t"))
	}
	if flushErr := w.Flush(); flushErr != nil && err == nil {
		err = flushErr
	}
	fmt.Fprintln(out)
	return err
}
