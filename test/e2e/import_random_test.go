package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/importer"
	"github.com/warrener-dev/warrener/internal/rabbitmq"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// filler fills virtual hosts at random, as many hands do: what the broker refuses
// is not there then.
type filler struct {
	*rand.Rand
	t      *testing.T
	broker *harness.RabbitMQ
	host   string
	taken  int
}

func (f *filler) one(of ...string) string { return of[f.IntN(len(of))] }

func (f *filler) put(method, path string, body any) {
	f.t.Helper()
	if status, _ := f.broker.Do(f.t, method, "/api/"+path, body); status < http.StatusMultipleChoices {
		f.taken++
	}
}

func (f *filler) name() string {
	return f.one("a", "a.dead", "a.dlx", "a.retry.1000", "b", "b.dead", "dlx", "Ünder a+b %c", "true", "1e3", "a: b # c", "x'\"y")
}

func (f *filler) arguments() map[string]any {
	choices := []map[string]any{
		{"x-message-ttl": 1000}, {"x-message-ttl": 86400000}, {"x-expires": 3600000}, {"x-max-length": 10}, {"x-max-length-bytes": 1 << 40}, {"x-overflow": "reject-publish"},
		{"x-dead-letter-exchange": "dlx"}, {"x-dead-letter-exchange": "dlx", "x-dead-letter-routing-key": "a"}, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "a"},
		{"x-dead-letter-exchange": "a.dlx", "x-dead-letter-routing-key": "a"}, {"x-single-active-consumer": true}, {"x-max-priority": 3}, {"x-delivery-limit": 4},
		{"x-custom": map[string]any{"list": []any{1, "zwei", 2.5, map[string]any{"deep": false}}}}, {"plain": "on"}, {"number": 1.5}, {"x-queue-leader-locator": "balanced"},
	}
	out := map[string]any{}
	for range f.IntN(3) {
		for key, value := range choices[f.IntN(len(choices))] {
			out[key] = value
		}
	}
	return out
}

// strangers makes objects that nobody has planned.
func (f *filler) strangers() {
	host := url.PathEscape(f.host)
	for range 5 {
		f.put(http.MethodPut, "exchanges/"+host+"/"+url.PathEscape(f.name()), map[string]any{
			"type": f.one("direct", "fanout", "topic", "headers"), "durable": true, "internal": f.IntN(5) == 0, "auto_delete": f.IntN(8) == 0,
		})
		arguments := f.arguments()
		arguments["x-queue-type"] = f.one("classic", "classic", "quorum")
		f.put(http.MethodPut, "queues/"+host+"/"+url.PathEscape(f.name()), map[string]any{"durable": true, "auto_delete": f.IntN(8) == 0, "arguments": arguments})
	}
	for range 12 {
		arguments := map[string]any{}
		if f.IntN(3) == 0 {
			arguments = map[string]any{"x-match": f.one("all", "any"), "n": 1, "s": "1"}
		}
		f.put(http.MethodPost, fmt.Sprintf("bindings/%s/e/%s/%s/%s", host, url.PathEscape(f.one("a", "dlx", "a.dlx", "amq.topic", "amq.headers")), f.one("q", "q", "e"), url.PathEscape(f.name())),
			map[string]any{"routing_key": f.one("", "", "a", "#", "a.*.b", "null", "a, b"), "arguments": arguments})
	}
	f.put(http.MethodPut, "policies/"+host+"/ttl", map[string]any{"pattern": "^b", "definition": map[string]any{"message-ttl": 5000}, "apply-to": "queues"})
}

// ours makes what a queue with dead letters and retries is on a broker.
func (f *filler) ours(adapter *rabbitmq.Broker, version string) {
	q := &v1alpha1.Queue{Spec: v1alpha1.QueueSpec{Name: f.one("a", "order.process", "Ü 1"), Type: v1alpha1.QueueType(f.one("classic", "quorum"))}}
	if f.IntN(2) == 0 {
		q.Spec.DeadLetter = &v1alpha1.DeadLetter{Queue: f.one("", "graveyard"), MessageTTL: &metav1.Duration{Duration: time.Hour}}
	}
	if f.IntN(3) > 0 {
		q.Spec.Retry = &v1alpha1.Retry{Strategy: v1alpha1.RetryStrategy(f.one("Tiers", "Published"))}
		for n := range 1 + f.IntN(4) {
			q.Spec.Retry.Delays = append(q.Spec.Retry.Delays, metav1.Duration{Duration: time.Second << (n * (1 + f.IntN(2)))})
		}
	} else if f.IntN(2) == 0 {
		limit := int64(50)
		q.Spec.Settings, q.Spec.MaxLength = v1alpha1.SettingsPolicy, &limit
	}
	claim := compile.Claim(q, compile.ConnectionDefaults{VirtualHost: f.host, Version: version})
	var ends, bindings []topology.Step
	for _, want := range claim.Want {
		step := topology.Step{Verb: topology.VerbCreate, ID: want.Resource.ID(), Want: want.Resource}
		if step.ID.Kind == topology.KindBinding {
			bindings = append(bindings, step)
		} else {
			ends = append(ends, step)
		}
	}
	for _, wave := range [][]topology.Step{ends, bindings} {
		for _, outcome := range adapter.Apply(f.t.Context(), wave) {
			if outcome.Err == nil {
				f.taken++
			}
		}
	}
}

// Whatever a broker has come to hold: a plan of what was imported is empty, and
// nothing is dropped without a word. WARRENER_LONG=1 fills 60 virtual hosts on
// every broker, otherwise 8 on one.
func TestImportOfRandomTopologies(t *testing.T) {
	rounds := 8
	if harness.Long() {
		rounds = 60
	}
	for _, broker := range importers(t) {
		t.Run("RabbitMQ "+broker.Version, func(t *testing.T) {
			t.Parallel()
			adapter, err := rabbitmq.New(rabbitmq.Options{Endpoint: broker.ManagementURL, Username: broker.User, Password: broker.Password})
			must(t, err)
			defer adapter.Close()
			info, err := adapter.Probe(t.Context())
			must(t, err)
			folded, taken := 0, 0
			for round := range rounds {
				seed := rand.Uint64()
				f := &filler{Rand: rand.New(rand.NewPCG(seed, uint64(round))), t: t, broker: broker, host: broker.NewVirtualHost(t)}
				f.ours(adapter, info.Version)
				f.strangers()
				live, err := adapter.Observe(t.Context(), topology.Selection{All: true, Policies: true})
				must(t, err)
				source := &importer.Source{Live: live, Version: info.Version, Connection: importer.Connection{Broker: v1alpha1.BrokerTypeRabbitMQ}}
				options := importer.Options{VirtualHost: f.host}
				result := importer.Import(source, options)
				text, err := importer.Text([]*importer.Result{result})
				must(t, err)
				if left := importer.Remaining(result, source, options); len(left) > 0 {
					t.Errorf("seed %d: a plan of what was imported is not empty:\n%s\n%s", seed, strings.Join(left, "\n"), text)
				}
				if silent := importer.Unaccounted(result, source, options); len(silent) > 0 {
					t.Errorf("seed %d: dropped without a word: %v\n%s", seed, silent, text)
				}
				taken += f.taken
				folded += strings.Count(text, "  retry:") + strings.Count(text, "settings: Policy")
			}
			if taken < 10*rounds {
				t.Errorf("the broker took %d objects in %d virtual hosts, want many", taken, rounds)
			}
			if folded == 0 {
				t.Error("no retry and no policy has ever folded")
			}
		})
	}
}
