package topology

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Departure is the end of a resource that owned broker objects, as the breaker
// for mass deletions counts it.
type Departure struct {
	Owner OwnerKey
	// Seen is when the owner was found to be gone, in UTC, to the second.
	Seen time.Time
	// Weight is the number of resources that it counts for: one, and for a
	// virtual host that takes others along those, too.
	Weight int
	// Held is the place among the held deletions of the window, from 1; 0 if the
	// deletion may go ahead.
	Held int
	// Allowed deletions were acknowledged by a person and are not counted.
	Allowed bool
}

// Departures are what the breaker remembers. They are kept with the inventory,
// so that a restart forgets nothing.
type Departures struct {
	// Opened is when the last window of held deletions opened; zero if none ever
	// did. It is open while a deletion in the list is held.
	Opened time.Time
	// Last is the highest place that was given in the window.
	Last int
	// List is sorted by owner.
	List []Departure
}

// windowLayout makes the time at which a window opened its name.
const windowLayout = "20060102-150405"

// WindowID names the deletions that are held at this moment: the window, and the
// last place in it. What is held later has a later place, so an id stands for
// what a reader saw. "" if no window ever opened.
func (d Departures) WindowID() string {
	if d.Opened.IsZero() {
		return ""
	}
	return d.Opened.UTC().Format(windowLayout) + "-" + strconv.Itoa(d.Last)
}

// Covered tells how many places of the window an id covers; 0 if it is of
// another window, or of none.
func (d Departures) Covered(id string) int {
	prefix := d.Opened.UTC().Format(windowLayout) + "-"
	place, err := strconv.Atoi(strings.TrimPrefix(id, prefix))
	if d.Opened.IsZero() || !strings.HasPrefix(id, prefix) || err != nil || place < 1 {
		return 0
	}
	return min(place, d.Last)
}

// Find returns the departure of an owner.
func (d Departures) Find(owner OwnerKey) (Departure, bool) {
	at, found := slices.BinarySearchFunc(d.List, owner, func(x Departure, key OwnerKey) int { return x.Owner.Compare(key) })
	if !found {
		return Departure{}, false
	}
	return d.List[at], true
}

// Equal tells whether two say the same.
func (d Departures) Equal(other Departures) bool {
	return d.Opened.Equal(other.Opened) && d.Last == other.Last && slices.EqualFunc(d.List, other.List, func(x, y Departure) bool {
		return x.Owner == y.Owner && x.Seen.Equal(y.Seen) && x.Weight == y.Weight && x.Held == y.Held && x.Allowed == y.Allowed
	})
}

// MarshalText renders a departure as one line for people that parses back:
//
//	Queue/smoke/order-process gone=2026-11-22T00:45:36Z held=12
func (d Departure) MarshalText() ([]byte, error) {
	words := []string{ownerText(d.Owner), "gone=" + d.Seen.UTC().Format(time.RFC3339)}
	if d.Weight > 1 {
		words = append(words, "weight="+strconv.Itoa(d.Weight))
	}
	if d.Held > 0 {
		words = append(words, "held="+strconv.Itoa(d.Held))
	}
	if d.Allowed {
		words = append(words, "allowed=true")
	}
	return []byte(strings.Join(words, " ")), nil
}

// UnmarshalText reads what MarshalText wrote. Unknown keys are errors.
func (d *Departure) UnmarshalText(text []byte) error {
	words, err := splitWords(string(text))
	if err != nil {
		return err
	}
	if len(words) == 0 || words[0].key != "" {
		return errors.New("a departure begins with its owner")
	}
	*d = Departure{Weight: 1}
	if d.Owner, err = parseOwner(words[0].value); err != nil {
		return err
	}
	for _, w := range words[1:] {
		switch w.key {
		case "gone":
			d.Seen, err = time.Parse(time.RFC3339, w.value)
		case "weight":
			d.Weight, err = strconv.Atoi(w.value)
		case "held":
			d.Held, err = strconv.Atoi(w.value)
		case "allowed":
			d.Allowed, err = strconv.ParseBool(w.value)
		default:
			err = fmt.Errorf("unknown key %q", w.key)
		}
		if err != nil {
			return err
		}
	}
	if d.Seen.IsZero() || d.Weight < 1 || d.Held < 0 {
		return fmt.Errorf("%q is no departure", text)
	}
	return nil
}

// ParseWindow reads the name of a window, an id without its place.
func ParseWindow(name string) (time.Time, error) {
	opened, err := time.Parse(windowLayout, name)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no window of held deletions", name)
	}
	return opened, nil
}

// WindowName is the id without the place; "" if no window ever opened.
func (d Departures) WindowName() string {
	if d.Opened.IsZero() {
		return ""
	}
	return d.Opened.UTC().Format(windowLayout)
}

func ownerText(owner OwnerKey) string {
	return owner.Kind + "/" + owner.Namespace + "/" + owner.Name
}

func parseOwner(text string) (OwnerKey, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return OwnerKey{}, fmt.Errorf("owner %s is not kind/namespace/name", text)
	}
	return OwnerKey{Kind: parts[0], Namespace: parts[1], Name: parts[2]}, nil
}
