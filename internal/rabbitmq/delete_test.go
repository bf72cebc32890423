package rabbitmq

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

func TestDeleteQueueIfUnused(t *testing.T) {
	type situation func(t *testing.T, server *harness.RabbitMQ, vh, queue string)
	messages := func(n int) situation {
		return func(t *testing.T, server *harness.RabbitMQ, vh, queue string) {
			publish(t, dial(t, server, vh), queue, n)
		}
	}
	consumer := func(t *testing.T, server *harness.RabbitMQ, vh, queue string) {
		if _, err := dial(t, server, vh).Consume(queue, "", false, false, false, false, nil); err != nil {
			t.Fatalf("consume: %v", err)
		}
	}
	unacknowledged := func(t *testing.T, server *harness.RabbitMQ, vh, queue string) {
		channel := dial(t, server, vh)
		publish(t, channel, queue, 2)
		for range 2 {
			if _, ok, err := channel.Get(queue, false); err != nil || !ok {
				t.Fatalf("get: %v, %v", ok, err)
			}
		}
	}
	cases := map[string]struct {
		reason string
		kind   string
		given  situation
		words  []string // of the refusal; none: it is deleted
	}{
		"classic, empty":          {reason: "nothing is lost", kind: "classic"},
		"classic, messages":       {reason: "ready messages stay", kind: "classic", given: messages(3), words: []string{"it holds 3 messages"}},
		"classic, unacknowledged": {reason: "the broker's if-empty would delete it", kind: "classic", given: unacknowledged, words: []string{"it holds 2 messages (2 unacknowledged)"}},
		"classic, consumer":       {reason: "the consumer would be cut off", kind: "classic", given: consumer, words: []string{"consumer"}},
		"quorum, empty":           {reason: "flags are refused by quorum queues", kind: "quorum"},
		"quorum, messages":        {reason: "totals, once they are there", kind: "quorum", given: messages(2), words: []string{"it holds 2 messages"}},
		"quorum, consumer":        {reason: "the consumer would be cut off", kind: "quorum", given: consumer, words: []string{"it has 1 consumer"}},
		"stream, empty":           {reason: "if-empty would delete a full one", kind: "stream", words: []string{"stream", "deletionPolicy: Delete"}},
		"stream, messages":        {reason: "if-empty would delete it", kind: "stream", given: messages(1), words: []string{"stream", "deletionPolicy: Delete"}},
	}
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				q := &topology.Queue{VirtualHost: vh, Name: name, Type: tc.kind, Durable: true}
				apply(t, b, create(q))
				if tc.given != nil {
					tc.given(t, server, vh, q.Name)
				}
				if tc.kind == "quorum" && tc.given != nil { // the caller's part: wait out the delay
					harness.Eventually(t, "totals of the quorum queue", func() bool {
						u := usageOf(t, b, q.ID())
						return u.Messages > 0 || u.Consumers > 0
					})
				}
				var err error
				harness.Eventually(t, "the refusal to say why", func() bool { // a busy broker may tell what was delivered a moment later than what it holds
					err = attempt(t, b, removeUnused(q.ID()))
					return err == nil || !slices.ContainsFunc(tc.words, func(word string) bool { return !strings.Contains(err.Error(), word) })
				})
				_, presence := look(t, b, q.ID())
				if len(tc.words) == 0 {
					if err != nil || presence != topology.Absent {
						t.Errorf("%s: error %v, presence %v, want it deleted", tc.reason, err, presence)
					}
					return
				}
				wantError(t, err, topology.ClassInUse, "", tc.words...)
				if presence != topology.Present {
					t.Errorf("%s: presence %v, want it kept", tc.reason, presence)
				}
				apply(t, b, remove(q.ID())) // without a condition it goes, full or not
				if _, presence := look(t, b, q.ID()); presence != topology.Absent {
					t.Errorf("plain delete: presence %v, want absent", presence)
				}
			})
		}
	})
}

