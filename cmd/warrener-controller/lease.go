package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	if !s.elect || s.shards > 1 {
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

// shared is nil if the replicas do not share the work.
func (s settings) shared(config *rest.Config, scheme *runtime.Scheme) (*controllers.Shards, error) {
	if s.shards == 1 {
		return nil, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the host name: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("set up the client of the leases: %w", err)
	}
	return controllers.NewShards(c, controllers.ShardOptions{
		Namespace: s.electionNamespace, Name: replicaName(host), Shards: s.shards, LeaderLease: leaseName,
	}, ctrl.Log.WithName("shards")), nil
}

// replicaName is part of the name of a Lease: what a pod is called, and of this
// process alone.
func replicaName(host string) string {
	host = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(host))
	return strings.Trim(host, "-") + "-" + rand.String(5)
}
