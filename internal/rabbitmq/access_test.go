package rabbitmq

import (
	"net/http"
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

func TestWhatTheBrokerRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		name, password := server.NewUser(t, "management")
		server.Must(t, http.MethodPut, "/api/permissions/"+vh+"/"+name, map[string]string{"configure": "^mine", "write": "^mine", "read": "^mine"}, nil)
		limited := connect(t, server, name, password)
		queue := func(name, kind string, table topology.Arguments) *topology.Queue {
			return &topology.Queue{VirtualHost: vh, Name: name, Type: kind, Durable: true, Arguments: table}
		}
		apply(t, b, create(queue("q", "classic", topology.Arguments{"x-message-ttl": int64(60000)})),
			create(&topology.Exchange{VirtualHost: vh, Name: "x", Type: "direct", Durable: true}))
		full := server.NewVirtualHost(t)
		apply(t, b, topology.Step{Verb: topology.VerbUpdate, ID: topology.VirtualHostID(full), Want: &topology.VirtualHost{Name: full, MaxQueues: ptr(int64(0))}})

		long := make([]byte, 300)
		for i := range long {
			long[i] = 'n'
		}
		cases := map[string]struct {
			reason string
			by     *Broker
			step   topology.Step
			class  topology.Class
			words  []string
		}{
			"another TTL": {
				reason: "the broker's own words name both values", step: create(queue("q", "classic", topology.Arguments{"x-message-ttl": int64(1000)})),
				class: topology.ClassRejected, words: []string{"inequivalent arg 'x-message-ttl'", "'1000'", "'60000'"},
			},
			"another queue type": {
				reason: "fixed at creation", step: create(queue("q", "quorum", topology.Arguments{"x-message-ttl": int64(60000)})),
				class: topology.ClassRejected, words: []string{"x-queue-type", "quorum", "classic"},
			},
			"another exchange type": {
				reason: "fixed at creation", step: create(&topology.Exchange{VirtualHost: vh, Name: "x", Type: "fanout", Durable: true}),
				class: topology.ClassRejected, words: []string{"inequivalent arg 'type'", "'fanout'", "'direct'"},
			},
			"unknown exchange type": {
				reason: "a plugin that is not there", step: create(&topology.Exchange{VirtualHost: vh, Name: "y", Type: "x-nope"}),
				class: topology.ClassRejected, words: []string{"unknown exchange type 'x-nope'"},
			},
			"unknown queue type": {
				reason: "no such type", step: create(queue("y", "nope", nil)),
				class: topology.ClassRejected, words: []string{"unsupported queue type 'nope'"},
			},
			"TTL as text": {
				reason: "an integer stays an integer", step: create(queue("y", "classic", topology.Arguments{"x-message-ttl": "1000"})),
				class: topology.ClassRejected, words: []string{"expected integer, got longstr"},
			},
			"TTL as fraction": {
				reason: "a float stays a float", step: create(queue("y", "classic", topology.Arguments{"x-message-ttl": 60000.0})),
				class: topology.ClassRejected, words: []string{"x-message-ttl"},
			},
			"null": {
				reason: "the broker's word for it is null_not_allowed", step: create(queue("y", "classic", topology.Arguments{"x-any": nil})),
				class: topology.ClassRejected, words: []string{"an argument is null"},
			},
			"long name": {
				reason: "more than 255 bytes", step: create(queue(string(long), "classic", nil)),
				class: topology.ClassRejected, words: []string{"255 bytes", "300"},
			},
			"queue limit": {
				reason: "not the object's fault: tried again", step: create(&topology.Queue{VirtualHost: full, Name: "q", Type: "classic"}),
				class: topology.ClassTransient, words: []string{"queue limit", "is reached"},
			},
			"missing virtual host": {
				reason: "it vanished in between", step: create(&topology.Queue{VirtualHost: "no-such-host", Name: "q", Type: "classic"}),
				class: topology.ClassTransient, words: []string{`no virtual host "no-such-host"`},
			},
			"missing source": {
				reason: "it vanished in between", step: create(&topology.Binding{VirtualHost: vh, Source: "none", Destination: "q", DestinationType: "queue"}),
				class: topology.ClassTransient, words: []string{"no exchange 'none'"},
			},
			"missing destination": {
				reason: "it vanished in between", step: create(&topology.Binding{VirtualHost: vh, Source: "x", Destination: "none", DestinationType: "queue"}),
				class: topology.ClassTransient, words: []string{"no queue 'none'"},
			},
			"no permission to configure": {
				reason: "401 without a challenge is no failed login", by: limited, step: create(queue("theirs", "classic", nil)),
				class: topology.ClassAccessDenied, words: []string{"Access refused", name, vh},
			},
			"no permission to bind": {
				reason: "binding needs write on the queue and read on the exchange", by: limited,
				step:  create(&topology.Binding{VirtualHost: vh, Source: "x", Destination: "q", DestinationType: "queue"}),
				class: topology.ClassAccessDenied, words: []string{"Access refused", name},
			},
			"no permission to delete": {
				reason: "it must not count as gone", by: limited, step: remove(topology.QueueID(vh, "q")),
				class: topology.ClassAccessDenied, words: []string{"Access refused", name},
			},
			"virtual host by a user who is no administrator": {
				reason: "takes an administrator", by: limited, step: create(&topology.VirtualHost{Name: "theirs"}),
				class: topology.ClassAccessDenied, words: []string{"Not administrator user", name},
			},
			"in place": {
				reason: "no broker can", step: topology.Step{Verb: topology.VerbUpdate, ID: topology.QueueID(vh, "q"), Want: queue("q", "quorum", nil)},
				class: topology.ClassUnsupported, words: []string{"cannot change this in place"},
			},
			"topic": {
				reason: "of another broker", step: remove(topology.TopicID("t")), class: topology.ClassUnsupported, words: []string{"topic"},
			},
		}
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				by := b
				if tc.by != nil {
					by = tc.by
				}
				err := attempt(t, by, tc.step)
				if err == nil {
					t.Fatalf("%s: no error", tc.reason)
				}
				wantError(t, err, tc.class, password, append(tc.words, tc.step.ID.String())...)
			})
		}
	})
}

