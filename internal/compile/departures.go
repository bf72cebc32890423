package compile

import (
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Departures reads what an inventory says of resources that are gone: of the
// objects of a cluster, the first one has it.
func Departures(object *v1alpha1.BrokerInventory) (topology.Departures, error) {
	var out topology.Departures
	if window := object.DeletionWindow; window != nil {
		opened, err := topology.ParseWindow(window.Name)
		if err != nil {
			return out, err
		}
		out.Opened, out.Last = opened, int(window.Last)
	}
	for _, line := range object.Departures {
		var d topology.Departure
		if err := d.UnmarshalText([]byte(line)); err != nil {
			return out, fmt.Errorf("%q: %w", line, err)
		}
		out.List = append(out.List, d)
	}
	slices.SortFunc(out.List, func(a, b topology.Departure) int { return a.Owner.Compare(b.Owner) })
	return out, nil
}
