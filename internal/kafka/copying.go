package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// describeCopying tells how many bytes of what is on its way have been copied;
// "" where the brokers do not say (Describe on the cluster), or nothing is.
func (b *Broker) describeCopying(ctx context.Context, name string, now replicaState) string {
	copying := now.copying(nil)
	if len(copying) == 0 {
		return ""
	}
	var topics kadm.TopicsSet
	for _, m := range copying {
		topics.Add(name, m.partition)
	}
	dirs, err := await(ctx, b.options.Timeout, func(ctx context.Context) (kadm.DescribedAllLogDirs, error) {
		return b.admin.DescribeAllLogDirs(ctx, topics)
	})
	if err != nil {
		return ""
	}
	type replica struct{ partition, broker int32 }
	sizes := map[replica]int64{}
	for _, broker := range dirs {
		broker.EachPartition(func(p kadm.DescribedLogDirPartition) {
			if !p.IsFuture {
				sizes[replica{p.Partition, p.Broker}] += p.Size
			}
		})
	}
	var copied, total int64
	for _, m := range copying {
		var whole int64
		for _, id := range m.from {
			whole = max(whole, sizes[replica{m.partition, id}])
		}
		for _, id := range m.adding() {
			copied += min(whole, sizes[replica{m.partition, id}])
			total += whole
		}
	}
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("%s of %s copied (%d%%)", bytesText(copied), bytesText(total), copied*100/total)
}
