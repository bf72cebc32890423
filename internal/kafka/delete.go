package kafka

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

// deletesPerRequest keeps the time between looking whether topics are empty and
// deleting them short: some 50 ms for so many. Fewer are no better: a broker shows the
// deletions of a second request when it has removed the files of the first.
const deletesPerRequest = 1000

// delete removes topics by the id that was observed, so that a topic that
// somebody has deleted and created again in between stays; by name where there
// is no id (brokers before 2.8). A topic that is gone is a success.
//
// A guarded delete looks at offsets and groups right before. What is produced
// between that look and the deletion, some milliseconds, is lost: Kafka has no
// "delete if empty".
func (w *applying) delete(ctx context.Context, steps []int) {
	if len(steps) == 0 {
		return
	}
	free := w.isUnthrottled(ctx) // asked before it is looked at what they hold, so that the deletion follows at once
	for start := 0; start < len(steps); start += deletesPerRequest {
		chunk := steps[start:min(start+deletesPerRequest, len(steps))]
		jobs := w.unused(ctx, chunk)
		if !free {
			jobs = w.unthrottled(ctx, jobs)
		}
		var gone []job
		w.bulk(ctx, opDelete, jobs, w.sendDelete, func(j job, a answer, err error) {
			switch a.code {
			case kerr.UnknownTopicOrPartition.Code:
			case kerr.UnknownTopicID.Code:
				gone = append(gone, j)
			default:
				w.record(j, a, err)
			}
		})
		w.explainGone(ctx, gone)
	}
}

// unused gives the jobs of a chunk that may go on.
func (w *applying) unused(ctx context.Context, steps []int) []job {
	var guarded []string
	for _, i := range steps {
		if w.steps[i].IfUnused {
			guarded = append(guarded, w.steps[i].ID.Name)
		}
	}
	var jobs []job
	if len(guarded) == 0 {
		for _, i := range steps {
			jobs = append(jobs, w.job(i, 1, len(w.steps[i].ID.Name)))
		}
		return jobs
	}
	found, unread, err := w.readTopics(ctx, guarded)
	uses := map[string]usage{}
	if err == nil {
		uses = w.readUsage(ctx, found, guarded)
	}
	for _, i := range steps {
		id := w.steps[i].ID
		if w.steps[i].IfUnused {
			use, exists := uses[id.Name]
			switch {
			case err != nil:
				w.errs[i] = about(err, id)
			case unread[id.Name] != nil:
				w.errs[i] = unread[id.Name]
			case exists:
				w.errs[i] = w.inUse(id, use)
			}
			if w.errs[i] != nil || !exists {
				continue
			}
		}
		jobs = append(jobs, w.job(i, 1, len(id.Name)))
	}
	return jobs
}

// unthrottled takes the throttle off brokers that is there for topics which go in
// the middle of a reassignment: afterwards nothing tells any more whose it is.
// Those of which it cannot be taken stay.
func (w *applying) unthrottled(ctx context.Context, jobs []job) []job {
	names := make([]string, len(jobs))
	for i, j := range jobs {
		names[i] = j.id.Name
	}
	lists, unread, err := w.readLists(ctx, names)
	return slices.DeleteFunc(jobs, func(j job) bool {
		of, why := lists[j.id.Name], unread[j.id.Name]
		switch class := topology.ClassOf(why); {
		case err != nil:
			w.errs[j.step] = about(err, j.id)
		case class == topology.ClassPending, class == topology.ClassAccessDenied:
			// It is gone, or who may not read these lists has not set them either.
		case why != nil:
			w.errs[j.step] = why
		case markOf(of[leaderReplicas], of[followerReplicas]) == ours:
			w.errs[j.step] = w.unthrottle(ctx, j.id)
		}
		return w.errs[j.step] != nil
	})
}

// liveID is the id of the topic that the plan saw; zero if it is not known.
func (w *applying) liveID(step int) [16]byte {
	if live, ok := w.steps[step].Live.(*topology.Topic); ok {
		return parseID(live.TopicID)
	}
	return [16]byte{}
}

func (w *applying) sendDelete(ctx context.Context, jobs []job) ([]answer, error) {
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TimeoutMillis = w.writeTimeout()
	for _, j := range jobs {
		t := kmsg.NewDeleteTopicsRequestTopic()
		if t.TopicID = w.liveID(j.step); t.TopicID == ([16]byte{}) {
			t.Topic = kmsg.StringPtr(j.id.Name)
		}
		request.Topics = append(request.Topics, t)
		request.TopicNames = append(request.TopicNames, j.id.Name) // all that old brokers read
	}
	response, err := ask[*kmsg.DeleteTopicsResponse](ctx, w.Broker, opDelete, request)
	if err != nil {
		return nil, err
	}
	byTopic, byID := map[string]answer{}, map[[16]byte]answer{}
	for _, t := range response.Topics {
		a := answer{true, t.ErrorCode, t.ErrorMessage}
		if t.Topic != nil {
			byTopic[*t.Topic] = a
		}
		if t.TopicID != ([16]byte{}) {
			byID[t.TopicID] = a
		}
	}
	answers := make([]answer, len(jobs))
	for i, j := range jobs {
		if a, ok := byID[w.liveID(j.step)]; ok {
			answers[i] = a
		} else {
			answers[i] = byTopic[j.id.Name]
		}
	}
	return answers, nil
}

// explainGone is about topics whose id is gone: their name may be free, or
// somebody may have created a new topic under it, which stays.
func (w *applying) explainGone(ctx context.Context, jobs []job) {
	if len(jobs) == 0 {
		return
	}
	names := make([]string, len(jobs))
	for i, j := range jobs {
		names[i] = j.id.Name
	}
	found, unread, err := w.readTopics(ctx, names)
	for _, j := range jobs {
		t, exists := found[j.id.Name]
		switch {
		case err != nil:
			w.errs[j.step] = about(err, j.id)
		case unread[j.id.Name] != nil:
			w.errs[j.step] = unread[j.id.Name]
		case exists && t.TopicID != w.liveID(j.step):
			w.errs[j.step] = w.failure(topology.ClassTransient, opDelete, j.id,
				"somebody deleted it and created another topic of this name: looking again", kerr.UnknownTopicID)
		}
	}
}
