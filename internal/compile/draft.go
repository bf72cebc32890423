package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/warrener-dev/warrener/internal/topology"
)

// draft is a claim in the making.
type draft struct {
	// virtualHost that the object lives in; without meaning on Kafka.
	virtualHost string
	// version of the broker; "" if it is not known.
	version         string
	partitionGrowth topology.PartitionGrowth
	update          topology.UpdatePolicy

	wants    []topology.Want
	ids      map[topology.ID]struct{}
	problems []Problem
	warnings []string
	// deadLetters is where dead letters end, if that is created; else zero.
	deadLetters topology.ID
	// lacking says what this version of the broker cannot do; "" if nothing.
	lacking string
}

func newDraft(virtualHost, version string) *draft {
	return &draft{virtualHost: virtualHost, version: version, ids: map[topology.ID]struct{}{}}
}

// want adds the object that the custom resource is named for.
func (d *draft) want(r topology.Resource) { d.add(topology.Want{Resource: r}) }

// wantShared adds an object that other custom resources may want alike.
func (d *draft) wantShared(r topology.Resource) { d.add(topology.Want{Resource: r, Shareable: true}) }

// add leaves out what is wanted already: a routing key written twice is one
// binding.
func (d *draft) add(w topology.Want) {
	id := w.Resource.ID()
	if _, twice := d.ids[id]; twice {
		return
	}
	d.ids[id] = struct{}{}
	d.wants = append(d.wants, w)
}

// problem makes the claim invalid. The text goes on after the path of the
// field: what is wrong, and what to write instead.
func (d *draft) problem(path, format string, args ...any) { d.coded("", path, format, args...) }

// coded is a problem of a kind that has a name.
func (d *draft) coded(code Code, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{Field: path, Message: fmt.Sprintf(format, args...), Code: code})
}

// unsupported makes the claim one that this broker cannot serve, unless it is
// invalid on every broker.
func (d *draft) unsupported(path, format string, args ...any) {
	d.lacking = path + ": " + fmt.Sprintf(format, args...)
}

// warn reports what is accepted and likely a mistake.
func (d *draft) warn(path, format string, args ...any) {
	d.warnings = append(d.warnings, path+": "+fmt.Sprintf(format, args...))
}

// oneOf checks a value of a closed list.
func oneOf[T ~string](d *draft, path string, value T, allowed ...T) {
	if slices.Contains(allowed, value) {
		return
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	last := len(words) - 1
	d.problem(path, "%s is not a value of this field: write %s or %s", quote(string(value)), strings.Join(words[:last], ", "), words[last])
}
