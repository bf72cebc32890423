package preview

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Config keys of topics that have to do with what becomes of messages.
const (
	retentionTime  = "retention.ms"
	retentionBytes = "retention.bytes"
	cleanupPolicy  = "cleanup.policy"
	minInSync      = "min.insync.replicas"
	maxMessage     = "max.message.bytes"
)

// Shrinks names the topics of which a plan, or what it holds, shortens the
// retention, and the new one.
func Shrinks(steps []topology.Step) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, step := range steps {
		for _, change := range step.Changes {
			if key, _ := topology.ConfigKey(change.Path); key != retentionTime || step.ID.Kind != topology.KindTopic {
				continue
			}
			if to, limited := milliseconds(change.To); limited && shortens(change) {
				out[step.ID.Name] = to
			}
		}
	}
	return out
}

// shortens tells whether a limit becomes smaller; of one that was not set, which
// is the broker's default then, nobody knows.
func shortens(change topology.Change) bool {
	to, limited := limitOf(change.To)
	from, was := limitOf(change.From)
	return limited && (!was || to < from)
}

// limitOf reads a number; -1 and what is no number is no limit.
func limitOf(text string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n, err == nil && n >= 0
}

func milliseconds(text string) (time.Duration, bool) {
	n, limited := limitOf(text)
	const longest = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(n, longest)) * time.Millisecond, limited
}

// risksOfConfig says what a changed config key does to messages; "" if nothing.
func (b *builder) risksOfConfig(id topology.ID, want topology.Resource, change topology.Change) string {
	key, isConfig := topology.ConfigKey(change.Path)
	if !isConfig {
		return ""
	}
	switch key {
	case retentionTime:
		if shortens(change) && !b.onlyCompacted(id, want) {
			return b.retentionRisk(id, change)
		}
	case retentionBytes:
		if shortens(change) && !b.onlyCompacted(id, want) {
			return fmt.Sprintf("of each partition the oldest segments above %s are deleted", bytesText(change.To))
		}
	case cleanupPolicy:
		return cleanupRisk(change)
	case minInSync:
		if to, set := limitOf(change.To); set && growsFrom(change, to) {
			return fmt.Sprintf("producers with acks=all are refused while fewer than %d replicas are in sync", to)
		}
	case maxMessage:
		if shortens(change) {
			return fmt.Sprintf("records larger than %s are refused from now on", bytesText(change.To))
		}
	}
	return ""
}

func growsFrom(change topology.Change, to int64) bool {
	from, was := limitOf(change.From)
	return !was || to > from
}

func (b *builder) retentionRisk(id topology.ID, change topology.Change) string {
	to, _ := milliseconds(change.To)
	from := "the broker's default"
	if before, limited := milliseconds(change.From); limited {
		from = days(before)
	} else if change.From != topology.Unset {
		from = "unlimited"
	}
	risk := fmt.Sprintf("retention %s → %s ", from, days(to))
	share, known := b.Shares[id.Name]
	switch {
	case !known || share.Of == 0:
		return risk + "deletes what is older"
	case share.Older == 0:
		return risk + "deletes nothing now: no record is older"
	}
	percent := (share.Older*100 + share.Of - 1) / share.Of
	return fmt.Sprintf("%sdeletes up to %d %% of the log, about %s of %s (an estimate by their times: whole segments go)",
		risk, percent, number(share.Older), count(share.Of, "record"))
}

// onlyCompacted tells whether nothing is deleted for its age or size.
func (b *builder) onlyCompacted(id topology.ID, want topology.Resource) bool {
	policy := ""
	if live, ok := b.liveTopic(id); ok {
		policy = live.Config[cleanupPolicy]
	}
	if topic, ok := want.(*topology.Topic); ok && topic.Config[cleanupPolicy] != "" {
		policy = topic.Config[cleanupPolicy]
	}
	return policy != "" && !slices.Contains(policies(policy), "delete")
}

func (b *builder) liveTopic(id topology.ID) (*topology.Topic, bool) {
	live, _ := b.Live.Look(id)
	topic, ok := live.(*topology.Topic)
	return topic, ok
}

func policies(text string) []string {
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func cleanupRisk(change topology.Change) string {
	before, after := policies(change.From), policies(change.To)
	switch {
	case slices.Contains(after, "compact") && !slices.Contains(before, "compact"):
		return "only the last record of each key is kept from now on, and records without a key are refused"
	case slices.Contains(after, "delete") && slices.Contains(before, "compact") && !slices.Contains(before, "delete"):
		return "what is older than the retention is deleted, the last record of a key included"
	}
	return ""
}

// days renders 7d, 36h, 90s: the largest unit that fits without a rest.
func days(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= unit.size && d%unit.size == 0 {
			return fmt.Sprintf("%d%s", d/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}

// bytesText renders 512 MiB where that is exact, else the bytes.
func bytesText(text string) string {
	n, limited := limitOf(text)
	if !limited {
		return text
	}
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.size && n%unit.size == 0 {
			return fmt.Sprintf("%d %s", n/unit.size, unit.name)
		}
	}
	return count(n, "byte")
}
