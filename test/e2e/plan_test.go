package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/preview"
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
	Notes    []string               `json:"notes"`
	Clusters []preview.Cluster      `json:"clusters"`
	Summary  map[preview.Action]int `json:"summary"`
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

// manifests writes objects as a file, as people have them.
func manifests(t *testing.T, objects ...client.Object) string {
	t.Helper()
	return manifestsAnd(t, "", objects...)
}

// manifestsAnd adds a document that is no object of Warrener.
func manifestsAnd(t *testing.T, document string, objects ...client.Object) string {
	t.Helper()
	var text strings.Builder
	text.WriteString(document)
	for _, object := range objects {
		encoded, err := json.Marshal(object)
		must(t, err)
		var content map[string]any
		must(t, json.Unmarshal(encoded, &content))
		delete(content, "status")
		content["apiVersion"], content["kind"] = v1alpha1.GroupVersion.String(), object.(interface{ KindName() string }).KindName()
		content["metadata"] = map[string]any{"name": object.GetName(), "namespace": object.GetNamespace()}
		encoded, err = json.Marshal(content)
		must(t, err)
		fmt.Fprintf(&text, "---\n%s\n", encoded)
	}
	file := filepath.Join(t.TempDir(), "topology.yaml")
	must(t, os.WriteFile(file, []byte(text.String()), 0o600))
	return file
}

// lines are the items of a plan, one a line.
func (p planned) lines() []string {
	out := []string{}
	for _, cluster := range p.Clusters {
		for _, item := range cluster.Items {
			line := string(item.Action) + " " + item.Object
			for _, field := range item.Fields {
				if field.Live != "" {
					line += fmt.Sprintf("; %s %s → %s", field.Path, field.Live, field.Declared)
				}
			}
			for _, risk := range item.Risks {
				line += "; risk: " + risk
			}
			out = append(out, line)
		}
	}
	return out
}

// Over a cluster a plan knows who owns what: what an edit takes away, and what a
// resource that is gone from the manifests leaves. It changes nothing.
func TestPlanOverCluster(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.RabbitMQAt(t, "4.0"))
	orders, work, idle := exchange("orders", "shop", "topic"), queue("work", "shop", v1alpha1.QueueTypeQuorum), queue("idle", "shop", v1alpha1.QueueTypeClassic)
	work.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"order.eu.*", "order.us.*"}}}
	s.create(orders, work, idle)
	s.ready(orders, work, idle)
	before := s.listing()
	plan := func(file string, args ...string) harness.Answer {
		return s.warrener(append([]string{"plan", "-f", file, "--controller-namespace", s.home}, args...)...)
	}

	same := plan(manifests(t, orders, work, idle), "--prune")
	if same.Code != 0 {
		t.Errorf("a plan of what is there ended with %d, want 0\n%s%s", same.Code, same.Out, same.Err)
	}
	edited := work.DeepCopy()
	edited.Spec.Bindings[0].RoutingKeys = []string{"order.us.*", "order.fr.*"}
	rival := queue("rival", "shop", v1alpha1.QueueTypeQuorum)
	rival.Spec.Name, rival.Namespace = "work", s.namespace
	answer := plan(manifests(t, orders, edited, rival), "--prune", "-o", "json")
	if answer.Code != 2 {
		t.Errorf("the plan ended with %d, want 2\n%s%s", answer.Code, answer.Out, answer.Err)
	}
	v := s.virtualHost
	taken := "delete binding " + v + "/orders -> queue work key order.eu.*; risk: this binding is the only one that matches `order.eu.*`: unless an alternate exchange takes them, such messages will be dropped"
	if diff := cmp.Diff([]string{
		"delete queue " + v + "/idle",
		"held queue " + v + "/work",
		taken,
		"create binding " + v + "/orders -> queue work key order.fr.*",
	}, planOf(t, answer).lines()); diff != "" {
		t.Errorf("the plan (-want +got):\n%s\n%s", diff, answer.Err)
	}
	kept := plan(manifests(t, orders, edited))
	says(t, kept.Out, "deletes of resources that are not among the manifests are not shown", "1 to create, 1 to delete;")
	invalid := work.DeepCopy()
	invalid.Spec.Type = "quorate"
	refused := plan(manifests(t, invalid))
	if refused.Code != 1 || !strings.Contains(refused.Err, "the API server does not take it") {
		t.Errorf("a spec that the API server refuses: %+v", refused)
	}
	s.same("planning", before)
	var now v1alpha1.Queue
	now.Namespace, now.Name = s.namespace, "work"
	s.get(&now)
	if now.Generation != work.Generation {
		t.Error("the plan was stored")
	}
}

