package scale

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/cli"
	"github.com/warrener-dev/warrener/test/harness"
)

// BenchmarkPlan measures a plan of 10,001 custom resources, an object on the
// broker each, of which none has changed: reading the files and the broker
// included. Run it with -benchtime=3x.
func BenchmarkPlan(b *testing.B) {
	const queues = 5000
	broker := harness.RabbitMQAt(b, "4.0")
	virtualHost := broker.NewVirtualHost(b)
	file := fileOfQueues(b, broker, virtualHost, queues)
	declareQueues(b, broker, virtualHost, queues)
	for b.Loop() {
		var out, stderr strings.Builder
		start := time.Now()
		code := cli.Run(b.Context(), []string{"warrener", "plan", "--no-cluster", "-f", file}, cli.Streams{Out: &out, Err: &stderr})
		took := time.Since(start)
		if want := fmt.Sprintf("nothing to do: %d,001 objects as declared", 2*queues/1000); code != cli.ExitDone || !strings.Contains(out.String(), want) {
			text := out.String()
			b.Fatalf("the plan ended with %d, want %q:\n%s\n%s", code, want, text[:min(len(text), 2000)], stderr.String())
		}
		b.ReportMetric(took.Seconds(), "plan-s")
	}
}

// fileOfQueues is one file with an exchange, queues and a binding for each.
func fileOfQueues(b *testing.B, broker *harness.RabbitMQ, virtualHost string, queues int) string {
	b.Helper()
	const head = "---\napiVersion: topology.warrener.dev/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec:\n"
	var text strings.Builder
	fmt.Fprintf(&text, head+"  endpoint: %s\n  virtualHost: %s\n  authentication: {type: Basic, secretRef: {name: login}}\n", "RabbitMQConnection", "shop", broker.ManagementURL, virtualHost)
	fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {username: %s, password: %s}\n", broker.User, broker.Password)
	fmt.Fprintf(&text, head+"  connectionRef: {name: shop}\n  type: topic\n", "Exchange", "orders")
	for i := range queues {
		fmt.Fprintf(&text, head+"  connectionRef: {name: shop}\n  type: classic\n  messageTTL: 60s\n", "Queue", name(i))
		fmt.Fprintf(&text, head+"  connectionRef: {name: shop}\n  source: orders\n  destination: %s\n  destinationType: queue\n  routingKeys: [%s]\n", "ExchangeBinding", name(i), name(i), name(i))
	}
	file := filepath.Join(b.TempDir(), "topology.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}

func name(i int) string { return fmt.Sprintf("q%05d", i) }

// declareQueues has the broker hold what the file declares.
func declareQueues(b *testing.B, broker *harness.RabbitMQ, virtualHost string, queues int) {
	b.Helper()
	type object = map[string]any
	var all, bindings []object
	for i := range queues {
		all = append(all, object{"name": name(i), "durable": true, "auto_delete": false, "arguments": object{"x-queue-type": "classic", "x-message-ttl": 60000}})
		bindings = append(bindings, object{"source": "orders", "destination": name(i), "destination_type": "queue", "routing_key": name(i), "arguments": object{}})
	}
	exchanges := []object{{"name": "orders", "type": "topic", "durable": true, "auto_delete": false, "internal": false, "arguments": object{}}}
	broker.Must(b, "POST", "/api/definitions/"+url.PathEscape(virtualHost), object{"exchanges": exchanges, "queues": all, "bindings": bindings}, nil)
}
