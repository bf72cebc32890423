package graph

import (
	"fmt"
	"strings"
)

// mermaidEdges are the arrows of the kinds of edges; those without a binding are
// dotted.
var mermaidEdges = map[string]string{Binds: "-->", Dies: "-.->", Waits: "-.->", Strays: "-.->", Consumes: "-.->"}

// mermaidClasses are the colours of states. Text is dark on all of them, so they
// serve a dark page as well.
const mermaidClasses = `  classDef exchange fill:#dce9fc,stroke:#2f66c2,color:#1f2328
  classDef queue fill:#ffffff,stroke:#57606a,color:#1f2328
  classDef topic fill:#d8eff2,stroke:#0b7285,color:#1f2328
  classDef outside fill:#ffffff,stroke:#8b949e,stroke-dasharray:2 3,color:#1f2328
  classDef problem fill:#ffe0e0,stroke:#cf222e,stroke-width:3px,color:#1f2328
  classDef drift fill:#fff0c8,stroke:#9a6700,stroke-width:3px,color:#1f2328
  classDef dead fill:#f0e0ff,stroke:#8250df,stroke-width:3px,color:#1f2328
`

// Mermaid is the picture as a flowchart for Markdown. Unfold shows what is
// derived from fields, too.
func (g *Graph) Mermaid(unfold bool) string {
	v := g.view(openIf(unfold))
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for group := range g.Groups {
		fmt.Fprintf(&b, "  subgraph g%d[%s]\n", group, mermaidText(g.Groups[group].Title))
		for i, node := range g.Nodes {
			if node.Group == group && v.seen[i] {
				fmt.Fprintf(&b, "    n%d%s\n", i, mermaidNode(node, unfold))
			}
		}
		b.WriteString("  end\n")
	}
	for _, seen := range v.edges {
		edge := g.Edges[seen.Edge]
		arrow := mermaidEdges[edge.Kind]
		if label := edge.label(); label != "" {
			arrow += "|" + mermaidText(label) + "|"
		}
		fmt.Fprintf(&b, "  n%d %s n%d\n", seen.From, arrow, seen.To)
	}
	b.WriteString(mermaidClasses)
	for i, node := range g.Nodes {
		if v.seen[i] {
			fmt.Fprintf(&b, "  class n%d %s\n", i, node.class(unfold))
		}
	}
	return b.String()
}

func mermaidNode(node Node, unfold bool) string {
	text := mermaidText(strings.Join(node.lines(unfold), "\n"))
	switch node.Kind {
	case Exchange:
		return "([" + text + "])"
	case Topic:
		return "[(" + text + ")]"
	}
	return "[" + text + "]"
}

// mermaidText quotes: all that Mermaid or HTML could read as its own becomes an
// entity.
func mermaidText(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString("<br/>")
		case strings.ContainsRune("\"<>&#`\\*_~|{}[]()", r) || r < ' ':
			fmt.Fprintf(&b, "#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// lines are what stands in a node where nobody can click.
func (n *Node) lines(unfold bool) []string {
	lines := []string{n.Name, n.Note}
	if n.Inside != "" && !unfold {
		lines = append(lines, "+ "+n.Inside)
	}
	for _, badge := range n.shown(unfold) {
		if word := badgeWords[badge.Kind]; word != "" {
			lines = append(lines, "! "+word)
		}
	}
	return lines
}

// badgeWords are those of assets/picture.js.
var badgeWords = map[string]string{BadgeProblem: "not ready", BadgeDrift: "drift", BadgeDead: "dead letters"}

// shown leaves out that there are dead letters inside where one sees in which
// node they are.
func (n *Node) shown(unfold bool) []Badge {
	var out []Badge
	for _, badge := range n.Badges {
		if !unfold || badge.Kind != BadgeDead || n.Inside == "" {
			out = append(out, badge)
		}
	}
	return out
}

// class is the state, or else the kind: the worst comes first in Badges.
func (n *Node) class(unfold bool) string {
	for _, badge := range n.shown(unfold) {
		if badge.Kind != BadgeFine {
			return badge.Kind
		}
	}
	if n.Outside {
		return "outside"
	}
	return n.Kind
}

// label is two keys at most, as in assets/layout.js.
func (e *Edge) label() string {
	var labels []string
	seen := map[string]bool{"": true}
	for _, route := range e.Routes {
		if !seen[route.Label] {
			seen[route.Label] = true
			labels = append(labels, route.Label)
		}
	}
	if len(labels) > 2 {
		labels = []string{labels[0], fmt.Sprintf("+ %d more", len(labels)-1)}
	}
	return strings.Join(labels, "\n")
}
