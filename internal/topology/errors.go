package topology

import (
	"errors"
	"strings"
)

// Class sorts failures by what is to be done about them. Adapters classify
// once; everybody else switches on the class.
type Class string

// Classes of failure.
const (
	// ClassTransport: the broker was not reached or did not answer as a broker
	// would (refused, timed out, 5xx). The whole connection backs off.
	ClassTransport Class = "Transport"
	// ClassAuthentication: the broker refused the credentials, for everything.
	ClassAuthentication Class = "Authentication"
	// ClassAccessDenied: the user may not do this to this object. Not cured by
	// an edit of the object: tried again, slowly.
	ClassAccessDenied Class = "AccessDenied"
	// ClassRejected: the broker refuses the object as declared. Tried again
	// when its generation changes, and slowly besides.
	ClassRejected Class = "Rejected"
	// ClassUnsupported: this broker version cannot do it.
	ClassUnsupported Class = "Unsupported"
	// ClassExists: a create found that somebody else had made the object in
	// between. It is not ours: look at it, and decide anew.
	ClassExists Class = "Exists"
	// ClassInUse: a delete was refused because somebody uses the object.
	ClassInUse Class = "InUse"
	// ClassPending: accepted, not visible yet; look again soon.
	ClassPending Class = "Pending"
	// ClassTransient: this object, this time (throttled, a leader election, a
	// dependency that vanished in between). Tried again with backoff.
	ClassTransient Class = "Transient"
)

// Error is a failure that has been classified.
type Error struct {
	Class Class
	// Operation in a verb or two: "declare", "list queues".
	Operation string
	// Object concerned; zero for the whole connection.
	Object ID
	// Reason is what the broker said, or what happened on the way to it, in
	// one line and without secrets.
	Reason string
	// Err is the cause, if there is one; only for errors.Is.
	Err error
}

// Error renders `queue shop/order.process: declare: inequivalent arg ...`.
func (e *Error) Error() string {
	var parts []string
	if e.Object != (ID{}) {
		parts = append(parts, e.Object.String())
	}
	if e.Operation != "" {
		parts = append(parts, e.Operation)
	}
	return strings.Join(append(parts, e.Reason), ": ")
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf classifies any error; one that no adapter classified is transient.
func ClassOf(err error) Class {
	var classified *Error
	if errors.As(err, &classified) {
		return classified.Class
	}
	return ClassTransient
}
