package rabbitmq

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
)

// canned answers listings with fixed text, and counts them. What a broker says
// is proved elsewhere; this is about what is made of it.
type canned struct {
	mu      sync.Mutex
	answers map[string]string // by path; "" is a refusal
	asked   map[string]int
}

func (c *canned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	path := r.URL.Path
	if r.URL.Query().Has("enable_queue_totals") {
		path += " totals"
	}
	c.asked[path]++
	w.Header().Set("Content-Type", "application/json")
	answer, known := c.answers[path]
	switch {
	case known && answer == "":
		http.Error(w, `{"error":"boom"}`, http.StatusInternalServerError)
	case known:
		_, _ = w.Write([]byte(answer))
	default:
		_, _ = w.Write([]byte("[]"))
	}
}

func TestDepths(t *testing.T) {
	q, quiet, stream, gone := topology.QueueID("shop", "q"), topology.QueueID("shop", "quiet"), topology.QueueID("shop", "s"), topology.QueueID("shop", "gone")
	both := topology.QueueID("other", "q")
	wanted := []topology.ID{q, quiet, stream, gone, topology.ExchangeID("shop", "x")}
	const (
		totals = `[{"name":"q","vhost":"shop","type":"quorum","messages":3,"messages_unacknowledged":1},
			{"name":"quiet","vhost":"shop","type":"classic","messages":0},
			{"name":"s","vhost":"shop","type":"stream","messages":null},
			{"name":"stranger","vhost":"shop","type":"classic","messages":9}]`
		consumers = `[{"queue":{"name":"q","vhost":"shop"}},{"queue":{"name":"q","vhost":"shop"}},{"queue":{"name":"s","vhost":"shop"}}]`
	)
	for name, tc := range map[string]struct {
		reason  string
		answers map[string]string
		ids     []topology.ID
		want    map[topology.ID]topology.Depth
		twice   map[string]int // requests of two observations
	}{
		"Told": {
			reason:  "only what is asked for, and a stream's length is not known",
			answers: map[string]string{"/api/queues/shop totals": totals, "/api/consumers/shop": consumers}, ids: wanted,
			want:  map[topology.ID]topology.Depth{q: {Messages: 3, Consumers: 2}, quiet: {}, stream: {Messages: -1, Consumers: 1}},
			twice: map[string]int{"/api/queues/shop totals": 2, "/api/consumers/shop": 1},
		},
		"TwoHosts": {
			reason:  "of several virtual hosts, the listing of all",
			answers: map[string]string{"/api/queues totals": totals, "/api/consumers": consumers}, ids: []topology.ID{q, both},
			want:  map[topology.ID]topology.Depth{q: {Messages: 3, Consumers: 2}},
			twice: map[string]int{"/api/queues totals": 2, "/api/consumers": 1},
		},
		"NoConsumers": {
			reason:  "unknown is not none",
			answers: map[string]string{"/api/queues/shop totals": totals, "/api/consumers/shop": ""}, ids: []topology.ID{q},
			want:  map[topology.ID]topology.Depth{q: {Messages: 3, Consumers: -1}},
			twice: map[string]int{"/api/queues/shop totals": 2, "/api/consumers/shop": 2},
		},
		"NoTotals": {
			reason:  "a sweep does not fail for it",
			answers: map[string]string{"/api/queues/shop totals": "", "/api/consumers/shop": consumers}, ids: []topology.ID{q},
			twice: map[string]int{"/api/queues/shop totals": 2, "/api/consumers/shop": 1},
		},
		"NotAsked": {reason: "nobody asks, nobody pays", ids: nil, twice: map[string]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]string{"/api/whoami": `{"tags":["administrator"]}`}
			for path, answer := range tc.answers {
				answers[path] = answer
			}
			server := &canned{answers: answers, asked: map[string]int{}}
			listener := httptest.NewServer(server)
			t.Cleanup(listener.Close)
			b := open(t, Options{Endpoint: listener.URL, Username: "u", Password: "p"})
			for range 2 {
				snapshot, err := b.Observe(t.Context(), topology.Selection{All: true, Depths: tc.ids})
				if err != nil {
					t.Fatalf("%s: %v", tc.reason, err)
				}
				if diff := cmp.Diff(tc.want, snapshot.Depths); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
				}
			}
			for _, path := range []string{"/api/whoami", "/api/vhosts", "/api/vhost-limits", "/api/exchanges", "/api/queues", "/api/bindings"} {
				if n := server.asked[path]; n != 2 {
					t.Errorf("%s was asked for %d times in two observations", path, n)
				}
				delete(server.asked, path)
			}
			if diff := cmp.Diff(tc.twice, server.asked); diff != "" {
				t.Errorf("requests beyond those of every observation (-want +got):\n%s", diff)
			}
		})
	}
}
