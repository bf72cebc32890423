package topology

import (
	"context"
	"time"
)

// OperationKind says what an operation does; the inventory keeps it.
type OperationKind string

// Kinds of operations.
const (
	// OperationMigrate replaces a queue that is in use, without losing a message.
	OperationMigrate OperationKind = "Migrate"
	// OperationRecreate replaces a queue that is not in use. An Advance that
	// finds it in use after all fails with ClassInUse, and leaves it as it was.
	OperationRecreate OperationKind = "Recreate"
	// OperationReassign moves the replicas of a topic between brokers.
	OperationReassign OperationKind = "Reassign"
)

// Operation is a change of one object that takes longer than a pass. While it
// is under way the object's inventory entry names its kind, so that whoever
// comes after a crash goes on with it.
type Operation struct {
	Kind OperationKind
	// Want is what is there at the end. It may be another than at the last
	// Advance: that of an edit, or of an edit taken back. Where no owner wants
	// the object any more it is what is there, and the operation ends with
	// nothing lost; what is to be deleted is deleted after that.
	Want Resource
	// Live is the object as the plan saw it; nil if it is not there, which in
	// the middle of an operation may be.
	Live Resource
	// Owners on whose behalf it runs, and the connection that it runs through.
	Owners     []OwnerKey
	Connection ConnectionKey
}

// ID identifies the object that the operation is about.
func (o Operation) ID() ID { return o.Want.ID() }

// Progress is how far an operation has come.
type Progress struct {
	// Done says that the broker holds what is wanted and nothing of the
	// operation is left on it.
	Done bool
	// Step names what is under way, in one CamelCase word for status.
	Step string
	// Message is a sentence for the owner's status: what is waited for, and
	// what a person can do if that does not come.
	Message string
	// Moved and Left count messages, or partitions.
	Moved, Left int64
	// After is how long to wait before the next Advance.
	After time.Duration
}

// Operator carries operations out.
type Operator interface {
	// Advance takes an operation as far as it comes without waiting, which may
	// be nowhere. It reads from the broker how far the operation is, so it may
	// be called again after a crash at any moment. An error is of type *Error
	// where the broker or the way to it is the cause; the operation is tried
	// again later.
	Advance(ctx context.Context, op Operation) (Progress, error)
}
