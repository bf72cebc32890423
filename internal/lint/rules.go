package lint

import "github.com/warrener-dev/warrener/internal/compile"

// Rules are all rules: what is wrong, and why that matters. The order is that of
// docs/lint.md.
var Rules = []Rule{
	// What cannot be read, or cannot be.
	{"unreadable", Error, "A document cannot be read", "What cannot be read is not declared, and nothing says so on the broker.", unreadable},
	{"unknown-field", Error, "A field does not exist, or stands twice", "A field that nobody knows has no effect: a misspelt limit is no limit.", unknownField},
	{"invalid-spec", Error, "The spec asks for what no broker can do", "The controller refuses the whole object: InvalidSpec.", problemsOf("")},
	{"setting-not-of-queue-type", Error, "The type of the queue has no such setting", "RabbitMQ refuses the queue; in a policy, one such key makes it skip the whole policy.", problemsOf(compile.CodeQueueType)},
	{"at-least-once-without-reject-publish", Error, "At-least-once dead letters without reject-publish", "RabbitMQ accepts the queue and silently dead-letters at most once.", problemsOf(compile.CodeAtMostOnce)},
	{"unsupported-by-broker", Error, "This version of RabbitMQ cannot do it", "The controller refuses the object: UnsupportedByBroker.", unsupported},
	{"spec-warning", Warning, "It is accepted, and likely a mistake", "The controller says the same in the status of the object.", warnings},
	{"declared-twice", Error, "Two resources declare one broker object", "Only one of them gets it. The other is in conflict, and what it declares does not count.", declaredTwice},

	// References.
	{"connection-missing", Note, "The connection is not among the manifests", "Without it the virtual host and the broker are guessed.", missingConnection},
	{"connection-not-permitted", Error, "The connection does not admit the namespace", "The controller leaves the object alone: RefNotPermitted.", foreignConnection},
	{"virtual-host-missing", Note, "The virtual host is not among the manifests", "Warrener never creates a virtual host that nobody declares: everything in it waits.", missingVirtualHost},
	{"exchange-missing", Warning, "A reference to an exchange that nobody declares", "A binding waits for it; dead letters and what cannot be routed are dropped until it exists.", missingExchange},
	{"queue-missing", Warning, "A reference to a queue that nobody declares", "A binding waits for it; dead letters are dropped until it exists.", missingQueue},

	// Routing.
	{"exchange-unroutable", Warning, "No queue can be reached from an exchange", "RabbitMQ drops what it cannot route, and tells only publishers that ask.", unroutable},
	{"binding-not-for-exchange-type", Warning, "The exchange does not read what the binding says", "It takes other messages than it seems to.", misfit},
	{"x-alternate-exchange", Error, "The argument x-alternate-exchange has no effect", "The argument is called alternate-exchange; the other one is stored and never read.", wrongAlternate},

	// Dead letters.
	{"dead-letter-nowhere", Error, "Dead letters come to no queue", "They are dropped without a word, and are what one would have looked at.", nowhere},
	{"dead-letter-cycle", Error, "Dead letters go in a circle and are dropped", "RabbitMQ drops a message that comes back to a queue by dying alone, without a rejection on the way.", cycles},
	{"dead-letter-cycle-expiration", Warning, "Dead letters go in a circle", "Nothing ends the retries, and a message with an expiration of its own is dropped.", expirationCycles},
	{"delivery-limit-drops", Warning, "A delivery limit without dead letters", "From RabbitMQ 4.0 on a quorum queue drops a message after 20 redeliveries, unless it can dead-letter it.", dropsAfterLimit},

	// Queues.
	{"native-retry-nack", Note, "Native retries need consumers that reject", "basic.nack with requeue is not counted by RabbitMQ 4.3 and goes on for ever, without a delay.", nativeRetry},
	{"argument-ignored", Warning, "An argument that the broker ignores", "RabbitMQ stores arguments that it does not know. They look like settings and are none.", ignoredArguments},
	{"transient-queue", Warning, "A transient queue", "RabbitMQ 4.3 has deprecated them, and a later version will refuse to create them.", transient},

	// Policies of other operators.
	{"policy-mirrored-queues", Error, "A policy for mirrored queues", "RabbitMQ 4.0 has removed them: what the policy promises does not exist.", mirrored},
	{"policy-length-and-overflow", Warning, "Length and overflow in one policy", "Where it comes to a full classic queue, the length counts before the overflow, and messages are dropped.", lengthWithOverflow},
	{"policy-key-not-of-queue-type", Error, "A policy has a key that the type of a queue lacks", "RabbitMQ then skips the whole policy for that queue, and a lower one applies.", misfittingKeys},

	// Topics.
	{"min-insync-replicas-impossible", Error, "More replicas have to be in sync than there are", "Every write with acks=all fails.", neverInsync},
	{"min-insync-replicas", Warning, "All replicas have to be in sync", "One broker that restarts stops all writers with acks=all.", barelyInsync},
	{"compaction-with-retention", Warning, "Retention limits on a topic that is only compacted", "They have no effect: the topic grows with its keys.", timeOfCompacted},
	{"topic-name-collision", Error, "Topic names that differ in . and _ only", "Kafka refuses the second one.", collidingNames},

	// Annotations. Their checks stand in ignore.go, since they come last.
	{"lint-ignore-without-reason", Error, "A rule is silenced without a reason", "Whoever reads it next cannot tell whether it is still right.", nil},
	{"lint-ignore-unknown-rule", Warning, "A rule is silenced that does not exist", "A misspelt id silences nothing.", nil},
	{"lint-ignore-unused", Warning, "A rule is silenced that finds nothing", "What is left over hides the next finding.", nil},
}
