package engine

import (
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

func reported(ids ...topology.ID) option {
	return func(c *topology.Claim) {
		for _, id := range ids {
			c.Reported = append(c.Reported, id.String())
		}
	}
}

// A process that was killed may have left a binding listed that leads nowhere, or
// one leading that is not listed. The next one makes sure of those that nobody has
// reported, once, and leaves the others alone.
func TestBindingsOfAProcessThatWasKilled(t *testing.T) {
	b := bind("x", "q", "k")
	others := []topology.Resource{exchange("x"), queue("q")}
	direct := *exchange("x")
	direct.Type = "direct"
	for name, c := range map[string]struct {
		reason string
		// after the restart: what happened to the broker, and which claim there is.
		broker func(*broker)
		claim  *topology.Claim
		want   []string
		first  bool // there was no process before
		// whole: bindings are never half made, by the process before and by this one.
		whole [2]bool
	}{
		"Listed": {
			reason: "it may lead nowhere, and is made anew",
			claim:  cr("shop/q", wants(append(others, b)...)),
			want:   []string{"books: + binding shop/x -> queue q key k", "update binding shop/x -> queue q key k"},
		},
		"ListedOfAnEdit": {
			reason: "what the last pass reported did not have it",
			claim:  cr("shop/q", wants(append(others, b)...), reported(others[0].ID(), others[1].ID())),
			want:   []string{"books: + binding shop/x -> queue q key k", "update binding shop/x -> queue q key k"},
		},
		"Reported": {
			reason: "a pass came to its end since it was made",
			claim:  cr("shop/q", wants(append(others, b)...), reported(b.ID(), others[0].ID(), others[1].ID())),
		},
		"ReportedInPart": {
			reason: "it may have been reported",
			claim:  cr("shop/q", wants(append(others, b)...), func(c *topology.Claim) { c.ReportedInPart = true }),
		},
		"NobodyBefore": {
			reason: "nobody was killed who writes statuses",
			claim:  cr("shop/q", wants(append(others, b)...)),
			first:  true,
		},
		"OfADirectExchange": {
			reason: "whose bindings are there as a whole or not at all",
			broker: func(b *broker) { b.live[direct.ID()] = &direct },
			claim:  cr("shop/q", wants(&direct, queue("q"), b)),
		},
		"NotListed": {
			reason: "it had not been made",
			broker: func(on *broker) { delete(on.live, b.ID()) },
			claim:  cr("shop/q", wants(append(others, b)...)),
			want:   []string{"books: + binding shop/x -> queue q key k", "create binding shop/x -> queue q key k"},
		},
		"NotListedAndNotWanted": {
			reason: "it may lead on, and is deleted once more",
			broker: func(on *broker) { delete(on.live, b.ID()) },
			claim:  cr("shop/q", wants(others...), generation(2), reported(b.ID(), others[0].ID(), others[1].ID())),
			want: []string{
				"books: + binding shop/x -> queue q key k", "delete binding shop/x -> queue q key k uncertain",
				"books: - binding shop/x -> queue q key k",
			},
		},
		"ListedAndWhole": {
			reason: "it leads where it is listed",
			claim:  cr("shop/q", wants(append(others, b)...)),
			whole:  [2]bool{true, true},
		},
		"ListedAndWholeForAnother": {
			reason: "what a user can do now does not change how it was made",
			claim:  cr("shop/q", wants(append(others, b)...)),
			whole:  [2]bool{true, false},
		},
		"ListedAndWholeSinceThen": {
			reason: "who was there before may have left it half made",
			claim:  cr("shop/q", wants(append(others, b)...)),
			whole:  [2]bool{false, true},
			want:   []string{"books: + binding shop/x -> queue q key k", "update binding shop/x -> queue q key k"},
		},
		"NotListedAndNotWantedAndWhole": {
			reason: "to delete it can be cut off all the same",
			broker: func(on *broker) { delete(on.live, b.ID()) },
			claim:  cr("shop/q", wants(others...), generation(2), reported(b.ID(), others[0].ID(), others[1].ID())),
			whole:  [2]bool{true, true},
			want: []string{
				"books: + binding shop/x -> queue q key k", "delete binding shop/x -> queue q key k uncertain",
				"books: - binding shop/x -> queue q key k",
			},
		},
		"GoneWithItsQueue": {
			reason: "it leads nowhere",
			broker: func(on *broker) { on.remove(queue("q").ID()) },
			claim:  cr("shop/q", wants(exchange("x")), generation(2), reported(b.ID(), others[0].ID(), others[1].ID())),
			want:   []string{"books: - binding shop/x -> queue q key k, - queue shop/q"},
		},
		"ListedAndNotWanted": {
			reason: "it is deleted like any other",
			claim:  cr("shop/q", wants(others...), generation(2), reported(b.ID(), others[0].ID(), others[1].ID())),
			want: []string{
				"books: + binding shop/x -> queue q key k", "delete binding shop/x -> queue q key k",
				"books: - binding shop/x -> queue q key k",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.broker.whole = c.whole[0]
			s.set(cr("shop/q", wants(append(others, b)...)))
			s.edits()
			s.restart()
			s.session.Succeeds = !c.first
			s.broker.whole = c.whole[1]
			if c.broker != nil {
				s.broker.hand(func() { c.broker(s.broker) })
			}
			s.set(c.claim)
			s.journal.take()
			s.edits()
			s.sweep()
			check(t, c.reason, c.want, s.journal.take())
			s.cluster.Touch(key("shop/q"))
			s.edits()
			s.sweep()
			check(t, "once", []string(nil), s.journal.take())
		})
	}
}

// What may be half made is not taken for whole because it is about to be made anew:
// a process that is killed before it has done so leaves it to the next one.
func TestDoubtOutlivesTheProcessThatHasIt(t *testing.T) {
	b := bind("x", "q", "k")
	wanted := wants(exchange("x"), queue("q"), b)
	s := newStage(t)
	s.set(cr("shop/q", wanted))
	s.edits()
	s.broker.whole = true
	for range 2 {
		s.restart()
		s.session.Succeeds = true
		s.set(cr("shop/q", wanted))
		s.journal.take()
		s.edits()
		check(t, "it is made anew", []string{"books: + binding shop/x -> queue q key k", "update binding shop/x -> queue q key k"}, s.journal.take())
	}
	// One that is gone is made by this process, which leaves nothing half made.
	s.broker.hand(func() { delete(s.broker.live, b.ID()) })
	s.restart()
	s.session.Succeeds = true
	s.set(cr("shop/q", wanted))
	s.edits()
	s.restart()
	s.session.Succeeds = true
	s.set(cr("shop/q", wanted))
	s.journal.take()
	s.edits()
	check(t, "it leads where it is listed", []string(nil), s.journal.take())
}
