package preview

import (
	"fmt"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// routes are the bindings that there are once a plan is carried out, by their
// source, and the exchanges that are left.
type routes struct {
	bindings  map[topology.ID][]*topology.Binding
	exchanges map[topology.ID]*topology.Exchange
}

func newRoutes(p *plan.Plan, live *topology.Snapshot) routes {
	r := routes{}
	deletes := false
	for _, step := range p.Steps() {
		deletes = deletes || step.Verb == topology.VerbDelete && step.ID.Kind == topology.KindBinding
	}
	if !deletes { // nobody asks
		return r
	}
	objects := map[topology.ID]topology.Resource{}
	for id, object := range live.Objects {
		objects[id] = object
	}
	for _, step := range p.Steps() {
		if step.Verb == topology.VerbDelete {
			delete(objects, step.ID)
		} else {
			objects[step.ID] = step.Want
		}
	}
	r.bindings, r.exchanges = map[topology.ID][]*topology.Binding{}, map[topology.ID]*topology.Exchange{}
	for _, object := range objects {
		switch o := object.(type) {
		case *topology.Binding:
			if _, there := objects[o.DestinationID()]; there {
				r.bindings[o.SourceID()] = append(r.bindings[o.SourceID()], o)
			}
		case *topology.Exchange:
			r.exchanges[o.ID()] = o
		}
	}
	return r
}

// risk of taking a binding away: what it took may come to nobody any more.
func (r routes) risk(step topology.Step) []string {
	gone, ok := step.Live.(*topology.Binding)
	if !ok {
		return nil
	}
	source := r.exchanges[gone.SourceID()]
	if source == nil {
		return nil // it goes, too, and its own risk says what that means
	}
	if slices.ContainsFunc(r.bindings[gone.SourceID()], func(other *topology.Binding) bool { return covers(source.Type, other, gone) }) {
		return nil
	}
	what := "this binding is the only one that matches `" + gone.RoutingKey + "`"
	switch source.Type {
	case "fanout":
		what = "this binding is the only one of " + source.Name
	case "headers":
		what = "this is the only binding with these headers"
	}
	if name, _ := source.Arguments["alternate-exchange"].(string); name != "" {
		if r.exchanges[topology.ExchangeID(gone.VirtualHost, name)] != nil {
			return []string{fmt.Sprintf("%s: such messages go to the alternate exchange %s from now on", what, name)}
		}
		return []string{fmt.Sprintf("%s, and the alternate exchange %s is not there: such messages will be dropped", what, name)}
	}
	return []string{what + ": unless an alternate exchange takes them, such messages will be dropped"}
}

// covers tells whether a binding takes all that another one of the same source
// took. No means that it is not certain.
func covers(exchangeType string, other, gone *topology.Binding) bool {
	switch exchangeType {
	case "fanout":
		return true
	case "direct":
		return other.RoutingKey == gone.RoutingKey
	case "topic":
		return coversPattern(strings.Split(other.RoutingKey, "."), strings.Split(gone.RoutingKey, "."))
	case "headers":
		return other.Arguments.Canonical() == gone.Arguments.Canonical()
	}
	return other.SameRoute(gone)
}

// coversPattern tells whether every key that a pattern of a topic exchange
// matches is matched by another pattern, too; false where that takes more than
// comparing them word by word.
func coversPattern(general, special []string) bool {
	if len(general) == 0 {
		return len(special) == 0
	}
	if general[0] == "#" {
		return coversPattern(general[1:], special) || len(special) > 0 && coversPattern(general, special[1:])
	}
	if len(special) == 0 || special[0] == "#" || general[0] != "*" && general[0] != special[0] {
		return false
	}
	return coversPattern(general[1:], special[1:])
}
