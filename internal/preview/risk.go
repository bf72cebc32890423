package preview

import (
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// risksOf says what a step does to messages.
func (b *builder) risksOf(step topology.Step) []string {
	switch step.Verb {
	case topology.VerbUpdate:
		return b.risksOfChanges(step.ID, step.Want, step.Changes)
	case topology.VerbDelete:
		return b.risksOfDelete(step)
	}
	return nil
}

// risksOfChanges are those of changes of a living object. Want may be nil.
func (b *builder) risksOfChanges(id topology.ID, want topology.Resource, changes []topology.Change) []string {
	var out []string
	for _, change := range changes {
		risk := change.Risk
		switch {
		case change.Path == topology.PathPartitions && change.Mode == topology.InPlace:
			risk = fmt.Sprintf("%s → %s partitions: keys move to other partitions, per-key order ends at this point", change.From, change.To)
			if holds := b.holds(id); holds != "" {
				risk += " (" + holds + ")"
			}
		case id.Kind == topology.KindTopic:
			risk = b.risksOfConfig(id, want, change)
		}
		if risk != "" && !slices.Contains(out, risk) {
			out = append(out, risk)
		}
	}
	return out
}

func (b *builder) risksOfDelete(step topology.Step) []string {
	switch step.ID.Kind {
	case topology.KindBinding:
		return b.routes.risk(step)
	case topology.KindExchange:
		return []string{"who publishes to it gets an error, and its channel is closed"}
	case topology.KindQueue, topology.KindTopic:
		messages, known := b.depth(step.ID)
		switch {
		case !known:
			return []string{"what it holds is deleted with it"}
		case messages > 0 && step.IfUnused:
			return []string{fmt.Sprintf("it holds %s, and stays until it is empty", count(messages, "message"))}
		case messages > 0:
			return []string{fmt.Sprintf("%s are deleted with it", count(messages, "message"))}
		}
	case topology.KindVirtualHost:
		return []string{"everything in it is deleted with it, objects that nobody declares included"}
	}
	return nil
}

func (b *builder) risksOfOperation(o topology.Operation) []string {
	messages, known := b.depth(o.ID())
	var moved string
	switch {
	case known && messages > 0:
		moved = count(messages, "message") + " would be moved"
	case !known:
		moved = "how many messages would be moved is not known"
	}
	switch o.Kind {
	case topology.OperationMigrate:
		const gap = "consumers are cut off for a moment, and what is published through the default exchange in it can be lost"
		if moved == "" {
			return []string{gap}
		}
		return []string{moved, gap}
	case topology.OperationRecreate:
		return []string{"what is published to it in the moment in which it is not there is not routed"}
	case topology.OperationReassign:
		return []string{"all of the log is copied to the new replicas" + b.copying(o.ID())}
	}
	return nil
}

func (b *builder) copying(id topology.ID) string {
	if messages, known := b.depth(id); known {
		return ": " + count(messages, "message")
	}
	return ""
}
