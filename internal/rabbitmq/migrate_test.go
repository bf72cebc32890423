package rabbitmq

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/internal/migration"
	"github.com/warrener-dev/warrener/internal/topology"
)

// migrationAnswers is a broker with a queue, as far as a first look goes; changes
// replace answers to requests with a method.
func migrationAnswers(t *testing.T, changes map[string]http.HandlerFunc) *Broker {
	t.Helper()
	answers := jsonAnswers(map[string]string{
		"/api/overview": `{"rabbitmq_version":"4.0.5"}`, "/api/whoami": `{"tags":["policymaker","monitoring"]}`,
		"/api/queues/v":    `[{"name":"q","vhost":"v","type":"classic","durable":true,"arguments":{},"messages":0,"messages_unacknowledged":0}]`,
		"/api/exchanges/v": `[]`, "/api/bindings/v": `[]`, "/api/consumers/v": `[]`, "/api/parameters/shovel": `[]`,
		"/api/shovels/v": `[]`, "/api/policies/v": `[]`, "/api/operator-policies/v": `[]`,
	})
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if change := changes[r.Method+" "+r.URL.EscapedPath()]; change != nil {
			change(w, r)
			return
		}
		answers(w, r)
	})
}

func jsonAnswer(status int, body string) http.HandlerFunc {
	return answer(status, "application/json", body)
}

func TestMigrateNeedsShovels(t *testing.T) {
	trial := "PUT /api/parameters/shovel/v/warrener.migrate.trial"
	cases := map[string]struct {
		reason  string
		changes map[string]http.HandlerFunc
		class   topology.Class
		words   []string
	}{
		"no plugin": {
			reason:  "the broker knows no such component",
			changes: map[string]http.HandlerFunc{trial: jsonAnswer(400, `{"error":"bad_request","reason":"Validation failed\n\ncomponent shovel not found\n"}`)},
			class:   topology.ClassUnsupported, words: []string{"rabbitmq_shovel is not enabled", "rabbitmq-plugins enable rabbitmq_shovel rabbitmq_shovel_management"},
		},
		"no plugin for its status": {
			reason: "nobody could say why a shovel does not run",
			changes: map[string]http.HandlerFunc{
				trial:                jsonAnswer(400, `{"error":"bad_request","reason":"Validation failed\n\nKey \"src-uri\" not found\n"}`),
				"GET /api/shovels/v": jsonAnswer(404, `{"error":"Object Not Found","reason":"Not Found"}`),
			},
			class: topology.ClassUnsupported, words: []string{"rabbitmq_shovel_management is not enabled"},
		},
		"no tag": {
			reason:  "parameters are for policymakers",
			changes: map[string]http.HandlerFunc{"GET /api/parameters/shovel": jsonAnswer(401, `{"error":"not_authorised","reason":"Access refused."}`)},
			class:   topology.ClassAccessDenied, words: []string{"lacks policymaker"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := migrationAnswers(t, c.changes)
			want := &topology.Queue{VirtualHost: "v", Name: "q", Type: "quorum", Durable: true}
			_, err := b.Advance(t.Context(), topology.Operation{Kind: topology.OperationMigrate, Want: want})
			wantError(t, err, c.class, testPassword, c.words...)
		})
	}
}

func TestAdvanceOfSomethingElse(t *testing.T) {
	b := migrationAnswers(t, nil)
	_, err := b.Advance(t.Context(), topology.Operation{Kind: topology.OperationReassign, Want: &topology.Topic{Name: "t"}})
	wantError(t, err, topology.ClassUnsupported, testPassword, "RabbitMQ knows no operation Reassign")
	progress, err := b.Advance(t.Context(), topology.Operation{Kind: topology.OperationMigrate,
		Want: &topology.Queue{VirtualHost: "v", Name: "q", Type: "classic", Durable: true}})
	if err != nil || !progress.Done {
		t.Errorf("a queue as wanted: %+v, %v; want it done", progress, err)
	}
}

