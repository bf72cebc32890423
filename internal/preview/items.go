package preview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// reasonRejected is the API's word for what a broker refuses.
const reasonRejected = "BrokerRejected"

const reasonSuspended = string(plan.Suspended)

// Share is how much of a topic's log is older than what its new retention
// leaves.
type Share struct{ Older, Of int64 }

// Input is what one cluster's preview is made of.
type Input struct {
	Connection         topology.ConnectionKey
	ClusterID, Version string
	Plan               *plan.Plan
	// Live is what the broker had when the plan was made.
	Live *topology.Snapshot
	// Claims that the plan is for.
	Claims map[topology.OwnerKey]*topology.Claim
	// Refused are steps that the broker, asked without effect, does not make.
	Refused []topology.Outcome
	// Shares of the logs that Shrinks names, as far as they are known.
	Shares map[string]Share
	// HeldDeletions are the former owners whose deletion the breaker holds.
	HeldDeletions []topology.OwnerKey
}

// Of turns a plan into the preview of one cluster.
func Of(in Input) Cluster {
	b := &builder{Input: in, refused: map[topology.ID]error{}, touched: map[topology.ID]bool{}, routes: newRoutes(in.Plan, in.Live)}
	for _, outcome := range in.Refused {
		b.refused[outcome.Step.ID] = outcome.Err
	}
	for _, step := range in.Plan.Steps() {
		b.step(step)
	}
	for _, operation := range in.Plan.Operations {
		b.operation(operation)
	}
	for _, held := range in.Plan.Held {
		if held.Reason == plan.Migrating && b.touched[held.Missing] {
			b.touched[held.ID] = true // a part of the replacement
			continue
		}
		b.held(held)
	}
	b.merge()
	out := Cluster{
		Connection: in.Connection.String(), ID: in.ClusterID, Version: in.Version,
		Items: []Item{}, Adopted: len(in.Plan.Adopted),
		Approvals: b.approvals(), HeldDeletions: heldDeletions(in.Connection, in.HeldDeletions),
	}
	for _, item := range b.items {
		out.Items = append(out.Items, item.Item)
	}
	declared := map[topology.ID]bool{}
	for _, claim := range in.Claims {
		if claim == nil {
			continue
		}
		for _, want := range claim.Want {
			if id := want.Resource.ID(); claim.Invalid == nil && !b.touched[id] {
				declared[id] = true
			}
		}
		for _, warning := range claim.Warnings {
			out.Warnings = append(out.Warnings, claim.Owner.String()+": "+warning)
		}
	}
	out.Unchanged = len(declared)
	slices.Sort(out.Warnings)
	return out
}

// builder gathers items.
type builder struct {
	Input
	items   []placed
	refused map[topology.ID]error
	// touched objects have an item.
	touched map[topology.ID]bool
	routes  routes
}

// placed is an item and where it stands.
type placed struct {
	Item
	id     topology.ID
	owners []topology.OwnerKey
}

// rank orders kinds as they are made.
var rank = map[topology.Kind]int{
	topology.KindVirtualHost: 1, topology.KindExchange: 2, topology.KindPolicy: 3, topology.KindQueue: 4, topology.KindBinding: 5, topology.KindTopic: 6,
}

func (p placed) compare(other placed) int {
	var a, b topology.OwnerKey
	if len(p.owners) > 0 {
		a = p.owners[0]
	}
	if len(other.owners) > 0 {
		b = other.owners[0]
	}
	return cmp.Or(a.Compare(b), cmp.Compare(rank[p.id.Kind], rank[other.id.Kind]), p.id.Compare(other.id),
		cmp.Compare(slices.Index(actions, p.Action), slices.Index(actions, other.Action)), cmp.Compare(p.Message, other.Message))
}

func (b *builder) add(id topology.ID, owners []topology.OwnerKey, item Item) {
	b.touched[id] = true
	if id != (topology.ID{}) {
		item.Object = id.String()
		item.Message = strings.TrimPrefix(item.Message, item.Object+": ") // it stands there already
	}
	item.Owners = []string{}
	b.items = append(b.items, placed{Item: item, id: id, owners: owners})
}

