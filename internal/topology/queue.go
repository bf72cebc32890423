package topology

// Queue types, as the broker spells them.
const (
	QueueTypeClassic = "classic"
	QueueTypeQuorum  = "quorum"
	QueueTypeStream  = "stream"
)

// Queue is a RabbitMQ queue. Everything about it is fixed at creation: a
// redeclaration with another argument answers 400.
type Queue struct {
	VirtualHost string
	Name        string
	Type        string // classic, quorum or stream
	Durable     bool
	AutoDelete  bool
	Exclusive   bool // of live queues only: nobody can declare one for somebody else
	// Arguments without x-queue-type, which brokers from 4.0 inject into what
	// is read back; Type says it.
	Arguments Arguments
	// After lists what must stand before the queue so that no message can be
	// lost in between: its own dead-letter objects.
	After []ID
}

// ID implements Resource.
func (q *Queue) ID() ID { return QueueID(q.VirtualHost, q.Name) }

// QueueID identifies a queue by virtual host and name.
func QueueID(virtualHost, name string) ID {
	return ID{Kind: KindQueue, Scope: virtualHost, Name: name}
}

// Needs implements Resource.
func (q *Queue) Needs() []ID { return append([]ID{VirtualHostID(q.VirtualHost)}, q.After...) }

// Diff implements Resource.
func (q *Queue) Diff(live Resource) []Change {
	found, ok := live.(*Queue)
	if !ok {
		return wrongKind(q, live)
	}
	changes := diffString("type", found.Type, q.Type, Replace)
	changes = append(changes, diffBool("durable", found.Durable, q.Durable, Replace)...)
	changes = append(changes, diffBool("auto_delete", found.AutoDelete, q.AutoDelete, Replace)...)
	changes = append(changes, diffBool("exclusive", found.Exclusive, q.Exclusive, Replace)...)
	changes = append(changes, diffArguments(q.Arguments, found.Arguments, Replace)...)
	return sortChanges(changes)
}
