package compile

import (
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// policyKeys are the arguments that can stand in a policy instead, by the type of
// the queue, as probed on 3.10, 4.0 and 4.3 alike. The key is the argument without
// x-. One key that the type lacks makes the broker skip the whole policy, so
// nothing else ever gets into one. What is not here is fixed at creation, or could
// be overruled at the cost of what it is for.
var policyKeys = map[string][]v1alpha1.QueueType{
	argMessageTTL:           classicOrQuorum,
	"x-expires":             classicOrQuorum,
	"x-max-length":          classicOrQuorum,
	"x-max-length-bytes":    queueTypes,
	argOverflow:             classicOrQuorum,
	argDeadLetterExchange:   classicOrQuorum,
	argDeadLetterRoutingKey: classicOrQuorum,
	argDeadLetterStrategy:   quorumOnly,
	argDeliveryLimit:        quorumOnly,
	"x-max-age":             streamOnly,
}

// PolicyKeyTypes are the types of queues that know a key of a policy, such as
// max-length; false if nothing is known about the key.
func PolicyKeyTypes(key string) ([]v1alpha1.QueueType, bool) {
	types, known := policyKeys["x-"+key]
	return types, known
}

// retryKeys stay arguments where messages are tried again: a policy that another
// one overrules would lose those that wait for their retry, or never give up.
var retryKeys = []string{argDeadLetterExchange, argDeadLetterRoutingKey, argDeadLetterStrategy, argOverflow, argDeliveryLimit}

// settings moves those arguments of a queue into a policy that can stand in one.
// The policy stands before the queue does, and after the dead-letter objects. It
// is wanted after the queue: the first want of a claim is what it is named for.
func (d *draft) settings(q *v1alpha1.Queue, wanted *topology.Queue) {
	where := q.Spec.Settings
	if where == "" {
		return
	}
	oneOf(d, "spec.settings", where, v1alpha1.SettingsArguments, v1alpha1.SettingsPolicy)
	if where != v1alpha1.SettingsPolicy {
		return
	}
	definition := topology.Arguments{}
	for argument, types := range policyKeys {
		value, set := wanted.Arguments[argument]
		if !set || !slices.Contains(types, q.Spec.Type) || q.Spec.Retry != nil && slices.Contains(retryKeys, argument) {
			continue
		}
		definition[strings.TrimPrefix(argument, "x-")] = value
		delete(wanted.Arguments, argument)
	}
	if limit, set := definition[topology.PolicyDeliveryLimit].(int64); set && limit < 0 && !AtLeast(d.version, 4, 0) {
		d.unsupported("spec.deliveryLimit", "-1 needs RabbitMQ 4.0 or later, and the broker is %s: leave the field out, which means the same there", d.version)
	}
	if len(definition) == 0 {
		d.warn("spec.settings", "Policy has nothing to put into a policy: write messageTTL, maxLength or another field that docs/settings.md lists")
		return
	}
	if strings.HasPrefix(topology.QueuePolicyName(wanted.Name), scaffolding) {
		d.problem("spec.settings", "a policy of the name %s belongs to the migration of a queue: choose a name that does not begin with %s, or write Arguments",
			topology.QueuePolicyName(wanted.Name), strings.TrimPrefix(scaffolding, "warrener."))
	}
	policy := topology.QueuePolicy(d.virtualHost, wanted.Name, wanted.Type, definition)
	policy.After = wanted.After
	wanted.After = append(slices.Clone(wanted.After), policy.ID())
	d.want(policy)
}
