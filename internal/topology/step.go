package topology

import "context"

// Verb says what a step does to the broker.
type Verb string

// Verbs of steps.
const (
	VerbCreate Verb = "create"
	VerbUpdate Verb = "update"
	VerbDelete Verb = "delete"
)

// Step is one action on one broker object.
type Step struct {
	Verb Verb
	ID   ID
	// Want is the wanted object of a create or update.
	Want Resource
	// Live is the object of an update or delete as it was observed.
	Live Resource
	// Changes are what an update changes.
	Changes []Change
	// IfUnused forbids a delete to destroy a message or cut off a consumer or
	// binding.
	IfUnused bool
	// Owners on whose behalf the step runs; for a delete, the former ones.
	Owners []OwnerKey
	// Connection through which the step runs.
	Connection ConnectionKey
	// Requires lists objects whose own steps in this plan must have succeeded.
	Requires []ID
	// Drift says that the step undoes a change made by somebody else.
	Drift bool
}

// Outcome is how one step went. A nil Err says that the broker accepted it;
// only a read-back proves it.
type Outcome struct {
	Step Step
	Err  error // of type *Error where the broker or the way to it is the cause
	// Shown is what the broker showed afterwards, if the adapter had reason to look: it
	// need not be read back.
	Shown Resource
}

// Observer reads a broker.
type Observer interface {
	// Observe returns what the selection names. An error means that nothing
	// was learnt; what could not be read in part is in Snapshot.Unread.
	Observe(ctx context.Context, sel Selection) (*Snapshot, error)
}

// Applier writes to a broker.
type Applier interface {
	// Apply runs the steps of one wave, in any order and in bulk, and returns
	// one outcome per step, in the order of the steps. A failing step does not
	// keep the others from running; a failing request is retried as singles.
	Apply(ctx context.Context, wave []Step) []Outcome
}
