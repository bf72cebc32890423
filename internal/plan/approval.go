package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Action says what a proposed step does to an object.
type Action string

// Actions of proposed steps; the API documents them.
const (
	ActionChange    Action = "Change"
	ActionReplace   Action = "Replace"
	ActionDelete    Action = "Delete"
	ActionForbidden Action = "Forbidden"
)

// Proposal is what would be done for an owner that something is held of. What
// has to be approved is decided from what is declared and what is there, and not
// from what stands in the way at this moment: whoever approves that a queue goes
// need not do so again because it held a message.
type Proposal struct {
	Owner topology.Owner
	// Hash names the steps that an approval would let through: the same in every
	// pass as long as neither the owner's spec nor what is concerned on the broker
	// changes. Empty if there is none.
	Hash string
	// Covers has a digest of each of those steps, sorted.
	Covers []string
	// Approved says that they are approved, and whatever else they wait for.
	Approved bool
	// Steps are those, and what is refused. Sorted by object.
	Steps []ProposedStep
}

// ProposedStep is what would be done to one object.
type ProposedStep struct {
	Action  Action
	ID      topology.ID
	Changes []topology.Change
	// Risk says in words what it puts at risk; no counts.
	Risk string
	// decisive are the changes that the hash covers, topicID the id of the topic
	// that is there.
	decisive []topology.Change
	topicID  string
}

// ruling is what was decided about the ownership of an object.
type ruling struct {
	id topology.ID
	decision
}

// requireApproval finds the steps that have to be approved, and those that are
// not.
func (b *builder) requireApproval(rulings []ruling) {
	if len(b.in.World.gated) == 0 {
		return
	}
	for _, r := range rulings {
		switch {
		case r.kept:
		case r.winner != nil && r.winner.Policy.Approval == topology.ApprovalRequired:
			if step, found := b.proposeChange(r.id, r.decision); found {
				b.propose(r.winner, step)
			}
		case r.winner == nil && r.owned:
			b.proposeDelete(r.id, r.entry)
		}
	}
	for owner, p := range b.proposals {
		p.sign(b.in.ClusterID)
		p.Approved = p.isApproved(b.in.World.claims[owner].Approved)
		if p.Approved {
			continue
		}
		message := p.ask()
		for _, step := range p.Steps {
			if _, known := b.unapproved[step.ID]; !known {
				b.unapproved[step.ID] = map[topology.OwnerKey]string{}
			}
			b.unapproved[step.ID][owner] = message
		}
	}
}

// propose keeps the steps of a proposal in the order of their objects.
func (b *builder) propose(claim *topology.Claim, step ProposedStep) {
	key := claim.Owner.OwnerKey
	if b.proposals[key] == nil {
		b.proposals[key] = &Proposal{Owner: claim.Owner}
	}
	p := b.proposals[key]
	at, _ := slices.BinarySearchFunc(p.Steps, step.ID, func(s ProposedStep, id topology.ID) int { return s.ID.Compare(id) })
	p.Steps = slices.Insert(p.Steps, at, step)
}

// proposeChange finds what replaces an object, or ends the order of a topic's
// keys. What is refused, or under way, is no proposal.
func (b *builder) proposeChange(id topology.ID, d decision) (ProposedStep, bool) {
	live, presence := b.in.Live.Look(id)
	if presence != topology.Present || d.owned && d.winner.Settled && d.winner.Policy.Drift == topology.DriftReport {
		return ProposedStep{}, false
	}
	changes := releasing(d.want.Resource, d.entry).Diff(live)
	if len(changes) == 0 || topology.WorstMode(changes) == topology.Forbidden || !d.owned && refusesAdoption(id, d, changes) != "" {
		return ProposedStep{}, false
	}
	step := ProposedStep{ID: id, Changes: changes}
	kind := operationFor(d, changes)
	switch {
	case b.in.World.isUnderway(id) && kind != topology.OperationReassign:
		return step, false
	case kind == topology.OperationMigrate, kind == topology.OperationRecreate:
		step.Action, step.decisive, step.Risk = ActionReplace, changes, riskOfOperation[kind]
		return step, true
	}
	grows := slices.IndexFunc(changes, func(c topology.Change) bool { return c.Path == topology.PathPartitions })
	if grows < 0 || b.mayGrow(id, d) != "" || b.isEmpty(id) {
		return step, false
	}
	step.Action, step.Risk = ActionChange, "keys move to other partitions, and per-key order ends at this point"
	step.decisive, step.topicID = changes[grows:grows+1], topology.TopicIDOf(live)
	return step, true
}

