package preview

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// MaxComment is how much text GitHub takes for a comment, in characters, less
	// a margin; GitLab takes far more.
	MaxComment = 65_000
	// CommentMark is the first line of a comment, by which the next run finds it.
	CommentMark = "<!-- warrener plan -->"
)

// Markdown renders a report as a comment on a pull request, at most as long as
// MaxComment: a line that sums it up, what needs a person's eye, and all of it
// folded away. What does not fit is counted.
func Markdown(r Report) string {
	var head strings.Builder
	fmt.Fprintf(&head, "%s\n### Warrener plan: %s\n\n", CommentMark, r.Summary())
	for _, note := range r.Notes {
		fmt.Fprintf(&head, "> %s\n", note)
	}
	if len(r.Notes) > 0 {
		head.WriteString("\n")
	}
	page := &budget{left: MaxComment - utf8.RuneCountInString(head.String())}
	eyes := page.attention(r)
	details := page.folded(r)
	return head.String() + eyes + details
}

// budget is the room that is left for a comment.
type budget struct{ left int }

func (b *budget) take(text string, spare int) bool {
	n := utf8.RuneCountInString(text)
	if b.left-n < spare {
		return false
	}
	b.left -= n
	return true
}

// spare is the room for what says that something was left out, and for the ends
// of what is open.
const spare = 400

// attention lists what has a risk or is not done.
func (b *budget) attention(r Report) string {
	var out strings.Builder
	rest, limit := 0, MaxComment/2
	for _, cluster := range r.Clusters {
		for _, item := range cluster.Items {
			needs := item.Action == Forbidden || item.Action == Held || item.Action == Invalid
			if !needs && len(item.Risks) == 0 {
				continue
			}
			var line strings.Builder
			fmt.Fprintf(&line, "- **%s** %s", item.Action, code(item.subject()))
			if needs {
				fmt.Fprintf(&line, ": %s", prose(item.Message))
			}
			for _, risk := range item.Risks {
				fmt.Fprintf(&line, "\n  - ⚠️ %s", prose(risk))
			}
			line.WriteString("\n")
			if !b.take(line.String(), limit) {
				rest++
				continue
			}
			out.WriteString(line.String())
		}
	}
	for _, line := range r.waiting() {
		if !b.take(line, limit) {
			rest++
			continue
		}
		out.WriteString(line)
	}
	if rest > 0 {
		fmt.Fprintf(&out, "- and %s more: see the output of the job\n", count(int64(rest), "object"))
	}
	if out.Len() > 0 {
		out.WriteString("\n")
	}
	return out.String()
}

// waiting lists what a person has to decide, and how.
func (r Report) waiting() []string {
	var out []string
	for _, cluster := range r.Clusters {
		for _, a := range cluster.Approvals {
			out = append(out, fmt.Sprintf("- **waits for approval**, once it is applied: %s: %s\n", prose(a.title()), code(a.Command)))
		}
		if h := cluster.HeldDeletions; h != nil {
			out = append(out, fmt.Sprintf("- **%s**: %s. To keep them, apply the custom resources again; to delete, %s\n", prose(h.title()), prose(firstOf(h.Owners)), code(h.Command)))
		}
	}
	return out
}

// subject is the object, or the resource where all of it is meant.
func (i Item) subject() string {
	if i.Object == "" {
		return i.owner()
	}
	return i.Object
}

// folded is all of the report, in a part that a reader opens.
func (b *budget) folded(r Report) string {
	var out strings.Builder
	for _, cluster := range r.Clusters {
		if len(cluster.Items) == 0 && len(cluster.Warnings) == 0 {
			continue
		}
		var body strings.Builder
		rest, owner := 0, ""
		for _, warning := range cluster.Warnings {
			if line := "# warning: " + oneLine(warning) + "\n"; b.take(line, spare) {
				body.WriteString(line)
			}
		}
		for _, item := range folded(cluster.Items) {
			lines := item.diff(owner)
			if rest > 0 || !b.take(lines, spare*len(r.Clusters)) {
				rest++
				continue
			}
			owner = item.owner()
			body.WriteString(lines)
		}
		if rest > 0 {
			fmt.Fprintf(&body, "# and %s more: see the output of the job\n", count(int64(rest), "object"))
		}
		fence := fenceFor(body.String())
		fmt.Fprintf(&out, "<details><summary>%s, %s: %s</summary>\n\n%sdiff\n%s%s\n\n</details>\n",
			escapeHTML(cluster.Broker()), escapeHTML(cluster.Connection), escapeHTML(Report{Clusters: []Cluster{cluster}}.Summary()), fence, body.String(), fence)
	}
	return out.String()
}

// diffMarks colour lines where a comment shows a diff.
var diffMarks = map[Action]string{Create: "+", Change: "!", Replace: "!", Delete: "-", Forbidden: "!", Held: "!", Invalid: "!"}

// diff is an item as lines of a diff, under its owner where that is another one
// than before.
func (i Item) diff(before string) string {
	var out strings.Builder
	if owner := i.owner(); owner != before {
		fmt.Fprintf(&out, "# %s\n", oneLine(owner))
	}
	fmt.Fprintf(&out, "%s %s %s", diffMarks[i.Action], i.Action, oneLine(i.title()))
	if i.Action == Create && len(i.Fields) > 0 {
		out.WriteString("   " + oneLine(i.declared()))
	}
	out.WriteString("\n")
	for _, line := range i.details() {
		fmt.Fprintf(&out, "      %s\n", oneLine(line))
	}
	return out.String()
}

// fenceFor is longer than any row of backticks in a text.
func fenceFor(text string) string {
	longest, row := 2, 0
	for _, r := range text {
		if r != '`' {
			row = 0
			continue
		}
		row++
		longest = max(longest, row)
	}
	return strings.Repeat("`", longest+1)
}

// code sets a name as code, whatever is in it.
func code(text string) string {
	text = oneLine(text)
	if !strings.Contains(text, "`") {
		return "`" + text + "`"
	}
	fence := fenceFor(text)
	return fence + " " + text + " " + fence
}

// prose keeps what a broker or a person has named from being taken for HTML, and
// from calling people.
func prose(text string) string {
	return strings.ReplaceAll(escapeHTML(oneLine(text)), "@", "@\u200b")
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

var htmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func escapeHTML(text string) string { return htmlEscapes.Replace(text) }
