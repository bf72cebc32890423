package examples

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/test/harness"
)

// TestNodeJS runs examples/nodejs on every version of RabbitMQ, and once on
// Kafka, which is the same each time.
func TestNodeJS(t *testing.T) {
	kafka := harness.SharedKafka(t)
	brokers := harness.RabbitMQs(t)
	example := installNodeJS(t)
	for _, broker := range brokers {
		t.Run(broker.Version, func(t *testing.T) {
			t.Parallel()
			s := applySamples(t, broker, kafka, otherLayouts())
			contracts := s.contracts(t, ofSamples+ofOtherLayouts)
			assertsWhatIsThere(t, example, contracts, broker, s)
			refusedOtherwise(t, example, contracts, broker)
			parts := []string{"rabbitmq"}
			if broker.Version == "4.0" {
				parts = append(parts, "kafka", "replay")
			}
			storyEndsWell(t, example, contracts, broker, parts)
			comesBack(t, example, contracts, broker, s)
		})
	}
}

func TestNodeJSDeployment(t *testing.T) {
	plane := harness.SharedControlPlane(t)
	s := &samples{plane: plane, namespace: plane.NewNamespace(t)}
	s.kubectl(t, nil, "apply", "--dry-run=server", "--namespace", s.namespace, "-f", filepath.Join(harness.Root(t), "examples", "nodejs", "deployment.yaml"))
}

// installNodeJS runs npm in a copy of examples/nodejs, so that the checkout
// stays as it is.
func installNodeJS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	version, _, err := program(t, dir, nil, "node", "--version")
	var major, minor int
	if _, scanErr := fmt.Sscanf(version, "v%d.%d", &major, &minor); err != nil || scanErr != nil || major < 20 || major == 20 && minor < 19 {
		t.Fatalf("examples/nodejs needs Node 20.19 or newer, with npm; node --version says %q (%v)", strings.TrimSpace(version), err)
	}
	source := filepath.Join(harness.Root(t), "examples", "nodejs")
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(content))
	}
	if err := os.CopyFS(filepath.Join(dir, "src"), os.DirFS(filepath.Join(source, "src"))); err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, err := program(t, dir, nil, "npm", "ci", "--no-audit"); err != nil {
		t.Fatalf("npm ci: %v\n%s%s", err, stdout, stderr)
	}
	return dir
}

const (
	ofSamples      = 4 // order-process, order-invoice, order-refund, order-events
	ofOtherLayouts = 6
)

// otherLayouts are queues in all ways that the example knows and the samples do
// not have, each with a contract.
func otherLayouts() string {
	var manifests []string
	for _, queueType := range []string{"classic", "quorum"} {
		for name, spec := range map[string]string{
			"tiers":   "retry: {strategy: Tiers, delays: [100ms, 50s, 10h, 30d]}",
			"managed": "retry: {strategy: Published, delays: [100ms, 100ms, 40s, 30d]}",
			"dead":    "deadLetter: {}",
		} {
			spec = strings.ReplaceAll(spec, "30d", "720h")
			manifests = append(manifests, fmt.Sprintf("apiVersion: topology.warrener.dev/v1alpha1\nkind: Queue\nmetadata: {name: %[1]s-%[2]s}\n"+
				"spec: {connectionRef: {name: rabbitmq}, type: %[2]s, contract: {configMap: %[1]s-%[2]s}, %[3]s}\n", name, queueType, spec))
		}
	}
	return strings.Join(manifests, "---\n")
}

// assertsWhatIsThere: a client that declares what it uses declares what Warrener
// declared. It is answered by no 406, and changes nothing.
func assertsWhatIsThere(t *testing.T, example, contracts string, broker *harness.RabbitMQ, s *samples) {
	t.Helper()
	before := listing(t, broker, s.virtualHost)
	stdout, stderr, err := program(t, example, environment(contracts, broker), "node", "src/assert.js")
	if err != nil {
		t.Fatalf("what is asserted is not what is there: %v\n%s%s", err, stdout, stderr)
	}
	if diff := cmp.Diff(before, listing(t, broker, s.virtualHost)); diff != "" {
		t.Errorf("asserting changed the broker (-before +after):\n%s", diff)
	}
	asserted, contracted := map[string]bool{}, []string{}
	for _, line := range lines(t, stdout) {
		for _, object := range line.Objects {
			asserted[object] = true
		}
		if line.Queue != "" {
			contracted = append(contracted, line.Queue)
		}
	}
	if len(contracted) != ofSamples-1+ofOtherLayouts {
		t.Errorf("%d queues are asserted: %q", len(contracted), contracted)
	}
	for _, object := range before {
		kind, name, _ := strings.Cut(object, " ")
		name, _, _ = strings.Cut(name, " ")
		belongs := slices.ContainsFunc(contracted, func(queue string) bool { return name == queue || strings.HasPrefix(name, queue+".") })
		if kind != "binding" && belongs && !asserted[name] {
			t.Errorf("%s %s is not asserted", kind, name)
		}
	}
	for _, topic := range []string{s.topic, s.topic + ".retry.1s", s.topic + ".retry.3s", s.topic + ".dlt"} {
		if !asserted[topic] {
			t.Errorf("topic %s is not asserted", topic)
		}
	}
}