var riskOfOperation = map[topology.OperationKind]string{
	topology.OperationRecreate: "once it is empty and has no consumer it is deleted and created anew; what is published to it in between finds no queue",
	topology.OperationMigrate:  "messages are led around it while it is replaced; consumers are cancelled and have to subscribe again",
}

// isEmpty tells whether a topic is known to hold nothing.
func (b *builder) isEmpty(id topology.ID) bool {
	usage, known := b.in.Live.Usage[id]
	if !known {
		b.plan.NeedUsage = append(b.plan.NeedUsage, id)
	}
	return known && !usage.Unknown && usage.Messages == 0
}

// proposeDelete finds what owners that are there declare no longer.
func (b *builder) proposeDelete(id topology.ID, entry topology.Entry) {
	live, presence := b.in.Live.Look(id)
	if _, moved := b.movedWith(id); presence != topology.Present && !moved {
		return
	}
	if policy, shrunk := b.in.World.endPolicy(entry); !shrunk || policy == topology.Retain {
		return
	}
	for _, key := range entry.Owners {
		if claim := b.in.World.claims[key]; claim != nil && claim.Policy.Approval == topology.ApprovalRequired {
			b.propose(claim, ProposedStep{Action: ActionDelete, ID: id, Risk: riskOfDelete[id.Kind], topicID: topology.TopicIDOf(live)})
		}
	}
}

var riskOfDelete = map[topology.Kind]string{
	topology.KindBinding:  "what only this binding takes is not routed any more, and dropped unless an alternate exchange takes it",
	topology.KindQueue:    "it goes once it is empty and has no consumer; what is published to it after that finds no queue",
	topology.KindTopic:    "it goes once it is empty and nobody reads it; what is produced to it after that finds no topic",
	topology.KindExchange: "it goes once nothing is bound to it; whoever publishes to it after that is refused",
	topology.KindPolicy:   "its queue loses these settings",
}

// sign gives a proposal its hash, and each step its digest. Lengths are part of
// what is hashed, so that no two proposals read the same.
func (p *Proposal) sign(clusterID string) {
	about := fmt.Sprintf("%q %d %q\n", p.Owner.UID, p.Owner.Generation, clusterID)
	all := about
	for _, step := range p.Steps {
		line := fmt.Sprintf("%q %q %q", step.Action, step.ID.String(), step.topicID)
		for _, c := range step.decisive {
			line += fmt.Sprintf(" %q %q %q", c.Path, c.From, c.To)
		}
		all += line + "\n"
		p.Covers = append(p.Covers, digest(about+line, 4))
	}
	p.Hash = digest(all, 8)
	slices.Sort(p.Covers)
}

func digest(text string, bytes int) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:bytes])
}

// isApproved tells whether an approval is of this plan, or of one of which this
// is what is left.
func (p *Proposal) isApproved(by topology.Approved) bool {
	switch {
	case by.Hash == "":
		return false
	case by.Hash == p.Hash:
		return true
	case by.Generation != p.Owner.Generation:
		return false
	}
	return !slices.ContainsFunc(p.Covers, func(step string) bool { return !slices.Contains(by.Steps, step) })
}

