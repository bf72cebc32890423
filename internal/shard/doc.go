// Package shard decides which replica works on what. It sees nothing but what it
// is told, and knows no clock: controllers reads and writes the leases.
//
//	shard.go    the shard of a broker cluster, or of a connection
//	assign.go   who should hold each shard: balanced, with the fewest moves
//	decide.go   what one replica takes and gives up, after a look at the leases
//	watch.go    which replicas have not been heard of for too long
package shard
