// Package examples runs what examples/ shows, against what config/samples
// declares: the samples are applied as they are but for the brokers' addresses
// and names that keep tests apart, a real controller makes real brokers match,
// and the programs read the contracts that it wrote.
//
//	samples_test.go   config/samples in a namespace of a test's own
//	nodejs_test.go    examples/nodejs
//	process_test.go   running programs
package examples