// What Kafka would do to a log is said before it does it.
func TestPlanTellsRisksOfTopics(t *testing.T) {
	t.Parallel()
	kafka := harness.SharedKafka(t)
	prefix := kafka.NewTopicPrefix(t)
	connection := &v1alpha1.KafkaConnection{ObjectMeta: metav1.ObjectMeta{Name: "kafka"}}
	connection.Spec.BootstrapServers = kafka.Bootstrap
	topic := func(partitions int32, config map[string]string) *v1alpha1.Topic {
		o := &v1alpha1.Topic{ObjectMeta: metav1.ObjectMeta{Name: "log"}}
		o.Spec.ConnectionRef.Name, o.Spec.Name, o.Spec.Partitions, o.Spec.PartitionGrowth = "kafka", prefix+"log", &partitions, v1alpha1.PartitionGrowthAlways
		o.Spec.Config = config
		return o
	}
	apply := harness.CLI(t, withoutCluster, "apply", "--yes", "-f", manifests(t, connection, topic(2, map[string]string{"retention.ms": "604800000"})))
	if apply.Code != 0 {
		t.Fatalf("apply: %+v", apply)
	}
	producer := kafka.Client(t, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for _, age := range []time.Duration{3 * 24 * time.Hour, 2 * 24 * time.Hour, 36 * time.Hour, 0} {
		must(t, producer.ProduceSync(t.Context(), &kgo.Record{Topic: prefix + "log", Value: []byte("v"), Timestamp: time.Now().Add(-age)}).FirstErr())
	}
	answer := harness.CLI(t, withoutCluster, "plan", "-o", "json", "-f", manifests(t, connection, topic(5, map[string]string{"retention.ms": "86400000"})))
	if diff := cmp.Diff([]string{
		"change topic " + prefix + "log; config.retention.ms 604800000 → 86400000; partitions 2 → 5" +
			"; risk: retention 7d → 1d deletes up to 75 % of the log, about 3 of 4 records (an estimate by their times: whole segments go)" +
			"; risk: 2 → 5 partitions: keys move to other partitions, per-key order ends at this point (it holds 4 messages)",
	}, planOf(t, answer).lines()); answer.Code != 2 || diff != "" {
		t.Errorf("the plan ended with %d (-want +got):\n%s\n%s", answer.Code, diff, answer.Err)
	}
	// What the broker itself does not take, and what nobody can do.
	for name, c := range map[string]struct {
		topic  *v1alpha1.Topic
		code   int
		reason string
	}{
		"ABadValue":       {topic(2, map[string]string{"retention.ms": "604800000", "cleanup.policy": "shred"}), 1, "BrokerRejected"},
		"FewerPartitions": {topic(1, map[string]string{"retention.ms": "604800000"}), 2, "PartitionGrowthRefused"},
	} {
		answer := harness.CLI(t, withoutCluster, "plan", "-o", "json", "-f", manifests(t, connection, c.topic))
		if answer.Code != c.code {
			t.Errorf("%s: the plan ended with %d, want %d: %s%s", name, answer.Code, c.code, answer.Out, answer.Err)
			continue
		}
		if item := planOf(t, answer).Clusters[0].Items[0]; item.Action != "forbidden" || item.Reason != c.reason || item.Message == "" {
			t.Errorf("%s: %+v", name, item)
		}
	}
}
