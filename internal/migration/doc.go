// Package migration decides how a queue that is in use is replaced by one with
// other arguments without losing a message. It is pure: from what a broker shows
// at a moment (State), and since when (Memory), Decide gives the calls to make
// next and what to tell people. Package rabbitmq looks and makes the calls.
//
// The broker itself says how far a migration has come, so that whoever comes
// after a crash, between any two calls, goes on with it:
//
//	step        what the broker shows                          what is done
//	Preparing   queue as before, no detour                     check, park and detour are built, detour -> queue
//	Detouring   detour -> queue                                each source -> queue becomes source -> detour
//	            no source -> queue                             unbind detour -> queue: from now on the park fills
//	Draining    detour leads to the park, queue not empty      consumers empty the queue; if there are none, a
//	                                                           shovel moves what it holds to the backlog
//	Replacing   queue empty, or not there                      delete it, declare it
//	Returning   queue as wanted, detour leads to the park      shovel backlog, then park -> return -> queue
//	            little in the park                             unbind it: from now on the tail fills
//	            park empty                                     shovel tail -> return -> queue
//	            tail empty for a moment                        bind detour -> queue, and the rest comes
//	Restoring   tail empty, detour -> queue                    source -> detour becomes source -> queue, and
//	                                                           the scaffolding goes
//
// A message takes one way at any time: while a source is bound both to queue and
// detour, detour leads to the queue, and a broker delivers to a queue once.
//
//	names.go     what the scaffolding is called, and how to know it
//	state.go     what is observed
//	action.go    what can be done
//	refuse.go    why a queue cannot be migrated
//	decide.go    the table above
//	mend.go      what is done about shovels that a broker has lost track of
//	move.go      bindings to the detour and back, and calls that were cut off
//	detour.go    Preparing, Detouring, Draining, Replacing
//	bringback.go Returning, Restoring
package migration
