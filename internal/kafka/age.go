package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Older is how much of a topic's log is older than a point in time, by the times
// that its records carry.
type Older struct {
	// Messages that are older, and Of how many; upper bounds, as those of Usage.
	Messages, Of int64
}

// Older counts, of some topics, what is older than a point in time of each. It
// has no entry for topics of which that cannot be read; an error says that
// nothing was learnt.
func (b *Broker) Older(ctx context.Context, than map[string]time.Time) (map[string]Older, error) {
	out := make(map[string]Older, len(than))
	for topic, point := range than {
		ends, err := await(ctx, b.options.Timeout, func(ctx context.Context) (ends [3]kadm.ListedOffsets, err error) {
			if ends[0], err = b.admin.ListStartOffsets(ctx, topic); err != nil {
				return ends, err
			}
			if ends[1], err = b.admin.ListOffsetsAfterMilli(ctx, point.UnixMilli(), topic); err != nil {
				return ends, err
			}
			ends[2], err = b.admin.ListEndOffsets(ctx, topic)
			return ends, err
		})
		if err != nil {
			return nil, b.wholeError(opReadOffsets, err, time.Now())
		}
		if older, known := olderOf(topic, ends[0], ends[1], ends[2]); known {
			out[topic] = older
		}
	}
	return out, nil
}

// olderOf adds partitions up; false if one of them could not be read.
func olderOf(topic string, starts, points, ends kadm.ListedOffsets) (Older, bool) {
	var out Older
	for partition, start := range starts[topic] {
		point, there := points.Lookup(topic, partition)
		end, also := ends.Lookup(topic, partition)
		if !there || !also || start.Err != nil || point.Err != nil || end.Err != nil {
			return Older{}, false
		}
		out.Of += end.Offset - start.Offset
		out.Messages += max(min(point.Offset, end.Offset)-start.Offset, 0)
	}
	return out, len(starts[topic]) > 0
}
