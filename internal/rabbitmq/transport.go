package rabbitmq

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	rabbithole "github.com/michaelklishin/rabbit-hole/v2"
)

const (
	// maxErrorBody bounds what is read of an answer that is not a success, and
	// of the answer to a write.
	maxErrorBody = 64 << 10
	// maxListing bounds a listing: half a million objects.
	maxListing = 512 << 20
	// idleConnTimeout is shorter than the 5 s after which RabbitMQ 3.10 and 4.0 close
	// an idle connection (4.3: 60 s), so that it is us who close it: a call that meets
	// the closing has no answer.
	idleConnTimeout = 4 * time.Second
)

func pooledTransport(options Options) *http.Transport {
	dialer := &net.Dialer{Timeout: probeTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     options.TLS.Clone(),
		TLSHandshakeTimeout: probeTimeout,
		// Two lanes, each with its own Concurrency.
		MaxIdleConns:        2 * options.Concurrency,
		MaxIdleConnsPerHost: 2 * options.Concurrency,
		IdleConnTimeout:     idleConnTimeout,
	}
}

// call is one operation: what it is called in metrics and errors, and what
// bounds it.
type call struct {
	broker    *Broker
	ctx       context.Context // lives as long as the operation, and rabbit-hole takes none
	operation string
	timeout   time.Duration
	once      bool // see unrepeated
}

// call begins an operation, named in a verb and a noun: "declare queue".
func (b *Broker) call(ctx context.Context, operation string) call {
	return call{broker: b, ctx: ctx, operation: operation, timeout: b.options.Timeout}
}

// named is the same operation under a more precise name.
func (c call) named(operation string) call {
	c.operation = operation
	return c
}

// within gives the operation another deadline per request.
func (c call) within(timeout time.Duration) call {
	c.timeout = timeout
	return c
}

// unrepeated is for calls whose end must be known: one that was cut off and then sent
// again would look as if it had done what the first one has left half done.
func (c call) unrepeated() call {
	c.once = true
	return c
}

// client is rabbit-hole bound to this operation: it has no context of its own,
// so it gets a transport that knows it. A client is three strings and a
// pointer; connections are in the transport below.
func (c call) client() *rabbithole.Client {
	client, err := rabbithole.NewTLSClient(c.broker.endpoint.String(), c.broker.options.Username, c.broker.options.Password, c)
	if err != nil {
		panic("rabbitmq: an endpoint that New accepted does not parse") // New parsed it
	}
	return client
}

// RoundTrip implements http.RoundTripper under rabbit-hole. An answer that is
// no success is an error here, with all that the broker said: rabbit-hole drops
// the reason of a 401 and takes every 404 of a DELETE for a success, and
// net/http would follow redirects. The body is read to the end, which keeps the
// connection reusable whatever rabbit-hole does with it.
func (c call) RoundTrip(request *http.Request) (*http.Response, error) {
	var answer *http.Response
	err := c.send(request, func(response *http.Response) error {
		body, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
		response.Body = io.NopCloser(bytes.NewReader(body))
		answer = response
		return err
	})
	return answer, err
}

// get reads JSON into a value.
func (c call) get(path string, into any) error {
	request, err := c.request(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return c.send(request, func(response *http.Response) error {
		return decode(io.LimitReader(response.Body, maxListing), response.Header, into)
	})
}

// write sends a request whose answer is nothing but its status; body may be
// nil.
func (c call) write(method, path string, body any) error {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
	}
	request, err := c.request(method, path, content)
	if err != nil {
		return err
	}
	return c.send(request, func(*http.Response) error { return nil })
}

// post sends a request that has an answer.
func (c call) post(path string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	request, err := c.request(http.MethodPost, path, content)
	if err != nil {
		return err
	}
	return c.send(request, func(response *http.Response) error {
		return decode(io.LimitReader(response.Body, maxListing), response.Header, into)
	})
}

func (c call) request(method, path string, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(c.ctx, method, c.broker.endpoint.String()+"/api/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth(c.broker.options.Username, c.broker.options.Password)
	return request, nil
}

// mostSends of one request: a broker that was started again has closed all the
// connections that were kept, of which there are as many as requests at a time, and
// each can be found out by using it.
const mostSends = 2 * DefaultConcurrency

// send runs one request under the operation's context and deadline, which cover
// the reading of the answer, and counts it.
func (c call) send(request *http.Request, consume func(*http.Response) error) error {
	if err := c.permitted(request); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.timeout, errNoAnswer)
	defer cancel()
	// Nearly every request of ours can be repeated, and is when a kept connection turns out
	// to be closed. net/http would do so by itself, for some, and ask nobody: a process that stood
	// still, and was replaced, wakes up with such connections.
	kept := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { kept = got.Reused }})

	begin, status := time.Now(), 0
	defer func() {
		if c.broker.options.OnRequest != nil {
			c.broker.options.OnRequest(request.Method, c.operation, status, time.Since(begin))
		}
	}()
	var response *http.Response
	for sends := 1; ; sends++ {
		out, err := again(ctx, request)
		if err != nil {
			return err
		}
		kept = false
		response, err = c.broker.base.RoundTrip(out) //nolint:bodyclose // drain closes it
		if err == nil {
			break
		}
		if !kept || sends == mostSends || ctx.Err() != nil || request.GetBody == nil || c.once {
			return c.cause(ctx, err)
		}
		if err := c.permitted(request); err != nil {
			return err
		}
	}
	status = response.StatusCode
	defer drain(response.Body)
	if err := refusal(response); err != nil {
		return err
	}
	return c.cause(ctx, consume(response))
}

// permitted asks whether a request may be sent, if it can change something, and bounds
// its time.
func (c *call) permitted(request *http.Request) (err error) {
	if request.Method != http.MethodGet {
		c.timeout, err = c.broker.options.Permit.Grant(c.ctx, "", request.Method == http.MethodDelete, c.timeout)
	}
	return err
}

// again is a request with a body that nobody has read.
func again(ctx context.Context, request *http.Request) (*http.Request, error) {
	out := request.Clone(ctx)
	out.Close = false // rabbit-hole sets it: a connection a request
	if request.GetBody == nil {
		return out, nil
	}
	var err error
	out.Body, err = request.GetBody()
	return out, err
}

// errNoAnswer tells our own deadline from that of the caller.
var errNoAnswer = errors.New("no answer in time")

// cause tells why a request or the reading of its answer broke off: the
// caller's end, the deadline, or what it looks like.
func (c call) cause(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case errors.Is(context.Cause(ctx), errNoAnswer):
		return &silence{timeout: roughly(c.timeout)}
	}
	return err
}

// drain reads the little that is left of a body, and closes it.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxErrorBody)
	_ = body.Close()
}

// streamed values are read piece by piece, so that a listing of any length is never
// held as text.
type streamed interface {
	readFrom(body *bufio.Reader) error
}

// decode reads one JSON value and names what came instead if it is none.
func decode(body io.Reader, header http.Header, into any) error {
	if contentType := header.Get("Content-Type"); !strings.HasPrefix(contentType, "application/json") {
		return &foreign{what: describeBody(contentType, body)}
	}
	var err error
	if list, ok := into.(streamed); ok {
		err = list.readFrom(bufio.NewReader(body))
	} else {
		err = json.NewDecoder(body).Decode(into)
	}
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &mismatch) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &foreign{what: "JSON that is broken or of another shape: " + err.Error(), err: err}
	}
	return err
}
