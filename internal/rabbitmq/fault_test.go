package rabbitmq

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

const testPassword = "hunter2-secret"

// serve is a Broker in front of a handler.
func serve(t testing.TB, handler http.HandlerFunc) *Broker {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return open(t, Options{Endpoint: server.URL, Username: "someone", Password: testPassword, Timeout: time.Second})
}

// jsonAnswers answers paths, without query, with JSON; 404 to all others.
func jsonAnswers(answers map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer, ok := answers[r.URL.EscapedPath()]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"error":"Object Not Found","reason":"Not Found"}`
		}
		_, _ = w.Write([]byte(answer))
	}
}

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// reset breaks the connection off without an answer.
func reset(w http.ResponseWriter, _ *http.Request) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}

// silent swallows the request; a server notices that the client is gone only
// once it has read the body.
func silent(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func slowBody(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`[{"name":`))
	_ = http.NewResponseController(w).Flush()
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestFaultsOnTheWay(t *testing.T) {
	const login = "<html><head><title>Sign in &amp; go</title></head></html>"
	cases := map[string]struct {
		reason  string
		handler http.HandlerFunc
		words   []string
	}{
		"500":            {reason: "no body to explain it", handler: answer(500, "text/plain", ""), words: []string{"500"}},
		"502 of a proxy": {reason: "the title is what a person would read", handler: answer(502, "text/html", "<title>Bad\nGateway</title>"), words: []string{"502", "Bad Gateway"}},
		"503":            {reason: "said in the broker's form", handler: answer(503, "application/json", `{"error":"x","reason":"booting"}`), words: []string{"503", "booting"}},
		"a login page":   {reason: "200, and no RabbitMQ", handler: answer(200, "text/html", login), words: []string{"Sign in & go", "management API"}},
		"text":           {reason: "200, and no JSON", handler: answer(200, "text/html; charset=utf-8", "hello"), words: []string{"hello"}},
		"cut off":        {reason: "no answer at all", handler: reset, words: []string{"closed by 127.0.0.1"}},
		"silent":         {reason: "the deadline is ours", handler: silent, words: []string{"no answer", "within"}},
		"redirect": {reason: "credentials must not follow it", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://user:pass@elsewhere.example/login?x=y")
			w.WriteHeader(http.StatusFound)
		}, words: []string{"redirect to http://elsewhere.example/login"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, tc.handler)
			_, err := b.Probe(t.Context())
			wantError(t, err, topology.ClassTransport, testPassword, tc.words...)
			q := &topology.Queue{VirtualHost: "v", Name: "q", Type: "classic"}
			for _, step := range []topology.Step{create(q), remove(q.ID())} {
				wantError(t, attempt(t, b, step), topology.ClassTransport, testPassword, tc.words...)
			}
			wantError(t, attempt(t, b, create(&topology.Exchange{VirtualHost: "v", Name: "x", Type: "direct"})), topology.ClassTransport, testPassword, tc.words...)
			if name != "silent" { // three times the deadline for a listing
				_, err = b.Observe(t.Context(), topology.Selection{All: true})
				wantError(t, err, topology.ClassTransport, testPassword, tc.words...)
			}
		})
	}
}

func TestBrokenListings(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		handler http.HandlerFunc
		words   []string
	}{
		"slow":      {reason: "the deadline covers the body", handler: slowBody, words: []string{"no answer from", "within"}},
		"truncated": {reason: "half a listing is no listing", handler: answer(200, "application/json", `[{"name":"v"`), words: []string{"broken"}},
		"an object": {reason: "another shape", handler: answer(200, "application/json", `"hello"`), words: []string{"another shape"}},
		"not JSON":  {reason: "said to be", handler: answer(200, "application/json", `<html>`), words: []string{"broken"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := serve(t, tc.handler).Observe(t.Context(), topology.Selection{All: true})
			wantError(t, err, topology.ClassTransport, testPassword, tc.words...)
		})
	}
}

func TestNothingListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	b := open(t, Options{Endpoint: "http://" + address, Username: "someone", Password: testPassword})
	_, err = b.Probe(t.Context())
	wantError(t, err, topology.ClassTransport, testPassword, "connection refused by "+address)
	b = open(t, Options{Endpoint: "http://broker.invalid:1", Username: "someone", Password: testPassword})
	_, err = b.Probe(t.Context())
	wantError(t, err, topology.ClassTransport, testPassword, "broker.invalid")
}

func TestTLSFaults(t *testing.T) {
	server := httptest.NewTLSServer(answer(200, "application/json", "{}"))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	known := x509.NewCertPool()
	known.AddCert(server.Certificate())
	for name, tc := range map[string]struct {
		reason   string
		endpoint string
		tls      *tls.Config
		words    []string
	}{
		"unknown authority": {reason: "says which field to set", endpoint: server.URL, words: []string{"unknown authority", "tls.caRef"}},
		"another name": {
			reason: "says which field to set", endpoint: server.URL, tls: &tls.Config{RootCAs: known, ServerName: "other.test"},
			words: []string{"another name", "tls.serverName", "other.test"},
		},
		"http": {reason: "the port speaks TLS", endpoint: strings.Replace(server.URL, "https", "http", 1), words: []string{"HTTP request to an HTTPS server"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, Options{Endpoint: tc.endpoint, Username: "someone", Password: testPassword, TLS: tc.tls}).Probe(t.Context())
			if name == "http" { // Go's server answers 400 in clear text
				if err == nil || !strings.Contains(err.Error(), tc.words[0]) {
					t.Errorf("%s: %v, want it to contain %q", tc.reason, err, tc.words[0])
				}
				return
			}
			wantError(t, err, topology.ClassTransport, testPassword, tc.words...)
		})
	}
	plain := httptest.NewServer(answer(200, "application/json", "{}"))
	t.Cleanup(plain.Close)
	_, err := open(t, Options{Endpoint: strings.Replace(plain.URL, "http", "https", 1), Username: "someone", Password: testPassword}).Probe(t.Context())
	wantError(t, err, topology.ClassTransport, testPassword, "does not speak TLS")
}

func TestEndpoints(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://a:1":                             "http://a:1",
		"https://a/":                             "https://a",
		"https://a/rabbit/api/":                  "https://a/rabbit",
		"http://[::1]:15672":                     "http://[::1]:15672",
		"http://a/a%20b":                         "http://a/a%20b",
		"http://u:" + testPassword + "@a":        "user and password",
		"http://u:" + testPassword + "@a:b c":    "not a URL",
		"amqp://a":                               "http://",
		"http://":                                "no host",
		"a:15672":                                "",
		"http://a/?token=" + testPassword:        "?",
		"http://" + testPassword + ":port:port/": "not a URL",
	} {
		got, err := parseEndpoint(endpoint)
		if err != nil {
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), testPassword) {
				t.Errorf("%q: error %q, want %q and no password", endpoint, err, want)
			}
			continue
		}
		if got.String() != want {
			t.Errorf("%q: %q, want %q", endpoint, got, want)
		}
	}
}

// A dead broker is asked a few times, not a thousand.
func TestDeadBrokerEndsTheWave(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		handler http.HandlerFunc
		most    int64
	}{
		"reset":  {reason: "those under way, the question, and what net/http repeats", handler: reset, most: 60},
		"silent": {reason: "those under way, and the question", handler: silent, most: 12},
		"500":    {reason: "those under way, and the question", handler: answer(500, "text/plain", "boom"), most: 25},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			b := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				tc.handler(w, r)
			})
			begin := time.Now()
			for _, outcome := range b.Apply(t.Context(), queues(1000)) {
				wantError(t, outcome.Err, topology.ClassTransport, testPassword, outcome.Step.ID.String())
			}
			if n := requests.Load(); n > tc.most {
				t.Errorf("%d requests, want at most %d: %s", n, tc.most, tc.reason)
			}
			if took := time.Since(begin); took > 4*time.Second {
				t.Errorf("took %s, want about two deadlines of 1s", took)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRefusedConnectionEndsTheWave(t *testing.T) {
	var requests atomic.Int64
	b := open(t, Options{Endpoint: "http://broker:15672", Username: "someone", Password: testPassword, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		requests.Add(1)
		if r.Method == http.MethodGet {
			t.Error("asked whether the broker is there, which is known")
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	})})
	for _, outcome := range b.Apply(t.Context(), queues(1000)) {
		wantError(t, outcome.Err, topology.ClassTransport, testPassword, "connection refused by broker:15672", outcome.Step.ID.String())
	}
	if n := requests.Load(); n > DefaultConcurrency {
		t.Errorf("%d requests, want no more than were under way", n)
	}
}

// A broker that answers reads and no write is as good as down.
func TestManyUnansweredEndTheWave(t *testing.T) {
	var writes atomic.Int64
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			answer(200, "application/json", `{"tags":[]}`)(w, r)
			return
		}
		writes.Add(1)
		silent(w, r)
	})
	classes := map[topology.Class]int{}
	for _, outcome := range b.Apply(t.Context(), queues(500)) {
		classes[topology.ClassOf(outcome.Err)]++
	}
	if classes[topology.ClassTransient] != maxLoneFailures || classes[topology.ClassTransport] != 500-maxLoneFailures {
		t.Errorf("classes %v, want %d Transient and the others Transport", classes, maxLoneFailures)
	}
	if n := writes.Load(); n > 3*DefaultConcurrency {
		t.Errorf("%d writes, want a few", n)
	}
}

// One object that is never answered, or breaks the broker, fails alone.
func TestOneBadObjectDoesNotStopTheOthers(t *testing.T) {
	for name, bad := range map[string]http.HandlerFunc{
		"silent": silent, "reset": reset, "500": answer(500, "application/json", `{"error":"Internal Server Error","reason":"crash"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/q7"):
					bad(w, r)
				case r.Method == http.MethodPut:
					w.WriteHeader(http.StatusCreated)
				default:
					answer(200, "application/json", `{"name":"someone","tags":["administrator"]}`)(w, r)
				}
			})
			for i, outcome := range b.Apply(t.Context(), queues(100)) {
				if i == 7 {
					wantError(t, outcome.Err, topology.ClassTransient, testPassword, "answers other requests")
				} else if outcome.Err != nil {
					t.Errorf("%s: %v", outcome.Step.ID, outcome.Err)
				}
			}
		})
	}
}