// The broker's own flags guard what happens after usage was read.
func TestDeleteQueueRaces(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		q := &topology.Queue{VirtualHost: vh, Name: "q", Type: "classic", Durable: true}
		apply(t, b, create(q))
		channel := dial(t, server, vh)
		publish(t, channel, q.Name, 1)
		stale := queueUsage{kind: "classic", messages: ptr(int64(0))}
		err := deleteUnusedQueue(t.Context(), b, removeUnused(q.ID()), stale)
		wantError(t, err, topology.ClassInUse, "", "it holds messages")
		if _, err := channel.Consume(q.Name, "", true, false, false, false, nil); err != nil {
			t.Fatalf("consume: %v", err)
		}
		harness.Eventually(t, "the consumer empties the queue", func() bool { return usageOf(t, b, q.ID()).Messages == 0 })
		err = deleteUnusedQueue(t.Context(), b, removeUnused(q.ID()), stale)
		wantError(t, err, topology.ClassInUse, "", "it has consumers")
	})
}

// Quorum queues go on the word of the reading alone: an edit that begins after it does not make
// it an old one.
func TestDeletionsDoNotGiveWayAfterTheReading(t *testing.T) {
	const queues = 3 * DefaultConcurrency
	var totals []string
	var steps []topology.Step
	for i := range queues {
		name := fmt.Sprint("q", i)
		totals = append(totals, fmt.Sprintf(`{"name":%q,"vhost":"shop","type":"quorum","messages":0}`, name))
		steps = append(steps, removeUnused(topology.QueueID("shop", name)))
	}
	begin := func() {}
	answers := jsonAnswers(map[string]string{"/api/consumers/shop": "[]", "/api/queues/shop": "[" + strings.Join(totals, ",") + "]"})
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
			return
		case strings.HasPrefix(r.URL.Path, "/api/consumers"):
			begin()
		}
		answers(w, r)
	})
	given := func(courtesy *topology.Courtesy) time.Duration {
		bulk := topology.InBulk(t.Context(), courtesy, nil)
		succeeded(t, b.Apply(bulk, steps))
		return topology.Given(bulk)
	}

	late := &topology.Courtesy{}
	begin = func() { t.Cleanup(late.Edit()) }
	if took := given(late); took != 0 {
		t.Errorf("deletions waited for %v for an edit that began after the reading", took)
	}
	begin = func() {}
	early := &topology.Courtesy{}
	time.AfterFunc(50*time.Millisecond, early.Edit())
	if given(early) == 0 {
		t.Error("they did not wait for one that was under way before")
	}
}

func TestDeleteExclusiveQueue(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		if _, err := dial(t, server, vh).QueueDeclare("mine", false, false, true, false, nil); err != nil {
			t.Fatalf("declare: %v", err)
		}
		id := topology.QueueID(vh, "mine")
		live, _ := look(t, b, id)
		if live == nil || !live.(*topology.Queue).Exclusive {
			t.Fatalf("live %+v, want an exclusive queue", live)
		}
		wantError(t, attempt(t, b, removeUnused(id)), topology.ClassInUse, "", "exclusive")
	})
}

func TestDeleteExchangeIfUnused(t *testing.T) {
	onEach(t, func(t *testing.T, _ *harness.RabbitMQ, b *Broker, vh string) {
		exchange := func(name string) *topology.Exchange {
			return &topology.Exchange{VirtualHost: vh, Name: name, Type: "fanout", Durable: true}
		}
		binding := &topology.Binding{VirtualHost: vh, Source: "from", Destination: "to", DestinationType: "exchange"}
		apply(t, b, create(exchange("from")), create(exchange("to")), create(exchange("free")))
		apply(t, b, create(binding))
		wantError(t, attempt(t, b, removeUnused(topology.ExchangeID(vh, "from"))), topology.ClassInUse, "", "it has bindings")
		wantError(t, attempt(t, b, removeUnused(topology.ExchangeID(vh, "to"))), topology.ClassInUse, "", "destination of 1 binding")
		apply(t, b, removeUnused(topology.ExchangeID(vh, "free")), remove(topology.ExchangeID(vh, "from")))
		apply(t, b, removeUnused(topology.ExchangeID(vh, "to"))) // its binding went with the source
		for _, name := range []string{"from", "to", "free"} {
			if _, presence := look(t, b, topology.ExchangeID(vh, name)); presence != topology.Absent {
				t.Errorf("exchange %s: presence %v, want absent", name, presence)
			}
		}
	})
}

