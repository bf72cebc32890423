package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Verdict is what a pass has to say about one owner. Reason is a condition
// reason of the API.
type Verdict struct {
	Owner topology.Owner
	Ready bool
	// Stalled: only an edit of this very resource cures it. Otherwise what is
	// not ready is on its way.
	Stalled bool
	// Suspended: nothing is known, on purpose.
	Suspended bool
	Reason    string
	Message   string
	// Drift describes differences that are reported and not corrected.
	Drift []string
	// Draining describes what the owner declares no longer and that still holds
	// messages: it goes when it is empty.
	Draining []string
	// Operations that are under way on what the owner wants.
	Operations []OperationNote
	// Proposal is what would be done if nothing held it; nil if nothing is held.
	Proposal *plan.Proposal
	// DeadLetters of the owner.
	DeadLetters DeadLetters
	// Warnings: accepted, but likely a mistake.
	Warnings []string
	// Owns lists what the owner has in the inventory, sorted.
	Owns []topology.ID
	// KeepOwns says that Owns is not known, and that what was said of it stays.
	KeepOwns bool
}

// ReasonSucceeded and ReasonProgressing are the reasons that no plan gives.
const (
	ReasonSucceeded   = "Succeeded"
	ReasonProgressing = "Progressing"
	reasonRejected    = "BrokerRejected"
	reasonUnsupported = "UnsupportedByBroker"
	reasonDenied      = "AccessDenied"
	reasonUnreachable = "ConnectionUnavailable"
	reasonCredentials = "AuthenticationFailed"
)

// problem is one thing that keeps an owner from being ready.
type problem struct {
	reason  string
	message string
	stalled bool
	// weight: the reader is told the heaviest first.
	weight int
}

// conclude turns a plan and how it went into verdicts and notes.
func (c *Cluster) conclude(owners []topology.OwnerKey, p *draft, x *execution, report *Report) {
	c.state.Lock()
	defer c.state.Unlock()
	problems := map[topology.OwnerKey][]problem{}
	drift := map[topology.OwnerKey][]string{}
	draining := c.noteDraining(owners, p.Plan)
	for _, held := range p.Held {
		report.Held[held.Reason]++
		switch held.Reason {
		case plan.LeftBehind, plan.Deleting, plan.DeletionHeld:
			report.Ended = append(report.Ended, held)
		case plan.Drifted:
			drift[held.Owner] = append(drift[held.Owner], held.Message)
		default:
			if held.Recreates {
				held.Message = c.draining[held.ID].news.told
			}
			c.waitFor(held)
			if !operates(p.Plan, held) { // whose owner is told of the operation itself
				problems[held.Owner] = append(problems[held.Owner], problemOfHeld(held))
			}
		}
	}
	for _, step := range p.Steps() {
		err := x.failed[step.ID]
		if err == nil || step.Verb == topology.VerbDelete && x.isPending(step) {
			continue
		}
		for _, owner := range step.Owners {
			problems[owner] = append(problems[owner], problemOfError(err))
		}
	}
	underway := c.noteOperations(p, x, problems)
	for _, id := range p.Adopted {
		entry, _ := c.world.Entry(id)
		for _, owner := range entry.Owners {
			report.Adopted[owner] = append(report.Adopted[owner], id)
		}
	}
	tellRecreated(p.Plan, report)
	c.noteAwaited(p.Plan, x)
	c.noteCorrections(x, report)
	c.noteSettling(p.Plan, x)
	c.wake(owners, x)
	c.wakeLeftBehind(p.Plan, x)
	for _, key := range owners {
		// One that was replaced meanwhile is dirty: a pass of its own will tell.
		if claim := p.claims[key]; claim != nil && c.world.Claim(key) == claim {
			v := c.verdict(claim, problems[key], drift[key])
			v.Draining = draining[key]
			if again := report.Recreated[key]; v.Ready && len(again) > 0 {
				v.Message += "; " + strings.Join(again, "; ")
			}
			v.Operations = underway[key]
			v.Proposal = proposalOf(p.Plan, x, key)
			v.DeadLetters = deadLettersOf(claim, p.depths)
			report.Verdicts = append(report.Verdicts, v)
		}
	}
}

