package rabbitmq

import (
	"bufio"
	"encoding/json"
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
		if resource.ID() != w.id() && resource.ID().Kind != topology.KindBinding { // a binding's table is part of its ID
			t.Errorf("%s reads as %s", w.id(), resource.ID())
		}
		if changes := resource.Diff(resource); len(changes) > 0 {
			t.Errorf("%s differs from itself: %v", resource.ID(), changes)
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