// refusedOtherwise: the broker does compare, and the program says what it said.
func refusedOtherwise(t *testing.T, example, contracts string, broker *harness.RabbitMQ) {
	t.Helper()
	const name = "order-invoice-contract"
	content, err := os.ReadFile(filepath.Join(contracts, name, "contract.json"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := t.TempDir()
	if err := os.Mkdir(filepath.Join(wrong, name), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(wrong, name, "contract.json"), strings.Replace(string(content), "1000,", "1001,", 1))
	stdout, _, err := program(t, example, environment(wrong, broker), "node", "src/assert.js")
	if err == nil || !strings.Contains(stdout, "406") || !strings.Contains(stdout, "x-message-ttl") {
		t.Errorf("another delay is to be refused with 406, and the program ended with %v and said:\n%s", err, stdout)
	}
}

func environment(contracts string, broker *harness.RabbitMQ) []string {
	return []string{"CONTRACTS=" + contracts, "RABBITMQ_USERNAME=" + broker.User, "RABBITMQ_PASSWORD=" + broker.Password, "RUN=test"}
}

// wantedChecks are the checks of each part of the story: none may be left out.
var wantedChecks = map[string]int{"rabbitmq": 13, "kafka": 6, "replay": 6}

func storyEndsWell(t *testing.T, example, contracts string, broker *harness.RabbitMQ, parts []string) {
	t.Helper()
	stdout, stderr, err := program(t, example, environment(contracts, broker), "node", append([]string{"src/story.js", "--json"}, parts...)...)
	checks, wanted := 0, 0
	for _, line := range lines(t, stdout) {
		if line.Event != "check" {
			continue
		}
		checks++
		if !line.OK {
			t.Errorf("not so: %s", line.What)
		}
	}
	for _, part := range parts {
		wanted += wantedChecks[part]
	}
	if err != nil || checks != wanted {
		t.Errorf("the story ended with %v after %d of %d checks:\n%s%s", err, checks, wanted, stdout, stderr)
	}
}

// comesBack: a worker that loses its connection connects again and goes on.
func comesBack(t *testing.T, example, contracts string, broker *harness.RabbitMQ, s *samples) {
	t.Helper()
	worker := start(t, example, environment(contracts, broker), "src/worker-tiers.js")
	worker.await(t, "ready", "")
	path := "/api/vhosts/" + url.PathEscape(s.virtualHost) + "/connections"
	cut := 0
	for deadline := time.Now().Add(30 * time.Second); cut == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the broker lists no connection after 30 s")
		}
		var connections []struct {
			Name string `json:"name"`
		}
		broker.Must(t, "GET", path, nil, &connections)
		for _, c := range connections {
			if status, _ := broker.Do(t, "DELETE", "/api/connections/"+url.PathEscape(c.Name), nil); status == 204 {
				cut++
			}
		}
	}
	worker.await(t, "disconnected", "")
	worker.await(t, "ready", "")
	if stdout, stderr, err := program(t, example, append(environment(contracts, broker), "RUN=later"), "node", "src/publisher.js"); err != nil {
		t.Fatalf("publish: %v\n%s%s", err, stdout, stderr)
	}
	worker.await(t, "handled", "later-1-paid")
	worker.stop(t)
}

// line is what the programs log, as far as tests look at it.
type line struct {
	Event   string   `json:"event"`
	OK      bool     `json:"ok"`
	What    string   `json:"what"`
	ID      string   `json:"id"`
	Queue   string   `json:"queue"`
	Objects []string `json:"objects"`
}

func lines(t *testing.T, text string) []line {
	t.Helper()
	var all []line
	for raw := range strings.Lines(text) {
		var l line
		if err := json.Unmarshal([]byte(raw), &l); err != nil {
			t.Fatalf("%q is no line of JSON: %v", raw, err)
		}
		all = append(all, l)
	}
	return all
}

// listing is everything in a virtual host, one line an object, sorted:
// "queue <name> <all that was declared of it>".
func listing(t *testing.T, broker *harness.RabbitMQ, virtualHost string) []string {
	t.Helper()
	var all []string
	for kind, columns := range map[string]string{
		"exchanges": "name,type,durable,auto_delete,internal,arguments",
		"queues":    "name,durable,auto_delete,exclusive,arguments",
		"bindings":  "source,destination,destination_type,routing_key,arguments",
	} {
		var objects []map[string]any
		broker.Must(t, "GET", "/api/"+kind+"/"+url.PathEscape(virtualHost)+"?columns="+columns, nil, &objects)
		for _, o := range objects {
			name, _ := o["name"].(string)
			if kind == "exchanges" && (name == "" || strings.HasPrefix(name, "amq.")) {
				continue
			}
			delete(o, "name")
			rest, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%s %s %s", strings.TrimSuffix(kind, "s"), name, rest))
		}
	}
	slices.Sort(all)
	return all
}
