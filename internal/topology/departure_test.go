package topology

import (
	"testing"
	"time"
)

func TestDepartureTextRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":        ``,
		"no owner":       `gone=2026-11-22T00:45:36Z`,
		"half an owner":  `Queue/x gone=2026-11-22T00:45:36Z`,
		"no time":        `Queue/a/b`,
		"a bad time":     `Queue/a/b gone=yesterday`,
		"a bad place":    `Queue/a/b gone=2026-11-22T00:45:36Z held=-1`,
		"no weight":      `Queue/a/b gone=2026-11-22T00:45:36Z weight=0`,
		"an unknown key": `Queue/a/b gone=2026-11-22T00:45:36Z colour=red`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := new(Departure).UnmarshalText([]byte(text)); err == nil {
				t.Errorf("%s was accepted", text)
			}
		})
	}
}

func TestWindowCovers(t *testing.T) {
	t.Parallel()
	d := Departures{Opened: time.Date(2026, 11, 22, 0, 45, 36, 0, time.UTC), Last: 60}
	for id, want := range map[string]int{
		d.WindowID(): 60, "20261122-004536-60": 60, "20261122-004536-10": 10, "20261122-004536-999": 60,
		"20261122-004536-0": 0, "20261122-004536--5": 0, "20261122-004536-": 0, "20261122-004536": 0, "20261122-004537-60": 0, "all": 0, "": 0,
	} {
		if got := d.Covered(id); got != want {
			t.Errorf("%q covers %d, not %d", id, got, want)
		}
	}
	if id := (Departures{Last: 3}).WindowID(); id != "" || (Departures{Last: 3}).Covered("00010101-000000-3") != 0 {
		t.Errorf("no window ever opened, and its id is %q", id)
	}
}
