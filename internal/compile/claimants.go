package compile

import (
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Selector asks the API server for objects of a kind by the value of one field.
type Selector struct {
	Kind string
	// Field is FieldName, or one that the CRD of the kind lets be selected.
	Field, Value string
}

// The fields of selectors.
const (
	FieldName            = "metadata.name"
	FieldBrokerName      = "spec.name"
	FieldDeadLetterQueue = "spec.deadLetter.queue"
	FieldDestination     = "spec.destination"
)

// Claimants selects every resource that can want an object on a broker, by what a
// resource must say to want it; some of those that are found want something else.
// False: only a listing of all can tell.
//
// It is the way back of Claim. What a Queue makes beside itself is called after it,
// with a dot between, or after its spec.deadLetter.queue.
func Claimants(id topology.ID) ([]Selector, bool) {
	switch id.Kind {
	case topology.KindQueue:
		return append(queuesAround(id.Name), Selector{v1alpha1.KindExchangeBinding, FieldDestination, id.Name}), true
	case topology.KindBinding:
		_, destination, err := topology.BindingEnds(id)
		if err != nil || destination.Name == "" {
			return nil, false
		}
		out := append(queuesAround(destination.Name), Selector{v1alpha1.KindExchangeBinding, FieldDestination, destination.Name})
		if destination.Kind == topology.KindExchange {
			out = append(out, called(v1alpha1.KindExchange, destination.Name)...)
		}
		return out, true
	}
	// Exchanges are named in lists; in virtual hosts there is everything; retry topics
	// are called after two things.
	return nil, false
}

// queuesAround selects the Queues that a name on the broker can come from.
func queuesAround(name string) []Selector {
	out := called(v1alpha1.KindQueue, name)
	for i := range len(name) {
		if i > 0 && name[i] == '.' {
			out = append(out, called(v1alpha1.KindQueue, name[:i])...)
		}
	}
	return append(out, Selector{v1alpha1.KindQueue, FieldDeadLetterQueue, name})
}

// called selects by the name on the broker: that in the spec or, without it, the
// object's own.
func called(kind, name string) []Selector {
	out := []Selector{{kind, FieldBrokerName, name}}
	if len(validation.IsDNS1123Subdomain(name)) == 0 {
		out = append(out, Selector{kind, FieldName, name})
	}
	return out
}
