package rabbitmq

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// serve is a Broker in front of a handler.
func serve(t testing.TB, handler http.HandlerFunc) *Broker {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return open(t, Options{Endpoint: server.URL, Username: "someone", Password: "hunter2-secret"})
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
