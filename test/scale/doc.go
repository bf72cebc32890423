// Package scale measures what Warrener costs, as ratios to a limit that is
// taken in the same run on the same machine. `make bench` runs it and writes
// docs/benchmarks.md. Nothing here fails because a machine is slow; what is
// counted (requests, writes) is asserted.
//
//	main_test.go      which broker, and how many objects
//	scene_test.go     a namespace, a virtual host, and a controller in between
//	workload_test.go  the objects, and the limit: the API server alone
//	follow_test.go    a watch that goes on
//	ready_test.go     watches until all is Ready, and counts status writes
//	report_test.go    a row of docs/benchmarks.json
//	profiles_test.go  CPU and heap of the controller, if asked for
//	short_test.go     most of it with few objects, for every run of the tests
//
// Each other file is one workload.
package scale
