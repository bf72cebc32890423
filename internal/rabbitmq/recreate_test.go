package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// recreation's stage: a queue with bindings of many forms, none of which
// anybody declares.
func boundQueue(t *testing.T, b *Broker, virtualHost, name, kind string) *topology.Queue {
	t.Helper()
	was := &topology.Queue{VirtualHost: virtualHost, Name: name, Type: kind, Durable: true}
	apply(t, b, create(was), create(newExchange(virtualHost, "topic")), create(newExchange(virtualHost, "headers")))
	for _, binding := range []*topology.Binding{
		{Source: "topic", RoutingKey: "order.*.created"}, {Source: "topic", RoutingKey: ".."}, {Source: "topic", RoutingKey: "a+b %c/é"},
		{Source: "headers", Arguments: topology.Arguments{"x-match": "any", "n": int64(7), "f": 1.5, "s": "a b"}}, {Source: "amq.fanout"},
	} {
		binding.VirtualHost, binding.Destination, binding.DestinationType = virtualHost, was.Name, topology.DestinationQueue
		apply(t, b, create(binding))
	}
	return was
}

func newExchange(virtualHost, kind string) *topology.Exchange {
	return &topology.Exchange{VirtualHost: virtualHost, Name: kind, Type: kind, Durable: true}
}

// bindings lists the bindings of a virtual host as the broker renders them.
func bindings(t *testing.T, server *harness.RabbitMQ, virtualHost string) map[string]bool {
	t.Helper()
	var all []map[string]any
	server.Must(t, http.MethodGet, "/api/bindings/"+join(virtualHost), nil, &all)
	out := map[string]bool{}
	for _, binding := range all {
		out[fmt.Sprint(binding["source"], " -> ", binding["destination"], " ", binding["properties_key"], " ", binding["arguments"])] = true
	}
	return out
}

// rest is what a virtual host holds whose name begins as that of scaffolding.
func scaffolding(t *testing.T, server *harness.RabbitMQ, virtualHost string) (out []string) {
	t.Helper()
	for _, kind := range []string{"exchanges", "queues"} {
		var all []struct{ Name string }
		server.Must(t, http.MethodGet, "/api/"+kind+"/"+join(virtualHost)+"?disable_stats=true", nil, &all)
		for _, object := range all {
			if strings.HasPrefix(object.Name, "warrener.") {
				out = append(out, kind+" "+object.Name)
			}
		}
	}
	return out
}

func recreating(want topology.Resource) topology.Operation {
	return topology.Operation{Kind: topology.OperationRecreate, Want: want}
}

// The queue is another one, and its bindings are the same, whoever made them.
func TestRecreate(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, virtualHost string) {
		was := boundQueue(t, b, virtualHost, "order é/%", topology.QueueTypeClassic)
		before := bindings(t, server, virtualHost)
		for _, want := range []*topology.Queue{
			{VirtualHost: virtualHost, Name: was.Name, Type: topology.QueueTypeQuorum, Durable: true},
			{VirtualHost: virtualHost, Name: was.Name, Type: topology.QueueTypeClassic, Durable: true, Arguments: topology.Arguments{"x-message-ttl": int64(60000)}},
		} {
			if progress, err := b.Advance(t.Context(), recreating(want)); err != nil || !progress.Done {
				t.Fatalf("%+v, %v", progress, err)
			}
			converged(t, b, want)
			if diff := cmp.Diff(before, bindings(t, server, virtualHost)); diff != "" {
				t.Errorf("bindings (-before +after):\n%s", diff)
			}
			if left := scaffolding(t, server, virtualHost); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		}
	})
}

// What is in use is left as it is, without a trace.
func TestRecreateRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, virtualHost string) {
		for _, kind := range []string{topology.QueueTypeClassic, topology.QueueTypeQuorum} {
			// In plain letters: 4.x answers 500 to a refusal that quotes others.
			was := boundQueue(t, b, virtualHost, "order.process", kind)
			before := bindings(t, server, virtualHost)
			want := *was
			want.Arguments = topology.Arguments{"x-max-length": int64(9)}
			refused := func(what string, op topology.Operation, class topology.Class, words ...string) {
				t.Helper()
				_, err := b.Advance(t.Context(), op)
				wantError(t, err, class, server.Password, words...)
				converged(t, b, was)
				if diff := cmp.Diff(before, bindings(t, server, virtualHost)); diff != "" || len(scaffolding(t, server, virtualHost)) > 0 {
					t.Errorf("%s: left behind %q; bindings (-before +after):\n%s", what, scaffolding(t, server, virtualHost), diff)
				}
			}
			odd := want
			odd.Arguments = topology.Arguments{"x-overflow": "nonsense"}
			refused("what the broker does not take", recreating(&odd), topology.ClassRejected, "x-overflow")
			channel := dial(t, server, virtualHost)
			if _, err := channel.Consume(was.Name, "", true, false, false, false, nil); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, "the consumer is seen", func() bool { return usageOf(t, b, was.ID()).Consumers == 1 })
			refused("a consumer", recreating(&want), topology.ClassInUse, "it has 1 consumer")
			if err := channel.Close(); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, "the consumer is gone", func() bool { return usageOf(t, b, was.ID()).Consumers == 0 })
			// Published a moment ago: the counts of a quorum queue do not know it yet.
			publish(t, dial(t, server, virtualHost), was.Name, 1)
			refused("a message", recreating(&want), topology.ClassInUse, "it holds")
			apply(t, b, remove(was.ID()))
		}
	})
}

// cutting answers the first requests, and then lets none through any more, as
// if the process had been killed.
type cutting struct {
	base http.RoundTripper
	left atomic.Int64
}

var errCut = errors.New("cut")

func (c *cutting) RoundTrip(request *http.Request) (*http.Response, error) {
	if c.left.Add(-1) < 0 {
		return nil, errCut
	}
	return c.base.RoundTrip(request)
}

// Whichever request is the last one that gets through, the next process finds
// all bindings, those that nobody declares too.
func TestRecreateResumes(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, virtualHost string) {
		was := boundQueue(t, b, virtualHost, "order é/%", topology.QueueTypeClassic)
		before := bindings(t, server, virtualHost)
		for requests := int64(0); ; requests++ {
			want := *was
			want.Arguments = topology.Arguments{"x-max-length": requests + 1}
			doomed := connect(t, server, server.User, server.Password)
			cut := &cutting{base: doomed.base}
			cut.left.Store(requests)
			doomed.base = cut
			progress, err := doomed.Advance(context.Background(), recreating(&want))
			if err == nil {
				if !progress.Done || requests < 20 {
					t.Fatalf("done after %d requests: %+v", requests, progress)
				}
				break
			}
			if progress, err := b.Advance(t.Context(), recreating(&want)); err != nil || !progress.Done {
				t.Fatalf("resumed after %d requests: %+v, %v", requests, progress, err)
			}
			if diff := cmp.Diff(before, bindings(t, server, virtualHost)); diff != "" {
				t.Fatalf("after %d requests, bindings (-before +after):\n%s", requests, diff)
			}
			if left := scaffolding(t, server, virtualHost); len(left) > 0 {
				t.Fatalf("after %d requests, left behind: %q", requests, left)
			}
			converged(t, b, &want)
		}
	})
}
