package preview

import (
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// declaredFields lists what is declared of an object that is not there yet: in
// what it differs from an empty one. What is as any broker has it is left out.
func declaredFields(want topology.Resource) []Field {
	var empty topology.Resource
	switch want := want.(type) {
	case *topology.Queue:
		empty = &topology.Queue{Durable: true}
	case *topology.Exchange:
		empty = &topology.Exchange{Durable: true}
	case *topology.BrokerPolicy:
		empty = &topology.BrokerPolicy{}
	case *topology.VirtualHost:
		empty = &topology.VirtualHost{}
	case *topology.Topic:
		return topicFields(want)
	default: // a binding's name says all of it
		return nil
	}
	var out []Field
	for _, change := range want.Diff(empty) {
		out = append(out, Field{Path: change.Path, Declared: change.To})
	}
	return out
}

// topicFields: a topic of no partitions is none, so it cannot be compared with.
func topicFields(want *topology.Topic) []Field {
	live := &topology.Topic{Name: want.Name}
	for range want.Assignments {
		live.Assignments = append(live.Assignments, nil)
	}
	var out []Field
	for _, change := range want.Diff(live) {
		out = append(out, Field{Path: change.Path, Declared: change.To})
	}
	slices.SortStableFunc(out, func(a, b Field) int {
		_, aConfig := topology.ConfigKey(a.Path)
		_, bConfig := topology.ConfigKey(b.Path)
		switch {
		case aConfig == bConfig:
			return strings.Compare(a.Path, b.Path)
		case aConfig:
			return 1
		default:
			return -1
		}
	})
	return out
}
