package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/manifest"
)

// head begins every object of the cases: kind and name are filled in.
const head = "apiVersion: topology.warrener.dev/v1alpha1\nkind: %s\nmetadata: {name: %s, namespace: shop}\nspec:\n  connectionRef: {name: shop}\n"

// connection is in front of every case, so that nobody misses it.
const connection = `apiVersion: topology.warrener.dev/v1alpha1
kind: RabbitMQConnection
metadata: {name: shop, namespace: shop}
spec: {endpoint: "http://rabbitmq:15672", authentication: {type: Basic, secretRef: {name: s}}}
---
apiVersion: topology.warrener.dev/v1alpha1
kind: KafkaConnection
metadata: {name: shop, namespace: shop}
spec: {bootstrapServers: ["kafka:9092"]}
---
`

// object writes one: `queue("q", "type: quorum", "maxLength: 3")`.
func written(kind, name string, lines ...string) string {
	text := fmt.Sprintf(head, kind, name)
	for _, line := range lines {
		text += "  " + line + "\n"
	}
	return text + "---\n"
}

func queueText(name string, lines ...string) string    { return written("Queue", name, lines...) }
func exchangeText(name string, lines ...string) string { return written("Exchange", name, lines...) }
func topicText(name string, lines ...string) string    { return written("Topic", name, lines...) }
func bound(name, to string) string {
	return queueText(name, "type: classic", "bindings: [{source: "+to+"}]")
}

func foreignPolicy(spec string) string {
	return "apiVersion: rabbitmq.com/v1beta1\nkind: Policy\nmetadata: {name: p, namespace: shop}\nspec:\n  pattern: .*\n" + spec + "---\n"
}

// example shows a rule: it fires on one, and is silent on the other.
type example struct {
	bad, good string
	// at is a part of the line in which it is found.
	at      string
	options Options
}

