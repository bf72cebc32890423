package rabbitmq

import (
	"fmt"
	"regexp"

	"github.com/warrener-dev/warrener/internal/migration"
	"github.com/warrener-dev/warrener/internal/topology"
)

// wirePolicy is a policy or an operator policy.
type wirePolicy struct {
	Name       string             `json:"name"`
	Pattern    string             `json:"pattern"`
	ApplyTo    string             `json:"apply-to"`
	Priority   int64              `json:"priority"`
	Definition topology.Arguments `json:"definition"`
}

// keepPriority outranks the policies that people make.
const keepPriority = 1 << 30

// keepPolicy is the policy for queues that must drop nothing. What it says is
// what a queue without a limit does anyway: it is there so that no other is.
func keepPolicy(pattern string) map[string]any {
	return map[string]any{
		"pattern": pattern, "apply-to": "queues", "priority": keepPriority, "definition": map[string]any{"overflow": "reject-publish"},
	}
}

// covers tells whether a policy is for this queue. A pattern that only Erlang
// understands covers everything.
func (p wirePolicy) covers(name, kind string) bool {
	switch p.ApplyTo {
	case "exchanges", "streams":
		return false
	case "classic_queues", "quorum_queues":
		if p.ApplyTo != kind+"_queues" {
			return false
		}
	}
	pattern, err := regexp.Compile(p.Pattern)
	return err != nil || pattern.MatchString(name)
}

// effective is the one policy that applies to a queue; nil if none does.
func effective(all []wirePolicy, name, kind string) *wirePolicy {
	var best *wirePolicy
	for i, p := range all {
		if p.covers(name, kind) && (best == nil || p.Priority > best.Priority) {
			best = &all[i]
		}
	}
	return best
}

// dropping are the keys of a definition under which a queue drops messages.
var dropping = []string{"max-length", "max-length-bytes", "message-ttl", "expires", "delivery-limit"}

func (r *migrationReads) policiesInto(s *migration.State) {
	s.MaxLength = -1
	for _, p := range r.policies {
		if p.Name == r.names.Policy {
			s.Policy = true
		}
	}
	for _, p := range []*wirePolicy{
		effective(r.policies, r.want.Name, r.want.Type), effective(r.operatorPolicies, r.want.Name, r.want.Type),
	} {
		if p == nil {
			continue
		}
		if n, ok := p.Definition["max-length"].(int64); ok && (s.MaxLength < 0 || n < s.MaxLength) {
			s.MaxLength = n
		}
	}
	if p := effective(r.operatorPolicies, r.names.Park, topology.QueueTypeQuorum); p != nil {
		for _, key := range dropping {
			if _, ok := p.Definition[key]; ok {
				s.PolicyTrouble = fmt.Sprintf("operator policy %q sets %s for the pattern %q", p.Name, key, p.Pattern)
				return
			}
		}
	}
}
