package rabbitmq

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

var strange = topology.Arguments{
	"x-int":        int64(9007199254740993),
	"x-float":      1.0,
	"x-fraction":   -0.5,
	"x-big":        1e20,
	"x-small":      1e-7,
	"x-digits":     1234567890123456.7,
	"x-text":       "1.0",
	"x-bool":       true,
	"x-list":       []any{int64(1), 2.0, "a<b>&c", false},
	"x-map":        map[string]any{"a": 1.0, "é": int64(2)},
	"x-empty-map":  map[string]any{},
	"x-empty-list": []any{},
}

func TestRoundTripOfExchanges(t *testing.T) {
	onEach(t, func(t *testing.T, _ *harness.RabbitMQ, b *Broker, vh string) {
		cases := map[string]struct {
			reason string
			want   topology.Exchange
		}{
			"topic":    {reason: "the common case", want: topology.Exchange{Type: "topic", Durable: true}},
			"fleeting": {reason: "flags that are false by default", want: topology.Exchange{Type: "fanout", AutoDelete: true}},
			"internal": {reason: "rabbit-hole has no field for it", want: topology.Exchange{Type: "headers", Durable: true, Internal: true}},
			"alternate": {
				reason: "alternate-exchange is an argument",
				want:   topology.Exchange{Type: "direct", Durable: true, Arguments: topology.Arguments{"alternate-exchange": "nowhere"}},
			},
			"strange": {reason: "every type that an argument can have", want: topology.Exchange{Type: "direct", Durable: true, Arguments: strange}},
		}
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				want := tc.want
				want.VirtualHost, want.Name = vh, "x."+name
				apply(t, b, create(&want))
				converged(t, b, &want)
				apply(t, b, remove(want.ID()))
				if _, presence := look(t, b, want.ID()); presence != topology.Absent {
					t.Errorf("%s: presence %v after delete, want absent", tc.reason, presence)
				}
			})
		}
	})
}

func TestRoundTripOfQueues(t *testing.T) {
	onEach(t, func(t *testing.T, _ *harness.RabbitMQ, b *Broker, vh string) {
		cases := map[string]struct {
			reason string
			want   topology.Queue
		}{
			"classic": {reason: "4.x injects x-queue-type", want: topology.Queue{Type: "classic", Durable: true}},
			"quorum":  {reason: "exclusive is null in listings", want: topology.Queue{Type: "quorum", Durable: true}},
			"stream": {
				reason: "a stream has arguments of its own",
				want:   topology.Queue{Type: "stream", Durable: true, Arguments: topology.Arguments{"x-max-age": "7D"}},
			},
			"limits": {reason: "arguments that the broker knows", want: topology.Queue{Type: "classic", Durable: true, Arguments: topology.Arguments{
				"x-message-ttl": int64(60000), "x-max-length": int64(10), "x-overflow": "reject-publish", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead",
			}}},
			"strange": {reason: "arguments that no queue type knows", want: topology.Queue{Type: "classic", Durable: true, Arguments: strange}},
		}
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				want := tc.want
				want.VirtualHost, want.Name = vh, "q."+name
				apply(t, b, create(&want))
				converged(t, b, &want)
				apply(t, b, create(&want)) // declaring again changes nothing
				apply(t, b, remove(want.ID()))
				if _, presence := look(t, b, want.ID()); presence != topology.Absent {
					t.Errorf("%s: presence %v after delete, want absent", tc.reason, presence)
				}
			})
		}
	})
}

