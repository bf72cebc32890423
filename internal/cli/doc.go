// Package cli is the command line: what people see of connections and the
// controller's books, and how they answer it.
//
// It reads custom resources and writes annotations; nothing here speaks to a
// broker or writes the inventory, which is the controller's alone.
//
// Files: root.go (the command, flags and exit codes), a file for each verb,
// kubernetes.go (what is read and written), print.go (tables, colour, JSON and
// YAML), ask.go (confirmation).
package cli