func TestWrongCredentials(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, _ *Broker, vh string) {
		untagged, password := server.NewUser(t, "", vh)
		wrong, unknown, noTag := connect(t, server, untagged, "wrong-pass"), connect(t, server, "nobody", "wrong-pass"), connect(t, server, untagged, password)
		for name, tc := range map[string]struct {
			reason string
			b      *Broker
			words  []string
		}{
			"wrong password": {reason: "the user is named, the password never", b: wrong, words: []string{untagged}},
			"unknown user":   {reason: "the broker does not tell it from a wrong password", b: unknown, words: []string{"nobody"}},
			"no tag":         {reason: "refused for everything, so it is the connection's fault", b: noTag, words: []string{untagged, "tag management"}},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := tc.b.Probe(t.Context())
				wantError(t, err, topology.ClassAuthentication, "wrong-pass", tc.words...)
				_, err = tc.b.Observe(t.Context(), topology.Selection{All: true})
				wantError(t, err, topology.ClassAuthentication, "wrong-pass", tc.words...)
				_, err = tc.b.Observe(t.Context(), topology.Selection{IDs: []topology.ID{topology.QueueID(vh, "q")}})
				wantError(t, err, topology.ClassAuthentication, password, tc.words...)
				for _, outcome := range tc.b.Apply(t.Context(), []topology.Step{remove(topology.QueueID(vh, "q")), removeUnused(topology.QueueID(vh, "q"))}) {
					wantError(t, outcome.Err, topology.ClassAuthentication, "wrong-pass", tc.words...)
				}
			})
		}
	})
}

