package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/manifest"
	"github.com/warrener-dev/warrener/internal/migration"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/preview"
	"github.com/warrener-dev/warrener/internal/topology"
)

// planFlags are what plan and apply share.
type planFlags struct {
	source  manifest.Source
	brokers brokerFlags
	timeout time.Duration
}

func (f *planFlags) add(flags *pflag.FlagSet, timeout time.Duration) {
	addSource(flags, &f.source)
	flags.DurationVar(&f.timeout, "timeout", timeout, "how long it may take")
	f.brokers.add(flags)
}

// rehearsal is what plan and apply work on: what manifests declare, on the
// clusters that it concerns.
type rehearsal struct {
	parts []part
	// notes are for people, about all of it.
	notes []string
	// knows who owns what.
	knows bool
}

// part is what is declared over one connection.
type part struct {
	*link
	cluster *engine.Cluster
	owners  []topology.OwnerKey
}

func (p part) session() engine.Session {
	return engine.Session{Connection: p.key, Broker: keep(p.broker), ClusterID: p.clusterID}
}

func (r *rehearsal) close() {
	for _, p := range r.parts {
		p.broker.Close()
	}
}

// load reads the manifests. What is wrong with one of them is told, and nothing
// is planned: half of what is meant is another thing.
func (a *app) load(ctx context.Context, source manifest.Source) (*manifest.Set, error) {
	set, err := a.readManifests(ctx, source)
	if err != nil {
		return nil, err
	}
	a.tellProblems(set)
	if n := len(set.Problems); n > 0 {
		return nil, fmt.Errorf("%s in the manifests: nothing was done", several(n, "problem"))
	}
	if len(set.Objects()) == 0 {
		return nil, errors.New("the manifests declare nothing on a broker")
	}
	return set, nil
}

// rehearse connects to the brokers of a set and knows what is declared there,
// and nothing of who owns what: what exists and is declared counts as theirs.
func (f *planFlags) rehearse(ctx context.Context, set *manifest.Set) (*rehearsal, error) {
	var there []v1alpha1.Connection
	for _, item := range set.Items {
		if item.Connection != nil {
			there = append(there, item.Connection)
		}
	}
	links, err := dialAll(ctx, f.brokers, there, connectionsOf(set), setKeeper(set))
	if err != nil {
		return nil, err
	}
	r := &rehearsal{notes: []string{"ownership unknown, deletes not shown: there is no cluster to ask"}}
	clusters := map[string]*engine.Cluster{}
	for _, l := range links {
		p := part{link: l, cluster: clusters[l.clusterKey()]}
		if p.cluster == nil {
			books := newMemory()
			p.cluster = engine.NewCluster(books, time.Now)
			clusters[l.clusterKey()] = p.cluster
			if err := goOn(ctx, l, set, books); err != nil {
				hangUp(links)
				return nil, err
			}
		}
		for _, item := range set.Objects() {
			if compile.ConnectionOf(item.Object) != l.key {
				continue
			}
			claim := compile.Claim(item.Object, l.defaults())
			// Nobody can approve without a cluster: whoever confirms what apply shows has seen the plan.
			claim.Policy.Adoption, claim.Policy.Approval, claim.Settled = topology.AdoptAlways, "", false
			claim.Invalid = cmp.Or(claim.Invalid, notAdmitted(set.Connections()[l.key], item.Object))
			p.cluster.SetClaim(&claim)
			p.owners = append(p.owners, claim.Owner.OwnerKey)
		}
		if l.warning != "" {
			r.notes = append(r.notes, l.key.String()+": "+l.warning)
		}
		r.parts = append(r.parts, p)
	}
	return r, nil
}

// defaults are what a connection gives to the objects that use it.
func (l *link) defaults() compile.ConnectionDefaults {
	return compile.ConnectionDefaults{Key: l.key, VirtualHost: l.virtualHost, Version: l.version}
}

// connectionsOf lists the connections that the objects of a set use, sorted.
func connectionsOf(set *manifest.Set) []topology.ConnectionKey {
	var out []topology.ConnectionKey
	for _, item := range set.Objects() {
		out = append(out, compile.ConnectionOf(item.Object))
	}
	slices.SortFunc(out, compareConnections)
	return slices.Compact(out)
}

func compareConnections(a, b topology.ConnectionKey) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

