package contract

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/test/golden"
)

const common = "connectionRef: {name: shop}, contract: {configMap: c}"

// read makes a contract of a spec in YAML.
func read(t *testing.T, kind, spec string) *compile.Contract {
	t.Helper()
	var object v1alpha1.Object
	switch kind {
	case "Queue":
		object = &v1alpha1.Queue{}
	case "Topic":
		object = &v1alpha1.Topic{}
	}
	manifest := "metadata: {namespace: shop, name: order.process}\nspec: {" + common + ", " + spec + "}"
	if err := yaml.UnmarshalStrict([]byte(manifest), object); err != nil {
		t.Fatal(err)
	}
	claim := compile.Claim(object, compile.ConnectionDefaults{VirtualHost: "shop"})
	if claim.Invalid != nil {
		t.Fatal(claim.Invalid)
	}
	return compile.ContractOf(object, compile.ConnectionDefaults{VirtualHost: "shop"})
}

// Everything that an application reads, key by key, in testdata: what changes
// there changes for the applications.
func TestGolden(t *testing.T) {
	cases := map[string]struct{ reason, kind, spec string }{
		"plain": {"no retry, no dead letters, no keys for them", "Queue", "type: classic"},
		"deadletter": {
			"where dead letters go, and where messages come from", "Queue",
			"type: quorum, deadLetter: {}, maxLength: 5, bindings: [{source: vip, routingKeys: [b]}, {source: orders, routingKeys: [a]}, {source: orders, routingKeys: [c]}]",
		},
		"reference": {"the exchange is somebody else's, and the default one has an empty name", "Queue", `type: quorum, deadLetter: {create: false, exchange: "", routingKey: errors}`},
		"tiers":     {"the consumer only rejects", "Queue", "type: quorum, consumer: {prefetch: 20}, retry: {strategy: Tiers, maxRetries: 3, backoff: {initial: 1s, max: 3s}}"},
		"published": {"the consumer publishes", "Queue", "type: classic, retry: {strategy: Published, delays: [1s, 1s, 5s]}"},
		"client":    {"and declares", "Queue", "type: classic, retry: {strategy: Published, delays: [1s], delayQueues: ClientDeclared}"},
		"native":    {"the consumer rejects with requeue", "Queue", "type: quorum, retry: {strategy: Native, maxRetries: 2, backoff: {initial: 200ms}}"},
		"stream":    {"a stream has neither", "Queue", "type: stream, maxAge: 7D, consumer: {prefetch: 100}"},
		"topic":     {"static members, and no group recommended", "Topic", "partitions: 12"},
		"topicretry": {
			"the consumer does it all", "Topic",
			"partitions: 3, consumer: {group: billing}, retry: {delays: [5s, 90s], deadLetter: {name: \"{topic}-dead\"}}",
		},
		"topicdead": {"dead letters without a retry", "Topic", "partitions: 1, retry: {}"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			data, err := Render(read(t, tc.kind, tc.spec), []string{"amqps://rabbitmq.messaging.svc:5671", "amqps://b:5671"})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, key := range slices.Sorted(maps.Keys(data)) {
				if key != Key {
					b.WriteString(key + "=" + data[key] + "\n")
				}
			}
			b.WriteString("\n" + data[Key])
			golden.Check(t, name+".txt", b.String())
			checkData(t, data)
		})
	}
}

// checkData holds for every contract: an API server takes the keys, the document
// is JSON, and it is rendered the same again.
func checkData(t *testing.T, data map[string]string) {
	t.Helper()
	if !json.Valid([]byte(data[Key])) {
		t.Errorf("%s is no JSON:\n%s", Key, data[Key])
	}
	pages, err := os.ReadFile("../../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	for key := range data {
		if !regexp.MustCompile(`^[-._a-zA-Z0-9]+$`).MatchString(key) {
			t.Errorf("%q is no key of a ConfigMap", key)
		}
		if !strings.Contains(string(pages), "`"+key+"`") {
			t.Errorf("docs/contract.md does not explain %s", key)
		}
	}
}

func TestNoContract(t *testing.T) {
	q := &v1alpha1.Queue{Spec: v1alpha1.QueueSpec{Type: v1alpha1.QueueTypeClassic}}
	if got := compile.ContractOf(q, compile.ConnectionDefaults{}); got != nil {
		t.Errorf("without spec.contract there is none: %+v", got)
	}
}

// The API refuses such an endpoint; what never passed an API server does not get
// it through either.
func TestNoCredentials(t *testing.T) {
	data, err := Render(read(t, "Queue", "type: classic"), []string{"amqp://guest:hunter2@rabbitmq:5672", "amqp://rabbitmq:5672"})
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range data {
		if strings.Contains(value, "hunter2") {
			t.Errorf("%s holds a password: %s", key, value)
		}
	}
	if got := data["endpoints"]; got != "amqp://rabbitmq:5672" {
		t.Errorf("endpoints: %q", got)
	}
}