var examples = map[string]example{
	"unreadable": {
		bad:  "kind: [\n",
		good: queueText("q", "type: classic"), at: "kind: [",
	},
	"unknown-field": {
		bad:  queueText("q", "type: classic", "maxLenght: 3"),
		good: queueText("q", "type: classic", "maxLength: 3"), at: "maxLenght",
	},
	"invalid-spec": {
		bad:  queueText("q", "type: classic", "arguments: {x-message-ttl: 3}"),
		good: queueText("q", "type: classic", "messageTTL: 3ms"), at: "x-message-ttl",
	},
	"setting-not-of-queue-type": {
		bad:  queueText("q", "type: classic", "settings: Policy", "maxLength: 3", "deliveryLimit: 3"),
		good: queueText("q", "type: classic", "settings: Policy", "maxLength: 3"), at: "deliveryLimit",
	},
	"at-least-once-without-reject-publish": {
		bad:  queueText("q", "type: quorum", "deadLetter:", "  strategy: at-least-once"),
		good: queueText("q", "type: quorum", "overflow: reject-publish", "deadLetter:", "  strategy: at-least-once"), at: "strategy",
	},
	"unsupported-by-broker": {
		bad:     queueText("q", "type: quorum", "retry:", "  strategy: Native", "  maxRetries: 3", "  backoff: {initial: 1s}"),
		good:    queueText("q", "type: quorum", "retry:", "  strategy: Tiers", "  maxRetries: 3", "  backoff: {initial: 1s}"),
		options: Options{RabbitMQVersion: "4.0.5"}, at: "strategy: Native",
	},
	"spec-warning": {
		bad:  queueText("q", "type: classic", "settings: Policy"),
		good: queueText("q", "type: classic", "settings: Policy", "maxLength: 3"), at: "settings",
	},
	"declared-twice": {
		bad:  queueText("q", "type: classic") + queueText("other", "name: q", "type: classic"),
		good: queueText("q", "type: classic") + queueText("other", "type: classic"), at: "name: q",
	},
	"connection-missing": {
		bad:  strings.ReplaceAll(queueText("q", "type: classic"), "{name: shop}", "{name: nobody}"),
		good: queueText("q", "type: classic"), at: "connectionRef",
	},
	"connection-not-permitted": {
		bad:  strings.ReplaceAll(strings.ReplaceAll(queueText("q", "type: classic"), "{name: shop}", "{name: shop, namespace: shop}"), "q, namespace: shop", "q, namespace: other"),
		good: queueText("q", "type: classic"), at: "connectionRef",
	},
	"virtual-host-missing": {
		bad:  queueText("q", "type: classic", "virtualHost: trade"),
		good: queueText("q", "type: classic", "virtualHost: trade") + written("VirtualHost", "trade"), at: "virtualHost: trade",
	},
	"exchange-missing": {
		bad:  queueText("q", "type: classic", "bindings:", "- routingKeys: [a]", "  source: nobody"),
		good: queueText("q", "type: classic", "bindings: [{source: amq.topic, routingKeys: [a]}]"), at: "source: nobody",
	},
	"queue-missing": {
		bad:  exchangeText("e", "type: fanout") + bound("other", "e") + written("ExchangeBinding", "b", "source: e", "destinationType: queue", "destination: nobody"),
		good: exchangeText("e", "type: fanout") + queueText("q", "type: classic") + written("ExchangeBinding", "b", "source: e", "destinationType: queue", "destination: q"), at: "destination: nobody",
	},
	"exchange-unroutable": {
		bad:  exchangeText("e", "type: topic"),
		good: exchangeText("e", "type: topic", "alternateExchange: f") + exchangeText("f", "type: fanout") + bound("q", "f"), at: "spec:",
	},
	"binding-not-for-exchange-type": {
		bad:  exchangeText("e", "type: direct") + queueText("q", "type: classic", "bindings:", "- source: e", "  routingKeys:", "  - a", "  - order.*"),
		good: exchangeText("e", "type: topic") + queueText("q", "type: classic", "bindings: [{source: e, routingKeys: [order.*]}]"), at: "order.*",
	},
	"x-alternate-exchange": {
		bad:  exchangeText("e", "type: fanout", "arguments: {x-alternate-exchange: f}") + bound("q", "e"),
		good: exchangeText("e", "type: fanout", "alternateExchange: amq.fanout") + bound("q", "e"), at: "x-alternate-exchange",
	},
	"dead-letter-nowhere": {
		bad: exchangeText("dlx", "type: direct") + queueText("dead", "type: classic", "bindings: [{source: dlx, routingKeys: [other]}]") +
			queueText("q", "type: classic", "deadLetter:", "  create: false", "  exchange: dlx", "  routingKey: q"),
		good: exchangeText("dlx", "type: direct") + queueText("dead", "type: classic", "bindings: [{source: dlx, routingKeys: [q]}]") +
			queueText("q", "type: classic", "deadLetter:", "  create: false", "  exchange: dlx", "  routingKey: q"),
		at: "exchange: dlx",
	},
	"dead-letter-cycle": {
		bad: exchangeText("again", "type: fanout") + queueText("wait", "type: classic", "messageTTL: 5s", "bindings: [{source: again}]", `deadLetter: {create: false, exchange: "", routingKey: q}`) +
			queueText("q", "type: classic", "maxLength: 10", "deadLetter: {create: false, exchange: again}"),
		good: queueText("q", "type: classic", "maxLength: 10", "retry: {strategy: Tiers, delays: [5s]}"),
		at:   "maxLength",
	},
	"dead-letter-cycle-expiration": {
		bad: exchangeText("again", "type: fanout") + queueText("wait", "type: classic", "messageTTL: 5s", "bindings: [{source: again}]", `deadLetter: {create: false, exchange: "", routingKey: q}`) +
			queueText("q", "type: classic", "deadLetter:", "  create: false", "  exchange: again"),
		good: queueText("q", "type: classic", "retry: {strategy: Tiers, delays: [5s]}"),
		at:   "deadLetter:",
	},
	"delivery-limit-drops": {
		bad:  queueText("q", "type: quorum"),
		good: queueText("q", "type: quorum", "deadLetter: {}"), at: "type: quorum",
	},
	"native-retry-nack": {
		bad:  queueText("q", "type: quorum", "retry:", "  strategy: Native", "  maxRetries: 3", "  backoff: {initial: 1s}"),
		good: queueText("q", "type: quorum", "retry:", "  strategy: Tiers", "  maxRetries: 3", "  backoff: {initial: 1s}"), at: "strategy: Native",
	},
	"argument-ignored": {
		bad:  queueText("q", "type: classic", "arguments: {x-max-retries: 3}"),
		good: queueText("q", "type: classic", "arguments: {x-queue-version: 2}"), at: "x-max-retries",
	},
	"transient-queue": {
		bad:  queueText("q", "type: classic", "durable: false"),
		good: queueText("q", "type: classic", "expires: 1h"), at: "durable: false",
	},
	"policy-mirrored-queues": {
		bad:  foreignPolicy("  definition:\n    ha-mode: all\n"),
		good: foreignPolicy("  definition:\n    max-length: 3\n"), at: "ha-mode",
	},
	"policy-length-and-overflow": {
		bad:  foreignPolicy("  definition:\n    max-length: 3\n    overflow: reject-publish\n"),
		good: foreignPolicy("  definition:\n    overflow: reject-publish\n"), at: "overflow",
	},
	"policy-key-not-of-queue-type": {
		bad:  queueText("s", "type: stream") + foreignPolicy("  definition:\n    max-length-bytes: 9\n    message-ttl: 3\n"),
		good: queueText("s", "type: stream") + foreignPolicy("  definition:\n    max-length-bytes: 9\n    max-age: 3D\n"), at: "message-ttl",
	},
	"min-insync-replicas-impossible": {
		bad:  topicText("t", "replicationFactor: 2", "config:", "  min.insync.replicas: \"3\""),
		good: topicText("t", "replicationFactor: 4", "config:", "  min.insync.replicas: \"3\""), at: "min.insync",
	},
	"min-insync-replicas": {
		bad:  topicText("t", "replicationFactor: 3", "config:", "  min.insync.replicas: \"3\""),
		good: topicText("t", "replicationFactor: 3", "config:", "  min.insync.replicas: \"2\""), at: "min.insync",
	},
	"compaction-with-retention": {
		bad:  topicText("t", "config:", "  cleanup.policy: compact", "  retention.ms: \"1000\""),
		good: topicText("t", "config:", "  cleanup.policy: compact,delete", "  retention.ms: \"1000\""), at: "retention.ms",
	},
	"topic-name-collision": {
		bad:  topicText("order.events") + topicText("t", "name: order_events"),
		good: topicText("order.events") + topicText("t", "name: order-events"), at: "name: order_events",
	},
	"lint-ignore-without-reason": {
		bad:  ignoring("delivery-limit-drops"),
		good: ignoring("delivery-limit-drops: nobody rejects here"), at: "lint-ignore",
	},
	"lint-ignore-unknown-rule": {
		bad:  ignoring("delivery-limit-drop: nobody rejects here"),
		good: ignoring("delivery-limit-drops: nobody rejects here"), at: "lint-ignore",
	},
	"lint-ignore-unused": {
		bad:  ignoring("delivery-limit-drops: nobody rejects here; transient-queue: it is not"),
		good: ignoring("delivery-limit-drops: nobody rejects here"), at: "lint-ignore",
	},
}