// proposalOf is what is left to do of an owner's proposal; nil if nothing is.
func proposalOf(p *plan.Plan, x *execution, owner topology.OwnerKey) *plan.Proposal {
	i, found := slices.BinarySearchFunc(p.Proposals, owner, func(proposal plan.Proposal, key topology.OwnerKey) int {
		return proposal.Owner.Compare(key)
	})
	if !found {
		return nil
	}
	done := !slices.ContainsFunc(p.Proposals[i].Steps, func(step plan.ProposedStep) bool {
		return !slices.ContainsFunc(x.done, func(made topology.Step) bool { return made.ID == step.ID })
	})
	if done {
		return nil
	}
	return &p.Proposals[i]
}

// isPending: a deletion that is merely under way, or that a message came in
// between, is nobody's problem.
func (x *execution) isPending(step topology.Step) bool {
	class := topology.ClassOf(x.failed[step.ID])
	return class == topology.ClassPending || class == topology.ClassInUse
}

func (c *Cluster) verdict(claim *topology.Claim, problems []problem, drift []string) Verdict {
	if len(c.inherited) == 0 {
		claim.Reported = nil // nothing is judged by it any more
	}
	v := Verdict{
		Owner: claim.Owner, Drift: drift, Warnings: claim.Warnings,
		Owns: c.world.Holdings(claim.Owner.OwnerKey),
	}
	if len(problems) == 0 {
		// From now on a difference is drift, until the claim is replaced.
		claim.Settled = true
		v.Ready, v.Reason, v.Message = true, ReasonSucceeded, inPlace(claim)
		return v
	}
	slices.SortStableFunc(problems, func(a, b problem) int { return b.weight - a.weight })
	worst := problems[0]
	v.Reason, v.Message, v.Stalled = worst.reason, worst.message, worst.stalled
	v.Suspended = worst.reason == string(plan.Suspended)
	if more := countOthers(problems); more > 0 {
		v.Message += fmt.Sprintf(" (and %d more)", more)
	}
	return v
}

func countOthers(problems []problem) int {
	seen := map[string]struct{}{}
	for _, p := range problems {
		seen[p.message] = struct{}{}
	}
	return len(seen) - 1
}

func inPlace(claim *topology.Claim) string {
	if len(claim.Want) == 1 {
		return claim.Want[0].Resource.ID().String() + " is as declared"
	}
	return fmt.Sprintf("%d broker objects are as declared", len(claim.Want))
}

func problemOfHeld(h plan.Held) problem {
	p := problem{reason: string(h.Reason), message: h.Message, stalled: true, weight: 10}
	switch h.Reason {
	case plan.AwaitingApproval:
		if h.Approvable { // which is no edit, and no failure
			p.stalled, p.weight = false, 8
		}
	case plan.ImmutableFieldChanged:
		p.stalled = !h.Recreates
	case plan.Suspended:
		p.stalled, p.weight = false, 20
	case plan.Invalid:
		p.weight = 15
	case plan.RefNotPermitted:
		p.stalled, p.weight = false, 15
	case plan.Blocked, plan.Migrating:
		p.stalled, p.weight = false, 1
	case plan.Unreadable:
		p.stalled, p.weight = false, 5
	}
	return p
}

func problemOfError(err error) problem {
	p := problem{message: err.Error(), reason: ReasonProgressing}
	switch topology.ClassOf(err) {
	case topology.ClassRejected:
		p.reason, p.stalled, p.weight = reasonRejected, true, 9
	case topology.ClassUnsupported:
		p.reason, p.stalled, p.weight = reasonUnsupported, true, 9
	case topology.ClassAccessDenied:
		p.reason, p.weight = reasonDenied, 5
	case topology.ClassAuthentication:
		p.reason, p.weight = reasonCredentials, 5
	case topology.ClassTransport:
		p.reason, p.weight = reasonUnreachable, 4
	}
	return p
}

