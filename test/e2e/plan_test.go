package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/test/harness"
)

// sampleOverlay writes a kustomization of config/samples for brokers of the
// tests, with a virtual host and topics of its own.
func sampleOverlay(t *testing.T, broker *harness.RabbitMQ, virtualHost string, kafka *harness.Kafka, prefix string) string {
	t.Helper()
	folder := t.TempDir()
	samples, err := filepath.Rel(folder, filepath.Join(harness.Root(t), "config", "samples"))
	if err != nil {
		t.Fatal(err)
	}
	var patches strings.Builder
	target := func(kind, name string, values map[string]any) {
		var ops []map[string]any
		for path, value := range values {
			ops = append(ops, map[string]any{"op": "add", "path": path, "value": value})
		}
		text, err := json.Marshal(ops)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&patches, "- target: {kind: %s, name: %s}\n  patch: '%s'\n", kind, name, text)
	}
	target("RabbitMQConnection", "rabbitmq", map[string]any{"/spec/endpoint": broker.ManagementURL, "/spec/virtualHost": virtualHost})
	target("VirtualHost", "shop", map[string]any{"/spec/name": virtualHost})
	target("KafkaConnection", "kafka", map[string]any{"/spec/bootstrapServers": kafka.Bootstrap})
	for _, name := range []string{"order-events", "user-profiles", "user.events"} {
		target("Topic", name, map[string]any{"/spec/name": prefix + name})
	}
	text := fmt.Sprintf("resources: [%s]\npatches:\n%s", samples, patches.String())
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// planned is what plan says to programs.
type planned struct {
	Clusters []struct {
		Connection string
		Unchanged  int
		Items      []struct {
			Action, Object, Reason, Message string
			Owners, Risks                   []string
			Fields                          []struct{ Path, Live, Declared string }
		}
	}
	Summary map[string]int
}

func planOf(t *testing.T, answer harness.Answer) planned {
	t.Helper()
	var out planned
	if err := json.Unmarshal([]byte(answer.Out), &out); err != nil {
		t.Fatalf("%v\n%s\n%s", err, answer.Out, answer.Err)
	}
	return out
}

// withoutCluster is a kubeconfig that leads nowhere.
const withoutCluster = os.DevNull

// The proof of plan and apply: what one shows the other does, and then there is
// nothing left to show.
func TestPlanApplyPlan(t *testing.T) {
	for _, broker := range harness.RabbitMQs(t) {
		t.Run("RabbitMQ "+broker.Version, func(t *testing.T) {
			t.Parallel()
			kafka := harness.SharedKafka(t)
			prefix, virtualHost := kafka.NewTopicPrefix(t), broker.NewVirtualHost(t)
			overlay := sampleOverlay(t, broker, virtualHost, kafka, prefix)

			before := harness.CLI(t, withoutCluster, "plan", "-k", overlay, "-o", "json")
			if before.Code != 2 {
				t.Fatalf("plan ended with %d, want 2\n%s%s", before.Code, before.Out, before.Err)
			}
			creates, changes := planOf(t, before).Summary["create"], planOf(t, before).Summary["change"]
			if creates < 50 {
				t.Errorf("%d objects are to be created, want all of the samples", creates)
			}
			unconfirmed := harness.CLI(t, withoutCluster, "apply", "-k", overlay)
			if unconfirmed.Code != 3 {
				t.Fatalf("apply without a yes ended with %d, want 3\n%s%s", unconfirmed.Code, unconfirmed.Out, unconfirmed.Err)
			}
			applied := harness.CLI(t, withoutCluster, "apply", "-k", overlay, "--yes", "--timeout", "3m")
			if applied.Code != 0 {
				t.Fatalf("apply ended with %d, want 0\n%s%s", applied.Code, applied.Out, applied.Err)
			}
			if made := strings.Count(applied.Out, "\ncreated  "); made != creates {
				t.Errorf("%d objects were created, and %d were planned\n%s", made, creates, applied.Out)
			}
			after := harness.CLI(t, withoutCluster, "plan", "-k", overlay)
			if after.Code != 0 || !strings.Contains(after.Out, fmt.Sprintf("Plan: nothing to do: %d objects as declared.", creates+changes)) {
				t.Errorf("plan after apply ended with %d, want 0 and nothing to do\n%s%s", after.Code, after.Out, after.Err)
			}
		})
	}
}
