package plan_test

import (
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestRecreate(t *testing.T) {
	classic, target := queue("q"), queue("q", "x-max-length", int64(7))
	recreates := updating(topology.UpdateRecreate)
	is := []*topology.Claim{cr("shop/q", recreates, wants(target))}
	was := owned(cr("shop/q", wants(classic)))
	refused := []string{"held ImmutableFieldChanged shop/q queue shop/q"}
	begins := []string{"Recreate queue shop/q from classic {} to classic {\"x-max-length\":7}", "record queue shop/q of shop/q in Recreate"}
	live := []topology.Resource{classic}
	lagging := cr("shop/q", recreates, wants(quorum("q", "x-max-length", int64(7))))
	run(t, map[string]scenario{
		"Unused":    {reason: "an unused queue is replaced", claims: is, inventory: was, live: live, usage: used{classic.ID(): {}}, want: begins},
		"NotKnown":  {reason: "whether it is used has to be asked", claims: is, inventory: was, live: live, want: append([]string{"usage? queue shop/q"}, refused...)},
		"Message":   {reason: "one message is enough", claims: is, inventory: was, live: live, usage: used{classic.ID(): {Messages: 1}}, want: refused, says: []string{"arguments.x-max-length: (unset) on the broker, 7 declared", "it holds 1 message"}},
		"Consumers": {reason: "somebody reads from it", claims: is, inventory: was, live: live, usage: used{classic.ID(): {Consumers: 2}}, want: refused, says: []string{"it has 2 consumers"}},
		"Both":      {reason: "both are told", claims: is, inventory: was, live: live, usage: used{classic.ID(): {Messages: 3, Consumers: 1}}, want: refused, says: []string{"it holds 3 messages and has 1 consumer"}},
		"Stream":    {reason: "nothing tells that a stream is empty", claims: is, inventory: was, live: live, usage: used{classic.ID(): {Unknown: true}}, want: refused, says: []string{"the broker does not tell what it holds"}},
		"Lagging": {
			reason: "counts that lag prove nothing at once", claims: []*topology.Claim{lagging}, inventory: owned(cr("shop/q", wants(quorum("q")))), live: []topology.Resource{quorum("q")},
			usage: used{classic.ID(): {Delayed: true}}, want: append([]string{"settle queue shop/q"}, refused...),
		},
		"Quiet": {
			reason: "what they say for long enough they prove", claims: []*topology.Claim{lagging}, inventory: owned(cr("shop/q", wants(quorum("q")))), live: []topology.Resource{quorum("q")},
			usage: used{classic.ID(): {Delayed: true}}, quiet: ids(classic),
			want: []string{"Recreate queue shop/q from quorum {} to quorum {\"x-max-length\":7}", "record queue shop/q of shop/q in Recreate"},
		},
		"GoesOn": {
			reason: "what has begun is not asked for again: the old queue may be gone", claims: is, inventory: inHand(topology.OperationRecreate, classic, owned(cr("shop/q", wants(classic)))),
			want: []string{"Recreate queue shop/q from nothing to classic {\"x-max-length\":7}"},
		},
		"Exchange": {
			reason: "an exchange is never replaced", claims: []*topology.Claim{cr("shop/x", recreates, wants(exchange("x", "fanout")))}, inventory: owned(cr("shop/x", wants(exchange("x", "topic")))), live: []topology.Resource{exchange("x", "topic")},
			want: []string{"held ImmutableFieldChanged shop/x exchange shop/x"}, says: []string{"type: topic on the broker, fanout declared", "the bindings that are declared come back with it"},
		},
		"Refuse": {
			reason: "the choices are named", claims: []*topology.Claim{cr("shop/q", wants(target))}, inventory: was, live: live,
			want: refused, says: []string{"arguments.x-max-length: (unset) on the broker, 7 declared", "updatePolicy is Refuse: set it back; or write Recreate", "or Migrate"},
		},
	})
}

// A message that waits for its retry comes back to the queue, and would find
// nothing in the moment in which it is not there.
func TestRecreateWaitsForRetries(t *testing.T) {
	classic, target := queue("q"), queue("q", "x-max-length", int64(7))
	back, redeliver := bind("q.redeliver", "q", ""), exchange("q.redeliver", "fanout")
	tier := queue("q.tier", "x-message-ttl", int64(1000), "x-dead-letter-exchange", "q.redeliver")
	published := queue("q.delay", "x-message-ttl", int64(1000), "x-dead-letter-exchange", "", "x-dead-letter-routing-key", "q")
	keeps := quorum("q.tier", "x-message-ttl", int64(1000), "x-dead-letter-exchange", "q.redeliver", "x-dead-letter-strategy", "at-least-once")
	second := queue("q.tier2", "x-message-ttl", int64(2000), "x-dead-letter-exchange", "q.redeliver")
	dead := queue("q.dead")
	claims := func(q *topology.Queue, more ...topology.Resource) []*topology.Claim {
		return []*topology.Claim{cr("shop/q", updating(topology.UpdateRecreate), wants(q), shares(more...))}
	}
	refused := []string{"held ImmutableFieldChanged shop/q queue shop/q"}
	begins := []string{"Recreate queue shop/q from classic {} to classic {\"x-max-length\":7}", "record queue shop/q of shop/q in Recreate"}
	at := func(delay *topology.Queue, usage used, reason string, want []string, says ...string) scenario {
		rest := []topology.Resource{redeliver, delay, dead, back}
		if delay == tier {
			rest = append(rest, second)
		}
		return scenario{
			reason: reason, claims: claims(target, rest...), inventory: owned(claims(classic, rest...)...),
			live: append([]topology.Resource{classic}, rest...), usage: usage, want: want, says: says,
		}
	}
	run(t, map[string]scenario{
		"Tier": at(tier, used{classic.ID(): {}, tier.ID(): {Messages: 2}}, "it comes back through the exchange that the claim binds",
			refused, "2 messages in queue shop/q.tier will come back to it"),
		"Published": at(published, used{classic.ID(): {}, published.ID(): {Messages: 1}}, "and through the default exchange",
			refused, "1 message in queue shop/q.delay will come back to it"),
		"NotKnown": at(tier, used{classic.ID(): {}}, "that has to be asked, of all at once: a plan may ask a few times only", append([]string{"usage? queue shop/q.tier", "usage? queue shop/q.tier2"}, refused...)),
		"Empty":    at(tier, used{classic.ID(): {}, tier.ID(): {}, second.ID(): {}}, "no retry is under way", begins),
		"Keeps":    at(keeps, used{classic.ID(): {}}, "at-least-once keeps what finds nothing", begins),
		"Dead":     at(tier, used{classic.ID(): {}, tier.ID(): {}, second.ID(): {}, dead.ID(): {Messages: 5}}, "what is dead does not come back", begins),
	})
}
