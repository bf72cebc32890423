package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/dial"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/manifest"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// overlayFlags say how a plan looks at the cluster.
type overlayFlags struct {
	offline  bool
	prune    bool
	selector string
	home     string
}

func (o *overlayFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&o.offline, "no-cluster", false, "ask no Kubernetes cluster, also where there is a kubeconfig")
	flags.BoolVar(&o.prune, "prune", false, "take custom resources that are in the namespaces of the manifests, and not among them, for deleted")
	flags.StringVarP(&o.selector, "selector", "l", "", "with --prune: only custom resources with these labels")
	flags.StringVar(&o.home, "controller-namespace", defaultHome, "namespace of the controller and its inventory")
}

// hasCluster tells whether a kubeconfig leads to a cluster.
func (a *app) hasCluster() bool {
	if a.tested { // by tests, with a cluster in memory
		return true
	}
	config, err := a.flags.ToRawKubeConfigLoader().RawConfig()
	return err == nil && len(config.Contexts) > 0
}

// overlay lays manifests over the custom resources of the cluster, and knows by
// the inventory who owns what.
func (a *app) overlay(ctx context.Context, f planFlags, o overlayFlags, set *manifest.Set) (*rehearsal, error) {
	c, err := a.connect(a)
	if err != nil {
		return nil, err
	}
	w := &worldView{cluster: c, flags: f, overlay: o, set: set, live: map[topology.OwnerKey]v1alpha1.Object{}, connections: map[topology.ConnectionKey]v1alpha1.Connection{}}
	if err := w.read(ctx); err != nil {
		return nil, err
	}
	if err := w.lay(ctx); err != nil {
		return nil, err
	}
	return w.rehearse(ctx)
}

// worldView is what the cluster declares, with manifests laid over it.
type worldView struct {
	cluster *cluster
	flags   planFlags
	overlay overlayFlags
	set     *manifest.Set
	notes   []string
	// live objects, the manifests' among them once they are laid over.
	live        map[topology.OwnerKey]v1alpha1.Object
	connections map[topology.ConnectionKey]v1alpha1.Connection
	// laid are the manifests' objects, pruned those that are to go.
	laid, pruned []topology.OwnerKey
	namespaces   map[string]labels.Set
}