func (b *builder) step(step topology.Step) {
	if err := b.refused[step.ID]; err != nil {
		b.add(step.ID, step.Owners, Item{Action: Forbidden, Fields: fieldsOf(step), Reason: reasonRejected, Message: "the broker refuses it: " + strings.TrimPrefix(err.Error(), step.ID.String()+": ")})
		return
	}
	item := Item{Fields: fieldsOf(step), Risks: b.risksOf(step)}
	switch step.Verb {
	case topology.VerbCreate:
		item.Action = Create
	case topology.VerbUpdate:
		item.Action = Change
	default:
		item.Action = Delete
	}
	if step.Drift {
		item.Message = "somebody else changed it on the broker, and that is undone"
	}
	b.add(step.ID, step.Owners, item)
}

func (b *builder) operation(o topology.Operation) {
	item := Item{Action: Replace, Risks: b.risksOfOperation(o)}
	switch o.Kind {
	case topology.OperationReassign:
		item.Action, item.Message = Change, "replicas move between brokers while the topic is in use"
	case topology.OperationRecreate:
		item.Message = "updatePolicy: Recreate deletes it and creates it anew, now that it is unused"
	case topology.OperationMigrate:
		item.Message = "updatePolicy: Migrate replaces it while it is in use"
	}
	if o.Live != nil {
		for _, change := range o.Want.Diff(o.Live) {
			if o.Kind != topology.OperationReassign || change.Mode == topology.Gradual {
				item.Fields = append(item.Fields, fieldOf(change))
			}
		}
	}
	b.add(o.ID(), o.Owners, item)
}

func (b *builder) held(h plan.Held) {
	item := Item{Action: Held, Reason: string(h.Reason), Message: h.Message}
	switch h.Reason {
	case plan.Invalid, plan.RefNotPermitted, plan.Unsupported:
		item.Action = Invalid
	case plan.ImmutableFieldChanged, plan.PartitionGrowthRefused:
		if !h.Recreates {
			item.Action = Forbidden
		}
	}
	for _, change := range h.Changes {
		item.Fields = append(item.Fields, fieldOf(change))
	}
	if _, present := b.Live.Look(h.ID); len(h.Changes) > 0 && present == topology.Present {
		item.Risks = b.risksOfChanges(h.ID, nil, h.Changes)
	}
	if message, risk, found := b.approved(h); found {
		item.Message = message
		if risk != "" && len(item.Risks) == 0 {
			item.Risks = []string{risk}
		}
	}
	b.add(h.ID, []topology.OwnerKey{h.Owner}, item)
}

// merge sorts, and joins what is said of one object to several owners.
func (b *builder) merge() {
	slices.SortStableFunc(b.items, func(x, y placed) int {
		return cmp.Or(x.id.Compare(y.id), cmp.Compare(x.Action, y.Action), cmp.Compare(x.Message, y.Message), x.compare(y))
	})
	var out []placed
	for _, item := range b.items {
		if last := len(out) - 1; last >= 0 && item.id != (topology.ID{}) && out[last].id == item.id &&
			out[last].Action == item.Action && out[last].Message == item.Message {
			out[last].owners = append(slices.Clone(out[last].owners), item.owners...)
			continue
		}
		out = append(out, item)
	}
	for i := range out {
		owners := slices.Clone(out[i].owners)
		slices.SortFunc(owners, topology.OwnerKey.Compare)
		out[i].owners = slices.Compact(owners)
		for _, owner := range out[i].owners {
			out[i].Owners = append(out[i].Owners, owner.String())
		}
	}
	slices.SortStableFunc(out, placed.compare)
	b.items = out
}

func fieldOf(c topology.Change) Field { return Field{Path: c.Path, Live: c.From, Declared: c.To} }

// fieldsOf lists what a step makes of an object.
func fieldsOf(step topology.Step) []Field {
	if step.Verb == topology.VerbCreate {
		return declaredFields(step.Want)
	}
	var out []Field
	for _, change := range step.Changes {
		out = append(out, fieldOf(change))
	}
	return out
}

// depth is what a queue or topic holds, as people read it; false if it is not
// known.
func (b *builder) depth(id topology.ID) (int64, bool) {
	if depth, known := b.Live.Depths[id]; known && depth.Messages != topology.UnknownCount {
		return depth.Messages, true
	}
	usage, known := b.Live.Usage[id]
	return usage.Messages, known && !usage.Unknown
}

// hold says what an object holds: "it holds 1,204 messages"; "" if nothing, or
// if it is not known.
func (b *builder) holds(id topology.ID) string {
	if messages, known := b.depth(id); known && messages > 0 {
		return fmt.Sprintf("it holds %s", count(messages, "message"))
	}
	return ""
}