// noteCorrections gathers drift that was put right. What came back only because
// something it hangs on came back is not news.
func (c *Cluster) noteCorrections(x *execution, report *Report) {
	drifted := map[topology.ID]bool{}
	for _, step := range x.done {
		drifted[step.ID] = step.Drift
	}
	for _, step := range x.done {
		if !step.Drift || slices.ContainsFunc(step.Requires, func(id topology.ID) bool { return drifted[id] }) {
			continue
		}
		for _, owner := range step.Owners {
			report.Corrected[owner] = append(report.Corrected[owner], step.ID)
		}
	}
}

// noteSettling starts the clock of queues that seem empty, once nothing is
// bound to them any more.
func (c *Cluster) noteSettling(p *plan.Plan, x *execution) {
	for _, id := range p.Settling {
		unbound := !slices.ContainsFunc(p.Steps(), func(s topology.Step) bool {
			binding, ok := s.Live.(*topology.Binding)
			return ok && s.Verb == topology.VerbDelete && binding.DestinationID() == id && x.failed[s.ID] != nil
		})
		if _, running := c.settling[id]; !running && unbound {
			c.settling[id] = settlement{since: c.clock()}
		}
	}
	for _, step := range x.done {
		if step.Verb == topology.VerbDelete {
			delete(c.settling, step.ID)
		}
	}
}

// waitFor notes who is to be looked at again when an object appears.
func (c *Cluster) waitFor(h plan.Held) {
	if h.Reason != plan.Blocked && h.Reason != plan.Migrating {
		return
	}
	if c.waiting[h.Missing] == nil {
		c.waiting[h.Missing] = map[topology.OwnerKey]struct{}{}
	}
	c.waiting[h.Missing][h.Owner] = struct{}{}
}

// noteAwaited has the owners of a step that waited for another one looked at
// again when that one succeeds. Until then it has no turn of its own.
func (c *Cluster) noteAwaited(p *plan.Plan, x *execution) {
	for _, step := range p.Steps() {
		need, waited := x.awaits[step.ID]
		if !waited {
			continue
		}
		c.ledger.clear(step.ID)
		for _, owner := range step.Owners {
			c.waitFor(plan.Held{Reason: plan.Blocked, Owner: owner, Missing: need})
		}
	}
}

// wake makes dirty whoever waited for what is there now, or wants what is gone
// now, apart from those that this pass has judged already.
func (c *Cluster) wake(judged []topology.OwnerKey, x *execution) {
	for _, step := range x.done {
		for owner := range c.waiting[step.ID] {
			if !slices.Contains(judged, owner) {
				c.dirty.add(owner)
			}
		}
		delete(c.waiting, step.ID)
		if step.Verb == topology.VerbDelete {
			c.dirty.add(c.world.Wanters(step.ID)...)
		}
	}
}

// wakeLeftBehind makes dirty the departed owners of what was left behind where
// something has gone: it may have stayed only for the sake of that. A binding,
// for one, goes with its queue, and its exchange is unused from then on.
func (c *Cluster) wakeLeftBehind(p *plan.Plan, x *execution) {
	scopes := map[string]bool{}
	for _, id := range p.Forget {
		scopes[id.Scope] = true
	}
	for _, step := range x.done {
		if step.Verb == topology.VerbDelete {
			scopes[step.ID.Scope] = true
		}
	}
	c.wakeScopes(scopes)
}

// wakeScopes makes dirty the former owners of what was left behind in some
// virtual hosts.
func (c *Cluster) wakeScopes(scopes map[string]bool) {
	delete(scopes, "") // topics and virtual hosts stay for nobody's sake
	if len(scopes) == 0 {
		return
	}
	c.world.EachEntry(func(e topology.Entry) {
		inside := scopes[e.ID.Scope] || e.ID.Kind == topology.KindVirtualHost && scopes[e.ID.Name]
		if e.LeftBehind != "" && inside {
			c.dirty.add(e.Owners...)
		}
	})
}

// Describe joins ids for people: the first few and the count of the rest.
func Describe(ids []topology.ID) string {
	const most = 5
	var parts []string
	for i, id := range ids {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(ids)-most))
			break
		}
		parts = append(parts, id.String())
	}
	return strings.Join(parts, ", ")
}
