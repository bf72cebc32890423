package kafka

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Bounds of one request. KRaft writes one record per topic, partition and
// config, and refuses an operation of more than 10,000 records as a whole; a
// request of more than 100 MB is not read at all.
const (
	mostRecords = 9000
	mostBytes   = 8 << 20
	// assumedPartitions stands for the count that the broker chooses.
	assumedPartitions = 8
)

// job is one topic in a bulk request.
type job struct {
	step    int // index in the wave
	id      topology.ID
	records int
	bytes   int
}

// answer is what a broker says to one job.
type answer struct {
	given   bool
	code    int16
	message *string
}

// sender sends one request for all its jobs and returns their answers, in
// order. The error is about the request as a whole.
type sender func(ctx context.Context, jobs []job) ([]answer, error)

// bulk sends jobs in chunks, and reports each job's error or nil.
func (b *Broker) bulk(ctx context.Context, operation string, jobs []job, send sender, report func(j job, a answer, err error)) {
	for _, chunk := range chunks(jobs) {
		b.sendChunk(ctx, operation, chunk, send, report)
	}
}

func (b *Broker) sendChunk(ctx context.Context, operation string, jobs []job, send sender, report func(j job, a answer, err error)) {
	answers, err := send(ctx, jobs)
	if err == nil && len(jobs) > 1 && refusedWhole(answers) {
		// Halving finds the offender in few requests, and comes down to
		// singles where everything offends.
		half := len(jobs) / 2
		b.sendChunk(ctx, operation, jobs[:half], send, report)
		b.sendChunk(ctx, operation, jobs[half:], send, report)
		return
	}
	for i, j := range jobs {
		switch {
		case err != nil:
			report(j, answer{}, about(err, j.id))
		case !answers[i].given:
			report(j, answer{}, b.failure(topology.ClassTransient, operation, j.id, reasonNotAnswered, nil))
		default:
			report(j, answers[i], b.codeError(operation, j.id, answers[i].code, answers[i].message))
		}
	}
}

// about makes the failure of a whole request that of one object.
func about(err error, id topology.ID) error {
	if whole, ok := err.(*topology.Error); ok { //nolint:errorlint // only what ask() made is copied, not what wraps it
		single := *whole
		single.Object = id
		return &single
	}
	return err
}

// chunks splits jobs by what one request may carry.
func chunks(jobs []job) (out [][]job) {
	start, records, bytes := 0, 0, 0
	for i, j := range jobs {
		if i > start && (records+j.records > mostRecords || bytes+j.bytes > mostBytes) {
			out = append(out, jobs[start:i])
			start, records, bytes = i, 0, 0
		}
		records, bytes = records+j.records, bytes+j.bytes
	}
	if start < len(jobs) {
		out = append(out, jobs[start:])
	}
	return out
}

// wholeRefusals are codes that, given to every topic of a request, are about the
// request. A policy of the cluster gives the same code as the cap on records:
// only the message tells them apart.
var wholeRefusals = map[int16]string{
	kerr.PolicyViolation.Code:    excessive,
	kerr.InvalidRequest.Code:     "",
	kerr.UnknownServerError.Code: "",
	kerr.MessageTooLarge.Code:    "",
}

func refusedWhole(answers []answer) bool {
	for _, a := range answers {
		words, whole := wholeRefusals[a.code]
		if !a.given || !whole || a.code != answers[0].code {
			return false
		}
		if words != "" && (a.message == nil || !strings.Contains(strings.ToLower(*a.message), words)) {
			return false
		}
	}
	return true
}