func TestDeleteVirtualHost(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		id := topology.VirtualHostID(vh)
		things := map[string]struct {
			reason    string
			put, undo func()
		}{
			"queue": {
				reason: "a queue can hold messages",
				put:    func() { apply(t, b, create(&topology.Queue{VirtualHost: vh, Name: "q", Type: "classic"})) },
				undo:   func() { apply(t, b, remove(topology.QueueID(vh, "q"))) },
			},
			"exchange": {
				reason: "somebody may publish to it",
				put:    func() { apply(t, b, create(&topology.Exchange{VirtualHost: vh, Name: "x", Type: "fanout"})) },
				undo:   func() { apply(t, b, remove(topology.ExchangeID(vh, "x"))) },
			},
			"policy": {
				reason: "it is somebody's work",
				put: func() {
					server.Must(t, http.MethodPut, "/api/policies/"+vh+"/p", map[string]any{"pattern": "x", "definition": map[string]any{"max-length": 1}}, nil)
				},
				undo: func() { server.Must(t, http.MethodDelete, "/api/policies/"+vh+"/p", nil, nil) },
			},
		}
		for name, thing := range things {
			thing.put()
			err := attempt(t, b, removeUnused(id))
			wantError(t, err, topology.ClassInUse, "", "it holds 1 object")
			if got := usageOf(t, b, id).Objects; got != 1 {
				t.Errorf("%s (%s): usage says %d objects, want 1", name, thing.reason, got)
			}
			thing.undo()
		}
		if server.Version == "4.3" {
			server.Must(t, http.MethodPost, "/api/vhosts/"+vh+"/deletion/protection", nil, nil)
			wantError(t, attempt(t, b, remove(id)), topology.ClassInUse, "", "protected from deletion")
			server.Must(t, http.MethodDelete, "/api/vhosts/"+vh+"/deletion/protection", nil, nil)
		}
		apply(t, b, removeUnused(id))
		if _, presence := look(t, b, id); presence != topology.Absent {
			t.Errorf("presence %v, want absent", presence)
		}
		apply(t, b, removeUnused(id), remove(id)) // gone is gone
	})
}

func TestDeleteOfWhatIsGone(t *testing.T) {
	onEach(t, func(t *testing.T, _ *harness.RabbitMQ, b *Broker, vh string) {
		binding := &topology.Binding{VirtualHost: vh, Source: "amq.topic", Destination: "nothing", DestinationType: "queue", PropertiesKeys: []string{"~"}}
		for _, id := range []topology.ID{
			topology.QueueID(vh, "nothing"), topology.ExchangeID(vh, "nothing"), binding.ID(),
			topology.QueueID("no-such-host", "nothing"), topology.ExchangeID("no-such-host", "nothing"), topology.VirtualHostID("no-such-host"),
		} {
			apply(t, b, remove(id))
			apply(t, b, removeUnused(id))
		}
		apply(t, b, topology.Step{Verb: topology.VerbDelete, ID: binding.ID(), Live: binding})
	})
}

