package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Toxic is one thing that a Wire does to what passes, in toxiproxy's words: latency (latency, jitter: ms), bandwidth (rate:
// KB/s), timeout (timeout: ms until it closes, 0 for never), reset_peer (timeout: ms), limit_data (bytes), slicer.
type Toxic struct {
	Type string
	// Downstream: on the answers, instead of on the requests.
	Downstream bool
	Attributes map[string]int
}

// Wire is a TCP proxy whose connections can be made bad in more ways than a Proxy's, those that stand already included.
type Wire struct {
	proxy *toxiproxy.Proxy
	added []string
}

// NewWire starts a wire that listens on an address (port 0 for any) and leads to target, both host:port. It ends with the
// test.
func NewWire(t testing.TB, listen, target string) *Wire {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxics log past the logger that they are given
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	w := &Wire{proxy: toxiproxy.NewProxy(server, "wire", listen, target)}
	if err := w.proxy.Start(); err != nil {
		t.Fatalf("wire: %v", err)
	}
	t.Cleanup(w.proxy.Stop)
	return w
}

// Addr is where clients connect to.
func (w *Wire) Addr() string { return w.proxy.Listen }

// Poison adds toxics.
func (w *Wire) Poison(t testing.TB, toxics ...Toxic) {
	t.Helper()
	for _, toxic := range toxics {
		stream := "upstream"
		if toxic.Downstream {
			stream = "downstream"
		}
		name := fmt.Sprintf("%d", len(w.added))
		definition, err := json.Marshal(map[string]any{
			"name": name, "type": toxic.Type, "stream": stream, "toxicity": 1.0, "attributes": toxic.Attributes,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.proxy.Toxics.AddToxicJson(bytes.NewReader(definition)); err != nil {
			t.Fatalf("wire: %s: %v", definition, err)
		}
		w.added = append(w.added, name)
	}
}

// Cure removes all toxics. Connections that lost bytes are closed.
func (w *Wire) Cure(t testing.TB) {
	t.Helper()
	for _, name := range w.added {
		if err := w.proxy.Toxics.RemoveToxic(t.Context(), name); err != nil {
			t.Fatalf("wire: %v", err)
		}
	}
	w.added = nil
}
