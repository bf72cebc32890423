package harness

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what has to happen, whatever else the
// machine does meanwhile. It tells a thing that never comes from one that comes late,
// and is no measure of speed: benchmarks are.
const Patience = 4 * time.Minute

// Eventually waits for Patience until a condition holds, and fails the test if it never
// does.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", Patience, what)
		}
	}
}
