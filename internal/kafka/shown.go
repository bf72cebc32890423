package kafka

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// What the controller has on record is shown by the other brokers as they come to it: mostly
// within milliseconds, and after seconds where thousands of topics are made or go at once, all
// of them together. Whoever reads earlier decides by how it was: what was created would seem
// gone, and a config key that is set would not be there to unset.
const (
	firstLook   = 10 * time.Millisecond
	longestLook = 200 * time.Millisecond
	// mostShownWait is more than a broker takes for 2,000 topics while it has other work, and
	// less than a person waits for an edit beside them without asking what is wrong.
	mostShownWait = 5 * time.Second
)

// awaitShown waits until the broker that is read shows what was changed. It gives up in silence:
// reading back says what is missing.
func (w *applying) awaitShown(ctx context.Context) {
	var waiting []int
	for i := range w.steps {
		if w.errs[i] == nil {
			waiting = append(waiting, i)
		}
	}
	begin, pause := time.Now(), firstLook
	for len(waiting) > 0 && time.Since(begin) < mostShownWait {
		var err error
		if waiting, err = w.unshown(ctx, waiting); err != nil || len(waiting) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longestLook)
	}
}

// unshown picks the steps that do not show yet.
func (w *applying) unshown(ctx context.Context, steps []int) ([]int, error) {
	names := make([]string, len(steps))
	for i, step := range steps {
		names[i] = w.steps[step].ID.Name
	}
	found, unread, err := w.readTopics(ctx, names)
	if err != nil {
		return nil, err
	}
	configs, err := w.readAltered(ctx, steps)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(steps, func(i int) bool {
		name := w.steps[i].ID.Name
		if topology.ClassOf(unread[name]) == topology.ClassAccessDenied {
			return true // who may not see it need not wait for it
		}
		t, exists := found[name]
		switch w.steps[i].Verb {
		case topology.VerbCreate:
			return exists
		case topology.VerbDelete:
			// One of another id is somebody else's, who was quick.
			return !exists || w.liveID(i) != [16]byte{} && t.TopicID != w.liveID(i)
		case topology.VerbUpdate:
			live := &topology.Topic{Name: name}
			if altered, read := configs[name]; read {
				live = altered
			}
			live.Partitions = int32(len(t.Partitions))
			return exists && !remains(w.steps[i], live)
		}
		return true
	}), nil
}

// readAltered reads what the steps have altered of configs.
func (w *applying) readAltered(ctx context.Context, steps []int) (map[string]*topology.Topic, error) {
	altered := map[string][]string{}
	for _, i := range steps {
		if keys := alteredKeys(w.steps[i]); len(keys) > 0 {
			altered[w.steps[i].ID.Name] = keys
		}
	}
	if len(altered) == 0 {
		return nil, nil
	}
	read, _, err := w.readKeys(ctx, slices.Sorted(maps.Keys(altered)), func(topic string) []string { return altered[topic] })
	return read, err
}

// remains tells whether any of what a step changes is not yet as it shall be.
func remains(step topology.Step, live *topology.Topic) bool {
	return slices.ContainsFunc(step.Want.Diff(live), func(left topology.Change) bool {
		return slices.ContainsFunc(step.Changes, func(c topology.Change) bool { return c.Path == left.Path })
	})
}
