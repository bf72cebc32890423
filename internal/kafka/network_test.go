package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// inMemory is a cluster for faults that no real broker produces on demand. It
// proves nothing about Kafka.
func inMemory(t *testing.T, options ...kfake.Opt) (*kfake.Cluster, []string) {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster, cluster.ListenAddrs()
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// silent accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	proxy := harness.NewProxy(t, "")
	proxy.Blackhole()
	return proxy.Addr()
}

// promptly is half of the default time-out: no failure may take as long as a
// request without an answer, and a busy machine is no failure.
const promptly = DefaultTimeout / 2

func TestUnreachable(t *testing.T) {
	_, alive := inMemory(t)
	closed, mute := closedPort(t), silent(t)
	swallow := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == alive[0] {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		<-ctx.Done() // what a dial does when SYN packets are dropped
		return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
	}
	for name, c := range map[string]struct {
		reason  string
		options Options
		words   []string // nil: it works
	}{
		"Refused":    {"nobody listens", Options{BootstrapServers: []string{closed}}, []string{"connection refused by " + closed}},
		"Unresolved": {"no such host", Options{BootstrapServers: []string{"kafka.invalid:9092"}}, []string{"cannot resolve kafka.invalid"}},
		"Silent":     {"connected, and no answer", Options{BootstrapServers: []string{mute}, Timeout: time.Second}, []string{"no answer", "from " + mute}},
		"SilentTLS":  {"connected, and no handshake", Options{BootstrapServers: []string{mute}, Timeout: time.Second, TLS: &tls.Config{}}, []string{"no answer to the TLS handshake from " + mute}},
		"Swallowed":  {"the dial is never answered", Options{BootstrapServers: []string{"10.255.255.1:9092"}, Timeout: time.Second, Dialer: swallow}, []string{"no answer from 10.255.255.1:9092"}},
		"OneOfTwo":   {"one bootstrap server is down", Options{BootstrapServers: []string{closed, alive[0]}}, nil},
		"OneMute":    {"one bootstrap server drops packets", Options{BootstrapServers: []string{"10.255.255.1:9092", alive[0]}, Timeout: 3 * time.Second, Dialer: swallow}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := connect(t, c.options)
			started := time.Now()
			_, err := b.Probe(t.Context())
			if took := time.Since(started); took > promptly {
				t.Errorf("%s: took %s, want at most %s", c.reason, took, promptly)
			}
			if c.words == nil {
				(*failure)(nil).check(t, c.reason, err)
				return
			}
			want := &failure{Class: topology.ClassTransport, Operation: "connect", Words: c.words}
			want.check(t, c.reason, err)
			outcome := b.Apply(t.Context(), []topology.Step{{Verb: topology.VerbCreate, ID: topology.TopicID("t"), Want: &topology.Topic{Name: "t"}}})[0]
			want = &failure{Class: topology.ClassTransport, Operation: opCreate, Words: []string{"topic t: "}}
			want.check(t, c.reason+", and so is every step", outcome.Err)
		})
	}
}

