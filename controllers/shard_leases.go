package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/internal/shard"
)

// Leases of replicas and shards are read all at once, and of replicas that died
// they are deleted.
//
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,namespace=warrener-system,verbs=get;list;create;update;patch;delete

const (
	// labelLease tells what a lease is of.
	labelLease   = "topology.warrener.dev/lease-of"
	leaseReplica = "replica"
	leaseShard   = "shard"

	replicaLeasePrefix = "warrener-replica-"
	shardLeasePrefix   = "warrener-shard-"

	// annotationShards is the number of shards that a replica was started with.
	annotationShards = "topology.warrener.dev/shards"
)

func shardLease(n int) string { return shardLeasePrefix + strconv.Itoa(n) }

func (s *Shards) replicaLease() string { return replicaLeasePrefix + s.self }

func (s *Shards) named(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: s.namespace, Name: name}
}

func labelOf(n int) string { return strconv.Itoa(n) }

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// round renews, looks at all leases, and does what they call for.
func (s *Shards) round(ctx context.Context) error {
	if err := s.renew(ctx); err != nil {
		return err
	}
	seen, err := s.look(ctx)
	if err != nil {
		return err
	}
	// Replicas that start together see each other before anybody takes anything.
	if s.rounds++; s.rounds == 1 {
		return nil
	}
	if err := s.bury(ctx, seen); err != nil {
		return err
	}
	if n, robbed := s.robbed(seen); robbed {
		return s.giveIn(fmt.Sprintf("shard %d was taken from it", n))
	}
	moves := shard.Decide(seen.view(), s.self)
	if seen.led {
		moves = shard.Moves{Yield: seen.heldBy(s.self)} // one that works alone has been started
	}
	for _, n := range moves.Yield {
		if s.vacate(ctx, n) {
			if err := s.release(ctx, seen.shards[n]); err != nil {
				return err
			}
		}
	}
	mine, err := s.take(ctx, seen, moves.Take)
	for _, n := range seen.heldBy(s.self) {
		// A write that was not answered has taken it, or has not released it.
		if !s.hasTenure(n) && !slices.Contains(moves.Yield, n) {
			mine = append(mine, n)
		}
	}
	s.begin(ctx, mine)
	return err
}

// renew says that this replica is alive; at first it makes the lease.
func (s *Shards) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseRequest)
	defer cancel()
	asked := s.clock()
	now := metav1.NewMicroTime(asked)
	if !s.joined {
		if err := s.join(ctx, now); err != nil {
			return err
		}
	} else {
		patch := fmt.Appendf(nil, `{"spec":{"renewTime":%q}}`, now.UTC().Format(metav1.RFC3339Micro))
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.replicaLease()}}
		err := s.client.Patch(ctx, lease, client.RawPatch(types.MergePatchType, patch))
		if apierrors.IsNotFound(err) {
			return s.giveIn("its lease is gone")
		}
		if err != nil {
			return fmt.Errorf("renew the lease: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewed = asked
	return nil
}

func (s *Shards) join(ctx context.Context, now metav1.MicroTime) error {
	seconds := int32(ReplicaLeaseDuration / time.Second)
	err := s.client.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: s.replicaLease(),
			Labels:      map[string]string{labelLease: leaseReplica},
			Annotations: map[string]string{annotationShards: strconv.Itoa(s.count)},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &s.self, AcquireTime: &now, RenewTime: &now, LeaseDurationSeconds: &seconds},
	})
	// The name is nobody else's: an attempt that was not answered has made it.
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the lease of this replica: %w", err)
	}
	s.joined = true
	return nil
}

// retire makes known that this replica has ended.
func (s *Shards) retire(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseRequest)
	defer cancel()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.replicaLease()}}
	return client.IgnoreNotFound(s.client.Delete(ctx, lease))
}

// giveIn notes that this replica has been replaced.
func (s *Shards) giveIn(because string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaced = true
	return fmt.Errorf("%w: %s", ErrReplaced, because)
}

// sight is what the leases were at one moment.
type sight struct {
	replicas map[string]*coordinationv1.Lease
	shards   map[int]*coordinationv1.Lease
	leader   *coordinationv1.Lease // nil: there is none
	// led: a leader may be at work.
	led     bool
	expired []string
}

