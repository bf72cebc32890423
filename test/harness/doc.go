// Package harness gives tests real brokers, a real control plane, and the faults between them.
//
// Shared brokers run before the tests do (hack/testenv.sh up, which `make test` calls) and are found through the
// environment; tests keep apart by using virtual hosts and topic prefixes of their own. Private brokers and control
// planes are started for one test or one test binary through the scripts in hack/, on free loopback ports, and are
// removed with it, even if the test binary is killed.
//
// Debugging? A broker does not start: script.go, and the log that the error names. A test is skipped: env.go.
package harness
