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
//	any                      an invalid or suspended one    it keeps, and the object stays as it is; the rest: Conflict
//	some shareable           several, some of them such     the others look after it; all stay owners
//	another namespace's      owners that are gone, or       Conflict, unless handed over; the object goes by policy
//	                         declare it no longer
//
// # What happens to it
//
//	on the broker   owned      differs               outcome
//	─────────────   ────────   ───────────────────   ───────────────────────────────────────
//	absent          any        –                     create (Blocked while something it needs is missing, or another's)
//	present         yes        no                    nothing
//	present         yes        in place              update; reported only under driftPolicy: Report
//	present         yes        gradually             an operation begins, next to updates in place
//	present         yes        replace               updatePolicy: Migrate begins an operation; else held: ImmutableFieldChanged
//	present         yes        in place, at a loss   a policy that would cost messages is held: AwaitingApproval
//	present         yes        forbidden             held: ImmutableFieldChanged, PartitionGrowthRefused
//	any             under way  any                   the operation goes on; bindings of its queue are held: Migrating
//	present         no         no                    adopted; adoptionPolicy: Never holds
//	present         no         yes                   held: AdoptionRefused; adoptionPolicy: Always goes on as if owned
//	unreadable      any        –                     held: AccessDenied
//	present         no claim   –                     deleted by the last owner's policy, or left behind;
//	                                                 held while too many owners went at once
//	present         no longer  –                     deleted once it is unused, whatever the policy: it drains
//	absent          no claim   –                     forgotten
//
// A policy that another one overrules is kept as declared, and reported:
// Conflict. One that is not there yet waits, and its queue with it.
//
// # How it goes
//
// What one former owner held goes or stays whole: while a queue or topic of it
// stays, the rest does, and every delete requires the earlier ones of its claim
// to have succeeded. First goes what feeds a queue from outside, then the
// queues, then the wiring between them, then exchanges, and virtual hosts last.
// A queue whose counts lag is unbound first, and deleted once it is quiet. What
// an edit takes out goes when the rest of the edit is made, and never with a
// message in it.
//
// Files: world.go (the input, indexed), ownership.go (the first table),
// convergence.go (the second), deletion.go and usage.go (its last rows),
// breaker.go (too many deletions at once), drain.go (what an edit takes out),
// settings.go (policies), operation.go (what takes longer than a pass),
// recreated.go (topics that are other ones now), order.go (waves).
package plan
