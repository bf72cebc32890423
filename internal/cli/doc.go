// Package cli is the command line: what people see of a change before it is
// made, of connections and of the controller's books, and how they answer it.
//
// It reads manifests and custom resources and writes annotations; brokers are
// read, and by apply written, through the engine. The inventory is the
// controller's alone.
//
// Files: root.go (the command, flags and exit codes), a file for each verb,
// kubernetes.go (what is read and written), manifests.go (files), print.go (tables, colour, JSON and
// YAML), ask.go (confirmation), dial.go (connections to brokers), rehearsal.go
// (manifests on brokers), overlay.go and dry_run.go (the same over a cluster),
// execution.go (a plan carried out), memory.go (books that end with the command).
package cli
