package importer

import (
	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Remaining lists what a plan would still do, or hold, if the result were applied
// to what it was imported from: nothing, or the import is wrong.
func Remaining(result *Result, source *Source, options Options) []string {
	world := plan.NewWorld()
	for _, object := range result.Objects() {
		claim := compile.Claim(object, source.defaults(options))
		world.SetClaim(&claim)
	}
	computed := plan.Compute(plan.Input{World: world, Live: source.Live, Focus: world.Focus(world.Claims())})
	var out []string
	for _, step := range computed.Steps() {
		text := string(step.Verb) + " " + step.ID.String()
		if len(step.Changes) > 0 {
			text += ": " + topology.DescribeChanges(step.Changes)
		}
		out = append(out, text)
	}
	for _, operation := range computed.Operations {
		out = append(out, "change "+operation.ID().String())
	}
	for _, held := range computed.Held {
		if source.Partial && held.Reason == plan.Blocked {
			continue // a note tells
		}
		out = append(out, held.Owner.String()+": "+held.Message)
	}
	return out
}

// Unaccounted lists what is neither in the manifests nor among the notes of a
// result: nothing, or something was dropped in silence. Objects of the broker
// itself need no word.
func Unaccounted(result *Result, source *Source, options Options) []topology.ID {
	told := map[string]bool{}
	for _, note := range result.AllNotes() {
		told[note.Subject] = true
	}
	wanted := map[topology.ID]bool{}
	for _, object := range result.Objects() {
		for _, want := range compile.Claim(object, source.defaults(options)).Want {
			wanted[want.Resource.ID()] = true
		}
	}
	var out []topology.ID
	for _, id := range sortedIDs(source.Live.Objects) {
		if !options.wants(id) {
			continue
		}
		accounted := wanted[id] || told[id.String()]
		switch o := source.Live.Objects[id].(type) {
		case *topology.VirtualHost:
			accounted = accounted || o.Name == v1alpha1.DefaultVirtualHost || source.Known != nil
		case *topology.Exchange:
			accounted = accounted || isSystemExchange(o.Name)
		case *topology.Binding:
			accounted = accounted || told[o.SourceID().String()] || told[o.DestinationID().String()]
		case *topology.Topic:
			accounted = accounted || isSystemTopic(o.Name)
		}
		if !accounted {
			out = append(out, id)
		}
	}
	return out
}
