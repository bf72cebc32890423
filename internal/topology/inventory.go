package topology

import "time"

// Inventory is the set of broker objects that Warrener owns on one cluster.
type Inventory map[ID]Entry

// Entry is one owned broker object.
type Entry struct {
	ID ID
	// Owners are sorted by OwnerKey.Compare; several only for shareable
	// objects. They need not exist any more: that is how a deletion is seen.
	Owners []OwnerKey
	// Connection through which the last owner reached the broker.
	Connection ConnectionKey
	// Deletion is the owner's policy when it was last seen; HandOverTo
	// likewise.
	Deletion   DeletionPolicy
	HandOverTo string
	// Fields are the declared fields of a Partial resource.
	Fields []string
	// TopicID is the broker's own id of a topic when it was last seen; empty if
	// that is not known, and of everything else. Another one under the same name
	// is another topic.
	TopicID string
	// Whole, of a binding: however the process ended that declared it last, or was
	// about to, it leads where it is listed (see Snapshot.WholeBindings).
	Whole bool
	// Operation is under way on the object; empty if none is.
	Operation OperationKind
	// LeftBehind says why an entry without an owner is still on the broker;
	// empty while its deletion is pending.
	LeftBehind string
	// Since is when it came to be left behind, in UTC, to the second; zero unless
	// LeftBehind says why.
	Since time.Time
}
