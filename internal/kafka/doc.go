// Package kafka is the adapter between the vocabulary of package topology and
// an Apache Kafka cluster: it observes topics, applies waves of steps and
// classifies every failure. It decides nothing about what should be done.
//
// Kafka's admin API is bulk by nature, and so is this package: a wave becomes
// one request per kind of write and chunk, in which every topic has its own
// specification, and every topic has its own outcome.
//
// Looking for ...
//
//	how a connection is made, and what a probe reads   broker.go, dial.go
//	what makes up a Snapshot, and what is left unread  observe.go
//	messages and consumers of a topic                  usage.go, groups.go
//	waves, and what validate_only shows of them        apply.go, delete.go
//	where replicas go, and how far they are            reassign.go, moves.go, spread.go, copying.go
//	what holds moves back, and how it is taken away    throttle.go, throttle_mark.go
//	chunks, and refusals of whole requests             bulk.go
//	how a topic is spelled in requests and responses   topic.go
//	why a failure got its class, and its sentence      errors.go, network.go
//
// Requests that kadm has for one topic at a time, or that it fails as a whole
// because one topic is not authorised, are built with kmsg on the same client.
package kafka