// What a user does not see must not count as absent: else its objects would be
// created again, or struck from the inventory.
func TestWhatUsersSee(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, own string) {
		foreign := server.NewVirtualHost(t)
		for _, host := range []string{own, foreign} {
			apply(t, b, create(&topology.Queue{VirtualHost: host, Name: "q", Type: "classic", Durable: true}))
		}
		const nowhere = "no-such-host"
		q := topology.QueueID
		bindingIn := func(host string) topology.ID {
			return (&topology.Binding{VirtualHost: host, Source: "amq.topic", Destination: "q", DestinationType: "queue"}).ID()
		}
		type sees map[topology.ID]topology.Presence
		host := topology.VirtualHostID
		present, absent, unknown := topology.Present, topology.Absent, topology.Unknown
		cases := map[string]struct {
			reason string
			tags   string
			sees   sees
		}{
			"administrator": {
				reason: "sees all, with permissions or without", tags: "administrator",
				sees: sees{
					host(own): present, host(foreign): present, host(nowhere): absent,
					q(own, "q"): present, q(own, "none"): absent, q(foreign, "q"): present, q(foreign, "none"): absent, q(nowhere, "q"): absent,
					bindingIn(own): absent, bindingIn(foreign): absent, bindingIn(nowhere): absent,
				},
			},
			"monitoring": {
				reason: "sees all virtual hosts, and into those with permissions", tags: "monitoring",
				sees: sees{
					host(own): present, host(foreign): present, host(nowhere): absent,
					q(own, "q"): present, q(own, "none"): absent, q(foreign, "q"): unknown, q(foreign, "none"): unknown, q(nowhere, "q"): absent,
					bindingIn(own): absent, bindingIn(foreign): unknown, bindingIn(nowhere): absent,
				},
			},
			"management": {
				reason: "sees nothing outside", tags: "management",
				sees: sees{
					host(own): present, host(foreign): unknown, host(nowhere): unknown,
					q(own, "q"): present, q(own, "none"): absent, q(foreign, "q"): unknown, q(foreign, "none"): unknown, q(nowhere, "q"): unknown,
					bindingIn(own): absent, bindingIn(foreign): unknown, bindingIn(nowhere): unknown,
				},
			},
		}
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				user, password := server.NewUser(t, tc.tags, own)
				u := connect(t, server, user, password)
				all := observe(t, u, topology.Selection{All: true})
				ids := make([]topology.ID, 0, len(tc.sees))
				for id := range tc.sees {
					ids = append(ids, id)
				}
				several := observe(t, u, topology.Selection{IDs: ids})
				for id, want := range tc.sees {
					if _, got := look(t, u, id); got != want {
						t.Errorf("%s: %s alone: %v, want %v", tc.reason, id, got, want)
					}
					if _, got := several.Look(id); got != want {
						t.Errorf("%s: %s among others: %v, want %v", tc.reason, id, got, want)
					}
					if _, got := all.Look(id); got != want {
						t.Errorf("%s: %s in everything: %v, want %v", tc.reason, id, got, want)
					}
				}
				if tc.tags == "administrator" {
					return
				}
				for _, step := range []topology.Step{
					remove(q(foreign, "q")), removeUnused(q(foreign, "q")), remove(topology.ExchangeID(foreign, "x")), removeUnused(topology.ExchangeID(foreign, "x")),
					create(&topology.Queue{VirtualHost: foreign, Name: "new", Type: "classic"}),
					create(&topology.Exchange{VirtualHost: foreign, Name: "new", Type: "direct"}),
				} {
					if err := attempt(t, u, step); err == nil {
						t.Errorf("%s %s, unseen: no error, so it would count as done", step.Verb, step.ID)
					} else {
						wantError(t, err, topology.ClassAccessDenied, password, user)
					}
				}
			})
		}
		if _, presence := look(t, b, q(foreign, "q")); presence != topology.Present {
			t.Errorf("the foreign queue: %v, want present", presence)
		}
	})
}

func TestProbe(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, _ string) {
		info, err := b.Probe(t.Context())
		if err != nil {
			t.Fatalf("Probe: %v", err)
		}
		var parameter struct{ Value string }
		server.Must(t, http.MethodGet, "/api/global-parameters/internal_cluster_id", nil, &parameter)
		if info.ClusterID != parameter.Value || info.Warning != "" || info.ClusterName == "" || info.Version[:3] != server.Version[:3] {
			t.Errorf("info %+v, want cluster id %s, version %s, a name and no warning", info, parameter.Value, server.Version)
		}
		for _, tags := range []string{"management", "monitoring"} {
			user, password := server.NewUser(t, tags)
			info, err := connect(t, server, user, password).Probe(t.Context())
			if err != nil {
				t.Fatalf("Probe as %s: %v", tags, err)
			}
			if want := "endpoint:" + server.ManagementURL[len("http://"):]; info.ClusterID != want || info.Warning == "" {
				t.Errorf("as %s: cluster id %q, warning %q; want %q and a warning", tags, info.ClusterID, info.Warning, want)
			}
		}
		user, password := server.NewUser(t, "policymaker")
		if info, err := connect(t, server, user, password).Probe(t.Context()); err != nil || info.ClusterID != parameter.Value {
			t.Errorf("as policymaker: %+v, %v; want cluster id %s", info, err, parameter.Value)
		}
	})
}
