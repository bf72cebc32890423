package compile

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestDeadLetter(t *testing.T) {
	dlx := func(name, exchangeType string) *topology.Exchange {
		return &topology.Exchange{VirtualHost: "shop", Name: name, Type: exchangeType, Durable: true}
	}
	queue := func(name, queueType string, args topology.Arguments, after ...topology.ID) *topology.Queue {
		return &topology.Queue{VirtualHost: "shop", Name: name, Type: queueType, Durable: true, Arguments: args, After: after}
	}
	// whole is the queue with all that stands behind it.
	whole := func(queueType string, args topology.Arguments, x *topology.Exchange, dead *topology.Queue, key string) []topology.Want {
		b := bindingTo(dead.Name, x.Name, key)
		return []topology.Want{
			own(queue("order.process", queueType, args, x.ID(), dead.ID(), b.ID())), shared(x), shared(dead), shared(b),
		}
	}
	to := func(x, key string) topology.Arguments {
		return topology.Arguments{"x-dead-letter-exchange": x, "x-dead-letter-routing-key": key}
	}
	cases := map[string]struct {
		reason, spec string
		want         []topology.Want
	}{
		"Defaults": {
			reason: "{} is enough; the key is the queue's name, so that an exchange can serve many queues",
			spec:   "type: classic, deadLetter: {}",
			want: whole("classic", to("order.process.dlx", "order.process"),
				dlx("order.process.dlx", "direct"), queue("order.process.dead", "classic", nil), "order.process"),
		},
		"Quorum": {
			reason: "the dead queue is as safe as the queue, unless it says otherwise",
			spec:   "type: quorum, deadLetter: {exchange: order.dlx}",
			want: whole("quorum", to("order.dlx", "order.process"),
				dlx("order.dlx", "direct"), queue("order.process.dead", "quorum", nil), "order.process"),
		},
		"EverythingNamed": {
			reason: "limits are those of the dead queue, the strategy is the queue's own",
			spec:   "type: quorum, overflow: reject-publish, deadLetter: {create: true, exchange: x, exchangeType: topic, queue: d, queueType: classic, routingKey: dead.orders, messageTTL: 168h, maxLength: 10, strategy: at-least-once}",
			want: whole("quorum", topology.Arguments{
				"x-overflow": "reject-publish", "x-dead-letter-exchange": "x", "x-dead-letter-routing-key": "dead.orders", "x-dead-letter-strategy": "at-least-once",
			}, dlx("x", "topic"), queue("d", "classic", topology.Arguments{"x-message-ttl": int64(604800000), "x-max-length": int64(10)}), "dead.orders"),
		},
		"EmptyKey": {
			reason: "an empty key is a key",
			spec:   `type: classic, deadLetter: {exchangeType: fanout, routingKey: ""}`,
			want: whole("classic", to("order.process.dlx", ""),
				dlx("order.process.dlx", "fanout"), queue("order.process.dead", "classic", nil), ""),
		},
		"Reference": {
			reason: "create: false sets the arguments and nothing else; without a key, messages keep theirs",
			spec:   "type: classic, deadLetter: {create: false, exchange: elsewhere}",
			want:   []topology.Want{own(queue("order.process", "classic", topology.Arguments{"x-dead-letter-exchange": "elsewhere"}))},
		},
		"ReferenceToDefaultExchange": {
			reason: "the default exchange with a key is the queue of that name",
			spec:   `type: classic, deadLetter: {create: false, exchange: "", routingKey: graveyard}`,
			want:   []topology.Want{own(queue("order.process", "classic", to("", "graveyard")))},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claim := Claim(parse(t, manifest("Queue", "order.process", tc.spec)), shop)
			if claim.Invalid != nil {
				t.Fatalf("%s: invalid: %v", tc.reason, claim.Invalid)
			}
			if diff := cmp.Diff(tc.want, claim.Want, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// Fifty queues behind one exchange want the same exchange, to the last
// argument, and nothing else in common: each dead queue hears its own queue only.
func TestManyQueuesShareADeadLetterExchange(t *testing.T) {
	owners := map[topology.ID][]topology.Resource{}
	for i := range 50 {
		claim := Claim(parse(t, manifest("Queue", fmt.Sprintf("q%d", i), "type: quorum, deadLetter: {exchange: dlx}")), shop)
		for _, want := range claim.Want {
			id := want.Resource.ID()
			owners[id] = append(owners[id], want.Resource)
			if len(owners[id]) > 1 && !want.Shareable {
				t.Errorf("%s is wanted twice and is not shareable", id)
			}
		}
	}
	common := topology.ExchangeID("shop", "dlx")
	for id, wanted := range owners {
		if id != common && len(wanted) != 1 {
			t.Errorf("%s is wanted by %d queues, want 1", id, len(wanted))
		}
	}
	for _, one := range owners[common] {
		if changes := one.Diff(owners[common][0]); len(changes) > 0 {
			t.Errorf("the shared exchange differs: %s", topology.DescribeChanges(changes))
		}
	}
	if len(owners[common]) != 50 || len(owners) != 1+50*3 {
		t.Errorf("%d queues want the exchange and there are %d objects; want 50 and 151", len(owners[common]), len(owners))
	}
}
