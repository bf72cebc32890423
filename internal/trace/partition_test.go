package trace

import (
	"strings"
	"testing"
)

// Partitions of 12 that the clients themselves picked: the Java client of Kafka
// 4.3.1, KafkaJS 2.2.4 (both of its partitioners), and zlib's CRC-32, which
// librdkafka's own tests compare with.
var picked = []struct {
	key                             string
	java, librdkafka, kafkaJSLegacy int32
}{
	{"", 9, -1, 0},
	{"0", 8, 5, 2},
	{"21", 0, 4, 2},
	{"a", 4, 3, 7},
	{"ab", 2, 5, 11},
	{"abc", 3, 6, 11},
	{"abcd", 8, 1, 0},
	{"abcde", 1, 9, 5},
	{"order-4711", 7, 7, 11},
	{"foobar", 6, 5, 5},
	{"a-little-bit-long-string", 8, 6, 2},
	{"a-little-bit-longer-string", 11, 2, 5},
	{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 5, 1, 11},
	{"äöü€", 7, 2, 8},
	{"こんにちは世界", 4, 2, 11},
	{"\u0000\u0001\u00ff", 0, 11, 3},
	{"customer:de:000042", 6, 10, 7},
	{"00000000-0000-0000-0000-000000000001", 2, 3, 7},
	{"zzzzzzzzzzzzzzz", 2, 9, 9},
}

func TestPartition(t *testing.T) {
	for _, c := range picked {
		for partitioner, want := range map[Partitioner]int32{Java: c.java, KafkaJS: c.java, Librdkafka: c.librdkafka, KafkaJSLegacy: c.kafkaJSLegacy} {
			got, why := partitioner.Partition([]byte(c.key), 12)
			switch {
			case want < 0 && why == "":
				t.Errorf("%s picks a random partition for %q, got %d", partitioner, c.key, got)
			case want >= 0 && (got != want || why != ""):
				t.Errorf("%s puts %q into partition %d of 12, got %d %s", partitioner, c.key, want, got, why)
			}
		}
	}
}

func TestPartitionWithoutKey(t *testing.T) {
	for _, partitioner := range Partitioners {
		if got, why := partitioner.Partition(nil, 12); !strings.Contains(why, "without a key") {
			t.Errorf("%s: no key has no partition, got %d %q", partitioner, got, why)
		}
	}
}

func TestParsePartitioner(t *testing.T) {
	for _, partitioner := range Partitioners {
		if got, err := ParsePartitioner(string(partitioner)); err != nil || got != partitioner {
			t.Errorf("%s: %q, %v", string(partitioner), got, err)
		}
	}
	if _, err := ParsePartitioner("random"); err == nil || !strings.Contains(err.Error(), "java, librdkafka, kafkajs, kafkajs-legacy") {
		t.Errorf("an unknown one is refused with those that there are, got %v", err)
	}
}
