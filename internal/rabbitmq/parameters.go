package rabbitmq

import (
	"cmp"
	"context"
	"slices"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Parameter names a runtime parameter of a virtual host, such as a federation
// upstream or a shovel, or an operator policy. Its value is not read: it may hold
// credentials.
type Parameter struct {
	Component   string `json:"component"`
	VirtualHost string `json:"vhost"`
	Name        string `json:"name"`
}

// ComponentOperatorPolicy and ComponentLimits are components of parameters that
// have a listing of their own.
const (
	ComponentOperatorPolicy = "operator_policy"
	ComponentLimits         = "vhost-limits"
)

// Parameters lists what the virtual hosts have besides their topology, sorted:
// two requests. Runtime parameters take the tag policymaker; the error is then of
// ClassAccessDenied, and what could be read is returned with it.
func (b *Broker) Parameters(ctx context.Context) ([]Parameter, error) {
	var out []Parameter
	var failed error
	for _, path := range []string{"operator-policies", "parameters"} {
		c := b.call(ctx, "list "+path)
		var listed []Parameter
		err := c.within(listingFactor*c.timeout).get(path+"?columns=component,vhost,name", &listed)
		switch {
		case denied(err):
			failed = b.classify(c.operation, topology.ID{}, err)
			continue
		case err != nil:
			return nil, b.classify(c.operation, topology.ID{}, err)
		}
		for _, p := range listed {
			if path == "operator-policies" {
				p.Component = ComponentOperatorPolicy
			} else if p.Component == ComponentOperatorPolicy || p.Component == ComponentLimits {
				continue // listed elsewhere
			}
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(x, y Parameter) int {
		return cmp.Or(cmp.Compare(x.VirtualHost, y.VirtualHost), cmp.Compare(x.Component, y.Component), cmp.Compare(x.Name, y.Name))
	})
	return out, failed
}
