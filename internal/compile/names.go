package compile

import (
	"strings"
)

// maxShortString is how long names, routing keys and argument names may be in
// AMQP, in bytes of UTF-8; a schema counts characters. The management API refuses
// longer queue names only: exchanges, virtual hosts, routing keys and argument
// names of 256 bytes are created (measured on 3.10, 4.0 and 4.3), and no AMQP
// client can ever spell them.
const maxShortString = 255

// nameField is the field that an object's name comes from.
func nameField(declared string) string {
	if declared == "" {
		return "metadata.name"
	}
	return "spec.name"
}

// shortString checks a routing key, or anything else that AMQP keeps short.
func (d *draft) shortString(path, value string) {
	if len(value) > maxShortString {
		d.problem(path, "%s is %d bytes long and AMQP has room for %d: write a shorter one", quote(value), len(value), maxShortString)
	}
}

// name checks a name of a RabbitMQ object, one's own or somebody else's.
func (d *draft) name(path, value string) {
	if value == "" {
		d.problem(path, "is empty: write a name")
		return
	}
	d.shortString(path, value)
	if strings.ContainsAny(value, "\r\n") {
		d.problem(path, "%s contains a line break, which RabbitMQ would remove: write the name without", quote(value))
	}
}

// scaffolding begins the names of what a migration or a recreation builds, and
// deletes when it is done, with whatever is in it.
const scaffolding = "warrener.migrate."

// ownName checks the name of an exchange or queue that is to be created.
func (d *draft) ownName(path, value string) {
	d.name(path, value)
	if strings.HasPrefix(value, "amq.") {
		d.problem(path, "%s begins with amq., and such names belong to the broker: choose another name", quote(value))
	}
	if strings.HasPrefix(value, scaffolding) {
		d.problem(path, "%s begins with %s, and what has such a name comes and goes with the migration of a queue: choose another name", quote(value), scaffolding)
	}
}

// maxTopicName is Kafka's limit; topic names are ASCII.
const maxTopicName = 249

func (d *draft) topicName(path, value string) {
	switch {
	case value == "":
		d.problem(path, "is empty: write a name")
	case len(value) > maxTopicName:
		d.problem(path, "%s is %d characters long and Kafka has room for %d: write a shorter name in spec.name", quote(value), len(value), maxTopicName)
	case value == "." || value == "..":
		d.problem(path, "Kafka has no topic named %s: choose another name", quote(value))
	case strings.HasPrefix(value, "__"):
		d.problem(path, "%s begins with __, and such names belong to Kafka and its tools: choose another name", quote(value))
	case strings.ContainsFunc(value, func(r rune) bool {
		letterOrDigit := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letterOrDigit && r != '.' && r != '_' && r != '-'
	}):
		d.problem(path, "%s has a character that Kafka does not take: use letters, digits, '.', '_' and '-'", quote(value))
	}
}