func TestRoundTripOfBindings(t *testing.T) {
	onEach(t, func(t *testing.T, _ *harness.RabbitMQ, b *Broker, vh string) {
		apply(t, b,
			create(&topology.Exchange{VirtualHost: vh, Name: "x", Type: "topic", Durable: true}),
			create(&topology.Exchange{VirtualHost: vh, Name: "y", Type: "fanout", Durable: true}),
			create(&topology.Exchange{VirtualHost: vh, Name: "h", Type: "headers", Durable: true}),
			create(&topology.Queue{VirtualHost: vh, Name: "q", Type: "classic", Durable: true}))
		q := topology.Binding{VirtualHost: vh, Source: "x", DestinationType: "queue", Destination: "q"}
		binding := func(change func(*topology.Binding)) *topology.Binding {
			out := q
			change(&out)
			return &out
		}
		var wants []topology.Resource
		for _, key := range []string{"", ".", "..", "~", "a", "a+b %c/é.", "order.*.created", "#", "a~b", "%2E", "a b", "ключ", `q"uo\te`, "..."} {
			wants = append(wants, binding(func(b *topology.Binding) { b.RoutingKey = key }))
		}
		wants = append(wants,
			binding(func(b *topology.Binding) { b.DestinationType, b.Destination = "exchange", "y" }),
			binding(func(b *topology.Binding) {
				b.Source, b.Arguments = "amq.headers", topology.Arguments{"x-match": "any", "a": "b"}
			}),
			binding(func(b *topology.Binding) {
				b.Source, b.Arguments = "h", topology.Arguments{"x-match": "all", "n": 1.0, "i": int64(1), "s": "1"}
			}),
			binding(func(b *topology.Binding) {
				b.Source, b.RoutingKey, b.Arguments = "h", "..", topology.Arguments{"i": int64(1)}
			}),
		)
		var steps []topology.Step
		for _, want := range wants {
			steps = append(steps, create(want))
		}
		apply(t, b, steps...)
		converged(t, b, wants...)

		snapshot := observe(t, b, topology.Selection{All: true})
		for _, live := range snapshot.Objects {
			if binding, ok := live.(*topology.Binding); ok && binding.Source == "" {
				t.Errorf("%s: a binding of the default exchange is in the snapshot", binding.ID())
			}
		}
		steps = nil
		for i, want := range wants {
			step := remove(want.ID())
			if i%2 == 0 { // the others must find their keys themselves
				step.Live = snapshot.Objects[want.ID()]
			}
			steps = append(steps, step)
		}
		apply(t, b, steps...)
		after := observe(t, b, topology.Selection{All: true})
		for _, want := range wants {
			if _, presence := after.Look(want.ID()); presence != topology.Absent {
				t.Errorf("%s: presence %v after delete, want absent", want.ID(), presence)
			}
		}
	})
}

// The broker distinguishes what JSON does not: one ID, several keys.
func TestBindingsThatReadAlike(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		apply(t, b, create(&topology.Queue{VirtualHost: vh, Name: "q", Type: "classic", Durable: true}))
		channel := dial(t, server, vh)
		for _, value := range []any{int16(1), int32(1), int64(1)} {
			if err := channel.QueueBind("q", "k", "amq.headers", false, map[string]any{"a": value}); err != nil {
				t.Fatalf("bind: %v", err)
			}
		}
		want := &topology.Binding{
			VirtualHost: vh, Source: "amq.headers", Destination: "q", DestinationType: "queue", RoutingKey: "k",
			Arguments: topology.Arguments{"a": int64(1)},
		}
		converged(t, b, want)
		live, _ := look(t, b, want.ID())
		if keys := live.(*topology.Binding).PropertiesKeys; len(keys) != 3 {
			t.Fatalf("properties keys %q, want three", keys)
		}
		apply(t, b, topology.Step{Verb: topology.VerbDelete, ID: want.ID(), Live: live})
		if _, presence := look(t, b, want.ID()); presence != topology.Absent {
			t.Errorf("presence %v, want absent: all keys of the binding are deleted", presence)
		}
	})
}

