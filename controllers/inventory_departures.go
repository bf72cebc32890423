package controllers

import (
	"fmt"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// putDepartures writes what compile.Departures reads.
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
