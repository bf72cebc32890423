package migration

import (
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

// TestRefusals: each reason, told once before anything is touched, and not any
// more when the migration has begun.
func TestRefusals(t *testing.T) {
	auto := queueOf("classic", 0)
	auto.AutoDelete = true
	cases := map[string]struct {
		reason     string
		live, want *topology.Queue
		change     func(*State)
		says       string
	}{
		"stream":             {reason: "it is never drained", live: queueOf("stream", 0), want: queueOf("quorum", 0), says: "a stream cannot be migrated"},
		"to a stream":        {reason: "its messages would stay", live: queueOf("quorum", 0), want: queueOf("stream", 0), says: "a stream cannot be migrated"},
		"auto-delete":        {reason: "it goes with its last consumer", live: auto, want: queueOf("classic", 0), says: "auto-delete"},
		"exclusive consumer": {reason: "nobody else may consume", change: func(s *State) { s.Consumers = []Consumer{{Tag: "me", Exclusive: true}} }, says: `consumer "me" is exclusive`},
		"consistent hash":    {reason: "depends on what was bound when", change: func(s *State) { s.Exchanges["shop"].Type = "x-consistent-hash" }, says: "exchange shop, which the queue is bound to, is of type x-consistent-hash"},
		"shovels":            {reason: "they declare what is missing", change: func(s *State) { s.OtherShovels = []string{`"a"`, `"b"`} }, says: `shovels "a", "b" name the queue`},
		"operator policy":    {reason: "none of ours outranks it", change: func(s *State) { s.PolicyTrouble = "operator policy x" }, says: "operator policy x"},
		"stranger": {reason: "another exchange has the name", change: func(s *State) {
			n := NamesOf(modelQueueName)
			s.Exchanges[n.Park] = &topology.Exchange{VirtualHost: "/", Name: n.Park, Type: "direct", Durable: true}
		}, says: "is there already and differs"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			live, want := queueOf("classic", 0), queueOf("quorum", 0)
			if c.live != nil {
				live, want = c.live, c.want
			}
			b := newModel(live, modelSources...)
			s := b.state()
			if c.change != nil {
				c.change(&s)
			}
			d := Decide(want, s, &Memory{}, b.now)
			if d.Refused == nil || !strings.Contains(d.Refused.Error(), c.says) || topology.ClassOf(d.Refused) != topology.ClassRejected {
				t.Fatalf("%s: %+v, want %q", c.reason, d, c.says)
			}
			n := NamesOf(modelQueueName)
			s.Exchanges[n.Detour] = detour(want)
			if d := Decide(want, s, &Memory{}, b.now); d.Refused != nil && name != "stranger" {
				t.Errorf("under way: %v", d.Refused)
			}
		})
	}
}
