// Package topology is the vocabulary that every other package speaks: broker
// objects as plain data (Resource), what a custom resource asks for (Claim),
// what a broker has (Snapshot), and what is done about the difference (Step,
// Outcome). It imports the standard library only, does no I/O and reads no
// clock.
//
// Looking for ...
//
//	what identifies a broker object     id.go
//	how two versions are compared       resource.go, and one file a kind:
//	                                    virtualhost.go exchange.go queue.go binding.go topic.go
//	argument values (x-... tables)      value.go
//	what a custom resource asks for     claim.go
//	who owns what                       inventory.go
//	what the broker has                 snapshot.go
//	what is done, and how it went       step.go, errors.go
package topology
