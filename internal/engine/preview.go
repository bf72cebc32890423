package engine

import (
	"context"
	"slices"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Preview is what a pass would do, and what that follows from.
type Preview struct {
	*plan.Plan
	// Live is all that the broker had, with the usage that the plan asked for, and
	// the depths of what it replaces, deletes or adds partitions to.
	Live *topology.Snapshot
	// Claims of the owners that the plan is for.
	Claims map[topology.OwnerKey]*topology.Claim
	// Refused are the steps that the broker, asked without effect, does not make.
	Refused []topology.Outcome
	// HeldDeletions are the former owners whose deletion the breaker holds over
	// the connection, those of others than the plan is for included.
	HeldDeletions []topology.OwnerKey
}

// Preview plans for some owners of a connection, and changes nothing, neither on
// the broker nor in the inventory. Steps that are left to another connection are
// in the preview of that one.
func (c *Cluster) Preview(ctx context.Context, s Session, owners []topology.OwnerKey) (*Preview, error) {
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	live, err := s.Broker.Observe(ctx, topology.Selection{All: true, Policies: c.hasPolicies()})
	if err != nil {
		return nil, err
	}
	c.judge(s)
	out := &Preview{HeldDeletions: c.HeldDeletions(s.Connection).Owners}
	err = c.exclusively(ctx, owners, func(held *stake) error {
		o := &observation{cluster: c, session: s, held: held, report: &Report{}, live: live}
		p, err := o.plan(ctx, owners)
		if err != nil {
			return err
		}
		out.Plan, out.Claims, out.Live = p.Plan, p.claims, o.live
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Waves = stepsOver(s.Connection, out.Waves)
	out.Operations = slices.DeleteFunc(out.Operations, func(o topology.Operation) bool { return o.Connection != s.Connection })
	if validator, able := s.Broker.(Validator); able {
		out.Refused = slices.DeleteFunc(validator.Validate(ctx, makes(out.Steps())), func(o topology.Outcome) bool { return !definite(o.Err) })
	}
	return out, out.readDepths(ctx, s)
}

// stepsOver keeps the steps that are made over a connection.
func stepsOver(connection topology.ConnectionKey, waves [][]topology.Step) [][]topology.Step {
	var out [][]topology.Step
	for _, wave := range waves {
		wave = slices.DeleteFunc(slices.Clone(wave), func(s topology.Step) bool { return s.Connection != connection })
		if len(wave) > 0 {
			out = append(out, wave)
		}
	}
	return out
}

// makes are the steps of which a broker can be asked whether it would make them.
func makes(steps []topology.Step) []topology.Step {
	return slices.DeleteFunc(steps, func(s topology.Step) bool { return s.Verb == topology.VerbDelete })
}

// readDepths asks what is in the queues and topics that are at stake.
func (p *Preview) readDepths(ctx context.Context, s Session) error {
	atStake := map[topology.ID]struct{}{}
	note := func(id topology.ID) {
		if id.Kind == topology.KindQueue || id.Kind == topology.KindTopic {
			atStake[id] = struct{}{}
		}
	}
	for _, operation := range p.Operations {
		note(operation.ID())
	}
	for _, step := range p.Steps() {
		if step.Verb != topology.VerbCreate {
			note(step.ID)
		}
	}
	for _, held := range p.Held {
		if len(held.Changes) > 0 {
			note(held.ID)
		}
	}
	if len(atStake) == 0 {
		return nil
	}
	ids := topology.SortedIDs(atStake)
	read, err := s.Broker.Observe(ctx, topology.Selection{IDs: ids, Depths: ids})
	if err != nil {
		return err
	}
	live := *p.Live
	live.Depths = read.Depths
	p.Live = &live
	return nil
}

// Open loads the inventory now, and not with the first pass: who departs after
// that is known by what it holds.
func (c *Cluster) Open(ctx context.Context) error { return c.load(ctx) }
