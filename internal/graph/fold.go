package graph

import "slices"

// view is what is seen of a graph while some nodes are open and the others are
// folded. The page does the same in assets/picture.js, and a test compares them.
type view struct {
	seen  []bool // by node
	edges []seenEdge
}

// seenEdge is Graph.Edges[Edge], drawn between two nodes that are seen.
type seenEdge struct {
	Edge int `json:"edge"`
	From int `json:"from"`
	To   int `json:"to"`
}

// allOpen and allFolded are the two views of pictures that nobody can click on.
func allOpen(int) bool   { return true }
func allFolded(int) bool { return false }

func openIf(unfold bool) func(int) bool {
	if unfold {
		return allOpen
	}
	return allFolded
}

// view computes what is seen. A node that is derived from others is seen while
// one of those is open; an edge of their inside, too. Any other edge is always
// seen: what it leads to is inside of something that is.
func (g *Graph) view(open func(int) bool) view {
	v := view{seen: make([]bool, len(g.Nodes))}
	for i, node := range g.Nodes {
		v.seen[i] = len(node.In) == 0 || slices.ContainsFunc(node.In, open)
	}
	for i, edge := range g.Edges {
		if len(edge.In) > 0 {
			if v.seen[edge.From] && v.seen[edge.To] && slices.ContainsFunc(edge.In, open) {
				v.edges = append(v.edges, seenEdge{i, edge.From, edge.To})
			}
			continue
		}
		for _, from := range v.standIns(g, edge.From) {
			for _, to := range v.standIns(g, edge.To) {
				if from != to || edge.From == edge.To {
					v.edges = append(v.edges, seenEdge{i, from, to})
				}
			}
		}
	}
	return v
}

// standIns are the nodes at which an edge of a node is drawn.
func (v view) standIns(g *Graph, node int) []int {
	if v.seen[node] {
		return []int{node}
	}
	return g.Nodes[node].In
}
