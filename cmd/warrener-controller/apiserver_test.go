package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// Started while the API server is away, the process is alive, and not ready; it
// goes on when the API server answers.
func TestAwaitAPIServer(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	probes := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	answers := make(chan bool, 1)
	answers <- false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		up := <-answers
		answers <- up
		if !up {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"major":"1","minor":"37"}`))
	}))
	defer server.Close()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- awaitAPIServer(ctx, &rest.Config{Host: server.URL}, probes) }()
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		for probe(ctx, t, "http://"+probes+path) != want {
			if ctx.Err() != nil {
				t.Fatalf("%s is not %d", path, want)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	<-answers
	answers <- true
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if status := probe(ctx, t, "http://"+probes+"/healthz"); status != 0 {
		t.Errorf("the address is not free for the manager: %d", status)
	}
}

// probe returns the status of an answer; 0 if there is none.
func probe(ctx context.Context, t *testing.T, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer func() { _ = answer.Body.Close() }()
	return answer.StatusCode
}
