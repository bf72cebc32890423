package rabbitmq

import (
	"bufio"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestOneLine(t *testing.T) {
	for said, want := range map[string]string{
		"": "",
		"Validation failed\n\nmax-queues should be a number, actually was <<\"5\">>\n":                     `Validation failed max-queues should be a number, actually was "5"`,
		"queue should be less than 255 bytes, actually was 300\n":                                          "queue should be less than 255 bytes, actually was 300",
		"inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'direct'": "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'direct'",
		"a\tb\x00c\u2028d": "a b c d",
		"\xff":             "?",
	} {
		if got := oneLine(said); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", said, got, want)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("<<\"a\">>\n b")
	f.Add(strings.Repeat("é", 300))
	f.Fuzz(func(t *testing.T, said string) {
		got := oneLine(said)
		if len(got) > 500 || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("oneLine(%q) = %q", said, got)
		}
	})
}

// FuzzListings feeds what a broker might write to every kind's reader.
func FuzzListings(f *testing.F) {
	f.Add(`[{"name":"q","vhost":"/","type":"classic","durable":true,"auto_delete":"undefined","exclusive":null,"arguments":{"x-queue-type":"classic","n":1.0}}]`)
	f.Add(`{"name":"v","description":"","tags":["a"],"default_queue_type":"undefined","metadata":{"tags":[]}}`)
	f.Add(`[{"source":"","destination":"q","destination_type":"queue","arguments":[],"properties_key":"q"}]`)
	f.Add(`[{"vhost":"v","value":[]},{"vhost":"w","value":{"max-queues":5}}]`)
	f.Fuzz(func(t *testing.T, answer string) {
		decodeAll[wireVirtualHost](t, answer)
		decodeAll[wireExchange](t, answer)
		decodeAll[wireQueue](t, answer)
		decodeAll[wireBinding](t, answer)
		var l []wireLimits
		_ = json.Unmarshal([]byte(answer), &l)
	})
}

func readAll[W wire](answer string) ([]W, error) {
	var all []W
	err := readRows(bufio.NewReader(strings.NewReader(answer)), func(w W) { all = append(all, w) })
	return all, err
}

func decodeAll[W wire](t *testing.T, answer string) {
	all, err := readAll[W](answer)
	if err != nil {
		return
	}
	for _, w := range all {
		resource, err := w.resource()
		if err != nil || resource == nil {
			continue
		}
		if id, final := w.id(); final && id != resource.ID() {
			t.Errorf("%s reads as %s", id, resource.ID())
		}
		if changes := resource.Diff(resource); len(changes) > 0 {
			t.Errorf("%s differs from itself: %v", resource.ID(), changes)
		}
	}
}

// Of a listing of fifty thousand, a pass wants a thousand: it is asked once about each, and
// what has arguments that nobody can read spoils nothing else.
func TestKeep(t *testing.T) {
	listing := `[
		{"source":"","vhost":"shop","destination":"q","destination_type":"queue","routing_key":"q","arguments":{},"properties_key":"q"},
		{"source":"x","vhost":"shop","destination":"q","destination_type":"queue","routing_key":"plain","arguments":{},"properties_key":"plain"},
		{"source":"x","vhost":"shop","destination":"q","destination_type":"queue","routing_key":"list","arguments":[],"properties_key":"list"},
		{"source":"x","vhost":"shop","destination":"q","destination_type":"queue","routing_key":"k","arguments":{"a":1},"properties_key":"k~1"},
		{"source":"x","vhost":"shop","destination":"q","destination_type":"queue","routing_key":"other","arguments":{},"properties_key":"other"},
		{"source":"x","vhost":"shop","destination":"q","destination_type":"queue","routing_key":"bad","arguments":"no table","properties_key":"bad"}]`
	bind := func(key string, arguments topology.Arguments) topology.ID {
		b := topology.Binding{VirtualHost: "shop", Source: "x", Destination: "q", DestinationType: topology.DestinationQueue, RoutingKey: key, Arguments: arguments}
		return b.ID()
	}
	asked := map[topology.ID]int{}
	rows := kept[wireBinding]{operation: "list", keep: func(id topology.ID) bool {
		asked[id]++
		return id != bind("other", nil)
	}}
	if err := rows.readFrom(bufio.NewReader(strings.NewReader(listing))); err != nil {
		t.Fatal(err)
	}
	var got []topology.ID
	for _, r := range rows.resources {
		got = append(got, r.ID())
	}
	if want := []topology.ID{bind("plain", nil), bind("list", nil), bind("k", topology.Arguments{"a": int64(1)})}; !slices.Equal(want, got) {
		t.Errorf("kept %v, want %v", got, want)
	}
	if err := rows.unread[bind("bad", nil)]; err == nil || len(rows.unread) != 1 {
		t.Errorf("unread: %v", rows.unread)
	}
	if len(asked) != 5 {
		t.Errorf("asked about %v", asked)
	}
	for id, n := range asked {
		if n != 1 {
			t.Errorf("asked %d times about %s", n, id)
		}
	}
}

func TestPathKey(t *testing.T) {
	for key, want := range map[string]string{"~": "~", ".": ".~", "..": "..~", "...": "...", "a%2Bb~x": "a%2Bb~x"} {
		if got := pathKey(key); got != want {
			t.Errorf("pathKey(%q) = %q, want %q", key, got, want)
		}
	}
}
