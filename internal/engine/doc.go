// Package engine runs passes: observe, plan, write ahead, apply in waves, read
// back, report. It holds what lives between passes for one broker cluster: what
// is declared and owned (plan.World), the retry ledger, and which queues are
// settling before they are deleted.
//
// Looking for ...
//
//	what lives between passes        cluster.go
//	the steps of one pass            pass.go
//	who is looked at next            dirty.go, rollout.go, sweep.go
//	who may decide at the same time  locks.go
//	what is read, and planned        draft.go
//	what is asked before the writes  ending.go, inquiry.go, validate.go
//	written ahead, and let go of     books.go
//	waves and read-back              execute.go
//	when a failed object is retried  ledger.go
//	what an owner is told            verdict.go
//	what is counted over all owners  tally.go
//	how often statuses tell numbers  news.go
//	what is declared no longer       drain.go
//	deletions that are held          departures.go
//	what is left on the broker       forget.go
//	what takes longer than a pass    operation.go
//	what a pass would do             preview.go
//	after a process that was killed  inherited.go
//	topics that are other ones now   topicid.go
//	how much queues hold             depths.go
//	the ports to the outside         ports.go
//
// The engine knows neither Kubernetes nor a broker's protocol.
package engine