// Many at once: each outcome stands at its step's place.
func TestOutcomesInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		var wave []topology.Step
		for i := range 200 {
			q := &topology.Queue{VirtualHost: vh, Name: "q" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Type: "classic", Durable: true}
			if i%3 == 0 {
				q.Arguments = topology.Arguments{"x-message-ttl": "not a number"}
			}
			wave = append(wave, create(q))
		}
		for i, outcome := range b.Apply(t.Context(), wave) {
			if outcome.Step.ID != wave[i].ID {
				t.Fatalf("outcome %d is of %s, want %s", i, outcome.Step.ID, wave[i].ID)
			}
			if i%3 != 0 && outcome.Err != nil {
				t.Errorf("%s: %v", outcome.Step.ID, outcome.Err)
			}
			if i%3 == 0 {
				wantError(t, outcome.Err, topology.ClassRejected, "", "x-message-ttl")
			}
		}
		publish(t, dial(t, server, vh), wave[1].ID.Name, 1)
		for i := range wave {
			wave[i] = removeUnused(wave[i].ID)
		}
		for i, outcome := range b.Apply(t.Context(), wave) {
			if i == 1 {
				wantError(t, outcome.Err, topology.ClassInUse, "", "1 message")
			} else if outcome.Err != nil {
				t.Errorf("delete %s: %v", outcome.Step.ID, outcome.Err)
			}
		}
	})
}

func TestUsage(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		channel := dial(t, server, vh)
		var steps []topology.Step
		ids := map[string]topology.ID{}
		for _, kind := range []string{"classic", "quorum", "stream"} {
			q := &topology.Queue{VirtualHost: vh, Name: kind, Type: kind, Durable: true}
			ids[kind] = q.ID()
			steps = append(steps, create(q))
		}
		ids["x"], ids["vh"] = topology.ExchangeID(vh, "x"), topology.VirtualHostID(vh)
		steps = append(steps, create(&topology.Exchange{VirtualHost: vh, Name: "x", Type: "fanout"}))
		apply(t, b, steps...)
		out := &topology.Binding{VirtualHost: vh, Source: "x", Destination: "classic", DestinationType: "queue", RoutingKey: "k"}
		in := &topology.Binding{VirtualHost: vh, Source: "amq.topic", Destination: "x", DestinationType: "exchange", RoutingKey: "#"}
		apply(t, b, create(out), create(in))

		publish(t, channel, "classic", 3)
		publish(t, channel, "quorum", 2)
		publish(t, channel, "stream", 1)
		if _, ok, err := channel.Get("classic", false); err != nil || !ok {
			t.Fatalf("get: %v %v", ok, err)
		}
		consumers := dial(t, server, vh)
		for range 2 {
			if err := consumers.Qos(1, 0, false); err != nil {
				t.Fatalf("qos: %v", err)
			}
			if _, err := consumers.Consume("quorum", "", false, false, false, false, amqp.Table{}); err != nil {
				t.Fatalf("consume: %v", err)
			}
		}
		want := map[topology.ID]topology.Usage{
			ids["classic"]: {Messages: 3},
			ids["quorum"]:  {Messages: 2, Consumers: 2, Delayed: true},
			ids["stream"]:  {Unknown: true},
			ids["x"]:       {Bindings: []topology.ID{in.ID(), out.ID()}},
			ids["vh"]:      {Objects: 6},
		}
		var asked []topology.ID
		for id := range want {
			asked = append(asked, id)
		}
		// Exact at once, without waiting for statistics.
		classic := observe(t, b, topology.Selection{All: true, Usage: asked}).Usage[ids["classic"]]
		if diff := cmp.Diff(want[ids["classic"]], classic); diff != "" {
			t.Errorf("classic queue, at once (-want +got):\n%s", diff)
		}
		var got map[topology.ID]topology.Usage
		harness.Eventually(t, "totals of the quorum queue", func() bool {
			got = observe(t, b, topology.Selection{Usage: asked}).Usage
			return got[ids["quorum"]].Messages == 2 && got[ids["quorum"]].Consumers == 2 // told by different processes
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("usage (-want +got):\n%s", diff)
		}
		got = observe(t, b, topology.Selection{All: true, Usage: asked}).Usage
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("usage with everything (-want +got):\n%s", diff)
		}
	})
}