func queues(n int) []topology.Step {
	out := make([]topology.Step, n)
	for i := range out {
		out[i] = create(&topology.Queue{VirtualHost: "v", Name: fmt.Sprintf("q%d", i), Type: "classic", Durable: true})
	}
	return out
}

func TestCallersEndIsNotTheBrokersFault(t *testing.T) {
	b := serve(t, silent)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, outcome := range b.Apply(ctx, queues(20)) {
		wantError(t, outcome.Err, topology.ClassTransport, testPassword, "interrupted")
		if !errors.Is(outcome.Err, context.DeadlineExceeded) {
			t.Errorf("%v, want the caller's own error in it", outcome.Err)
		}
	}
	_, err := b.Observe(ctx, topology.Selection{All: true})
	wantError(t, err, topology.ClassTransport, testPassword, "interrupted")
}

// Connections are kept, whatever was asked and answered.
func TestConnectionsAreReused(t *testing.T) {
	var opened atomic.Int64
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.Close || r.Header.Get("Connection") == "close" {
			t.Error("the request asks to close the connection")
		}
		switch {
		case strings.Contains(r.URL.Path, "bad"):
			answer(400, "application/json", `{"error":"bad_request","reason":"`+strings.Repeat("long ", 2000)+`"}`)(w, r)
		case r.Method == http.MethodGet:
			answer(200, "application/json", "[]")(w, r)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	b := open(t, Options{Endpoint: server.URL, Username: "someone", Password: testPassword, Concurrency: 1})
	for range 10 {
		for _, step := range []topology.Step{
			create(&topology.Queue{VirtualHost: "v", Name: "q", Type: "classic"}),
			create(&topology.Queue{VirtualHost: "v", Name: "bad", Type: "classic"}),
			create(&topology.Exchange{VirtualHost: "v", Name: "bad", Type: "direct"}),
			create(&topology.Binding{VirtualHost: "v", Source: "x", Destination: "q", DestinationType: "queue"}),
			remove(topology.QueueID("v", "q")),
		} {
			_ = attempt(t, b, step) // some are refused
		}
		_, _ = b.Observe(t.Context(), topology.Selection{IDs: []topology.ID{topology.QueueID("v", "q")}})
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections, want one", n)
	}
}

func TestErrorBodiesAreBounded(t *testing.T) {
	var sent atomic.Int64
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusBadRequest)
		for range 256 {
			n, err := w.Write([]byte(strings.Repeat("x", 1<<20)))
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	err := attempt(t, b, create(&topology.Queue{VirtualHost: "v", Name: "q", Type: "classic"}))
	wantError(t, err, topology.ClassRejected, testPassword, "xxx")
	if len(err.Error()) > 1000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	if n := sent.Load(); n > 128<<20 {
		t.Errorf("%d MB were read", n>>20)
	}
}

func TestOnRequestHearsOfEverything(t *testing.T) {
	type seen struct {
		method, operation string
		status            int
	}
	var got []seen
	server := httptest.NewServer(answer(503, "text/plain", ""))
	t.Cleanup(server.Close)
	b := open(t, Options{Endpoint: server.URL, Username: "someone", Password: testPassword, Concurrency: 1,
		OnRequest: func(method, operation string, status int, took time.Duration) {
			if took <= 0 {
				t.Errorf("%s %s took %s", method, operation, took)
			}
			got = append(got, seen{method, operation, status})
		}})
	_ = attempt(t, b, create(&topology.Queue{VirtualHost: "v", Name: "q", Type: "classic"}))
	server.Close()
	_, _ = b.Probe(t.Context())
	want := []seen{{"PUT", "declare queue", 503}, {"GET", "probe", 503}, {"GET", "probe", 0}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("requests %v, want %v", got, want)
	}
}

func TestPermitIsAskedBeforeWritesAndNothingElse(t *testing.T) {
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Method)
		answer(http.StatusNotFound, "application/json", `{"error":"Object Not Found","reason":"Not Found"}`)(w, r)
	}))
	defer server.Close()
	b := open(t, Options{Endpoint: server.URL, Username: "u", Password: "p", Concurrency: 1, Permit: func(context.Context, bool) (time.Time, error) { return time.Time{}, errors.New("another one leads") }})
	queue := &topology.Queue{VirtualHost: "v", Name: "q", Type: "classic", Durable: true}
	for verb, step := range map[string]topology.Step{"create": create(queue), "delete": remove(queue.ID())} {
		wantError(t, attempt(t, b, step), topology.ClassTransport, "p-is-no-secret", verb, "another one leads")
	}
	for _, method := range sent {
		if method != http.MethodGet {
			t.Errorf("a %s was sent", method)
		}
	}
	if sent = nil; b.call(t.Context(), "read").get("overview", new(any)) == nil || len(sent) != 1 {
		t.Errorf("a read was not sent, but %v", sent)
	}
}

