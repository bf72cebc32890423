package harness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// echo is a server that sends back what it gets.
func echo(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(connection, connection); _ = connection.Close() }()
		}
	}()
	return listener.Addr().String()
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	connection, err := net.DialTimeout("tcp", p.Addr(), time.Second)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// ask sends a line and returns the answer, or why there is none.
func ask(connection net.Conn, line string) (string, error) {
	_ = connection.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := io.WriteString(connection, line+"\n"); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return "", err
	}
	return answer[:len(answer)-1], nil
}

func mustEcho(t *testing.T, connection net.Conn) {
	t.Helper()
	if got, err := ask(connection, "hello"); err != nil || got != "hello" {
		t.Fatalf("got %q, %v; want an echo", got, err)
	}
}

func TestProxyForwards(t *testing.T) {
	mustEcho(t, dial(t, NewProxy(t, echo(t))))
}

func TestProxyBlackhole(t *testing.T) {
	p := NewProxy(t, echo(t))
	before := dial(t, p)
	mustEcho(t, before)
	p.Blackhole()
	for name, connection := range map[string]net.Conn{"an old connection": before, "a new connection": dial(t, p)} {
		if _, err := ask(connection, "hello"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v; want silence", name, err)
		}
	}
	p.Forward()
	if _, err := ask(before, "hello"); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection that lost bytes: %v; want it closed", err)
	}
	mustEcho(t, dial(t, p))
}

func TestProxyRefuse(t *testing.T) {
	p := NewProxy(t, echo(t))
	before := dial(t, p)
	mustEcho(t, before)
	p.Refuse()
	if _, err := ask(before, "hello"); err == nil {
		t.Error("an old connection still answers")
	}
	if _, err := net.DialTimeout("tcp", p.Addr(), time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v; want it refused", err)
	}
	p.Forward()
	mustEcho(t, dial(t, p))
}

func TestProxyCloseConnections(t *testing.T) {
	p := NewProxy(t, echo(t))
	before := dial(t, p)
	mustEcho(t, before)
	p.CloseConnections()
	if _, err := ask(before, "hello"); err == nil {
		t.Error("the connection still answers")
	}
	mustEcho(t, dial(t, p))
}

func TestRecorder(t *testing.T) {
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.RequestURI())
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	r := NewRecorder(t, server.URL)
	send := func(method, path string) {
		request, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	send(http.MethodGet, "/api/overview")
	since := time.Now()
	send(http.MethodGet, "/api/queues/%2F/a%2Fb?page=1")
	send(http.MethodPut, "/api/queues/%2F/q")

	r.Disturb(func(target http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				target.ServeHTTP(w, r)
			}
		})
	})
	send(http.MethodGet, "/api/passed-on")
	send(http.MethodPut, "/api/swallowed")
	r.Disturb(nil)

	var got []string
	for _, request := range r.Requests(since) {
		got = append(got, request.Method+" "+request.Path)
		if request.Status != http.StatusTeapot {
			t.Errorf("status %d", request.Status)
		}
	}
	if diff := cmp.Diff([]string{"GET /api/queues/%2F/a%2Fb?page=1", "PUT /api/queues/%2F/q", "GET /api/passed-on"}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if writes := r.Writes(since); len(writes) != 1 || writes[0].Method != http.MethodPut {
		t.Errorf("writes: %v", writes)
	}
	if diff := cmp.Diff([]string{"/api/overview", "/api/queues/%2F/a%2Fb?page=1", "/api/queues/%2F/q", "/api/passed-on"}, paths); diff != "" {
		t.Errorf("what the target saw (-want +got):\n%s", diff)
	}
}

// An import of definitions is noted with the bindings in it, and passed on as it is.
func TestRecorderReadsImports(t *testing.T) {
	t.Parallel()
	const body = `{"queues":[{"name":"q"}],"bindings":[{"source":"a/b","destination":"q","destination_type":"queue"},{"source":"a","destination":"x","destination_type":"exchange"}]}`
	var passed []string
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/definitions/") {
			w.WriteHeader(http.StatusNoContent)
		}
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		passed = append(passed, string(text))
	}))
	defer target.Close()
	r := NewRecorder(t, target.URL)
	since := time.Now()
	for _, path := range []string{"/api/definitions/%2F", "/api/bindings/%2F/e/a/q/q"} {
		response, err := http.Post(r.URL+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	var found []string
	for _, call := range Calls(r.Writes(since)...) {
		found = append(found, fmt.Sprint(call.Method, " ", call.Path, " ", call.Status))
	}
	if diff := cmp.Diff([]string{
		"PUT /api/queues/%2F/q 201", "POST /api/bindings/%2F/e/a%2Fb/q/q 201", "POST /api/bindings/%2F/e/a/e/x 201", "POST /api/bindings/%2F/e/a/q/q 200",
	}, found); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{body, body}, passed); diff != "" {
		t.Errorf("what the target saw (-want +got):\n%s", diff)
	}
}
