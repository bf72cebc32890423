package kafka

import (
	"context"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// What the controller has on record is shown by the other brokers as they come to it: mostly
// within milliseconds, and after seconds where thousands of topics are made or go at once, all
// of them together. Whoever reads back earlier would tell that it is pending, and a moment
// later that it is well.
const (
	firstLook   = 10 * time.Millisecond
	longestLook = 200 * time.Millisecond
	// mostShownWait is more than a broker takes for 2,000 topics while it has other work, and
	// less than a person waits for an edit beside them without asking what is wrong.
	mostShownWait = 5 * time.Second
)

// awaitShown waits until a broker shows what was created and shows no longer what was deleted. It
// gives up in silence: reading back says what is missing.
func (w *applying) awaitShown(ctx context.Context) {
	var waiting []int
	for i, step := range w.steps {
		if w.errs[i] == nil && (step.Verb == topology.VerbCreate || step.Verb == topology.VerbDelete) {
			waiting = append(waiting, i)
		}
	}
	begin, pause := time.Now(), firstLook
	for len(waiting) > 0 && time.Since(begin) < mostShownWait {
		names := make([]string, len(waiting))
		for i, step := range waiting {
			names[i] = w.steps[step].ID.Name
		}
		found, unread, err := w.readTopics(ctx, names)
		if err != nil {
			return
		}
		if waiting = w.unshown(waiting, found, unread); len(waiting) == 0 {
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

// unshown picks the steps that do not show yet. One that the user may not see is not waited for.
func (w *applying) unshown(steps []int, found map[string]metadataTopic, unread map[string]error) []int {
	var out []int
	for _, i := range steps {
		name := w.steps[i].ID.Name
		t, exists := found[name]
		switch {
		case topology.ClassOf(unread[name]) == topology.ClassAccessDenied:
		case w.steps[i].Verb == topology.VerbCreate && !exists,
			// One of another id is somebody else's, who was quick.
			w.steps[i].Verb == topology.VerbDelete && exists && (w.liveID(i) == [16]byte{} || t.TopicID == w.liveID(i)):
			out = append(out, i)
		}
	}
	return out
}
