package topology

import (
	"slices"
	"strings"
)

// Resource is one broker object as plain data, either wanted or live.
// Implementations are immutable once built.
type Resource interface {
	// ID identifies the object on its cluster.
	ID() ID
	// Needs lists what must exist before this object can be created.
	Needs() []ID
	// Diff compares the wanted object (the receiver) with the live one of the
	// same ID, in canonical form: what the broker reports in another spelling
	// is no difference. Empty means converged. Sorted by Path.
	Diff(live Resource) []Change
}

// Partial is a Resource of which only some fields are declared; the others are
// nobody's business. A field that was declared and is declared no longer must
// be unset on the broker, which needs the memory of what was declared: the
// inventory keeps DeclaredFields, and Releasing gives a copy that also asks for
// the absence of fields.
type Partial interface {
	Resource
	// DeclaredFields lists the fields that this resource declares, sorted.
	DeclaredFields() []string
	// Releasing returns a copy whose Diff reports fields (as DeclaredFields
	// spells them) that are still set on the broker. Fields that are declared
	// again are ignored.
	Releasing(fields []string) Resource
}

// Mode says how a broker can get from a live value to a wanted one.
type Mode int

const (
	// InPlace changes are made on the living object.
	InPlace Mode = iota
	// Gradual changes are made on the living object by an Operation.
	Gradual
	// Replace changes need the object to be deleted and created again.
	Replace
	// Forbidden changes are impossible on this broker; Change.Why says why.
	Forbidden
)

// Change is one field in which a live object differs from the wanted one.
type Change struct {
	// Path names the field in the broker's own term: `type`,
	// `arguments.x-message-ttl`, `config.retention.ms`.
	Path string
	// From is the live value, To the wanted one, rendered for people. Unset is
	// "" on neither side: it is the word Unset.
	From, To string
	Mode     Mode
	// Why explains a Forbidden change, as a sentence that tells what to do.
	Why string
	// Risk says in half a sentence what a change in place does to messages;
	// empty if nothing. Whether it comes to that depends on what is there.
	Risk string
}

// Unset is how an absent value is rendered in a Change.
const Unset = "(unset)"

// String renders `x-message-ttl: 60000 on the broker, 1000 declared`.
func (c Change) String() string {
	if c.Path == PathTopicID {
		return c.Path + ": " + c.From + " on the broker, " + c.To + " before: it was deleted and created again"
	}
	return c.Path + ": " + c.From + " on the broker, " + c.To + " declared"
}

// DescribeChanges joins changes into one line; a reader gets the first few and
// the count of the rest.
func DescribeChanges(changes []Change) string {
	const most = 8
	parts := make([]string, 0, min(len(changes), most)+1)
	for i, c := range changes {
		if i == most {
			parts = append(parts, "and more")
			break
		}
		parts = append(parts, c.String())
	}
	return strings.Join(parts, "; ")
}

// WorstMode is the mode that decides for a set of changes.
func WorstMode(changes []Change) Mode {
	worst := InPlace
	for _, c := range changes {
		worst = max(worst, c.Mode)
	}
	return worst
}

func sortChanges(changes []Change) []Change {
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return changes
}
