package main

import (
	"testing"
	"time"

	"k8s.io/client-go/tools/leaderelection"
)

// The arithmetic of lease.go.
func TestTakeoverLeavesTimeToWork(t *testing.T) {
	const late = time.Duration(float64(retryPeriod) * (1 + leaderelection.JitterFactor))
	if took := leaseDuration + 2*late; took > 15*time.Second {
		t.Errorf("the other replica takes over after up to %s, and has to work within 20 s", took)
	}
	if renewDeadline >= leaseDuration-2*time.Second {
		t.Error("a leader that cannot renew must have stopped well before another one takes over")
	}
}
