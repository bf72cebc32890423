// Package plan decides what to do about the difference between what custom
// resources claim and what a broker has. It is pure: no I/O, no clock, no
// logging, no randomness; the same input gives the same plan, in the same
// order. The controller runs what the command line shows because both call
// Compute.
//
// # Who owns an object
//
//	claims that want it      inventory says                 outcome
//	─────────────────────    ───────────────────────────    ─────────────────────────────────────────
//	one                      nobody's, or its own           it owns
//	several, all shareable   any                            those equal to the best one co-own; the rest: Conflict
//	an explicit + derived    any                            the explicit one owns; equal derived ones co-own
//	several explicit         one of them (the incumbent)    the incumbent owns; the rest: Conflict
//	several explicit         none of them                   the oldest, then namespace/name; the rest: Conflict
//	any                      an invalid or suspended one    it keeps; the rest: Conflict
//	another namespace's      an owner that is gone          Conflict, unless handed over; the object goes by policy
//
// # What happens to it
//
//	on the broker   owned      differs               outcome
//	─────────────   ────────   ───────────────────   ───────────────────────────────────────
//	absent          any        –                     create (Blocked while something it needs is missing)
//	present         yes        no                    nothing
//	present         yes        in place              update; reported only under driftPolicy: Report
//	present         yes        replace, forbidden    held: ImmutableFieldChanged, PartitionGrowthRefused
//	present         no         no                    adopted; adoptionPolicy: Never holds
//	present         no         yes                   held: AdoptionRefused; adoptionPolicy: Always goes on as if owned
//	unreadable      any        –                     held: AccessDenied
//	present         no claim   –                     deleted by the last owner's policy, or left behind
//	absent          no claim   –                     forgotten
//
// Files: world.go (the input, indexed), ownership.go (the first table),
// convergence.go (the second), deletion.go (its last rows), order.go (waves).
package plan
