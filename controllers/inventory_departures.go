package controllers

import (
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// departuresIn reads what the first shard says of resources that are gone.
func departuresIn(object *v1alpha1.BrokerInventory) (topology.Departures, error) {
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

// putDepartures writes it.
func putDepartures(object *v1alpha1.BrokerInventory, d topology.Departures) error {
	object.DeletionWindow, object.Departures = nil, nil
	if name := d.WindowName(); name != "" {
		object.DeletionWindow = &v1alpha1.DeletionWindow{Name: name, Last: int32(d.Last)}
	}
	for _, departure := range d.List {
		line, err := departure.MarshalText()
		if err != nil {
			return fmt.Errorf("write the departure of %s: %w", departure.Owner, err)
		}
		object.Departures = append(object.Departures, string(line))
	}
	return nil
}