// ignoring is a queue about which there is something to be found.
func ignoring(annotation string) string {
	return strings.Replace(queueText("q", "type: quorum"), "metadata: {name: q, namespace: shop}",
		"metadata:\n  name: q\n  namespace: shop\n  annotations:\n    topology.warrener.dev/lint-ignore: "+fmt.Sprintf("%q", annotation), 1)
}

func check(t *testing.T, manifests string, options Options) *Report {
	t.Helper()
	set, err := manifest.Load(t.Context(), manifest.Source{Files: []string{"-"}, Stdin: strings.NewReader(manifests), Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	report, err := Check(set, options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func of(report *Report, rule string) []Finding {
	var out []Finding
	for _, f := range report.Findings {
		if f.Rule == rule {
			out = append(out, f)
		}
	}
	return out
}

func TestRules(t *testing.T) {
	for _, rule := range Rules {
		t.Run(rule.ID, func(t *testing.T) {
			e, ok := examples[rule.ID]
			if !ok {
				t.Fatal("the rule has no example")
			}
			text := connection + e.bad
			found := of(check(t, text, e.options), rule.ID)
			if len(found) != 1 {
				t.Fatalf("%d findings and not 1 on the bad example: %+v", len(found), found)
			}
			f := found[0]
			line := strings.Split(text, "\n")[max(f.Line-1, 0)]
			if !strings.Contains(line, e.at) {
				t.Errorf("found in line %d, %q, and not where %q stands", f.Line, line, e.at)
			}
			if f.Severity != rule.Severity || f.Message == "" || f.Silenced != "" {
				t.Errorf("the finding is %+v", f)
			}
			if still := of(check(t, connection+e.good, e.options), rule.ID); len(still) > 0 {
				t.Errorf("found on the good example, too: %+v", still)
			}
		})
	}
	if len(examples) != len(Rules) {
		t.Errorf("%d examples for %d rules", len(examples), len(Rules))
	}
}

// Whoever reads of a finding looks it up: the page has a section for each rule,
// in the order of the table, with its severity, and none for another.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, match := range regexp.MustCompile(`(?m)^### ([a-z0-9-]+)\n\n\*\*(\w+)\.\*\*`).FindAllStringSubmatch(string(text), -1) {
		got = append(got, match[1]+" "+match[2])
	}
	for _, rule := range Rules {
		want = append(want, rule.ID+" "+string(rule.Severity))
		if !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(rule.ID) {
			t.Errorf("%s is no kebab-case", rule.ID)
		}
		if rule.Summary == "" || rule.Reason == "" {
			t.Errorf("%s has no summary, or no reason", rule.ID)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sections of docs/lint.md (-rules +sections)\n%s", diff)
	}
}

// What people copy is clean, or says why it is not.
func TestSamplesAreClean(t *testing.T) {
	for _, folder := range []string{"../../config/samples", "../../examples", "../../hack/kind"} {
		set, err := manifest.Load(t.Context(), manifest.Source{Files: []string{filepath.FromSlash(folder)}, Recursive: true})
		if err != nil {
			t.Fatal(err)
		}
		report, err := Check(set, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range report.Findings {
			if f.Silenced == "" {
				t.Errorf("%s:%d: %s: %s [%s]", f.File, f.Line, f.Where(), f.Message, f.Rule)
			}
		}
	}
}

func TestWithout(t *testing.T) {
	bad := connection + queueText("q", "type: quorum")
	if n := len(check(t, bad, Options{}).Findings); n != 1 {
		t.Fatalf("%d findings and not 1", n)
	}
	if found := check(t, bad, Options{Without: []string{"delivery-limit-drops"}}).Findings; len(found) > 0 {
		t.Errorf("what is left out is found: %+v", found)
	}
	// An entry for a rule that is left out is not unused.
	if found := check(t, connection+ignoring("delivery-limit-drops: so it is"), Options{Without: []string{"delivery-limit-drops"}}).Findings; len(found) > 0 {
		t.Errorf("found: %+v", found)
	}
	if _, err := Check(&manifest.Set{}, Options{Without: []string{"no-such-rule"}}); err == nil || !strings.Contains(err.Error(), "no-such-rule") {
		t.Errorf("the error %v does not name the rule", err)
	}
}

func TestSilenced(t *testing.T) {
	report := check(t, connection+ignoring("delivery-limit-drops: nobody rejects here"), Options{})
	if len(report.Findings) != 1 || report.Findings[0].Silenced != "nobody rejects here" {
		t.Fatalf("findings %+v", report.Findings)
	}
	if report.Silenced() != 1 || report.Count(Warning) != 0 || report.Fails(Note) {
		t.Error("what is silenced counts")
	}
}

func TestFails(t *testing.T) {
	for severity, want := range map[Severity][]Severity{Note: {Note}, Warning: {Note, Warning}, Error: {Note, Warning, Error}} {
		report := &Report{Findings: []Finding{{Severity: severity}}}
		for _, limit := range []Severity{Note, Warning, Error} {
			if got := report.Fails(limit); got != slices.Contains(want, limit) {
				t.Errorf("a %s fails at %s: %t", severity, limit, got)
			}
		}
	}
}

func TestIgnoredArguments(t *testing.T) {
	for _, c := range []struct {
		argument, version string
		want              int
	}{
		{"x-queue-mode: lazy", "", 1}, {"x-queue-mode: lazy", "3.10.8", 0}, {"x-queue-mode: lazy", "3.12", 1},
		{"x-consumer-timeout: 5000", "", 0}, {"x-consumer-timeout: 5000", "4.0.5", 1}, {"X-Message-TTL: 5", "", 1},
	} {
		found := of(check(t, connection+queueText("q", "type: classic", "arguments: {"+c.argument+"}"), Options{RabbitMQVersion: c.version}), "argument-ignored")
		if len(found) != c.want {
			t.Errorf("%s on %s: %+v", c.argument, c.version, found)
		}
	}
}

func TestPolicies(t *testing.T) {
	for _, c := range []struct {
		reason, manifests, rule string
		options                 Options
		want                    int
	}{
		{"there were mirrored queues", foreignPolicy("  definition: {ha-mode: all, ha-params: 3}\n"), "policy-mirrored-queues", Options{RabbitMQVersion: "3.13"}, 0},
		{"one finding, not one a key", foreignPolicy("  definition: {ha-mode: all, ha-params: 3}\n"), "policy-mirrored-queues", Options{}, 1},
		{"the type is said", foreignPolicy("  applyTo: quorum_queues\n  definition: {delivery-limit: 3}\n"), "policy-key-not-of-queue-type", Options{}, 0},
		{"the type is said, and is another", foreignPolicy("  applyTo: classic_queues\n  definition: {delivery-limit: 3}\n"), "policy-key-not-of-queue-type", Options{}, 1},
		{"not in this virtual host", queueText("q", "type: classic", "virtualHost: v") + foreignPolicy("  definition: {delivery-limit: 3}\n"), "policy-key-not-of-queue-type", Options{}, 0},
		{"for exchanges", queueText("q", "type: classic") + foreignPolicy("  applyTo: exchanges\n  definition: {delivery-limit: 3}\n"), "policy-key-not-of-queue-type", Options{}, 0},
		{"no queue of that name", queueText("q", "type: classic") + strings.Replace(foreignPolicy("  definition: {delivery-limit: 3}\n"), "pattern: .*", "pattern: ^other", 1), "policy-key-not-of-queue-type", Options{}, 0},
		{"silenced", strings.Replace(foreignPolicy("  definition: {ha-mode: all}\n"), "namespace: shop}", "namespace: shop, annotations: {topology.warrener.dev/lint-ignore: \"policy-mirrored-queues: goes next week\"}}", 1), "lint-ignore-unused", Options{}, 0},
	} {
		if found := of(check(t, connection+c.manifests, c.options), c.rule); len(found) != c.want {
			t.Errorf("%s: %+v", c.reason, found)
		}
	}
}

func TestURI(t *testing.T) {
	for path, want := range map[string]string{"./a b/c.yaml": "a%20b/c.yaml", "<stdin>": "%3Cstdin%3E", "../x.yaml": "../x.yaml"} {
		if got := uriOf(path); got != want {
			t.Errorf("%s is %s", path, got)
		}
	}
}

func TestDeliveryLimit(t *testing.T) {
	dead := exchangeText("dlx", "type: fanout") + queueText("dead", "type: quorum", "bindings: [{source: dlx}]")
	for _, c := range []struct {
		reason, manifests, version string
		want                       int
	}{
		{"the broker's own limit", queueText("q", "type: quorum"), "", 1},
		{"there was none", queueText("q", "type: quorum"), "3.13", 0},
		{"one of its own", queueText("q", "type: quorum", "deliveryLimit: 3"), "3.13", 1},
		{"none at all", queueText("q", "type: quorum", "deliveryLimit: -1"), "", 0},
		{"in a policy", queueText("q", "type: quorum", "settings: Policy", "deadLetter: {}"), "", 0},
		{"a classic queue has none", queueText("q", "type: classic"), "", 0},
		{"here dead letters end", dead + queueText("q", "type: classic", "deadLetter: {create: false, exchange: dlx}"), "", 0},
		{"here nobody's dead letters end", dead, "", 1},
	} {
		if found := of(check(t, connection+c.manifests, Options{RabbitMQVersion: c.version}), "delivery-limit-drops"); len(found) != c.want {
			t.Errorf("%s: %+v", c.reason, found)
		}
	}
}
