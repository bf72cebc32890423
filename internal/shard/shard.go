package shard

import (
	"encoding/binary"
	"hash/fnv"
)

// Most is how many shards there can be.
const Most = 32

// Of tells which of so many shards something belongs to that is known by some
// words, such as the kind and id of a broker cluster. It never changes.
func Of(shards int, words ...string) int {
	return int(hash(words...) % uint64(shards))
}

// hash of words, each with its length, so that "a", "bc" is not "ab", "c".
func hash(words ...string) uint64 {
	h := fnv.New64a()
	var length [8]byte
	for _, word := range words {
		binary.LittleEndian.PutUint64(length[:], uint64(len(word)))
		_, _ = h.Write(length[:]) // a hash never fails
		_, _ = h.Write([]byte(word))
	}
	return mix(h.Sum64())
}

// mix spreads what differs in a few bits over all of them (the finalizer of
// SplitMix64): names of shards and replicas differ in a digit.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
