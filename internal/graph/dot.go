package graph

import (
	"fmt"
	"strings"
)

var (
	dotShapes = map[string]string{
		Exchange: `shape=box style="rounded,filled" fillcolor="#f2f6fd" color="#2f66c2"`,
		Queue:    `shape=box style=filled fillcolor="#ffffff" color="#57606a"`,
		Topic:    `shape=cylinder style=filled fillcolor="#f0f8f9" color="#0b7285"`,
	}
	dotStates = map[string]string{
		"outside":    ` style=dashed color="#8b949e"`,
		BadgeProblem: ` color="#cf222e" fillcolor="#fff0f0" penwidth=2.5`,
		BadgeDrift:   ` color="#9a6700" fillcolor="#fff8e5" penwidth=2.5`,
		BadgeDead:    ` color="#8250df" fillcolor="#fbf5ff" penwidth=2.5`,
	}
	dotEdges = map[string]string{Binds: "solid", Dies: "dashed", Waits: "dotted", Strays: "dashed", Consumes: "dotted"}
)

// DOT is the picture in the language of Graphviz. Unfold shows what is derived
// from fields, too.
func (g *Graph) DOT(unfold bool) string {
	v := g.view(openIf(unfold))
	var b strings.Builder
	b.WriteString("digraph topology {\n  rankdir=LR\n  node [fontname=\"monospace\" fontsize=11]\n  edge [fontname=\"monospace\" fontsize=9 color=\"#6e7781\"]\n")
	for group := range g.Groups {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%s fontname=\"monospace\" fontsize=10 color=\"#d1d9e0\"\n", group, dotText(g.Groups[group].Title))
		for i, node := range g.Nodes {
			if node.Group == group && v.seen[i] {
				fmt.Fprintf(&b, "    n%d [label=%s %s%s]\n", i, dotText(strings.Join(node.lines(unfold), "\n")), dotShapes[node.Kind], dotStates[node.class(unfold)])
			}
		}
		b.WriteString("  }\n")
	}
	for _, seen := range v.edges {
		edge := g.Edges[seen.Edge]
		fmt.Fprintf(&b, "  n%d -> n%d [label=%s style=%s]\n", seen.From, seen.To, dotText(edge.label()), dotEdges[edge.Kind])
	}
	b.WriteString("}\n")
	return b.String()
}

// dotText quotes. In a string of DOT a backslash begins an escape of the label,
// and an ampersand an entity of HTML.
func dotText(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", " ", "&", "&amp;").Replace(text) + `"`
}
