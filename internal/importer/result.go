package importer

import (
	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// Result is what was imported, in the order in which a person reads it.
type Result struct {
	// Origin of it all, for people.
	Origin string
	// Connection that all objects use; nil if its manifest was not asked for.
	Connection v1alpha1.Connection
	// Advice stands above the connection: what has to be there for it.
	Advice []string
	// Groups: one for each virtual host, or one of topics.
	Groups []Group
	// Notes that are about no group.
	Notes []Note
}

// Group belongs together: a virtual host, or the topics of a cluster.
type Group struct {
	// Title, such as "virtual host shop".
	Title string
	// File that the group goes to, without its ending.
	File string
	// Objects in order: virtual host, exchanges, queues, bindings; or topics.
	Objects []v1alpha1.Object
	// Notes about what is not in Objects, sorted.
	Notes []Note
}

// Objects of all groups.
func (r *Result) Objects() []v1alpha1.Object {
	var all []v1alpha1.Object
	for _, g := range r.Groups {
		all = append(all, g.Objects...)
	}
	return all
}

// AllNotes are those of all groups, and of none.
func (r *Result) AllNotes() []Note {
	all := append([]Note(nil), r.Notes...)
	for _, g := range r.Groups {
		all = append(all, g.Notes...)
	}
	return all
}
