// Package importer turns what a broker has into custom resources that people
// like to read. Wherever it comes from, a broker, a definitions file, custom
// resources of another operator, it first becomes a snapshot in the vocabulary of
// package topology; one set of rules makes manifests of that. It is pure: what
// reads brokers and files stands outside.
//
// A short form is used only if compiling it gives back exactly the objects of
// the snapshot: bindings stand in their queue, dead-letter and retry objects fold
// into deadLetter and retry, a policy for one queue into settings. So a plan of
// what was imported is empty. What cannot be said is a Note, never dropped in
// silence.
//
//	source.go      what is imported: Source
//	result.go      what comes out: Result, Group, Note
//	import.go      from one to the other
//	queues.go      arguments into fields
//	fold.go        which of the short forms a queue takes
//	deadletter.go  dead letters
//	retry.go       retries
//	host.go        one virtual host
//	bindings.go    bindings of one destination
//	topics.go      topics
//	names.go       names of custom resources
//	remaining.go   what a plan would still do
//	documents.go   custom resources of other operators
//	definitions.go definitions files of RabbitMQ
//	operator.go    custom resources of RabbitMQ's messaging topology operator
//	strimzi.go     custom resources of Strimzi
//	print.go       manifests with comments
//	yaml.go        YAML in the order of the API's fields
package importer