func ownerKey(o v1alpha1.Object) topology.OwnerKey {
	return topology.OwnerKey{Kind: o.KindName(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// read lists what the cluster has.
func (w *worldView) read(ctx context.Context) error {
	for _, kind := range objectKinds {
		if err := w.readKind(ctx, kind); err != nil {
			return err
		}
	}
	connections, err := w.cluster.connections(ctx, metav1.NamespaceAll)
	if apierrors.IsForbidden(errors.Unwrap(err)) {
		connections, err = nil, nil
		for _, namespace := range w.ofManifests() {
			some, err := w.cluster.connections(ctx, namespace)
			if err != nil {
				return err
			}
			connections = append(connections, some...)
		}
	}
	for _, connection := range connections {
		w.connections[connectionKey(connection)] = connection
	}
	return err
}

// readKind lists one kind in all namespaces, or where that is not permitted in
// those of the manifests.
func (w *worldView) readKind(ctx context.Context, kind objectKind) error {
	namespaces := []string{metav1.NamespaceAll}
	for i := 0; i < len(namespaces); i++ {
		objects, err := w.cluster.list(ctx, kind, namespaces[i])
		if i == 0 && apierrors.IsForbidden(errors.Unwrap(err)) {
			const note = "you may not list all namespaces: conflicts with resources in others are not seen"
			if !slices.Contains(w.notes, note) {
				w.notes = append(w.notes, note)
			}
			namespaces = append(namespaces, w.ofManifests()...)
			continue
		}
		if err != nil {
			return err
		}
		for _, object := range objects {
			w.live[ownerKey(object)] = object
		}
	}
	return nil
}

// ofManifests are the namespaces of the manifests, sorted.
func (w *worldView) ofManifests() []string {
	var out []string
	for _, item := range w.set.Items {
		out = append(out, item.Meta().GetNamespace())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lay has the API server default and validate the manifests, and puts the result
// in the place of what is there.
func (w *worldView) lay(ctx context.Context) error {
	for _, item := range w.set.Items {
		switch {
		case item.Connection != nil:
			connection := v1alpha1.NewConnection(item.Connection.KindName())
			if err := w.dryRun(ctx, item, connection); err != nil {
				return err
			}
			w.connections[connectionKey(connection)] = connection
		case item.Object != nil:
			object := v1alpha1.NewObject(item.Object.KindName())
			if err := w.dryRun(ctx, item, object); err != nil {
				return err
			}
			w.live[ownerKey(object)] = object
			w.laid = append(w.laid, ownerKey(object))
		}
	}
	if w.overlay.prune {
		return w.prune()
	}
	w.notes = append(w.notes, "deletes of resources that are not among the manifests are not shown: --prune shows them")
	return nil
}

// prune finds the custom resources that the manifests do not have any more.
func (w *worldView) prune() error {
	chosen, err := labels.Parse(w.overlay.selector)
	if err != nil {
		return fmt.Errorf("--selector: %w", err)
	}
	namespaces := w.ofManifests()
	for key, object := range w.live {
		if slices.Contains(namespaces, key.Namespace) && !slices.Contains(w.laid, key) && chosen.Matches(labels.Set(object.GetLabels())) {
			w.pruned = append(w.pruned, key)
		}
	}
	slices.SortFunc(w.pruned, topology.OwnerKey.Compare)
	return nil
}

// rehearse connects to the brokers and knows who owns what on them.
func (w *worldView) rehearse(ctx context.Context) (*rehearsal, error) {
	var wanted []topology.ConnectionKey
	for _, key := range slices.Concat(w.laid, w.pruned) {
		wanted = append(wanted, compile.ConnectionOf(w.live[key]))
	}
	slices.SortFunc(wanted, compareConnections)
	wanted = slices.Compact(wanted)
	var there []v1alpha1.Connection
	for _, key := range wanted {
		if connection := w.connections[key]; connection != nil {
			there = append(there, connection)
		}
	}
	links, err := dialAll(ctx, w.flags.brokers, there, wanted, clusterKeeper{w.cluster, setKeeper(w.set)})
	if err != nil {
		return nil, err
	}
	r := &rehearsal{notes: w.notes, knows: true}
	clusters := map[string]*engine.Cluster{}
	for _, l := range links {
		w.identify(r, l)
		p := part{link: l, cluster: clusters[l.clusterKey()]}
		if p.cluster == nil {
			if p.cluster, err = w.clusterOf(ctx, l, links); err != nil {
				hangUp(links)
				return nil, err
			}
			clusters[l.clusterKey()] = p.cluster
		}
		for _, key := range slices.Concat(w.laid, w.pruned) {
			if compile.ConnectionOf(w.live[key]) == l.key {
				p.owners = append(p.owners, key)
			}
		}
		r.parts = append(r.parts, p)
	}
	for _, p := range r.parts { // once all that is declared is known
		for _, key := range w.pruned {
			if compile.ConnectionOf(w.live[key]) == p.key {
				p.cluster.RemoveClaim(key, true)
			}
		}
	}
	return r, nil
}

// identify takes the controller's word for which cluster it is where this user
// may not ask the broker: the inventory goes by that.
func (w *worldView) identify(r *rehearsal, l *link) {
	if l.warning == "" {
		return
	}
	r.notes = append(r.notes, l.key.String()+": "+l.warning)
	if connection := w.connections[l.key]; connection != nil && connection.GetStatus().ClusterID != "" {
		l.clusterID = connection.GetStatus().ClusterID
	}
}

// clusterOf knows what is declared and owned on the cluster that a link leads to.
func (w *worldView) clusterOf(ctx context.Context, l *link, links []*link) (*engine.Cluster, error) {
	books, err := w.inventory(ctx, l)
	if err != nil {
		return nil, err
	}
	cluster := engine.NewCluster(books, time.Now)
	if err := cluster.Open(ctx); err != nil {
		return nil, err
	}
	defaults := map[topology.ConnectionKey]compile.ConnectionDefaults{}
	for key, connection := range w.connections { // others that lead there, by their status
		if key.Kind == l.key.Kind && connection.GetStatus().ClusterID == l.clusterID {
			other := compile.ConnectionDefaults{Key: key, Version: l.version}
			if rabbit, ok := connection.(*v1alpha1.RabbitMQConnection); ok {
				other.VirtualHost = rabbit.GetVirtualHost()
			}
			defaults[key] = other
		}
	}
	for _, other := range links {
		if other.clusterKey() == l.clusterKey() {
			defaults[other.key] = other.defaults()
		}
	}
	for key, own := range defaults { // who plans over a cluster is shown what will wait there
		if connection := w.connections[key]; connection != nil {
			own.Approval = connection.GetApproval()
			defaults[key] = own
		}
	}
	for _, object := range w.live {
		key := compile.ConnectionOf(object)
		from, leads := defaults[key]
		if !leads {
			continue
		}
		claim := compile.Claim(object, from)
		admits, err := w.admits(ctx, w.connections[key], object.GetNamespace())
		if err != nil {
			return nil, err
		}
		if !admits {
			claim.Invalid = cmp.Or[error](claim.Invalid, &plan.NotPermitted{Message: fmt.Sprintf("%s does not admit namespace %s: see spec.allowedNamespaces there", key, object.GetNamespace())})
		}
		cluster.SetClaim(&claim)
	}
	return cluster, nil
}

// inventory is what the controller owns on a cluster, and which deletions it
// counts and holds. One that was restored from a backup counts as lost, as it
// does to the controller.
func (w *worldView) inventory(ctx context.Context, l *link) (*memory, error) {
	inventories, err := w.cluster.inventories(ctx, w.overlay.home)
	if err != nil {
		return nil, err
	}
	out := newMemory()
	for _, inventory := range inventories {
		if string(inventory.BrokerType)+"Connection" != l.key.Kind || inventory.ClusterID != l.clusterID || inventory.OwnUID != string(inventory.UID) {
			continue
		}
		entries, err := entriesOf(inventory)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			out.entries[entry.ID] = entry
		}
		if inventory.DeletionWindow != nil || len(inventory.Departures) > 0 { // only the first part has them
			if out.departures, err = compile.Departures(&inventory); err != nil {
				return nil, fmt.Errorf("read BrokerInventory %s/%s: %w", inventory.Namespace, inventory.Name, err)
			}
		}
	}
	return out, nil
}

// admits tells whether a connection admits the objects of a namespace.
func (w *worldView) admits(ctx context.Context, connection v1alpha1.Connection, namespace string) (bool, error) {
	if connection == nil || connection.GetNamespace() == namespace {
		return true, nil
	}
	switch allowed := connection.GetAllowedNamespaces(); allowed.From {
	case v1alpha1.NamespacesFromAll:
		return true, nil
	case v1alpha1.NamespacesFromSelector:
		chosen, err := metav1.LabelSelectorAsSelector(allowed.Selector)
		if err != nil {
			return false, nil //nolint:nilerr // nothing can match what cannot be read
		}
		set, known := w.namespaces[namespace]
		if !known {
			item, err := w.cluster.client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).Get(ctx, namespace, metav1.GetOptions{})
			if err != nil {
				return false, fmt.Errorf("read namespace %s: %w", namespace, err)
			}
			if w.namespaces == nil {
				w.namespaces = map[string]labels.Set{}
			}
			set = item.GetLabels()
			w.namespaces[namespace] = set
		}
		return chosen.Matches(set), nil
	}
	return false, nil
}

// clusterKeeper has the Secrets among the manifests, and else those of the
// cluster.
type clusterKeeper struct {
	cluster *cluster
	files   fileKeeper
}

// Secret implements dial.Keeper.
func (k clusterKeeper) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	if data, err := k.files.Secret(ctx, namespace, name); err == nil {
		return data, nil
	}
	var secret corev1.Secret
	err := k.get(ctx, "Secret", "secrets", namespace, name, &secret)
	return secret.Data, err
}

// ConfigMap implements dial.Keeper.
func (k clusterKeeper) ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	if data, err := k.files.ConfigMap(ctx, namespace, name); err == nil {
		return data, nil
	}
	var configMap corev1.ConfigMap
	err := k.get(ctx, "ConfigMap", "configmaps", namespace, name, &configMap)
	return configMap.Data, err
}

func (k clusterKeeper) get(ctx context.Context, kind, plural, namespace, name string, into any) error {
	item, err := k.cluster.client.Resource(corev1.SchemeGroupVersion.WithResource(plural)).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return &dial.Missing{Message: fmt.Sprintf("%s %s/%s does not exist", kind, namespace, name)}
	case apierrors.IsForbidden(err):
		return &dial.Missing{Message: fmt.Sprintf("you may not read %s %s/%s", kind, namespace, name)}
	case err != nil:
		return fmt.Errorf("read %s %s/%s: %w", kind, namespace, name, err)
	}
	return convert(item.Object, into)
}