func TestAdvertisedElsewhere(t *testing.T) {
	cluster, bootstrap := inMemory(t, kfake.NumBrokers(2))
	_ = cluster
	entrance := harness.NewProxy(t, bootstrap[0])
	b := connect(t, Options{
		BootstrapServers: []string{entrance.Addr()}, Timeout: 2 * time.Second,
		Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != entrance.Addr() {
				address = closedPort(t)
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	})
	if _, err := b.Probe(t.Context()); err != nil {
		(&failure{Class: topology.ClassTransport, Words: []string{"advertised.listeners"}}).check(t, "a probe may notice", err)
	}
	outcome := b.Apply(t.Context(), []topology.Step{{Verb: topology.VerbCreate, ID: topology.TopicID("t"), Want: &topology.Topic{Name: "t"}}})[0]
	(&failure{Class: topology.ClassTransport, Words: []string{"advertised.listeners"}}).
		check(t, "the bootstrap server answers, and sends clients where they cannot go", outcome.Err)
}

func TestCallerGivesUp(t *testing.T) {
	b := connect(t, Options{BootstrapServers: []string{silent(t)}})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err := b.Observe(ctx, topology.Selection{All: true})
	if took := time.Since(started); took > time.Second {
		t.Errorf("the caller's deadline was 200 ms, the answer took %s", took)
	}
	(&failure{Class: topology.ClassTransport, Words: []string{"no answer within"}}).check(t, "deadline", err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the cause is lost: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err = b.Probe(stopped)
	(&failure{Class: topology.ClassTransport, Words: []string{"cancelled"}}).check(t, "cancelled", err)
}

func TestBrokerComesBack(t *testing.T) {
	_, bootstrap := inMemory(t)
	entrance := harness.NewProxy(t, bootstrap[0])
	var seen requests
	b := connect(t, Options{
		BootstrapServers: []string{entrance.Addr()}, Timeout: time.Second, OnRequest: seen.observe,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, entrance.Addr())
		},
	})
	probe := func() error { _, err := b.Probe(t.Context()); return err }
	if err := probe(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(){"Refuse": entrance.Refuse, "Blackhole": entrance.Blackhole} {
		change()
		if err := probe(); topology.ClassOf(err) != topology.ClassTransport {
			t.Fatalf("%s: %v", name, err)
		}
		entrance.Forward()
		harness.Eventually(t, "the broker is found again after "+name, func() bool { return probe() == nil })
	}
	entrance.Refuse()
	_ = probe()
	seen.take()
	goroutines := runtime.NumGoroutine()
	time.Sleep(2 * time.Second)
	if noise := seen.take(); len(noise) > 0 {
		t.Errorf("requests to a dead broker that nobody asked for: %v", noise)
	}
	if more := runtime.NumGoroutine() - goroutines; more > 2 {
		t.Errorf("%d goroutines more after doing nothing", more)
	}
}

func TestNewRefusesBadOptions(t *testing.T) {
	for reason, options := range map[string]Options{
		"no server":         {},
		"unknown mechanism": {BootstrapServers: []string{"a:1"}, Mechanism: "Kerberos"},
		"a bad address":     {BootstrapServers: []string{"a:port"}},
	} {
		if b, err := New(options); err == nil {
			b.Close()
			t.Errorf("%s: accepted", reason)
		}
	}
}

// The client has an error without a type for a connection that ends while a request is under
// way: it says that it will try again, which it has done by then.
func TestConnectionThatBrokeOff(t *testing.T) {
	class, reason := explain(errors.New("the broker connection has died and the request will be retried on a new connection"))
	if want := "no answer: the connection broke off"; class != topology.ClassTransport || reason != want {
		t.Errorf("it is explained as %s: %q, want %s: %q", class, reason, topology.ClassTransport, want)
	}
}

// A listener that closes each connection may be one for TLS. One that has answered before is
// not, and its broker is being stopped or started.
func TestConnectionsThatAreClosedAtOnce(t *testing.T) {
	_, bootstrap := inMemory(t)
	entrance, closed := harness.NewProxy(t, closedPort(t)), closedPort(t)
	b := connect(t, Options{
		BootstrapServers: []string{entrance.Addr()}, Timeout: time.Second,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, entrance.Addr())
		},
	})
	reason := func() string {
		_, err := b.Probe(t.Context())
		if topology.ClassOf(err) != topology.ClassTransport {
			t.Fatalf("a closed connection is of class %q: %v", topology.ClassOf(err), err)
		}
		return err.Error()
	}
	// Another text is possible at each try: the end may come before the request is sent.
	harness.Eventually(t, "TLS is proposed for one that has never answered", func() bool { return strings.Contains(reason(), "want TLS?") })

	entrance.SetTarget(bootstrap[0])
	if _, err := b.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	entrance.SetTarget(closed)
	entrance.CloseConnections()
	for range 20 {
		if is := reason(); strings.Contains(is, "TLS") {
			t.Fatalf("it has answered, and now: %s", is)
		}
	}
}
