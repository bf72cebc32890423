package topology

import (
	"context"
	"time"
)

// Permit is asked before every request that can change something on a broker,
// and its error fails the request, which is not sent then. destroys says that the
// request takes something away. until is when the request must be over at the
// latest, whatever its own deadline; zero if nobody minds. It must be quick and
// safe for concurrent use.
type Permit func(ctx context.Context, destroys bool) (until time.Time, err error)

// Grant asks for permission and tells how long the request may take: no longer
// than timeout. Without anybody to ask, everything is permitted. Its error is an
// *Error of ClassTransport: nothing is wrong with the object.
func (p Permit) Grant(ctx context.Context, operation string, destroys bool, timeout time.Duration) (time.Duration, error) {
	if p == nil {
		return timeout, nil
	}
	until, err := p(ctx, destroys)
	if err != nil {
		return 0, &Error{Class: ClassTransport, Operation: operation, Reason: err.Error(), Err: err}
	}
	if !until.IsZero() {
		timeout = min(timeout, time.Until(until))
	}
	return timeout, nil
}
