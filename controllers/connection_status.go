package controllers

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// reportConnection writes the status of a connection, if it changed.
func (r *Registry) reportConnection(ctx context.Context, s *session, c v1alpha1.Connection, cluster *engine.Cluster) {
	// Both lanes report; the later one must not work on the older status.
	s.reporting.Lock()
	defer s.reporting.Unlock()
	before := *s.latest(c).DeepCopy()
	after := s.status(before, c.GetGeneration(), cluster, time.Now())
	if reflect.DeepEqual(before, after) {
		return
	}
	patched := c.DeepCopyObject().(v1alpha1.Connection)
	base := c.DeepCopyObject().(v1alpha1.Connection)
	*base.GetStatus() = before
	*patched.GetStatus() = after
	err := r.client.Status().Patch(ctx, patched, client.MergeFrom(base))
	switch {
	case apierrors.IsNotFound(err):
		r.queue(Request{s.key, LaneSweep}, 0) // which reports what stays of it
		return
	case err != nil:
		if ctx.Err() == nil {
			r.log.Error(err, "status not written", "object", s.key.String())
		}
		return
	}
	s.reported, s.reportedUID, s.reportedVersion = after.DeepCopy(), c.GetUID(), version(patched)
	announce(r.events, c, before.Conditions, after.Conditions)
	announceLeftBehind(r.events, c, before, after)
	announceHeld(r.events, c, s.key, before, after)
}

// latest is the status that a connection has: the one that was written last, until the
// cache has caught up with it. What the cache has then counts even if it is not what was
// written: a pass for a connection of before, that was under way when this one was applied
// under its name, may have written over it. The caller holds s.reporting.
func (s *session) latest(c v1alpha1.Connection) *v1alpha1.ConnectionStatus {
	if s.reported != nil && s.reportedUID == c.GetUID() && version(c) < s.reportedVersion {
		return s.reported
	}
	return c.GetStatus()
}

// knownCluster is the cluster that a connection last reached; "" if none.
func (s *session) knownCluster(c v1alpha1.Connection) string {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	return s.latest(c).ClusterID
}

// status is what the session has to say of itself.
func (s *session) status(before v1alpha1.ConnectionStatus, generation int64, cluster *engine.Cluster, now time.Time) v1alpha1.ConnectionStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	after := *before.DeepCopy()
	after.ObservedGeneration = generation
	if s.handled != "" {
		after.LastHandledReconcileAt = s.handled
	}
	if s.handledForget != "" {
		after.LastHandledForget = s.handledForget
	}
	st := standing{ready: metav1.ConditionFalse, reason: v1alpha1.ReasonProgressing, message: "connecting"}
	switch {
	case s.up:
		st = standing{ready: metav1.ConditionTrue, reason: v1alpha1.ReasonSucceeded, message: s.describe()}
		after.ClusterID, after.Version = s.clusterID, s.identity.version
	case s.trouble != nil && s.trouble.reason == v1alpha1.ReasonSuspended:
		st = standing{ready: metav1.ConditionUnknown, reason: s.trouble.reason, message: s.trouble.message}
	case s.trouble != nil:
		st.reason, st.message, st.stalled = s.trouble.reason, s.trouble.message, s.trouble.stalled
	}
	st.applyTo(&after.Conditions, generation, now)
	if cluster != nil {
		s.countInto(&after, cluster)
		s.heldInto(&after, cluster.HeldDeletions(s.key), generation, now)
	} else if held := meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionDeletionHeld); held != nil {
		held.ObservedGeneration = generation // nothing is known yet that would change it
	}
	return after
}

func (s *session) describe() string {
	message := fmt.Sprintf("%s %s", strings.TrimSuffix(s.key.Kind, "Connection"), s.identity.version)
	if s.identity.warning != "" {
		message += "; note: " + s.identity.warning
	}
	return message
}

// countInto fills in what Warrener owns through the connection, and what it
// owns of nobody's any more.
func (s *session) countInto(status *v1alpha1.ConnectionStatus, cluster *engine.Cluster) {
	status.Owned, status.PendingDeletions, status.LeftBehindCount, status.LeftBehind = 0, 0, 0, nil
	owned, ended := cluster.Holdings(s.key)
	status.Owned = int32(owned)
	for _, entry := range ended {
		if entry.LeftBehind == "" {
			status.PendingDeletions++
			continue
		}
		status.LeftBehindCount++
		if len(status.LeftBehind) < v1alpha1.MaxLeftBehind {
			status.LeftBehind = append(status.LeftBehind, leftBehindOf(entry))
		}
	}
	label := s.key.String()
	leftBehind.WithLabelValues(label).Set(float64(status.LeftBehindCount))
	ownedObjects.WithLabelValues(label).Set(float64(status.Owned))
}

// toldOfEnds says whether the status names what has no owner any more: an object
// that is applied again makes it out of date.
func (s *session) toldOfEnds() bool {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	told := s.reported
	return told != nil && (told.PendingDeletions > 0 || told.LeftBehindCount > 0 || told.HeldDeletions != nil)
}

func leftBehindOf(entry topology.Entry) v1alpha1.LeftBehind {
	out := v1alpha1.LeftBehind{Object: entry.ID.String(), Reason: entry.LeftBehind}
	if len(entry.Owners) > 0 {
		out.Owner = entry.Owners[0].String()
	}
	if !entry.Since.IsZero() {
		since := metav1.NewTime(entry.Since).Rfc3339Copy()
		out.Since = &since
	}
	return out
}
