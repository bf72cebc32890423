// Package scale measures what Warrener costs, as ratios to a limit that is
// taken in the same run on the same machine. `make bench` runs it and writes
// docs/benchmarks.md. Nothing here fails because a machine is slow; what is
// counted (requests, writes) is asserted.
//
//	workload_test.go  the objects, and the limit: the API server alone
//	bench_test.go     the measurements
//	report_test.go    docs/benchmarks.md
package scale
