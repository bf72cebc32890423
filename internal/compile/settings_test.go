package compile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

func TestSettings(t *testing.T) {
	const all = "messageTTL: 1m, expires: 1h, maxLength: 5, maxLengthBytes: 6, overflow: reject-publish, "
	cases := map[string]struct {
		reason, spec string
		// queue are its arguments, policy the definition of its policy; "" for no
		// policy. before are what has to stand before the policy.
		queue, policy string
		before        []string
	}{
		"Default":   {reason: "arguments, as ever", spec: "type: classic, maxLength: 5", queue: `{"x-max-length":5}`},
		"Arguments": {reason: "the same in words", spec: "type: classic, settings: Arguments, maxLength: 5", queue: `{"x-max-length":5}`},
		"Classic": {
			reason: "what a policy carries for a classic queue; the rest stays", spec: "type: classic, settings: Policy, maxPriority: 3, singleActiveConsumer: true, " + all + "arguments: {x-queue-version: 2}",
			queue:  `{"x-max-priority":3,"x-queue-version":2,"x-single-active-consumer":true}`,
			policy: `{"expires":3600000,"max-length":5,"max-length-bytes":6,"message-ttl":60000,"overflow":"reject-publish"}`,
		},
		"Quorum": {
			reason: "and a quorum queue its limit and its strategy", spec: "type: quorum, settings: Policy, deliveryLimit: 7, initialGroupSize: 3, leaderLocator: balanced, deadLetter: {strategy: at-least-once}, " + all,
			queue:  `{"x-queue-leader-locator":"balanced","x-quorum-initial-group-size":3}`,
			policy: `{"dead-letter-exchange":"q.dlx","dead-letter-routing-key":"q","dead-letter-strategy":"at-least-once","delivery-limit":7,"expires":3600000,"max-length":5,"max-length-bytes":6,"message-ttl":60000,"overflow":"reject-publish"}`,
			before: []string{"exchange shop/q.dlx", "queue shop/q.dead", "binding shop/q.dlx -> queue q.dead key q"},
		},
		"Stream": {
			reason: "segments are fixed at creation", spec: "type: stream, settings: Policy, maxLengthBytes: 6, maxAge: 7D, maxSegmentSizeBytes: 100",
			queue: `{"x-stream-max-segment-size-bytes":100}`, policy: `{"max-age":"7D","max-length-bytes":6}`,
		},
		"DeadLetterReference": {
			reason: "an exchange that is declared elsewhere", spec: `type: classic, settings: Policy, deadLetter: {create: false, exchange: ""}`,
			queue: `{}`, policy: `{"dead-letter-exchange":""}`,
		},
		"Tiers": {
			reason: "what the tiers rest on stays with the queue", spec: "type: quorum, settings: Policy, maxLength: 5, messageTTL: 1m, overflow: reject-publish, deliveryLimit: 7, retry: {strategy: Tiers, delays: [1s]}",
			queue:  `{"x-dead-letter-exchange":"q.failed","x-dead-letter-strategy":"at-least-once","x-delivery-limit":7,"x-overflow":"reject-publish"}`,
			policy: `{"max-length":5,"message-ttl":60000}`,
			before: nil, // checked below: the queue waits for more
		},
		"Native": {
			reason: "and what gives up under Native", spec: "type: quorum, settings: Policy, maxLength: 5, retry: {strategy: Native, maxRetries: 2, backoff: {initial: 1s}}",
			queue:  `{"x-dead-letter-exchange":"q.dlx","x-dead-letter-routing-key":"q","x-delayed-retry-max":2000,"x-delayed-retry-min":1000,"x-delayed-retry-type":"all","x-delivery-limit":2}`,
			policy: `{"max-length":5}`,
			before: []string{"exchange shop/q.dlx", "queue shop/q.dead", "binding shop/q.dlx -> queue q.dead key q"},
		},
		"Nothing": {reason: "an empty policy is refused by brokers, and one is not needed", spec: "type: classic, settings: Policy", queue: `{}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			claim := compiled(t, v1alpha1.KindQueue, "q", c.spec, "")
			if claim.Invalid != nil {
				t.Fatalf("invalid: %v", claim.Invalid)
			}
			queue := claim.Want[0].Resource.(*topology.Queue)
			if got := queue.Arguments.Canonical(); got != c.queue {
				t.Errorf("%s\narguments %s\nwant      %s", c.reason, got, c.queue)
			}
			i := slices.IndexFunc(claim.Want, func(w topology.Want) bool { return w.Resource.ID().Kind == topology.KindPolicy })
			if c.policy == "" {
				if i >= 0 {
					t.Errorf("%s: %s", c.reason, claim.Want[i].Resource.ID())
				}
				return
			}
			if i < 0 {
				t.Fatalf("%s: no policy", c.reason)
			}
			policy := claim.Want[i].Resource.(*topology.BrokerPolicy)
			if got := policy.Definition.Canonical(); got != c.policy {
				t.Errorf("%s\npolicy %s\nwant   %s", c.reason, got, c.policy)
			}
			if !slices.Contains(queue.Needs(), policy.ID()) {
				t.Errorf("the queue does not wait for its policy: %v", queue.Needs())
			}
			if claim.Want[i].Shareable || policy.Name != "warrener.q" || policy.QueueType != queue.Type {
				t.Errorf("%+v of %+v", policy, claim.Want[i])
			}
			if name == "Tiers" {
				return
			}
			var before []string
			for _, id := range policy.After {
				before = append(before, id.String())
			}
			if diff := cmp.Diff(c.before, before); diff != "" {
				t.Errorf("before the policy (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	if got := fmt.Sprint(compiled(t, v1alpha1.KindQueue, "q", "type: classic, settings: Both, maxLength: 5", "").Invalid); !strings.Contains(got, "spec.settings") {
		t.Errorf("a value of no list: %s", got)
	}
	endless := "type: quorum, settings: Policy, deliveryLimit: -1"
	old := compiled(t, v1alpha1.KindQueue, "q", endless, "3.10.8").Invalid
	if topology.ClassOf(old) != topology.ClassUnsupported || !strings.Contains(old.Error(), "RabbitMQ 4.0 or later") {
		t.Errorf("3.10 refuses the policy, and the claim says %v", old)
	}
	if err := compiled(t, v1alpha1.KindQueue, "q", endless, "4.0.5").Invalid; err != nil {
		t.Errorf("4.0 takes it: %v", err)
	}
	if warnings := compiled(t, v1alpha1.KindQueue, "q", "type: classic, settings: Policy", "").Warnings; len(warnings) != 1 || !strings.Contains(warnings[0], "nothing to put into a policy") {
		t.Errorf("warnings %q", warnings)
	}
}

// What nobody can be overruled on stays an argument, and clients that declare
// the queue too see in its contract what is left.
func TestContractLeavesOutWhatStandsInThePolicy(t *testing.T) {
	q := parse(t, manifest(v1alpha1.KindQueue, "q", "type: quorum, settings: Policy, maxLength: 5, singleActiveConsumer: true, contract: {configMap: c}"))
	got := ContractOf(q, shop).Queue.Queue.Arguments.Canonical()
	if want := `{"x-queue-type":"quorum","x-single-active-consumer":true}`; got != want {
		t.Errorf("arguments %s, want %s", got, want)
	}
}
