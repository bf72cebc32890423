package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// session is one connection over time: its adapter, the cluster behind it, and
// whether it works. Both lanes use it; the Sweep lane alone changes the adapter.
type session struct {
	key topology.ConnectionKey
	// shard whose holder made it, if the work is shared.
	shard int

	// takingIn is held by whoever takes news in, so that the latest is the last.
	takingIn sync.Mutex

	mu          sync.Mutex
	adapter     adapter
	fingerprint string
	cluster     *engine.Cluster
	clusterID   string
	// virtualHost of objects that name none, as it was when the connection was
	// last read: also when the connection is gone.
	virtualHost string
	// approval that the connection requires of all objects, likewise.
	approval   v1alpha1.ApprovalPolicy
	generation int64
	handled    string // the last annotation reconcile-at that was answered
	// handledForget is the mark of the last annotation forget-left-behind that was
	// answered.
	handledForget string
	identity      identity
	up            bool
	trouble       *trouble
	// spare is until when the last good credentials serve although their Secret
	// is gone: a namespace that is deleted takes it first.
	spare time.Time
	// gone is when the connection resource was found to be deleted.
	gone time.Time
	// admitted has what was last found about the namespaces of objects; see
	// permission.go.
	admitted map[string]admission

	// reporting guards the last status that was written; see reportConnection.
	reporting   sync.Mutex
	reported    *v1alpha1.ConnectionStatus
	reportedUID types.UID
	// reportedVersion is the resource version that it has made.
	reportedVersion uint64
	// orphans is what was told of a connection that is gone; see orphans.go.
	orphans v1alpha1.ConnectionStatus
}

// trouble is why a session does not work. It is remembered until a sweep has
// gone through: a broker that answers a probe and nothing else is not well, and
// the attempts on it stay apart.
type trouble struct {
	reason  string
	message string
	stalled bool
	since   time.Time
	tries   int
	// told: the objects' statuses say so too.
	told bool
}

// working returns what a pass needs, if the session works.
func (s *session) working() (adapter, *engine.Cluster, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.adapter, s.cluster, s.cluster != nil && (s.up || time.Now().Before(s.spare))
}

// upToDate tells whether the session is what this version of its connection asks
// for; the Sweep lane sees to that.
func (s *session) upToDate(c v1alpha1.Connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c == nil || s.generation == c.GetGeneration()
}

// defaults returns what the connection gives to the objects that use it.
func (s *session) defaults() compile.ConnectionDefaults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return compile.ConnectionDefaults{Key: s.key, VirtualHost: s.virtualHost, Version: s.identity.version, Approval: s.approval}
}

// attached returns the cluster, also while the session does not work.
func (s *session) attached() *engine.Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cluster
}

// reaches returns the id of the cluster; "" as long as it is not known.
func (s *session) reaches() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clusterID
}

// inTrouble returns what is wrong, if anything is.
func (s *session) inTrouble() (trouble, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up || s.trouble == nil {
		return trouble{}, false
	}
	return *s.trouble, true
}

// fail notes trouble and returns it; news says whether it is another one than
// before.
func (s *session) fail(reason, message string, stalled bool, now time.Time) (t trouble, news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case reason != v1alpha1.ReasonSecretNotFound:
		s.spare = time.Time{}
	case s.up:
		s.spare = now.Add(linger)
	}
	switch {
	case s.trouble == nil:
		s.trouble = &trouble{since: now}
	case s.trouble.reason != reason:
		// Another trouble has a grace period of its own before the objects are told.
		s.trouble.since, s.trouble.told = now, false
	}
	news = s.up || s.trouble.reason != reason || s.trouble.message != message
	s.trouble.reason, s.trouble.message, s.trouble.stalled = reason, message, stalled
	s.trouble.tries++
	s.up = false
	return *s.trouble, news
}

// recover notes that the session works.
func (s *session) recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up, s.spare = true, time.Time{}
}

// swept notes that a sweep has gone through, so that all is well.
func (s *session) swept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up {
		s.trouble = nil
	}
}

// stillThere makes sure, before something is written, that it is the same
// cluster that answers: between two sweeps an address can come to lead
// elsewhere.
func (s *session) stillThere(ctx context.Context, broker adapter, cluster *engine.Cluster) error {
	who, err := broker.probe(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster != cluster {
		return fmt.Errorf("%s has come to reach another cluster in the middle of a pass", s.key)
	}
	if s.clusterID != who.clusterID {
		return &changedCluster{was: s.clusterID, is: who.clusterID}
	}
	return nil
}

// closeLater gives passes that still use an adapter the time to end.
func closeLater(a adapter) {
	if a != nil {
		time.AfterFunc(30*time.Second, a.Close)
	}
}