func TestWhichShovelsNameAQueue(t *testing.T) {
	cases := map[string]struct {
		reason, json string
		names        bool
	}{
		"source":               {"it consumes from it", `{"vhost":"v","value":{"src-queue":"q","src-uri":"amqp://"}}`, true},
		"destination":          {"it declares it", `{"vhost":"v","value":{"dest-queue":"q","dest-uri":["amqp://"]}}`, true},
		"from another":         {"its URI leads here", `{"vhost":"other","value":{"src-queue":"q","src-uri":["amqp://","amqp:///v"]}}`, true},
		"elsewhere":            {"another virtual host's queue", `{"vhost":"other","value":{"src-queue":"q","src-uri":"amqp:///other"}}`, false},
		"another queue":        {"not ours", `{"vhost":"v","value":{"src-queue":"p","dest-exchange":"q","src-uri":"amqp://"}}`, false},
		"something unreadable": {"no reason to fail", `{"vhost":"w","value":{"src-queue":"q","src-uri":{"odd":1}}}`, false},
	}
	for name, c := range cases {
		b := migrationAnswers(t, map[string]http.HandlerFunc{"GET /api/parameters/shovel": jsonAnswer(200, `[{"name":"s",`+c.json[1:]+`]`)})
		state, err := b.migrationState(t.Context(), &topology.Queue{VirtualHost: "v", Name: "q", Type: "quorum"})
		if err != nil || (len(state.OtherShovels) > 0) != c.names {
			t.Errorf("%s (%s): %v, %v; want %v", name, c.reason, state.OtherShovels, err, c.names)
		}
	}
}

// A URI without a virtual host leads to "/".
func TestShovelsToTheDefaultVirtualHost(t *testing.T) {
	s := wireShovel{VirtualHost: "other"}
	s.Value.SourceQueue = "q"
	for uri, want := range map[string]bool{"amqp://": true, "amqp://host": true, "amqp:///%2F": true, "amqp://host/v": false} {
		s.Value.SourceURI = texts{uri}
		if got := s.names("/", "q"); got != want {
			t.Errorf("%s: %v, want %v", uri, got, want)
		}
	}
}

func TestPoliciesOfAMigration(t *testing.T) {
	n := migration.NamesOf("q")
	policies := `[{"name":"all","pattern":".*","apply-to":"all","priority":0,"definition":{"max-length":50}},
		{"name":"q","pattern":"^q$","apply-to":"quorum_queues","priority":9,"definition":{"max-length":70}},
		{"name":"q classic","pattern":"^q$","apply-to":"classic_queues","priority":10,"definition":{"max-length":5}},
		{"name":"` + n.Policy + `","pattern":"x","apply-to":"queues","priority":3,"definition":{}}]`
	operator := `[{"name":"cap","pattern":"^q","apply-to":"queues","priority":0,"definition":{"max-length":60}}]`
	b := migrationAnswers(t, map[string]http.HandlerFunc{
		"GET /api/policies/v": jsonAnswer(200, policies), "GET /api/operator-policies/v": jsonAnswer(200, operator),
	})
	want := &topology.Queue{VirtualHost: "v", Name: "q", Type: "quorum"}
	state, err := b.migrationState(t.Context(), want)
	if err != nil || state.MaxLength != 60 || !state.Policy || state.PolicyTrouble != "" {
		t.Errorf("%+v, %v; want the operator's limit of 60, the policy, and no trouble", state, err)
	}
	b = migrationAnswers(t, map[string]http.HandlerFunc{
		"GET /api/operator-policies/v": jsonAnswer(200, strings.ReplaceAll(operator, "^q", `warrener|(?<odd)`)),
	})
	if state, err = b.migrationState(t.Context(), want); err != nil || !strings.Contains(state.PolicyTrouble, `"cap" sets max-length`) {
		t.Errorf("%q, %v; want trouble with a pattern that only Erlang may understand", state.PolicyTrouble, err)
	}
}

func TestDirectURI(t *testing.T) {
	for name, want := range map[string]string{"/": "amqp:///%2F", "a b": "amqp:///a%20b", "a%2F?#": "amqp:///a%252F%3F%23"} {
		got := directURI(name)
		uri, err := url.Parse(got)
		if got != want || err != nil || strings.TrimPrefix(uri.Path, "/") != name {
			t.Errorf("%q: %s, %v; want %s", name, got, err, want)
		}
	}
}
