// Package trace tells where a message goes: which queues a broker would route it
// to, and what becomes of it there until it comes to rest. It is pure: no I/O, no
// clock; the same set and message give the same answer, in the same order.
//
// It answers for the versions of RabbitMQ on which it has been compared with the
// brokers, queue by queue (test/e2e, TestTrace). What depends on chance, or on
// what happened before, is said to be not predictable, and why.
//
//	world.go     exchanges, queues, bindings and policies of a virtual host
//	message.go   a message, and the copy of it that is on its way
//	route.go     from exchange to exchange to the queues
//	words.go     how topic exchanges compare keys
//	headers.go   how headers exchanges compare headers
//	settings.go  what counts for a queue: arguments and policies
//	trace.go     the answer for RabbitMQ
//	fate.go      what can happen to a message in a queue
//	journey.go   one such case, followed to its end
//	death.go     dead-lettering, and the cycles in which a broker drops messages
//	topic.go     the answer for Kafka
//	partition.go which partition a key goes to
package trace
