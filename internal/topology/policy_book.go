package topology

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
)

// PolicyBook has every policy of some virtual hosts, and answers which of them
// applies to a queue. It is computed from listings: what brokers tell of a queue's
// own policy is seconds old, and incomplete before 4.3.
//
// Of all policies that match the name of a queue, suit its type and have no key
// that the type lacks, the one of the highest priority applies, and it alone; of
// two with the same priority either may. One operator policy applies besides, and
// of two limits the lower one counts.
type PolicyBook struct {
	users, operators rules
}

// rules are policies by virtual host, those for one name apart: a cluster may
// have one for each queue.
type rules struct {
	named    map[ID][]*BrokerPolicy // by queue, which stands for an exchange of the name, too
	patterns map[string][]rule
}

// rule is a policy whose pattern is one.
type rule struct {
	*BrokerPolicy
	// pattern is nil if only the broker understands it.
	pattern *regexp.Regexp
}

// NewPolicyBook makes a book of the policies and the operator policies of the
// same virtual hosts.
func NewPolicyBook(users, operators []*BrokerPolicy) *PolicyBook {
	return &PolicyBook{users: newRules(users), operators: newRules(operators)}
}

func newRules(all []*BrokerPolicy) rules {
	r := rules{named: map[ID][]*BrokerPolicy{}, patterns: map[string][]rule{}}
	for _, p := range all {
		if name, one := oneName(p.Pattern); one {
			queue := QueueID(p.VirtualHost, name)
			r.named[queue] = append(r.named[queue], p)
			continue
		}
		pattern, err := regexp.Compile(p.Pattern)
		if err != nil {
			pattern = nil
		}
		r.patterns[p.VirtualHost] = append(r.patterns[p.VirtualHost], rule{p, pattern})
	}
	return r
}

// oneName tells whether a pattern is for one name, and for which.
func oneName(pattern string) (string, bool) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || parsed.Op != syntax.OpConcat || len(parsed.Sub) != 3 {
		return "", false
	}
	begin, name, end := parsed.Sub[0], parsed.Sub[1], parsed.Sub[2]
	one := begin.Op == syntax.OpBeginText && end.Op == syntax.OpEndText && name.Op == syntax.OpLiteral && name.Flags&syntax.FoldCase == 0
	return string(name.Rune), one
}

// covering lists the policies that may apply to a queue, the highest priority
// first. One whose pattern only the broker understands is among them.
func (r rules) covering(queue ID, queueType string) []*BrokerPolicy {
	return r.matching(queue, func(p *BrokerPolicy) bool { return p.Suits(queueType) })
}

