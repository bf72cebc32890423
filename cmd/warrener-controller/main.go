// Command warrener-controller keeps the topology of RabbitMQ and Kafka as the
// custom resources of a Kubernetes cluster declare it.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubeconfigs of cloud providers
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/controllers"
	"github.com/warrener-dev/warrener/internal/shard"
)

// settings are the command line.
type settings struct {
	metrics, probes    string
	pprof              string
	elect              bool
	shards             int
	electionNamespace  string
	inventoryNamespace string
	watchNamespaces    string
	interval           time.Duration
	queueMetrics       bool
}

// gcPercent is how much garbage may gather, in percent of what is in use, unless the
// environment variable GOGC says otherwise. Nearly all of what is in use is kept for
// long, so that to collect more often costs little CPU and saves a fifth of the memory.
const gcPercent = 60

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "warrener-controller:", err)
		os.Exit(1)
	}
}

func run() error {
	var s settings
	own := ownNamespace()
	flag.StringVar(&s.metrics, "metrics-bind-address", ":8080", "where to serve metrics; 0 for nowhere")
	flag.StringVar(&s.probes, "health-probe-bind-address", ":8081", "where to serve /healthz and /readyz")
	flag.StringVar(&s.pprof, "pprof-bind-address", "0", "where to serve profiles under /debug/pprof/, such as 127.0.0.1:6060; 0 for nowhere. Whoever reaches it can slow the controller down")
	flag.BoolVar(&s.elect, "leader-elect", false, "let one of several replicas work at a time")
	flag.IntVar(&s.shards, "shards", 1, fmt.Sprintf("parts of the work that all replicas share, up to %d, in place of --leader-elect; 1: one replica does all", shard.Most))
	flag.StringVar(&s.electionNamespace, "leader-election-namespace", own, "namespace of the leases")
	flag.StringVar(&s.inventoryNamespace, "inventory-namespace", own, "namespace of the BrokerInventory objects")
	flag.StringVar(&s.watchNamespaces, "watch-namespaces", "", "namespaces to watch, separated by commas; empty for all")
	flag.DurationVar(&s.interval, "interval", controllers.DefaultInterval, "time between two drift checks of a connection that names none")
	flag.BoolVar(&s.queueMetrics, "queue-metrics", true, "serve the depth and the consumers of every owned queue, a series each")
	// Errors say what, where and why; a stack says it to nobody on call.
	logging := zap.Options{StacktraceLevel: zapcore.DPanicLevel}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	if s.shards < 1 || s.shards > shard.Most {
		return fmt.Errorf("--shards %d: it must be from 1 to %d", s.shards, shard.Most)
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))
	klog.SetLogger(ctrl.Log.WithName("client-go")) // one format for one log

	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx := ctrl.SetupSignalHandler()
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	// The API server's own priority and fairness paces clients; a second limit
	// here would only make statuses late.
	config.QPS = -1
	// To compress a listing for a client next door costs both more than it saves.
	config.DisableCompression = true
	if err := awaitAPIServer(ctx, config, s.probes); err != nil {
		return err
	}
	mgr, err := newManager(s, config)
	if err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

func newManager(s settings, config *rest.Config) (manager.Manager, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register the built-in kinds: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register the kinds of %s: %w", v1alpha1.GroupVersion, err)
	}
	shards, err := s.shared(config, scheme)
	if err != nil {
		return nil, err
	}
	lease, err := s.lease(config)
	if err != nil {
		return nil, err
	}
	var lock resourcelock.Interface
	var leading func() error
	switch { // The leases themselves are not guarded by themselves.
	case shards != nil:
		config = shards.Guard(config)
	case lease != nil:
		config, lock, leading = lease.Guard(config), lease, lease.Held
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                              scheme,
		Cache:                               cacheOptions(s.namespaces()),
		Metrics:                             metricsserver.Options{BindAddress: s.metrics},
		HealthProbeBindAddress:              s.probes,
		PprofBindAddress:                    s.pprof,
		LeaderElection:                      lease != nil,
		LeaderElectionID:                    leaseName,
		LeaderElectionNamespace:             s.electionNamespace,
		LeaderElectionReleaseOnCancel:       true,
		LeaderElectionResourceLockInterface: lock,
		LeaseDuration:                       new(leaseDuration),
		RenewDeadline:                       new(renewDeadline),
		RetryPeriod:                         new(retryPeriod),
	})
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	identity, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the host name: %w", err)
	}
	err = controllers.Setup(mgr, controllers.Options{
		InventoryNamespace: s.inventoryNamespace,
		WatchNamespaces:    s.namespaces(),
		Interval:           s.interval,
		QueueMetrics:       s.queueMetrics,
		Leading:            leading,
		Shards:             shards,
		Identity:           fmt.Sprintf("%s/%d", identity, os.Getpid()),
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("caches", controllers.CachesSynced(mgr.GetCache())); err != nil {
		return nil, fmt.Errorf("add the readiness check: %w", err)
	}
	return mgr, nil
}

func cacheOptions(namespaces []string) cache.Options {
	options := cache.Options{
		// managedFields are half of a small object, and nobody here reads them.
		DefaultTransform: cache.TransformStripManagedFields(),
	}
	if len(namespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, namespace := range namespaces {
			options.DefaultNamespaces[namespace] = cache.Config{}
		}
	}
	return options
}

func (s settings) namespaces() []string {
	return strings.FieldsFunc(s.watchNamespaces, func(r rune) bool { return r == ',' || r == ' ' })
}

// ownNamespace is where the controller runs, as the Deployment tells it.
func ownNamespace() string {
	if namespace := os.Getenv("POD_NAMESPACE"); namespace != "" {
		return namespace
	}
	return "warrener-system"
}
