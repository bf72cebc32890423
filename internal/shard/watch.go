package shard

import "time"

// Watch knows for how long each replica has not renewed its lease, as far as
// somebody saw who looked all the time: when the API server was away, nobody
// could renew, and nobody is dead because of it.
type Watch struct {
	// Lasts is how long a renewal counts for others.
	Lasts time.Duration
	// Gap is the longest time between two looks; after a longer one nothing is
	// known any more.
	Gap time.Duration

	looked time.Time
	seen   map[string]sighting
}

type sighting struct {
	mark  string
	since time.Time
}

// Look takes note of all leases, by replica: mark changes with each renewal. now
// is a moment after they were read. It returns whose leases have run out.
func (w *Watch) Look(marks map[string]string, now time.Time) (expired []string) {
	if now.Sub(w.looked) > w.Gap {
		w.seen = nil
	}
	w.looked = now
	before := w.seen
	w.seen = make(map[string]sighting, len(marks))
	for name, mark := range marks {
		last, known := before[name]
		if !known || last.mark != mark {
			last = sighting{mark, now}
		}
		w.seen[name] = last
		if now.Sub(last.since) >= w.Lasts {
			expired = append(expired, name)
		}
	}
	return expired
}
