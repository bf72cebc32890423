package topology

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEntryText(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		entry  Entry
		text   string
	}{
		"plain": {
			reason: "an ordinary entry reads without a quote",
			entry: Entry{
				ID: QueueID("shop", "order.process"), Deletion: DeleteIfUnused,
				Owners:     []OwnerKey{{Kind: "Queue", Namespace: "smoke", Name: "order-process"}},
				Connection: ConnectionKey{Namespace: "smoke", Name: "shop"},
			},
			text: "queue shop order.process owner=Queue/smoke/order-process policy=DeleteIfUnused via=smoke/shop",
		},
		"everything": {
			reason: "each key has its place, and odd names are quoted",
			entry: Entry{
				ID: TopicID("or=der s"), Deletion: Retain,
				Owners:     []OwnerKey{{Kind: "Topic", Namespace: "a", Name: "x"}, {Kind: "Topic", Namespace: "b", Name: "y"}},
				Connection: ConnectionKey{Namespace: "a", Name: "c"}, HandOverTo: "b/y",
				Fields: []string{"config.a", "config.b"}, TopicID: "8-bB_w", Whole: true, Operation: OperationReassign, LeftBehind: `it holds 3 "messages"`,
				Since: time.Date(2026, 11, 22, 0, 45, 36, 0, time.UTC),
			},
			text: `topic "" "or=der s" owner=Topic/a/x owner=Topic/b/y policy=Retain via=a/c hand-over=b/y field=config.a field=config.b topic-id=8-bB_w declared=whole operation=Reassign left-behind="it holds 3 \"messages\"" since=2026-11-22T00:45:36Z`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := c.entry.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.text, string(text)); diff != "" {
				t.Errorf("%s: %s", c.reason, diff)
			}
			var read Entry
			if err := read.UnmarshalText(text); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.entry, read); diff != "" {
				t.Errorf("%s: %s", c.reason, diff)
			}
		})
	}
}

func TestEntryTextRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no name":              `queue shop`,
		"a key too early":      `queue owner=a/b/c x`,
		"an unknown key":       `queue a b colour=red`,
		"an unknown policy":    `queue a b policy=Explode`,
		"an unknown operation": `queue a b operation=Explode`,
		"declared somehow":     `queue a b declared=twice`,
		"half an owner":        `queue a b owner=Queue/x`,
		"half a connection":    `queue a b via=x`,
		"no time":              `queue a b since=long`,
		"a quote without end":  `queue a "b`,
		"no space":             `queue a "b"c`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := new(Entry).UnmarshalText([]byte(text)); err == nil {
				t.Errorf("%s was accepted", text)
			}
		})
	}
}

func TestEntryTextRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		entry := Entry{
			ID:         ID{Kind: KindQueue, Scope: text.Draw(t, "scope"), Name: text.Draw(t, "name")},
			Deletion:   rapid.SampledFrom([]DeletionPolicy{DeleteIfUnused, Delete, Retain}).Draw(t, "policy"),
			Connection: ConnectionKey{Namespace: "n", Name: "c"},
			LeftBehind: text.Draw(t, "left behind"),
		}
		rendered, err := entry.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var read Entry
		if err := read.UnmarshalText(rendered); err != nil {
			t.Fatalf("%s: %v", rendered, err)
		}
		if diff := cmp.Diff(entry, read); diff != "" {
			t.Fatalf("%s: %s", rendered, diff)
		}
	})
}

func FuzzEntryText(f *testing.F) {
	f.Add(`queue shop order.process owner=Queue/smoke/order-process policy=DeleteIfUnused via=smoke/shop`)
	f.Fuzz(func(t *testing.T, text string) {
		var first, second Entry
		if first.UnmarshalText([]byte(text)) != nil {
			return
		}
		rendered, err := first.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := second.UnmarshalText(rendered); err != nil {
			t.Fatalf("%q became %q: %v", text, rendered, err)
		}
		again, err := second.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(rendered) {
			t.Fatalf("%q became %q and then %q", text, rendered, again)
		}
	})
}