func TestRoundTripOfVirtualHosts(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		name := vh + "/of é+%"
		id := topology.VirtualHostID(name)
		deleteLater(t, b, name)
		typed := server.Version != "3.10"
		full := &topology.VirtualHost{
			Name: name, Description: ptr("what for"), Tags: []string{"b", "a", "with, comma"},
			MaxConnections: ptr(int64(7)), MaxQueues: ptr(int64(-1)),
		}
		if typed {
			full.DefaultQueueType = ptr("quorum")
		}
		apply(t, b, create(full))
		converged(t, b, full)
		apply(t, b, create(&topology.Queue{VirtualHost: name, Name: "q", Type: "classic", Durable: true})) // permissions are there

		t.Run("an undeclared field stays as it is", func(t *testing.T) {
			narrow := &topology.VirtualHost{Name: name, Description: ptr("changed")}
			live, _ := look(t, b, id)
			apply(t, b, topology.Step{Verb: topology.VerbUpdate, ID: id, Want: narrow, Live: live})
			after := *full
			after.Description = narrow.Description
			converged(t, b, &after)
		})
		t.Run("a released field is unset", func(t *testing.T) {
			narrow := &topology.VirtualHost{Name: name, Tags: []string{"kept"}}
			released := narrow.Releasing(full.DeclaredFields())
			live, _ := look(t, b, id)
			if len(released.Diff(live)) == 0 {
				t.Fatal("nothing to release")
			}
			apply(t, b, topology.Step{Verb: topology.VerbUpdate, ID: id, Want: released, Live: live})
			live, _ = look(t, b, id)
			if changes := released.Diff(live); len(changes) > 0 {
				t.Errorf("after the release: %s", topology.DescribeChanges(changes))
			}
			host := live.(*topology.VirtualHost)
			if *host.Description != "" || host.MaxConnections != nil || host.MaxQueues != nil {
				t.Errorf("after the release: description %q, limits %v %v", *host.Description, host.MaxConnections, host.MaxQueues)
			}
			if typed && *host.DefaultQueueType != "quorum" {
				t.Errorf("default queue type %q, want quorum: a broker cannot unset it", *host.DefaultQueueType)
			}
		})
		t.Run("a declared empty value is no difference", func(t *testing.T) {
			empty := &topology.VirtualHost{Name: name, Description: ptr(""), Tags: []string{}}
			apply(t, b, topology.Step{Verb: topology.VerbUpdate, ID: id, Want: empty})
			converged(t, b, empty)
		})
		t.Run("a default queue type that the broker does not take", func(t *testing.T) {
			wanted := &topology.VirtualHost{Name: name, DefaultQueueType: ptr("nonsense")}
			err := attempt(t, b, topology.Step{Verb: topology.VerbUpdate, ID: id, Want: wanted})
			if typed {
				wantError(t, err, topology.ClassRejected, "", "nonsense")
			} else {
				wantError(t, err, topology.ClassUnsupported, "", "3.11")
			}
		})
	})
}

func TestOddNames(t *testing.T) {
	odd := []string{
		"with space", "a/b", "//", "100%", "%2F", "%2E%2E", "a+b", "é", "e\u0301", "日本", "?x=y", "#frag", "a&b=c;d,e", `back\slash`,
		"...", ".hidden", "~", "a:b@c", "'quoted\"", "<tag>", "-", "[1]{2}|^", "\ttab", strings.Repeat("n", 255),
	}
	onEach(t, func(t *testing.T, _ *harness.RabbitMQ, b *Broker, vh string) {
		host := vh + " / %2F+é"
		deleteLater(t, b, host)
		apply(t, b, create(&topology.VirtualHost{Name: host}))
		var first, second []topology.Step
		var wants []topology.Resource
		for _, name := range odd {
			x := &topology.Exchange{VirtualHost: host, Name: name, Type: "direct", Durable: true}
			q := &topology.Queue{VirtualHost: host, Name: name, Type: "classic", Durable: true}
			bind := &topology.Binding{VirtualHost: host, Source: name, Destination: name, DestinationType: "queue", RoutingKey: name}
			first, second = append(first, create(x), create(q)), append(second, create(bind))
			wants = append(wants, x, q, bind)
		}
		apply(t, b, first...)
		apply(t, b, second...)
		converged(t, b, wants...) // a listing of one virtual host, and of all
		for _, want := range wants {
			if live, presence := look(t, b, want.ID()); presence != topology.Present || len(want.Diff(live)) > 0 {
				t.Errorf("%s: presence %v when read alone, want present and equal", want.ID(), presence)
			}
		}
		for i := range wants { // bindings last in each triple: they must be deletable first
			if binding, ok := wants[i].(*topology.Binding); ok {
				apply(t, b, remove(binding.ID()))
			}
		}
		for _, want := range wants {
			if want.ID().Kind == topology.KindQueue {
				apply(t, b, removeUnused(want.ID()))
			} else if want.ID().Kind == topology.KindExchange {
				apply(t, b, removeUnused(want.ID()))
			}
		}
		for _, want := range wants {
			if _, presence := look(t, b, want.ID()); presence != topology.Absent {
				t.Errorf("%s: presence %v after delete, want absent", want.ID(), presence)
			}
		}
		apply(t, b, removeUnused(topology.VirtualHostID(host)))
		if _, presence := look(t, b, topology.VirtualHostID(host)); presence != topology.Absent {
			t.Errorf("virtual host %q: presence %v after delete, want absent", host, presence)
		}
	})
}

