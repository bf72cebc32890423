package main

import (
	"regexp"
	"testing"
	"time"

	"k8s.io/client-go/tools/leaderelection"

	"github.com/warrener-dev/warrener/controllers"
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

// The same for replicas that share the work.
func TestShardsLeaveTimeToWork(t *testing.T) {
	if took := controllers.ReplicaLeaseDuration + 2*controllers.ReplicaRound; took > 16*time.Second {
		t.Errorf("another replica takes over after up to %s, and has to work within 20 s", took)
	}
}

func TestReplicaName(t *testing.T) {
	for _, host := range []string{"warrener-controller-5d4f7c9b8-x2k4j", "Node_7.example.org", "-"} {
		if name := replicaName(host); !regexp.MustCompile(`^[a-z0-9-]*[a-z0-9]{5}$`).MatchString(name) || name == replicaName(host) {
			t.Errorf("%q becomes %q", host, name)
		}
	}
}
