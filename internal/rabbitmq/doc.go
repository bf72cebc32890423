// Package rabbitmq reads and writes one RabbitMQ cluster through its management
// API: topology.Observer and topology.Applier for virtual hosts, exchanges,
// queues, bindings and policies. Tested on RabbitMQ 3.10, 4.0 and 4.3; where they differ,
// the code that bridges the difference says so.
//
// Looking for ...
//
//	how to connect, who the cluster is     broker.go
//	connections, deadlines, request counts transport.go
//	what an answer means for the caller    errors.go
//	which requests a selection costs       observe.go
//	why absence is not always absence      sight.go
//	what a deletion would destroy          usage.go
//	what queues hold, for people to watch  depth.go
//	how a wave of steps runs               apply.go
//	how a queue in use is replaced         migrate*.go shovel.go, decided in package migration
//	one kind of object, read and written   virtualhost.go exchange.go queue.go binding.go policy.go
//
// A new kind is one file with a row of the table in kinds.go.
//
// Single writes go through rabbit-hole where its types lose nothing. Bulk
// reads, and what rabbit-hole 2.12 cannot say (internal exchanges, if-unused on
// exchanges, default queue types), are requests of our own on the same
// transport.
package rabbitmq
