// Package controllers watches the custom resources, keeps one engine.Cluster
// per broker cluster, and writes statuses, events, metrics and the inventory.
//
// What happens to an event:
//
//	watch.go       notes whose object changed (intake) and queues its connection
//	edits.go       the Edits lane: intake -> claims -> a pass over what is dirty
//	sweep.go       the Sweep lane: connects, checks everything, in slices
//	operations.go  the Operations lane: what takes longer than a pass
//	session.go     one connection: credentials, adapter, cluster, is it up?
//	registry.go    all of them, and the clusters they reach
//	dial.go        from a connection and its Secrets to an adapter
//	status.go      verdicts -> status patches, by a bounded pool
//	contract.go    what applications are told, in ConfigMaps
//	depths.go      the metrics of queues and of topics for dead letters
//	orphans.go     what is reported of a connection that is gone
//	conditions.go  verdicts -> conditions, pure
//	inventory.go   the engine's Store, in BrokerInventory objects
//	lease.go      one replica of several works: the leader
//	shards.go     or all of them do, each on its shards
//	shard_leases.go, shard_work.go
//	events.go, logs.go, metrics.go
//	manager.go     wires it up; RBAC markers stand where the right is used
package controllers