// ask says what waits, and what to do about it.
func (p *Proposal) ask() string {
	const most = 3
	var parts []string
	for i, step := range p.Steps {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(p.Steps)-most))
			break
		}
		part := strings.ToLower(string(step.Action)) + " " + step.ID.String()
		if len(step.decisive) > 0 {
			part += " (" + topology.DescribeChanges(step.decisive) + ")"
		}
		parts = append(parts, part)
	}
	subject := count(int64(len(p.Steps)), "step") + " wait"
	if len(p.Steps) == 1 {
		subject += "s"
	}
	return fmt.Sprintf("%s for approval: %s; status.plan tells the risks: set the spec back, or approve with kubectl warrener approve %s/%s -n %s",
		subject, strings.Join(parts, "; "), strings.ToLower(p.Owner.Kind), p.Owner.Name, p.Owner.Namespace)
}

// holdUnapproved holds a step until those who have to approve it have; false if
// nobody has to.
func (b *builder) holdUnapproved(id topology.ID, owners []topology.OwnerKey, changes []topology.Change) bool {
	asked := b.unapproved[id]
	if len(asked) == 0 {
		return false
	}
	for _, owner := range owners {
		held := Held{Owner: owner, ID: id, Reason: AwaitingApproval, Message: asked[owner], Changes: changes, Approvable: true}
		if held.Message == "" {
			held.Message = fmt.Sprintf("%s waits until the plan of %s is approved", id, slices.SortedFunc(maps.Keys(asked), topology.OwnerKey.Compare)[0])
		}
		b.hold(held)
	}
	return true
}

// withhold keeps endings that are not approved, and what must not come before
// they go.
func (b *builder) withhold(ids []topology.ID, endings map[topology.ID]*ending) {
	if len(b.unapproved) == 0 {
		return
	}
	for _, id := range ids {
		e := endings[id]
		if !b.holdUnapproved(id, b.living(e.entry.Owners), nil) {
			continue
		}
		e.unapproved, e.caused = true, waits
		e.raise(waits, "its deletion waits for approval")
		if successor := b.steps[e.successor]; successor != nil {
			b.holdFor(successor.Owners, Held{
				ID: e.successor, Reason: Blocked, Missing: id,
				Message: fmt.Sprintf("%s takes the place of %s, which waits for approval to go", e.successor, id),
			})
			delete(b.steps, e.successor)
			b.forgetRecord(e.successor)
		}
	}
}

func (b *builder) living(owners []topology.OwnerKey) []topology.OwnerKey {
	return slices.DeleteFunc(slices.Clone(owners), func(key topology.OwnerKey) bool { return b.in.World.claims[key] == nil })
}

// proposeHeld adds what is refused, or held for another reason, to what would be
// done.
func (b *builder) proposeHeld() {
	for _, held := range b.plan.Held {
		step := ProposedStep{ID: held.ID, Changes: held.Changes}
		switch {
		case len(held.Changes) == 0 || held.Approvable:
			continue
		case held.Reason == AwaitingApproval:
			step.Action, step.Risk = ActionChange, risksOf(held.Changes)
		case held.Reason == ImmutableFieldChanged && held.Recreates:
			step.Action, step.Risk = ActionReplace, riskOfOperation[topology.OperationRecreate]
		case held.Reason == ImmutableFieldChanged || held.Reason == PartitionGrowthRefused:
			step.Action = ActionForbidden
		default:
			continue
		}
		claim := b.in.World.claims[held.Owner]
		known := b.proposals[held.Owner]
		if claim == nil || known != nil && slices.ContainsFunc(known.Steps, func(s ProposedStep) bool { return s.ID == held.ID }) {
			continue
		}
		b.propose(claim, step)
	}
	for _, p := range b.proposals {
		b.plan.Proposals = append(b.plan.Proposals, *p)
	}
	slices.SortFunc(b.plan.Proposals, func(x, y Proposal) int { return x.Owner.Compare(y.Owner.OwnerKey) })
}

func risksOf(changes []topology.Change) string {
	var risks []string
	for _, c := range changes {
		if c.Risk != "" && !slices.Contains(risks, c.Risk) {
			risks = append(risks, c.Risk)
		}
	}
	return strings.Join(risks, "; ")
}