// A path cannot carry these names: nothing may be sent, since the request would
// reach something else.
func TestNamesOfDots(t *testing.T) {
	server := harness.RabbitMQAt(t, "4.0")
	var requests counter
	b := open(t, Options{Endpoint: server.ManagementURL, Username: server.User, Password: server.Password, OnRequest: requests.hook})
	for _, name := range []string{".", "..", ""} {
		for _, resource := range []topology.Resource{
			&topology.VirtualHost{Name: name},
			&topology.Exchange{VirtualHost: "v", Name: name, Type: "direct"},
			&topology.Exchange{VirtualHost: name, Name: "v", Type: "direct"},
			&topology.Queue{VirtualHost: "v", Name: name, Type: "classic"},
			&topology.Queue{VirtualHost: name, Name: "q", Type: "classic"},
			&topology.Binding{VirtualHost: "v", Source: name, Destination: "q", DestinationType: "queue"},
			&topology.Binding{VirtualHost: "v", Source: "x", Destination: name, DestinationType: "exchange"},
			&topology.Binding{VirtualHost: name, Source: "x", Destination: "q", DestinationType: "queue"},
		} {
			class := topology.ClassUnsupported
			if name == "" {
				class = topology.ClassRejected
			}
			wantError(t, attempt(t, b, create(resource)), class, "")
			wantError(t, attempt(t, b, remove(resource.ID())), class, "")
			wantError(t, attempt(t, b, removeUnused(resource.ID())), class, "")
		}
	}
	if n := requests.requests.Load(); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
	id := topology.QueueID("/", "..")
	if _, presence := look(t, b, id); presence != topology.Absent {
		t.Errorf("queue ..: presence %v, want absent, as the listing says", presence)
	}
}

// Of a listing only what is asked for is kept, and each object is asked for by all that
// tells it from others.
func TestKeptOfAListing(t *testing.T) {
	const answer = `[{"source":"x","vhost":"v","destination":"q","destination_type":"queue","routing_key":"k","arguments":{"n":1},"properties_key":"k~1"},` +
		`{"source":"","vhost":"v","destination":"q","destination_type":"queue","routing_key":"q","arguments":{},"properties_key":"q"},` +
		`{"source":"x","vhost":"v","destination":"q","destination_type":"queue","routing_key":"k","arguments":{},"properties_key":"k"},` +
		`{"source":"x","vhost":"v","destination":"q","destination_type":"queue","routing_key":"bad","arguments":{"n":18446744073709551616},"properties_key":"b"}]`
	b := serve(t, jsonAnswers(map[string]string{"/api/bindings/v": answer}))
	wanted := (&topology.Binding{VirtualHost: "v", Source: "x", Destination: "q", DestinationType: "queue", RoutingKey: "k", Arguments: topology.Arguments{"n": int64(1)}}).ID()
	asked := map[topology.ID]int{}
	resources, unread, err := bindingKind.read(b.call(t.Context(), "list bindings"), listingPath(bindingKind, "v"), func(id topology.ID) bool {
		asked[id]++
		return id == wanted
	})
	if err != nil || len(unread) > 0 {
		t.Fatalf("%v, unread: %v", err, unread)
	}
	if len(resources) != 1 || resources[0].ID() != wanted {
		t.Errorf("kept: %v, want %s", resources, wanted)
	}
	if len(asked) != 3 || asked[wanted] != 1 { // not for what every queue has
		t.Errorf("asked for: %v", asked)
	}
}

// One object that cannot be understood is unread; the others are read.
func TestObjectThatCannotBeRead(t *testing.T) {
	const answer = `[{"name":"bad","vhost":"v","type":"direct","arguments":{"n":18446744073709551616}},` +
		`{"name":"good","vhost":"v","type":"direct","durable":true,"arguments":{}}]`
	b := serve(t, jsonAnswers(map[string]string{"/api/exchanges/v": answer}))
	c := b.call(t.Context(), "list exchanges")
	resources, unread, err := exchangeKind.read(c, listingPath(exchangeKind, "v"), everything)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	want := []topology.Resource{&topology.Exchange{VirtualHost: "v", Name: "good", Type: "direct", Durable: true}}
	if diff := cmp.Diff(want, resources); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	wantError(t, unread[topology.ExchangeID("v", "bad")], topology.ClassUnsupported, "", "64 bits")
}
