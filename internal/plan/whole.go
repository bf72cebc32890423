package plan

import "github.com/warrener-dev/warrener/internal/topology"

// whole tells whether a binding will lead where it is listed, whatever becomes of
// this process. That it is made anew because it may not is no reason yet: it is
// there until then.
func (b *builder) whole(id topology.ID, d decision) bool {
	want, ok := d.want.Resource.(*topology.Binding)
	if !ok {
		return false
	}
	live, presence := b.in.Live.Look(id)
	found, _ := live.(*topology.Binding)
	switch {
	case presence == topology.Absent:
		source, _ := b.in.Live.Objects[want.SourceID()].(*topology.Exchange)
		return b.in.Live.WholeBindings && (source == nil || !topology.BindsWhole(source.Type)) // nobody doubts these
	case found != nil && found.Uncertain:
		return d.entry.Whole && b.in.Live.WholeBindings
	}
	return d.entry.Whole
}
