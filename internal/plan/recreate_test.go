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