// Who stood still while another took over finds its connections closed, and must not
// send again what was on its way.
func TestPermitIsAskedBeforeWritesAreRepeated(t *testing.T) {
	for name, test := range map[string]struct {
		permitted int
		class     topology.Class
		sent      int
	}{
		"Permitted": {permitted: 3, sent: 3},
		"Replaced":  {permitted: 2, sent: 2, class: topology.ClassTransport},
	} {
		t.Run(name, func(t *testing.T) {
			var bodies []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				bodies = append(bodies, string(body))
				if len(bodies) == 2 { // the connection was kept, and is closed without an answer
					reset(w, r)
					return
				}
				w.WriteHeader(http.StatusCreated)
			}))
			defer server.Close()
			asked := 0
			b := open(t, Options{Endpoint: server.URL, Username: "u", Password: "p", Permit: func(context.Context, bool) (time.Time, error) {
				if asked++; asked > test.permitted {
					return time.Time{}, errors.New("another one leads")
				}
				return time.Time{}, nil
			}})
			queue := &topology.Queue{VirtualHost: "v", Name: "q", Type: "classic", Durable: true}
			if err := attempt(t, b, create(queue)); err != nil {
				t.Fatal(err)
			}
			if err := attempt(t, b, create(queue)); test.class == "" && err != nil {
				t.Errorf("a write that may be sent again: %v", err)
			} else if test.class != "" {
				wantError(t, err, test.class, "p-is-no-secret", "another one leads")
			}
			if len(bodies) != test.sent || bodies[0] == "" || slices.ContainsFunc(bodies, func(body string) bool { return body != bodies[0] }) {
				t.Errorf("sent %q, want %d times the same", bodies, test.sent)
			}
		})
	}
}

// A write must be over when its permission ends, and says what it is.
func TestPermitBoundsWrites(t *testing.T) {
	hangs := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hangs }))
	defer server.Close()
	defer close(hangs)
	var asked []bool
	b := open(t, Options{Endpoint: server.URL, Username: "u", Password: "p", Timeout: time.Hour, Permit: func(_ context.Context, destroys bool) (time.Time, error) {
		asked = append(asked, destroys)
		return time.Now().Add(50 * time.Millisecond), nil
	}})
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		if err := b.call(t.Context(), "write").write(method, "queues/v/q", nil); err == nil || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("%s: %v", method, err)
		}
	}
	if fmt.Sprint(asked) != "[false true]" {
		t.Errorf("what destroys: %v", asked)
	}
}