// look reads all leases.
func (s *Shards) look(ctx context.Context) (*sight, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseRequest)
	defer cancel()
	var list coordinationv1.LeaseList
	if err := s.client.List(ctx, &list, client.InNamespace(s.namespace), client.HasLabels{labelLease}); err != nil {
		return nil, fmt.Errorf("read the leases: %w", err)
	}
	seen := &sight{replicas: map[string]*coordinationv1.Lease{}, shards: map[int]*coordinationv1.Lease{}}
	marks := map[string]string{}
	for i := range list.Items {
		lease := &list.Items[i]
		switch lease.Labels[labelLease] {
		case leaseReplica:
			name := strings.TrimPrefix(lease.Name, replicaLeasePrefix)
			seen.replicas[name], marks[name] = lease, lease.ResourceVersion
		case leaseShard:
			if n, err := strconv.Atoi(strings.TrimPrefix(lease.Name, shardLeasePrefix)); err == nil {
				seen.shards[n] = lease
			}
		}
	}
	var leader coordinationv1.Lease
	if err := s.client.Get(ctx, s.named(s.leaderLease), &leader); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read the lease of the leader: %w", err)
	} else if err == nil && holderOf(&leader) != "" {
		seen.leader, seen.led = &leader, true
		marks[s.leaderLease] = leader.ResourceVersion
	}
	seen.expired = s.watch.Look(marks, s.clock())
	return seen, nil
}

// bury takes replicas that have not renewed for too long out of sight for good. One
// that has renewed since it was looked at stays.
func (s *Shards) bury(ctx context.Context, seen *sight) error {
	ctx, cancel := context.WithTimeout(ctx, leaseRequest)
	defer cancel()
	for _, name := range seen.expired {
		if name == s.leaderLease {
			none := ""
			seen.leader.Spec.HolderIdentity = &none
			if err := s.client.Update(ctx, seen.leader); err != nil {
				return fmt.Errorf("release the lease of a leader that is gone: %w", err)
			}
			seen.led = false
			continue
		}
		lease := seen.replicas[name]
		if name == s.self || lease == nil {
			continue
		}
		err := s.client.Delete(ctx, lease, client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion})
		switch {
		case apierrors.IsConflict(err):
			continue
		case client.IgnoreNotFound(err) != nil:
			return fmt.Errorf("delete the lease of replica %s, which has run out: %w", name, err)
		}
		s.log.Info("has not renewed its lease, and is taken for dead", "replica", name)
		delete(seen.replicas, name)
	}
	return nil
}

func (v *sight) view() shard.View {
	out := shard.View{Holders: map[int]string{}}
	for name, lease := range v.replicas {
		shards, _ := strconv.Atoi(lease.Annotations[annotationShards]) // 0 is nobody's number
		out.Members = append(out.Members, shard.Member{Name: name, Shards: shards, Joined: lease.CreationTimestamp.Time})
	}
	for n, lease := range v.shards {
		if holder := holderOf(lease); holder != "" {
			out.Holders[n] = holder
		}
	}
	return out
}

func (v *sight) heldBy(replica string) []int {
	var out []int
	for _, n := range slices.Sorted(maps.Keys(v.shards)) {
		if holderOf(v.shards[n]) == replica {
			out = append(out, n)
		}
	}
	return out
}

// robbed finds a shard that this replica works on, and whose lease names another.
func (s *Shards) robbed(seen *sight) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.tenures {
		if lease := seen.shards[n]; lease == nil || holderOf(lease) != s.self {
			return n, true
		}
	}
	return 0, false
}

// take takes shards that nobody holds, as far as nobody is faster, and returns
// those that it has.
func (s *Shards) take(ctx context.Context, seen *sight, shards []int) ([]int, error) {
	var taken []int
	for _, n := range shards {
		if s.clock().Sub(s.lastRenewal()) > ReplicaRound {
			break // the rest in the next round: renewing comes first
		}
		err := s.takeOne(ctx, n, seen.shards[n])
		switch {
		case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		case err != nil:
			return taken, fmt.Errorf("take shard %d: %w", n, err)
		default:
			taken = append(taken, n)
		}
	}
	return taken, nil
}

func (s *Shards) lastRenewal() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewed
}

func (s *Shards) takeOne(ctx context.Context, n int, lease *coordinationv1.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, leaseRequest)
	defer cancel()
	now := metav1.NewMicroTime(s.clock())
	if lease == nil {
		return s.client.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: shardLease(n), Labels: map[string]string{labelLease: leaseShard}},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &s.self, AcquireTime: &now, LeaseTransitions: new(int32)},
		})
	}
	lease = lease.DeepCopy()
	transitions := int32(1)
	if lease.Spec.LeaseTransitions != nil {
		transitions += *lease.Spec.LeaseTransitions
	}
	lease.Spec.HolderIdentity, lease.Spec.AcquireTime, lease.Spec.LeaseTransitions = &s.self, &now, &transitions
	return s.client.Update(ctx, lease)
}

// release lets somebody else take a shard.
func (s *Shards) release(ctx context.Context, lease *coordinationv1.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, leaseRequest)
	defer cancel()
	none := ""
	lease = lease.DeepCopy()
	lease.Spec.HolderIdentity, lease.Spec.AcquireTime = &none, nil
	if err := s.client.Update(ctx, lease); err != nil {
		return fmt.Errorf("release %s: %w", lease.Name, err)
	}
	return nil
}
