// Package engine runs passes: observe, plan, write ahead, apply in waves, read
// back, report. It holds what lives between passes for one broker cluster: what
// is declared and owned (plan.World), the retry ledger, and which queues are
// settling before they are deleted.
//
// Looking for ...
//
//	what lives between passes        cluster.go
//	the steps of one pass            pass.go
//	what is read, and planned        draft.go
//	a drift check, in slices         sweep.go
//	waves, write-ahead, read-back    execute.go
//	when a failed object is retried  ledger.go
//	what an owner is told            verdict.go
//	what is declared no longer       drain.go
//	what takes longer than a pass    operation.go
//	how often statuses tell numbers  news.go
//	what a pass would do             preview.go
//	what is asked before the writes  validate.go
//	topics that are other ones now   topicid.go
//	how much queues hold             depths.go
//	the ports to the outside         ports.go
//
// The engine knows neither Kubernetes nor a broker's protocol.
package engine