func (r rules) matching(object ID, suits func(*BrokerPolicy) bool) []*BrokerPolicy {
	out := slices.Clone(r.named[QueueID(object.Scope, object.Name)])
	for _, rule := range r.patterns[object.Scope] {
		if rule.pattern == nil || rule.pattern.MatchString(object.Name) {
			out = append(out, rule.BrokerPolicy)
		}
	}
	out = slices.DeleteFunc(out, func(p *BrokerPolicy) bool { return !suits(p) })
	slices.SortFunc(out, func(a, b *BrokerPolicy) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// lacks are the keys that make the broker skip the whole policy for a queue of a
// type, as probed on 3.10, 4.0 and 4.3. Where versions differ, a key that one of
// them takes is not here: a rival too many is reported rather than one too few.
var lacks = map[string][]string{
	QueueTypeClassic: {
		"delivery-limit", "dead-letter-strategy", "max-age", "stream-max-segment-size-bytes", "initial-cluster-size", "target-group-size",
	},
	QueueTypeQuorum: {
		"max-age", "stream-max-segment-size-bytes", "initial-cluster-size", "queue-mode", "queue-master-locator", "ha-mode",
	},
	QueueTypeStream: {
		"message-ttl", "expires", "max-length", "overflow", "dead-letter-exchange", "dead-letter-routing-key", "dead-letter-strategy",
		"delivery-limit", "max-in-memory-length", "max-in-memory-bytes", "target-group-size", "queue-mode", "queue-master-locator", "ha-mode",
	},
}

// Suits tells whether the policy is for queues of a type, and has no key that
// makes the broker skip it for them.
func (p *BrokerPolicy) Suits(queueType string) bool {
	switch p.ApplyTo {
	case applyToQueues, "all":
	case "classic_queues", "quorum_queues":
		if p.ApplyTo != queueType+"_queues" {
			return false
		}
	case "streams":
		if queueType != QueueTypeStream {
			return false
		}
	default:
		return false
	}
	return !slices.ContainsFunc(lacks[queueType], func(key string) bool {
		_, has := p.Definition[key]
		return has
	})
}

// Applying are the settings that policies give to a queue: those of the policy
// that applies to it, and under them those of an operator policy. tied tells that
// another policy has the same priority, or a pattern that only the broker
// understands, so that it may apply instead.
func (b *PolicyBook) Applying(queue ID, queueType string) (settings Arguments, tied bool) {
	return b.applying(queue, func(p *BrokerPolicy) bool { return p.Suits(queueType) })
}

// ApplyingToExchange is Applying for an exchange.
func (b *PolicyBook) ApplyingToExchange(exchange ID) (settings Arguments, tied bool) {
	return b.applying(exchange, func(p *BrokerPolicy) bool { return p.ApplyTo == "exchanges" || p.ApplyTo == "all" })
}

func (b *PolicyBook) applying(object ID, suits func(*BrokerPolicy) bool) (settings Arguments, tied bool) {
	if b == nil {
		return nil, false
	}
	settings, tied = b.users.first(object, suits)
	limits, tiedToo := b.operators.first(object, suits)
	if len(limits) == 0 {
		return settings, tied
	}
	merged := maps.Clone(settings)
	if merged == nil {
		merged = Arguments{}
	}
	for key, limit := range limits {
		if wanted, set := merged[key]; !set || overruled(wanted, limit) {
			merged[key] = limit
		}
	}
	return merged, tied || tiedToo
}

// first is the definition of the policy that applies to an object.
func (r rules) first(object ID, suits func(*BrokerPolicy) bool) (definition Arguments, tied bool) {
	all := r.matching(object, suits)
	if len(all) == 0 {
		return nil, false
	}
	_, unclear := regexp.Compile(all[0].Pattern)
	return all[0].Definition, unclear != nil || len(all) > 1 && all[0].Priority == all[1].Priority
}

// Overrules tells in a sentence what keeps a wanted policy from applying to its
// queue as it is declared, and what to do about it; "" if nothing does.
func (b *PolicyBook) Overrules(want *BrokerPolicy) string {
	queue := want.QueueID()
	for _, rival := range b.users.covering(queue, want.QueueType) {
		if rival.Name == want.Name || rival.Priority < want.Priority {
			continue
		}
		applies := "applies to"
		if rival.Priority == want.Priority {
			applies = "has the same priority, so that either may apply to"
		}
		if rules, err := regexp.Compile(rival.Pattern); err != nil || rules == nil {
			applies = "may apply to"
		}
		return fmt.Sprintf("%s (pattern %q, priority %d) %s %s in place of %s (priority %d), and only one policy applies to a queue: "+
			"lower its priority, have its pattern leave this queue out, or write settings: Arguments",
			rival.ID(), rival.Pattern, rival.Priority, applies, queue, want.Name, want.Priority)
	}
	for i, operator := range b.operators.covering(queue, want.QueueType) {
		if i > 0 {
			break // one of them applies
		}
		for _, key := range slices.Sorted(maps.Keys(want.Definition)) {
			limit, sets := operator.Definition[key]
			if !sets || !overruled(want.Definition[key], limit) {
				continue
			}
			return fmt.Sprintf("the operator policy %q of virtual host %q (pattern %q) has %s: %s, which counts and not %s, as %s declares: "+
				"declare that, or have the operator policy changed",
				operator.Name, operator.VirtualHost, operator.Pattern, key, RenderValue(limit), RenderValue(want.Definition[key]), want.Name)
		}
	}
	return ""
}

// overruled tells whether an operator's value counts and not the wanted one: of
// two numbers the lower counts, of two words the operator's.
func overruled(wanted, operators any) bool {
	number, isNumber := wanted.(int64)
	limit, isLimit := operators.(int64)
	if isNumber && isLimit {
		return limit < number
	}
	return RenderValue(wanted) != RenderValue(operators)
}
