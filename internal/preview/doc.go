// Package preview says in words what a plan would do: per object and field what
// the broker has and what is declared, how the step is made, and what it puts at
// risk. It is pure and deterministic: the same plan gives the same text.
//
//	report.go     what a preview consists of
//	items.go      a plan, turned into items
//	fields.go     what is declared of an object that is made
//	risk*.go      what a step does to messages, in words
//	pattern.go    which bindings take what another one took
//	text.go       for a terminal
//	markdown.go   for a comment on a pull request
package preview
