package importer

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

func aQueue(name string, arguments topology.Arguments) *topology.Queue {
	return &topology.Queue{VirtualHost: "/", Name: name, Type: "classic", Durable: true, Arguments: arguments}
}

func anExchange(name, kind string, arguments topology.Arguments) *topology.Exchange {
	return &topology.Exchange{VirtualHost: "/", Name: name, Type: kind, Durable: true, Arguments: arguments}
}

func aBinding(source, key, queue string) *topology.Binding {
	return &topology.Binding{VirtualHost: "/", Source: source, RoutingKey: key, Destination: queue, DestinationType: "queue"}
}

func deadLetters(exchange, key string) topology.Arguments {
	return topology.Arguments{"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": key}
}

func delayed(queue string, millis int64) topology.Arguments {
	arguments := deadLetters("", queue)
	arguments["x-message-ttl"] = millis
	return arguments
}

func TestFolding(t *testing.T) {
	cases := map[string]struct {
		reason string
		live   []topology.Resource
		// want is the specs of all objects by kind and name, in brief.
		want map[string]string
	}{
		"by default names": {
			reason: "the names that Warrener gives need no word",
			live:   []topology.Resource{aQueue("a", deadLetters("a.dlx", "a")), aQueue("a.dead", nil), anExchange("a.dlx", "direct", nil), aBinding("a.dlx", "a", "a.dead")},
			want:   map[string]string{"Queue a": "type: classic deadLetter: {}"},
		},
		"with another reader of the dead letters": {
			reason: "under default names, what somebody else adds stands for itself",
			live: []topology.Resource{
				aQueue("a", deadLetters("a.dlx", "a")), aQueue("a.dead", nil), anExchange("a.dlx", "direct", nil), aBinding("a.dlx", "a", "a.dead"),
				aQueue("copy", nil), aBinding("a.dlx", "a2", "copy"), aBinding("amq.topic", "x", "a.dead"),
			},
			want: map[string]string{
				"Queue a": "type: classic deadLetter: {}", "Queue copy": "type: classic bindings: - source: a.dlx routingKeys: [a2]",
				"ExchangeBinding amq.topic -> a.dead": "source: amq.topic routingKeys: [x] destination: a.dead destinationType: queue",
			},
		},
		"an exchange of one's own, used by somebody else": {
			reason: "what is more than a place for dead letters keeps a manifest of its own",
			live: []topology.Resource{
				aQueue("a", deadLetters("failures", "a")), aQueue("a.dead", nil), anExchange("failures", "topic", nil), aBinding("failures", "a", "a.dead"),
				aQueue("all", nil), aBinding("failures", "#", "all"),
			},
			want: map[string]string{
				"Queue a": "type: classic deadLetter: {create: false, exchange: failures, routingKey: a}", "Exchange failures": "type: topic",
				"Queue a.dead": "type: classic bindings: - source: failures routingKeys: [a]", "Queue all": "type: classic bindings: - source: failures routingKeys: [\"#\"]",
			},
		},
		"shared by two": {
			reason: "an exchange that serves dead letters alone folds into each of its queues",
			live: []topology.Resource{
				aQueue("a", deadLetters("failures", "a")), aQueue("a.dead", nil), anExchange("failures", "direct", nil), aBinding("failures", "a", "a.dead"),
				aQueue("b", deadLetters("failures", "b")), aQueue("b.dead", nil), aBinding("failures", "b", "b.dead"),
			},
			want: map[string]string{"Queue a": "type: classic deadLetter: {exchange: failures}", "Queue b": "type: classic deadLetter: {exchange: failures}"},
		},
		"a dead queue that has dead letters": {
			reason: "no field can say it",
			live: []topology.Resource{
				aQueue("a", deadLetters("a.dlx", "a")), aQueue("a.dead", deadLetters("", "a")), anExchange("a.dlx", "direct", nil), aBinding("a.dlx", "a", "a.dead"),
			},
			want: map[string]string{
				"Queue a":      "type: classic deadLetter: {create: false, exchange: a.dlx, routingKey: a}",
				"Queue a.dead": "type: classic deadLetter: {create: false, exchange: \"\", routingKey: a} bindings: - source: a.dlx routingKeys: [a]", "Exchange a.dlx": "type: direct",
			},
		},
		"published": {
			reason: "delays go by length, and not by letter",
			live: []topology.Resource{
				aQueue("a", nil), aQueue("a.dead", nil), aQueue("a.retry.10000", delayed("a", 10000)), aQueue("a.retry.2000", delayed("a", 2000)),
			},
			want: map[string]string{"Queue a": "type: classic retry: {strategy: Published, delays: [2s, 10s]}"},
		},
		"published, one delay queue of which is another": {
			reason: "compiling would change it, so all stay as they are",
			live: []topology.Resource{
				aQueue("a", nil), aQueue("a.dead", nil), aQueue("a.retry.1000", delayed("a", 1000)), aQueue("a.retry.2000", delayed("a", 2001)),
			},
			want: map[string]string{
				"Queue a": "type: classic", "Queue a.dead": "type: classic",
				"Queue a.retry.1000": "type: classic messageTTL: 1s deadLetter: {create: false, exchange: \"\", routingKey: a}",
				"Queue a.retry.2000": "type: classic messageTTL: 2.001s deadLetter: {create: false, exchange: \"\", routingKey: a}",
			},
		},
		"retries of a dead queue": {
			reason: "one cannot stand for a queue that stands for others: the outer one folds",
			live: []topology.Resource{
				aQueue("a", nil), aQueue("a.dead", nil), aQueue("a.retry.1000", delayed("a", 1000)),
				aQueue("a.dead.dead", nil), aQueue("a.dead.retry.1000", delayed("a.dead", 1000)),
			},
			want: map[string]string{
				"Queue a": "type: classic retry: {strategy: Published, delays: [1s]}", "Queue a.dead.dead": "type: classic",
				"Queue a.dead.retry.1000": "type: classic messageTTL: 1s deadLetter: {create: false, exchange: \"\", routingKey: a.dead}",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			live := map[topology.ID]topology.Resource{}
			addVirtualHost(live, "/")
			for _, object := range tc.live {
				live[object.ID()] = object
			}
			source := &Source{Live: snapshotOf(live), Connection: Connection{Broker: v1alpha1.BrokerTypeRabbitMQ}}
			result := Import(source, Options{})
			if left := Remaining(result, source, Options{}); len(left) > 0 {
				t.Errorf("%s: a plan of it is not empty: %q", tc.reason, left)
			}
			if diff := cmp.Diff(tc.want, inBrief(t, result)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// inBrief has the specs of all objects without what all have, each on one line.
func inBrief(t *testing.T, result *Result) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, object := range result.Objects() {
		text, err := renderYAML(object)
		if err != nil {
			t.Fatal(err)
		}
		_, spec, _ := strings.Cut(text, "spec:\n")
		_, spec, _ = strings.Cut(spec, "}\n") // after connectionRef
		out[object.KindName()+" "+object.BrokerName()] = strings.Join(strings.Fields(spec), " ")
	}
	return out
}

func aTopic(name string, partitions int32, config map[string]string) *topology.Topic {
	return &topology.Topic{Name: name, Partitions: partitions, ReplicationFactor: 1, Config: config, Assignments: slices.Repeat([][]int32{{1}}, int(partitions))}
}

func TestFoldingOfTopics(t *testing.T) {
	long := map[string]string{"retention.ms": "9000"}
	cases := map[string]struct {
		reason string
		live   []*topology.Topic
		want   map[string]string
	}{
		"dead letters only": {
			reason: "the least that folds", live: []*topology.Topic{aTopic("a", 3, nil), aTopic("a.dlt", 3, long)},
			want: map[string]string{"Topic a": `partitions: 3 replicationFactor: 1 retry: deadLetter: config: {retention.ms: "9000"}`},
		},
		"names of another library": {
			reason: "well-known names are written out",
			live:   []*topology.Topic{aTopic("a", 3, nil), aTopic("a-retry-5000", 3, nil), aTopic("a-dlt", 3, nil)},
			want:   map[string]string{"Topic a": `partitions: 3 replicationFactor: 1 retry: delays: [5s] topics: {name: "{topic}-retry-{delayMs}"} deadLetter: {name: "{topic}-dlt"}`},
		},
		"retry topics of different configs": {
			reason: "one field cannot say two things",
			live:   []*topology.Topic{aTopic("a", 3, nil), aTopic("a.retry.1s", 3, long), aTopic("a.retry.2s", 3, nil), aTopic("a.dlt", 3, nil)},
			want: map[string]string{
				"Topic a": "partitions: 3 replicationFactor: 1", "Topic a.retry.1s": `partitions: 3 replicationFactor: 1 config: {retention.ms: "9000"}`,
				"Topic a.retry.2s": "partitions: 3 replicationFactor: 1", "Topic a.dlt": "partitions: 3 replicationFactor: 1",
			},
		},
		"other partitions": {
			reason: "topics of a retry have as many partitions as the topic",
			live:   []*topology.Topic{aTopic("a", 3, nil), aTopic("a.dlt", 6, nil)},
			want:   map[string]string{"Topic a": "partitions: 3 replicationFactor: 1", "Topic a.dlt": "partitions: 6 replicationFactor: 1"},
		},
		"Kafka's own": {reason: "nobody may declare them", live: []*topology.Topic{aTopic("__consumer_offsets", 50, nil)}, want: map[string]string{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			live := map[topology.ID]topology.Resource{}
			for _, topic := range tc.live {
				live[topic.ID()] = topic
			}
			source := &Source{Live: snapshotOf(live), Connection: Connection{Broker: v1alpha1.BrokerTypeKafka}}
			result := Import(source, Options{})
			if left := Remaining(result, source, Options{}); len(left) > 0 {
				t.Errorf("%s: a plan of it is not empty: %q", tc.reason, left)
			}
			if diff := cmp.Diff(tc.want, inBrief(t, result)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// What a manifest cannot hold is left out, with the reason.
func TestLeftOut(t *testing.T) {
	cases := map[string]struct {
		object topology.Resource
		why    string
	}{
		"a float without a fraction":     {aQueue("a", topology.Arguments{"x-a": 1.0}), "float without a fraction"},
		"one deep inside":                {aQueue("a", topology.Arguments{"x-a": []any{map[string]any{"b": 1e20}}}), "float without a fraction"},
		"a number beyond the schema":     {aQueue("a", topology.Arguments{"x-max-length": int64(1) << 60}), "x-max-length: 1152921504606846976 is not from 0"},
		"a priority of none":             {aQueue("a", topology.Arguments{"x-max-priority": int64(0)}), "x-max-priority: 0 is not from 1 to 255"},
		"false, which is not unset":      {aQueue("a", topology.Arguments{"x-single-active-consumer": false}), "x-single-active-consumer: false"},
		"a locator of old":               {aQueue("a", topology.Arguments{"x-queue-leader-locator": "random"}), `no field takes "random"`},
		"another type":                   {aQueue("a", topology.Arguments{"x-message-ttl": "1"}), `"1" is not an integer`},
		"a key without an exchange":      {aQueue("a", topology.Arguments{"x-dead-letter-routing-key": "k"}), "x-dead-letter-exchange: is missing"},
		"a name of Warrener's own":       {aQueue("warrener.migrate.a", nil), "warrener.migrate."},
		"exclusive":                      {&topology.Queue{VirtualHost: "/", Name: "a", Type: "classic", Exclusive: true}, "exclusive"},
		"deleted with its consumer":      {&topology.Queue{VirtualHost: "/", Name: "a", Type: "classic", AutoDelete: true}, "auto-delete"},
		"named by the broker":            {aQueue("amq.gen-x", nil), "the broker named it"},
		"an alternate without a name":    {anExchange("a", "fanout", topology.Arguments{"alternate-exchange": ""}), "alternate-exchange"},
		"an exchange of no known type":   {anExchange("a", "odd", nil), `"odd" is no exchange type`},
		"headers and a key":              {&topology.Binding{VirtualHost: "/", Source: "amq.headers", Destination: "q", DestinationType: "queue", RoutingKey: "k", Arguments: topology.Arguments{"x-match": "all", "a": "b"}}, "one or the other"},
		"headers without any":            {&topology.Binding{VirtualHost: "/", Source: "amq.headers", Destination: "q", DestinationType: "queue", Arguments: topology.Arguments{"x-match": "all"}}, "without a header"},
		"a way to match that is unknown": {&topology.Binding{VirtualHost: "/", Source: "amq.headers", Destination: "q", DestinationType: "queue", Arguments: topology.Arguments{"x-match": "some", "a": "b"}}, "no way to match"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			live := map[topology.ID]topology.Resource{}
			addVirtualHost(live, "/")
			for _, object := range []topology.Resource{aQueue("q", nil), tc.object} {
				live[object.ID()] = object
			}
			source := &Source{Live: snapshotOf(live), Connection: Connection{Broker: v1alpha1.BrokerTypeRabbitMQ}}
			result := Import(source, Options{})
			if got := slices.Sorted(maps.Keys(inBrief(t, result))); !slices.Equal(got, []string{"Queue q"}) {
				t.Errorf("imported %q, want the queue q alone", got)
			}
			notes := result.AllNotes()
			if len(notes) != 1 || notes[0].Subject != tc.object.ID().String() || !strings.Contains(notes[0].Text, tc.why) {
				t.Errorf("notes %v, want one on %s with %q", notes, tc.object.ID(), tc.why)
			}
		})
	}
}

func TestNames(t *testing.T) {
	cases := map[string]string{
		"order.process": "order.process", "Mail Out": "mail-out", "a..b": "a.b", "-a-": "a", "A__B": "a-b", "…": "x-" + digest("…"), "": "x-" + digest(""),
		strings.Repeat("a", 300): strings.Repeat("a", 244) + "-" + digest(strings.Repeat("a", 300)),
	}
	for text, want := range cases {
		if got := ValidName(text); got != want || !validName.MatchString(got) || len(got) > maxName {
			t.Errorf("ValidName(%q) is %q, want %q", text, got, want)
		}
	}
	var objects []v1alpha1.Object
	var all []candidate
	for _, wish := range []string{"A", "a", "a", "b-2", "B", "b"} {
		objects = append(objects, &v1alpha1.Queue{})
		all = append(all, candidate{object: objects[len(objects)-1], wish: wish, host: "/"})
	}
	nameAll(all)
	var got []string
	for _, object := range objects {
		got = append(got, object.GetName())
	}
	if diff := cmp.Diff([]string{"a-3", "a", "a-2", "b-2", "b-3", "b"}, got); diff != "" {
		t.Errorf("who has a valid name keeps it, the others get numbers (-want +got):\n%s", diff)
	}
}