func setKeeper(set *manifest.Set) fileKeeper {
	var out fileKeeper
	for _, item := range set.Items {
		if item.Secret != nil {
			out.secrets = append(out.secrets, item.Secret)
		}
		if item.ConfigMap != nil {
			out.configMaps = append(out.configMaps, item.ConfigMap)
		}
	}
	return out
}

// notAdmitted says that a connection does not admit an object's namespace; nil
// if it does, or if that cannot be told from files.
func notAdmitted(connection v1alpha1.Connection, object v1alpha1.Object) error {
	if connection == nil || connection.GetNamespace() == object.GetNamespace() {
		return nil
	}
	switch connection.GetAllowedNamespaces().From {
	case v1alpha1.NamespacesFromAll, v1alpha1.NamespacesFromSelector:
		return nil
	}
	return &plan.NotPermitted{Message: fmt.Sprintf("%s admits objects of its own namespace only: set spec.allowedNamespaces there", connectionKey(connection))}
}

// goOn notes on the books which queues an earlier run was replacing when it
// ended: what it has built shows on the broker. Those replacements go on.
func goOn(ctx context.Context, l *link, set *manifest.Set, books *memory) error {
	if l.key.Kind != v1alpha1.KindRabbitMQConnection {
		return nil
	}
	owners := map[topology.ID]topology.OwnerKey{}
	for _, item := range set.Objects() {
		queue, ok := item.Object.(*v1alpha1.Queue)
		if !ok || compile.ConnectionOf(item.Object) != l.key {
			continue
		}
		claim := compile.Claim(queue, l.defaults())
		if claim.Policy.Update == topology.UpdateMigrate && claim.Invalid == nil {
			for _, want := range claim.Want {
				owners[want.Resource.ID()] = claim.Owner.OwnerKey
			}
		}
	}
	scaffolds := map[topology.ID]topology.ID{}
	for id := range owners {
		if id.Kind == topology.KindQueue {
			names := migration.NamesOf(id.Name)
			scaffolds[topology.ExchangeID(id.Scope, names.Detour)] = id
			scaffolds[topology.QueueID(id.Scope, names.Park)] = id
		}
	}
	if len(scaffolds) == 0 {
		return nil
	}
	ids := make([]topology.ID, 0, len(scaffolds))
	for id := range scaffolds {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, topology.ID.Compare)
	live, err := l.broker.Observe(ctx, topology.Selection{IDs: ids})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, presence := live.Look(id); presence != topology.Present {
			continue
		}
		queue := scaffolds[id]
		books.entries[queue] = topology.Entry{
			ID: queue, Owners: []topology.OwnerKey{owners[queue]}, Connection: l.key, Deletion: topology.Retain, Operation: topology.OperationMigrate,
		}
	}
	return nil
}

// report previews all parts.
func (r *rehearsal) report(ctx context.Context, now time.Time) (preview.Report, error) {
	out := preview.Report{Notes: r.notes, Clusters: []preview.Cluster{}}
	for _, p := range r.parts {
		seen, err := p.cluster.Preview(ctx, p.session(), p.owners)
		if err != nil {
			return out, fmt.Errorf("%s: %w", p.key, err)
		}
		shares, err := p.shares(ctx, seen.Steps(), now)
		if err != nil {
			return out, fmt.Errorf("%s: %w", p.key, err)
		}
		cluster := preview.Of(preview.Input{
			Connection: p.key, ClusterID: p.clusterID, Version: p.version,
			Plan: seen.Plan, Live: seen.Live, Claims: seen.Claims, Refused: seen.Refused, Shares: shares,
			HeldDeletions: seen.HeldDeletions,
		})
		if !r.knows {
			cluster.Adopted = 0
		}
		out.Clusters = append(out.Clusters, cluster)
	}
	return out, nil
}

// shares asks how much of the logs is older than a shorter retention leaves.
func (p part) shares(ctx context.Context, steps []topology.Step, now time.Time) (map[string]preview.Share, error) {
	shrinks := preview.Shrinks(steps)
	if p.kafka == nil || len(shrinks) == 0 {
		return nil, nil
	}
	points := map[string]time.Time{}
	for topic, retention := range shrinks {
		points[topic] = now.Add(-retention)
	}
	older, err := p.kafka.Older(ctx, points)
	if err != nil {
		return nil, err
	}
	out := map[string]preview.Share{}
	for topic, o := range older {
		out[topic] = preview.Share{Older: o.Messages, Of: o.Of}
	}
	return out, nil
}
