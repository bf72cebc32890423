package rabbitmq

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// onEach runs a test on every supported version, with a virtual host of its
// own.
func onEach(t *testing.T, test func(t *testing.T, server *harness.RabbitMQ, b *Broker, virtualHost string)) {
	t.Helper()
	for _, server := range harness.RabbitMQs(t) {
		t.Run(server.Version, func(t *testing.T) {
			t.Parallel()
			test(t, server, connect(t, server, server.User, server.Password), server.NewVirtualHost(t))
		})
	}
}

func connect(t testing.TB, server *harness.RabbitMQ, user, password string) *Broker {
	t.Helper()
	return open(t, Options{Endpoint: server.ManagementURL, Username: user, Password: password})
}

func open(t testing.TB, options Options) *Broker {
	t.Helper()
	b, err := New(options)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(b.Close)
	return b
}

func create(resource topology.Resource) topology.Step {
	return topology.Step{Verb: topology.VerbCreate, ID: resource.ID(), Want: resource}
}

func remove(id topology.ID) topology.Step { return topology.Step{Verb: topology.VerbDelete, ID: id} }

func removeUnused(id topology.ID) topology.Step {
	return topology.Step{Verb: topology.VerbDelete, ID: id, IfUnused: true}
}

// apply runs steps that must succeed, in one wave.
func apply(t testing.TB, b *Broker, steps ...topology.Step) {
	t.Helper()
	succeeded(t, b.Apply(t.Context(), steps))
}

// succeeded gives back outcomes of which none may be a failure.
func succeeded(t testing.TB, outcomes []topology.Outcome) []topology.Outcome {
	t.Helper()
	for _, outcome := range outcomes {
		if outcome.Err != nil {
			t.Fatalf("%s %s: %v", outcome.Step.Verb, outcome.Step.ID, outcome.Err)
		}
	}
	return outcomes
}

// attempt runs one step that may fail.
func attempt(t testing.TB, b *Broker, step topology.Step) error {
	t.Helper()
	return b.Apply(t.Context(), []topology.Step{step})[0].Err
}

func observe(t testing.TB, b *Broker, selection topology.Selection) *topology.Snapshot {
	t.Helper()
	for attempt := 1; ; attempt++ {
		snapshot, err := b.Observe(t.Context(), selection)
		if err == nil {
			return snapshot
		}
		// RabbitMQ answers 500 to a list from which something goes in that moment, such as another test's virtual host.
		if topology.ClassOf(err) != topology.ClassTransient || attempt == 5 {
			t.Fatalf("Observe: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func look(t testing.TB, b *Broker, id topology.ID) (topology.Resource, topology.Presence) {
	t.Helper()
	return observe(t, b, topology.Selection{IDs: []topology.ID{id}}).Look(id)
}

func usageOf(t testing.TB, b *Broker, id topology.ID) topology.Usage {
	t.Helper()
	usage, ok := observe(t, b, topology.Selection{Usage: []topology.ID{id}}).Usage[id]
	if !ok {
		t.Fatalf("usage of %s: not known", id)
	}
	return usage
}

// converged compares a wanted object with what the broker has, read on its own
// and in the listing of everything.
func converged(t testing.TB, b *Broker, wants ...topology.Resource) {
	t.Helper()
	var ids []topology.ID
	for _, want := range wants {
		ids = append(ids, want.ID())
	}
	few := observe(t, b, topology.Selection{IDs: ids})
	all := observe(t, b, topology.Selection{All: true})
	for _, want := range wants {
		for how, snapshot := range map[string]*topology.Snapshot{"targeted": few, "all": all} {
			live, presence := snapshot.Look(want.ID())
			if presence != topology.Present {
				t.Errorf("%s, %s: presence %v, want present (unread: %v)", want.ID(), how, presence, snapshot.UnreadReason(want.ID()))
				continue
			}
			if changes := want.Diff(live); len(changes) > 0 {
				t.Errorf("%s, %s: %s", want.ID(), how, topology.DescribeChanges(changes))
			}
		}
		one, listed := few.Objects[want.ID()], all.Objects[want.ID()]
		if diff := cmp.Diff(one, listed, cmpopts.IgnoreUnexported(topology.VirtualHost{})); diff != "" {
			t.Errorf("%s: read alone (-) and in the listing (+) differ:\n%s", want.ID(), diff)
		}
	}
}

// wantError compares class and parts of the reason, and that no secret is told.
func wantError(t testing.TB, err error, class topology.Class, password string, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", class)
	}
	var classified *topology.Error
	if !errors.As(err, &classified) {
		t.Fatalf("%T %v, want a *topology.Error", err, err)
	}
	if classified.Class != class {
		t.Errorf("class %s, want %s: %v", classified.Class, class, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q, want it to contain %q", err, word)
		}
	}
	if strings.ContainsAny(classified.Reason, "\r\n") {
		t.Errorf("reason of several lines: %q", classified.Reason)
	}
	if password != "" && strings.Contains(err.Error(), password) {
		t.Errorf("the password is in the error %q", err)
	}
}

// counter counts requests, and those of them that write.
type counter struct{ requests, writes atomic.Int64 }

func (c *counter) hook(method, _ string, _ int, _ time.Duration) {
	c.requests.Add(1)
	if method != "GET" {
		c.writes.Add(1)
	}
}

func ptr[T any](v T) *T { return &v }

// deleteLater deletes a virtual host with the test.
func deleteLater(t testing.TB, b *Broker, name string) {
	t.Cleanup(func() {
		id := topology.VirtualHostID(name)
		if err := b.Apply(context.Background(), []topology.Step{remove(id)})[0].Err; err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
}
