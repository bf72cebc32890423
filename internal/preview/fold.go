package preview

import (
	"fmt"
	"slices"
	"strings"
)

// mostKeys of bindings between the same two ends are told one by one: a queue
// with retries has two dozen.
const mostKeys = 3

// folded joins bindings that differ in their keys only and of which there is
// nothing to say, for people. Data has them all.
func folded(items []Item) []Item {
	var out []Item
	for i := 0; i < len(items); {
		ends, key, plain := plainBinding(items[i])
		keys := []string{key}
		for _, next := range items[i+1:] {
			sameEnds, key, also := plainBinding(next)
			if !plain || !also || sameEnds != ends || next.Action != items[i].Action || !slices.Equal(next.Owners, items[i].Owners) {
				break
			}
			keys = append(keys, key)
		}
		if len(keys) <= mostKeys {
			out = append(out, items[i])
			i++
			continue
		}
		one := items[i]
		one.Object = fmt.Sprintf("%d bindings %s keys %s and %d more", len(keys), ends, strings.Join(keys[:mostKeys-1], ", "), len(keys)-mostKeys+1)
		out = append(out, one)
		i += len(keys)
	}
	return out
}

// plainBinding takes a binding that is made or deleted apart, if its object is
// all that is said of it.
func plainBinding(i Item) (ends, key string, plain bool) {
	name, isBinding := strings.CutPrefix(i.Object, "binding ")
	ends, key, keyed := strings.Cut(name, " key ")
	plain = isBinding && keyed && (i.Action == Create || i.Action == Delete) && len(i.Fields)+len(i.Risks) == 0 && i.Message == ""
	return ends, key, plain
}
