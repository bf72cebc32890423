// Package graph draws the map of a topology: which exchange leads to which queue
// by which key, which topics there are, and what becomes of messages that fail.
// It is pure: claims in, text out.
//
// What is derived from a field of a custom resource (retries, dead letters)
// stands inside the node of that resource, and is seen when it is open.
//
//	model.go     the graph: nodes, edges, and what is inside of what
//	build.go     claims become nodes
//	edges.go     claims become edges
//	describe.go  what is told about a node
//	fold.go      what is seen while some nodes are open
//	draw.go      SVG
//	page.go      a page in which one can open, search and zoom
//	mermaid.go   Mermaid
//	dot.go       DOT, the language of Graphviz
//	assets/      picture.js: layout and SVG, for this package and for the page alike;
//	             page.js: what happens when somebody clicks; dagre: the layout library
package graph
