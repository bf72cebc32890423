package main

import (
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/warrener-dev/warrener/controllers"
)

const leaseName = "warrener-controller"

// When the replica that leads dies, the other one is at work within 20 s: it sees
// the last renewal up to 2.2 retry periods late, takes over up to 2.2 of them
// after the lease has run out, and then reads the inventory and the brokers. A
// leader that could not renew for as long as renewDeadline writes nothing more,
// and ends.
const (
	leaseDuration = 10 * time.Second
	renewDeadline = 7 * time.Second
	retryPeriod   = time.Second
)

// lease is nil if no leader is elected.
func (s settings) lease(config *rest.Config) (*controllers.Lease, error) {
	if !s.elect {
		return nil, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the host name: %w", err)
	}
	identity := resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, s.electionNamespace, leaseName, identity, config, renewDeadline)
	if err != nil {
		return nil, fmt.Errorf("set up the leader election: %w", err)
	}
	return controllers.NewLease(lock, renewDeadline), nil
}
