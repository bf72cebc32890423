package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// dialFailure is one failed attempt to connect.
type dialFailure struct {
	address string
	when    time.Time
	err     error
}

func (f *dialFailure) Error() string { return f.address + ": " + f.err.Error() }
func (f *dialFailure) Unwrap() error { return f.err }

// dial connects to one broker. It takes a third of the request's time at most:
// when one of several addresses swallows packets, there is time for another.
func (b *Broker) dial(ctx context.Context, network, address string) (net.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, b.options.Timeout/3)
	defer cancel()
	conn, err := b.connect(limited, network, address)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		// The dial's own limit, and not the caller's: another address may
		// answer, and the error is not about the caller's patience.
		silent := errNoAnswer
		if handshake := (*handshakeError)(nil); errors.As(err, &handshake) {
			silent = errNoHandshake
		}
		err = &net.OpError{Op: "dial", Net: network, Err: silent}
	}
	failure := &dialFailure{address: address, when: time.Now(), err: err}
	b.lastDialFailure.Store(failure)
	return nil, failure
}

// Dials that ended by their own limit.
var (
	errNoAnswer    = errors.New("no answer")
	errNoHandshake = errors.New("no answer to the TLS handshake")
)

func (b *Broker) connect(ctx context.Context, network, address string) (net.Conn, error) {
	open := b.options.Dialer
	if open == nil {
		open = new(net.Dialer).DialContext
	}
	conn, err := open(ctx, network, address)
	if err != nil || b.options.TLS == nil {
		return conn, err
	}
	config := b.options.TLS.Clone()
	if config.ServerName == "" {
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			config.ServerName = address
		}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, &handshakeError{err}
	}
	return secure, nil
}

// handshakeError is a TLS handshake that failed after the dial succeeded.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// requestHook reports requests and connection attempts to Options.OnRequest.
type requestHook struct {
	report func(api string, err error, took time.Duration)
}

var (
	_ kgo.HookBrokerE2E     = requestHook{}
	_ kgo.HookBrokerConnect = requestHook{}
)

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (h requestHook) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	h.report(kmsg.NameForKey(key), e2e.Err(), e2e.DurationE2E())
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (h requestHook) OnBrokerConnect(_ kgo.BrokerMetadata, took time.Duration, _ net.Conn, err error) {
	h.report("Connect", err, took)
}
