package lint

import (
	"errors"
	"strings"

	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// unreadable is about documents of which nothing could be made.
func unreadable(w *world, found finder) {
	for _, p := range w.set.Problems {
		if p.Item == nil {
			found(&subject{position: p.Position}, "", "%s", p.Message)
		}
	}
}

// unknownField is about what was left out of an object.
func unknownField(w *world, found finder) {
	for _, p := range w.set.Problems {
		if p.Item == nil || w.byItem[p.Item] == nil {
			continue
		}
		about := *w.byItem[p.Item]
		about.position = p.Position // the line of the field, of which there is no path
		found(&about, "", "%s", p.Message)
	}
}

// problemsOf reports what no broker could do, of one kind.
func problemsOf(code compile.Code) func(*world, finder) {
	return func(w *world, found finder) {
		for _, o := range w.objects {
			var invalid *compile.InvalidSpec
			if !errors.As(o.claim.Invalid, &invalid) {
				continue
			}
			for _, p := range invalid.Problems {
				if p.Code == code {
					found(o.subject, p.Field, "%s", p.Message)
				}
			}
		}
	}
}

// unsupported is about what the broker's version cannot do.
func unsupported(w *world, found finder) {
	for _, o := range w.objects {
		var lacking *topology.Error
		if errors.As(o.claim.Invalid, &lacking) && lacking.Class == topology.ClassUnsupported {
			field, message := splitWarning(lacking.Reason)
			found(o.subject, field, "%s", message)
		}
	}
}

// splitWarning takes the path off a warning: `spec.arguments["a: b"]: text`.
func splitWarning(text string) (field, message string) {
	rest := text
	if i := strings.Index(text, `["`); i >= 0 && i < strings.Index(text, ": ") {
		if end := strings.Index(text[i:], `"]`); end >= 0 {
			rest = text[i+end:]
		}
	}
	_, message, ok := strings.Cut(rest, ": ")
	if !ok {
		return "", text
	}
	return strings.TrimSuffix(text, ": "+message), message
}

// warnings are what compiling warns of, but for arguments.
func warnings(w *world, found finder) {
	eachWarning(w, func(o *object, field, message string) {
		if !isArgument(field) {
			found(o.subject, field, "%s", message)
		}
	})
}

func eachWarning(w *world, visit func(o *object, field, message string)) {
	for _, o := range w.objects {
		for _, text := range o.claim.Warnings {
			field, message := splitWarning(text)
			visit(o, field, message)
		}
	}
}

func isArgument(field string) bool { return strings.HasPrefix(field, "spec.arguments[") }

// declaredTwice is about broker objects that two resources declare and cannot
// share. It is told where the second one stands.
func declaredTwice(w *world, found finder) {
	for _, b := range w.brokersInOrder() {
		for _, id := range b.order {
			wants := b.wants[id]
			for i := 1; i < len(wants); i++ {
				if other := conflict(wants[:i], wants[i]); other != nil && other.by != wants[i].by {
					found(wants[i].by.subject, nameField(wants[i]), "%s is declared by %s (%s) too%s: only one of the two gets it; remove one, or give it another name",
						id, other.by.name, other.by.position, difference(*other, wants[i]))
				}
			}
		}
	}
}

// conflict finds the first of several wants with which another cannot live.
func conflict(earlier []want, later want) *want {
	for i := range earlier {
		exclusive := !earlier[i].Shareable && !later.Shareable
		if exclusive || len(later.Resource.Diff(earlier[i].Resource)) > 0 {
			return &earlier[i]
		}
	}
	return nil
}

func difference(a, b want) string {
	changes := b.Resource.Diff(a.Resource)
	if len(changes) == 0 {
		return ""
	}
	c := changes[0]
	return ", differently (" + c.Path + ": " + c.From + " there, " + c.To + " here)"
}

// nameField is where the name of what is declared stands, as far as it can be
// told.
func nameField(w want) string {
	if w.Resource.ID().Name == w.by.obj.BrokerName() {
		return "spec.name"
	}
	return ""
}
