package lint

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// policy is a policy of RabbitMQ that another operator's custom resource declares:
// Warrener's own, one for a queue, cannot have these faults.
type policy struct {
	*subject `json:"-"`
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		VirtualHost string         `json:"vhost"`
		Pattern     string         `json:"pattern"`
		ApplyTo     string         `json:"applyTo"`
		Definition  map[string]any `json:"definition"`
	} `json:"spec"`
}

// readPolicies finds the policies among the objects of other kinds.
func (w *world) readPolicies() {
	for _, other := range w.set.Others {
		if !strings.HasPrefix(other.APIVersion, "rabbitmq.com/") || other.Kind != "Policy" && other.Kind != "OperatorPolicy" {
			continue
		}
		p := &policy{}
		if err := other.Decode(p); err != nil {
			continue // not ours to complain about
		}
		p.subject = newSubject(other.String(), other.Position, other.Line, p.Metadata.Annotations)
		w.policies = append(w.policies, p)
		w.subjects = append(w.subjects, p.subject)
	}
}

func (p *policy) keys() []string { return slices.Sorted(maps.Keys(p.Spec.Definition)) }

// mirrored is about policies for mirrored queues, of which there are none any
// more.
func mirrored(w *world, found finder) {
	if !w.atLeast(4, 0) {
		return
	}
	for _, p := range w.policies {
		for _, key := range p.keys() {
			if strings.HasPrefix(key, "ha-") {
				found(p.subject, "spec.definition."+key, "RabbitMQ 4.0 has no mirrored queues: nothing of this is replicated; make them quorum queues, and remove the policy")
				break
			}
		}
	}
}

// lengthWithOverflow is about policies that drop what they are to keep.
func lengthWithOverflow(w *world, found finder) {
	for _, p := range w.policies {
		overflow, _ := p.Spec.Definition[topology.PolicyOverflow].(string)
		_, length := p.Spec.Definition[topology.PolicyMaxLength]
		_, bytes := p.Spec.Definition[topology.PolicyMaxLengthBytes]
		if strings.HasPrefix(overflow, "reject-publish") && (length || bytes) {
			found(p.subject, "spec.definition.overflow", "where this policy comes to a classic queue that holds more, RabbitMQ applies the length before the overflow and drops the oldest messages: let the overflow come first, in a policy without the length; or write settings: Policy in a Queue, which does it so")
		}
	}
}

// misfittingKeys is about keys that make the broker skip a policy.
func misfittingKeys(w *world, found finder) {
	for _, p := range w.policies {
		types := w.typesUnder(p)
		for _, key := range p.keys() {
			fitting, known := compile.PolicyKeyTypes(key)
			if !known {
				continue
			}
			for _, t := range slices.Sorted(maps.Keys(types)) {
				if !slices.Contains(fitting, t) {
					found(p.subject, "spec.definition."+key, "a %s queue has no %s, and RabbitMQ skips the whole policy for %s: write a policy for each type of queue", t, key, types[t])
				}
			}
		}
	}
}

// typesUnder are the types of queues that a policy is for, each with what is
// known of such a queue.
func (w *world) typesUnder(p *policy) map[v1alpha1.QueueType]string {
	const all = "all of that type"
	switch p.Spec.ApplyTo {
	case "classic_queues":
		return map[v1alpha1.QueueType]string{v1alpha1.QueueTypeClassic: all}
	case "quorum_queues":
		return map[v1alpha1.QueueType]string{v1alpha1.QueueTypeQuorum: all}
	case "streams":
		return map[v1alpha1.QueueType]string{v1alpha1.QueueTypeStream: all}
	case "exchanges":
		return nil
	}
	out := map[v1alpha1.QueueType]string{}
	pattern, err := regexp.Compile(p.Spec.Pattern)
	if err != nil {
		return out
	}
	for _, o := range w.objects {
		q, ok := o.obj.(*v1alpha1.Queue)
		if !ok || out[q.Spec.Type] != "" || o.virtualHost != cmp.Or(p.Spec.VirtualHost, v1alpha1.DefaultVirtualHost) {
			continue
		}
		if pattern.MatchString(q.BrokerName()) {
			out[q.Spec.Type] = o.name
		}
	}
	return out
}
