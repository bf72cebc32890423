package harness

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Request is what a Recorder saw of one request.
type Request struct {
	Method string
	Host   string // host:port as the client wrote it
	Path   string // escaped, with the query
	Time   time.Time
	Status int // of the answer; 502 if the target did not answer
	// imported is what an import of definitions declares, by the paths under which each
	// could be declared alone.
	imported []string
}

// Write reports whether the request can change something.
func (r Request) Write() bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// Calls are what requests stand for: an import of definitions for as many declarations, as if each had been sent alone, and
// any other for itself.
func Calls(requests ...Request) (calls []Request) {
	for _, r := range requests {
		if len(r.imported) == 0 {
			calls = append(calls, r)
		}
		for _, path := range r.imported {
			one := Request{Method: http.MethodPost, Host: r.Host, Path: path, Time: r.Time, Status: r.Status}
			if strings.HasPrefix(path, "/api/queues/") {
				one.Method = http.MethodPut
			}
			if r.Status == http.StatusNoContent {
				one.Status = http.StatusCreated
			}
			calls = append(calls, one)
		}
	}
	return calls
}

// Recorder is an HTTP proxy in front of a management API, or of an API server, that notes each request.
type Recorder struct {
	URL string // instead of the target's

	mu        sync.Mutex
	requests  []Request
	pending   int
	disturbed http.Handler // nil: nothing is disturbed
	target    http.Handler // notes what it answers
}

// NewRecorder starts a recorder in front of target (http://host:port). It ends with the test.
func NewRecorder(t testing.TB, target string) *Recorder {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatalf("recorder: %v", err)
	}
	return newRecorder(t, always(to), BrokerTransport())
}

// NewRouter starts a recorder for clients that use it as their HTTP proxy: it asks for the target of each host:port, which
// need not exist. It ends with the test.
func NewRouter(t testing.TB, target func(host string) string) *Recorder {
	t.Helper()
	return newRecorder(t, func(host string) *url.URL {
		to, err := url.Parse(target(host))
		if err != nil {
			panic(err) // of the test
		}
		return to
	}, BrokerTransport())
}

// BrokerTransport closes idle connections before the broker does (RabbitMQ 3.10 and 4.0 after 5 s): a write that meets the
// closing of its connection is answered by EOF, and net/http does not repeat it.
func BrokerTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 100, IdleConnTimeout: 4 * time.Second}
}

func always(to *url.URL) func(string) *url.URL { return func(string) *url.URL { return to } }

// NewAPIRecorder starts a recorder in front of the API server of a kubeconfig, and returns a kubeconfig that leads there:
// whoever uses it is taken for the user of the first one. A watch is noted when it ends.
func NewAPIRecorder(t testing.TB, kubeconfig string) (recorder *Recorder, recorded string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatalf("recorder: %v", err)
	}
	to, err := url.Parse(config.Host)
	if err != nil {
		t.Fatalf("recorder: %v", err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatalf("recorder: %v", err)
	}
	recorder = newRecorder(t, always(to), transport)
	return recorder, WriteKubeconfig(t, &rest.Config{Host: recorder.URL})
}

func newRecorder(t testing.TB, target func(host string) *url.URL, transport http.RoundTripper) *Recorder {
	r := &Recorder{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) { request.SetURL(target(request.In.Host)) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
		Transport: transport,
	}
	r.target = http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		seen := Request{Method: request.Method, Host: request.Host, Path: request.URL.RequestURI(), Time: time.Now(), imported: imported(request)}
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		r.mu.Lock()
		r.pending++
		r.mu.Unlock()
		defer func() { // the proxy panics to break off an answer
			seen.Status = status.status
			r.mu.Lock()
			defer r.mu.Unlock()
			r.pending--
			r.requests = append(r.requests, seen)
		}()
		proxy.ServeHTTP(status, request)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		handler := r.target
		if r.disturbed != nil {
			handler = r.disturbed
		}
		r.mu.Unlock()
		handler.ServeHTTP(w, request)
	}))
	if closer, ok := transport.(interface{ CloseIdleConnections() }); ok {
		t.Cleanup(closer.CloseIdleConnections)
	}
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// imported lists the queues and bindings in an import of definitions of one virtual host.
func imported(request *http.Request) (paths []string) {
	host, ok := strings.CutPrefix(request.URL.EscapedPath(), "/api/definitions/")
	if !ok || request.Method != http.MethodPost {
		return nil
	}
	body, err := io.ReadAll(request.Body)
	request.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), &failing{err}))
	var definitions struct {
		Queues []struct {
			Name string `json:"name"`
		} `json:"queues"`
		Bindings []struct {
			Source          string `json:"source"`
			Destination     string `json:"destination"`
			DestinationType string `json:"destination_type"`
		} `json:"bindings"`
	}
	if err != nil || json.Unmarshal(body, &definitions) != nil {
		return nil
	}
	for _, q := range definitions.Queues {
		paths = append(paths, "/api/queues/"+host+"/"+url.PathEscape(q.Name))
	}
	for _, b := range definitions.Bindings {
		paths = append(paths, fmt.Sprintf("/api/bindings/%s/e/%s/%.1s/%s", host, url.PathEscape(b.Source), b.DestinationType, url.PathEscape(b.Destination)))
	}
	return paths
}

// failing is what is left of a body that broke off; nothing if err is nil.
type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, cmp.Or(f.err, io.EOF) }

// Disturb puts something between the client and the target from the next request on; nil takes it away. Only what it
// passes on is noted, and as the target answered it.
func (r *Recorder) Disturb(with func(target http.Handler) http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.disturbed = nil
	if with != nil {
		r.disturbed = with(r.target)
	}
}

// Requests are those that arrived at or after a moment and have been answered, by time of the answer.
func (r *Recorder) Requests(since time.Time) []Request { return r.filter(since, false) }

// Writes are those of Requests that can change something.
func (r *Recorder) Writes(since time.Time) []Request { return r.filter(since, true) }

// Pending is how many requests have arrived and have not been answered.
func (r *Recorder) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending
}

func (r *Recorder) filter(since time.Time, writes bool) []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var result []Request
	for _, request := range r.requests {
		if !request.Time.Before(since) && (!writes || request.Write()) {
			result = append(result, request)
		}
	}
	return result
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the reverse proxy flush.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
