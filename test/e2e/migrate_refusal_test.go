package e2e

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/rabbitmq"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// TestMigrateRefusals: what cannot be migrated is refused in a sentence, and
// nothing has been touched.
func TestMigrateRefusals(t *testing.T) {
	inVirtualHosts(t, harness.SomeRabbitMQ(t), func(t *testing.T, broker *harness.RabbitMQ, vh string) {
		user, password := broker.NewUser(t, "management", vh)
		nearly, nearlyPassword := broker.NewUser(t, "policymaker", vh)
		narrow, narrowPassword := broker.NewUser(t, "policymaker,monitoring", vh)
		broker.Must(t, http.MethodPut, "/api/permissions/"+vh+"/"+narrow, map[string]string{"configure": "^shop", "write": ".*", "read": ".*"}, nil)
		cases := map[string]struct {
			reason         string
			user, password string
			live, want     *topology.Queue
			before         func(t *testing.T)
			class          topology.Class
			words          []string
		}{
			"no tags": {
				reason: "shovels are parameters", user: user, password: password, live: migrant(vh, "q1", "classic", nil), want: migrant(vh, "q1", "quorum", nil),
				class: topology.ClassAccessDenied, words: []string{"policymaker and monitoring"},
			},
			"one tag": {
				reason: "their status is for monitoring", user: nearly, password: nearlyPassword, live: migrant(vh, "q2", "classic", nil), want: migrant(vh, "q2", "quorum", nil),
				class: topology.ClassAccessDenied, words: []string{"the user lacks monitoring"},
			},
			"permissions on other names": {
				reason: "the scaffolding has names of its own", user: narrow, password: narrowPassword,
				live: migrant(vh, "shop.q3", "classic", nil), want: migrant(vh, "shop.q3", "quorum", nil),
				class: topology.ClassAccessDenied, words: []string{"names that begin with warrener.migrate."},
			},
			"an exclusive consumer": {
				reason: "nobody else could empty the queue", live: migrant(vh, "q4", "classic", nil), want: migrant(vh, "q4", "quorum", nil),
				before: func(t *testing.T) {
					_, err := amqpChannel(t, broker, vh).Consume("q4", "only-me", false, true, false, false, nil)
					must(t, err)
					within(t, "the broker lists its consumer", func(context.Context) (bool, string) {
						_, listed := broker.Do(t, http.MethodGet, "/api/consumers/"+vh, nil)
						return strings.Contains(string(listed), "only-me"), string(listed)
					})
				},
				class: topology.ClassRejected, words: []string{`consumer "only-me" is exclusive`},
			},
			"somebody's shovel": {
				reason: "it could declare the queue in the gap", live: migrant(vh, "q5", "classic", nil), want: migrant(vh, "q5", "quorum", nil),
				before: func(t *testing.T) {
					broker.Must(t, http.MethodPut, "/api/parameters/shovel/"+vh+"/mine", map[string]any{"value": map[string]any{
						"src-uri": "amqp:///" + url.PathEscape(vh), "src-queue": "q5", "dest-uri": "amqp:///" + url.PathEscape(vh), "dest-exchange": "amq.fanout",
					}}, nil)
				},
				class: topology.ClassRejected, words: []string{`shovel "mine" names the queue`},
			},
			"a stream": {
				reason: "it is never drained", live: migrant(vh, "q6", "stream", nil), want: migrant(vh, "q6", "quorum", nil),
				class: topology.ClassRejected, words: []string{"a stream cannot be migrated"},
			},
			"what the broker does not take": {
				reason: "tried before the queue is away", live: migrant(vh, "q7", "classic", nil),
				want:  migrant(vh, "q7", "quorum", topology.Arguments{"x-max-priority": int64(3), "x-overflow": "nonsense"}),
				class: topology.ClassRejected, words: []string{"x-"},
			},
			"an operator's policy": {
				reason: "the park would drop messages", live: migrant(vh, "q8", "classic", nil), want: migrant(vh, "q8", "quorum", nil),
				before: func(t *testing.T) {
					broker.Must(t, http.MethodPut, "/api/operator-policies/"+vh+"/short", map[string]any{
						"pattern": "q8", "definition": map[string]any{"max-length": 5}, "apply-to": "queues",
					}, nil)
				},
				class: topology.ClassRejected, words: []string{`operator policy "short" sets max-length`},
			},
		}
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				prepare(t, broker, append([]topology.Resource{c.live}, shopBindings(vh, c.live.Name)...)...)
				if c.before != nil {
					c.before(t)
				}
				before := inventoryOf(t, broker, vh)
				options := rabbitmq.Options{Endpoint: broker.ManagementURL, Username: broker.User, Password: broker.Password}
				if c.user != "" {
					options.Username, options.Password = c.user, c.password
				}
				b, err := rabbitmq.New(options)
				must(t, err)
				progress, err := b.Advance(t.Context(), topology.Operation{Kind: topology.OperationMigrate, Want: c.want, Live: c.live})
				if err == nil || topology.ClassOf(err) != c.class {
					t.Fatalf("%s: %+v, %v (%s), want %s", c.reason, progress, err, topology.ClassOf(err), c.class)
				}
				for _, word := range c.words {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%q does not say %q", err, word)
					}
				}
				t.Log(err)
				if diff := cmp.Diff(before, inventoryOf(t, broker, vh)); diff != "" {
					t.Errorf("touched (- before, + after):\n%s", diff)
				}
			})
		}
	})
}
