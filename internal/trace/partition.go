package trace

import (
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Partitioner is the way in which a client picks the partition of a key.
type Partitioner string

// Partitioners.
const (
	// Java is the default of the Java client: murmur2. franz-go, KafkaJS from 2.0
	// on and librdkafka's murmur2_random pick the same.
	Java Partitioner = "java"
	// Librdkafka is the default of librdkafka, and of the clients for Python, Go,
	// C# and others that are made of it: consistent_random, which is CRC-32.
	Librdkafka Partitioner = "librdkafka"
	// KafkaJS is the default of KafkaJS from 2.0 on, the same as Java.
	KafkaJS Partitioner = "kafkajs"
	// KafkaJSLegacy is the default of KafkaJS before 2.0, and its LegacyPartitioner
	// since: a murmur2 of its own.
	KafkaJSLegacy Partitioner = "kafkajs-legacy"
)

// Partitioners lists them, the default first.
var Partitioners = []Partitioner{Java, Librdkafka, KafkaJS, KafkaJSLegacy}

// ParsePartitioner finds one by its name.
func ParsePartitioner(name string) (Partitioner, error) {
	known := make([]string, 0, len(Partitioners))
	for _, p := range Partitioners {
		if name == string(p) {
			return p, nil
		}
		known = append(known, string(p))
	}
	return "", fmt.Errorf("%q is no partitioner that is known here: write one of %s", name, strings.Join(known, ", "))
}

// String tells people which clients do it that way.
func (p Partitioner) String() string {
	switch p {
	case Librdkafka:
		return "librdkafka (consistent_random, CRC-32)"
	case KafkaJS:
		return "KafkaJS from 2.0 on (murmur2, as the Java client)"
	case KafkaJSLegacy:
		return "KafkaJS before 2.0, or its LegacyPartitioner (its own murmur2)"
	default:
		return "Java client (murmur2)"
	}
}

// Partition that a key goes to, of so many. Without a key, nil, it is anybody's
// guess, and why says so.
func (p Partitioner) Partition(key []byte, partitions int32) (partition int32, why string) {
	if key == nil {
		return 0, "a message without a key goes to whichever partition the client fills at the time"
	}
	switch p {
	case Librdkafka:
		if len(key) == 0 {
			return 0, "librdkafka picks a random partition for an empty key"
		}
		return int32(crc32.ChecksumIEEE(key) % uint32(partitions)), ""
	case KafkaJSLegacy:
		return int32(uint32(kafkaJSMurmur2(key))&0x7fffffff) % partitions, ""
	default:
		picks := kgo.StickyKeyPartitioner(nil).ForTopic("")
		return int32(picks.Partition(&kgo.Record{Key: key}, int(partitions))), ""
	}
}

// kafkaJSMurmur2 is the hash of KafkaJS before 2.0. It multiplies as JavaScript
// does, in floating point, which loses low bits of large products; and it takes the
// last bytes of a key whose length is no multiple of four twice.
func kafkaJSMurmur2(key []byte) int32 {
	const (
		seed     = 0x9747b28c
		multiply = 0x5bd1e995
	)
	at := func(i int) int32 {
		if i < len(key) {
			return int32(key[i])
		}
		return 0
	}
	h := float64(int32(uint32(seed) ^ uint32(len(key))))
	for i := 0; i < len(key); i += 4 {
		k := float64(at(i)) + float64(at(i+1)<<8) + float64(at(i+2)<<16) + float64(at(i+3)<<24)
		k *= multiply
		k = float64(toInt32(k) ^ int32(uint32(toInt32(k))>>24))
		k *= multiply
		h *= multiply
		h = float64(toInt32(h) ^ toInt32(k))
	}
	if tail := len(key) &^ 3; tail < len(key) {
		rest := at(tail) ^ at(tail+1)<<8 ^ at(tail+2)<<16
		h = float64(toInt32(h) ^ rest)
		h *= multiply
	}
	h = float64(toInt32(h) ^ int32(uint32(toInt32(h))>>13))
	h *= multiply
	return toInt32(h) ^ int32(uint32(toInt32(h))>>15)
}

// toInt32 is what JavaScript's operators on bits make of a number, which is below
// 2^63 here.
func toInt32(number float64) int32 { return int32(uint32(int64(number))) }
