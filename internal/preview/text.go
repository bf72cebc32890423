package preview

import (
	"fmt"
	"io"
	"strings"
)

// marks of actions in texts.
var marks = map[Action]string{Create: "+", Change: "~", Replace: "±", Delete: "-", Forbidden: "!", Held: "=", Invalid: "!"}

// Painter colours the word of an action, for a terminal.
type Painter func(action Action, text string) string

// Text writes a report for people. A nil painter leaves the colours out.
func Text(w io.Writer, r Report, paint Painter) {
	if paint == nil {
		paint = func(_ Action, text string) string { return text }
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, note)
	}
	for _, cluster := range r.Clusters {
		name := cluster.Connection
		if _, rest, found := strings.Cut(name, " "); found {
			name = rest
		}
		fmt.Fprintf(w, "\n%s %s: %s\n", cluster.Broker(), name, Report{Clusters: []Cluster{cluster}}.Summary())
		if cluster.Adopted > 0 {
			fmt.Fprintf(w, "%s of nobody would be owned as they are\n", count(int64(cluster.Adopted), "object"))
		}
		for _, warning := range cluster.Warnings {
			fmt.Fprintf(w, "warning: %s\n", warning)
		}
		owner := ""
		for _, item := range folded(cluster.Items) {
			if first := item.owner(); first != owner {
				owner = first
				fmt.Fprintf(w, "\n%s\n", owner)
			}
			item.text(w, paint)
		}
		cluster.waiting(w)
	}
	fmt.Fprintf(w, "\nPlan: %s.\n", r.Summary())
}

// waiting says what a person has to decide, and how.
func (c Cluster) waiting(w io.Writer) {
	if len(c.Approvals) > 0 {
		fmt.Fprint(w, "\nWaits for approval, once it is applied:\n")
	}
	for _, a := range c.Approvals {
		fmt.Fprintf(w, "  %s\n      %s\n", a.title(), a.Command)
	}
	if h := c.HeldDeletions; h != nil {
		fmt.Fprintf(w, "\n%s\n  of             %s\n  to keep them   apply the custom resources again\n  to delete      %s\n", h.title(), firstOf(h.Owners), h.Command)
	}
}

// owner is the first of those that declare the object.
func (i Item) owner() string {
	if len(i.Owners) == 0 {
		return "(nobody)"
	}
	return i.Owners[0]
}

func (i Item) text(w io.Writer, paint Painter) {
	const width = len("forbidden")
	fmt.Fprintf(w, "  %s", paint(i.Action, fmt.Sprintf("%s %-*s", marks[i.Action], width, i.Action)))
	fmt.Fprintf(w, "  %s", i.title())
	if i.Action == Create && len(i.Fields) > 0 {
		fmt.Fprintf(w, "   %s", i.declared())
	}
	fmt.Fprintln(w)
	for _, line := range i.details() {
		fmt.Fprintf(w, "      %s\n", line)
	}
}

// title is the object, and who else declares it.
func (i Item) title() string {
	title := i.Object
	if title == "" {
		title = "all of it"
	}
	if len(i.Owners) > 1 {
		title += fmt.Sprintf(" (also of %s)", firstOf(i.Owners[1:]))
	}
	return title
}

func firstOf(names []string) string {
	const most = 2
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// declared lists the fields of an object that is created, in one line.
func (i Item) declared() string {
	parts := make([]string, 0, len(i.Fields))
	for _, field := range i.Fields {
		parts = append(parts, field.Path+"="+field.Declared)
	}
	return strings.Join(parts, " ")
}

// details are lines under the title: fields, why, and risks.
func (i Item) details() []string {
	var out []string
	if i.Action != Create {
		for _, field := range i.Fields {
			if field.Live == "" { // of an object that is not there
				out = append(out, fmt.Sprintf("%s: %s", field.Path, field.Declared))
				continue
			}
			out = append(out, fmt.Sprintf("%s: %s → %s", field.Path, field.Live, field.Declared))
		}
	}
	if i.Message != "" {
		message := i.Message
		if i.Reason != "" {
			message = i.Reason + ": " + message
		}
		out = append(out, message)
	}
	for _, risk := range i.Risks {
		out = append(out, "risk: "+risk)
	}
	return out
}
