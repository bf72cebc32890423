package harness

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// NewClient is a client of an API server, without limits to its rate, that knows
// Kubernetes' own kinds and Warrener's.
func NewClient(t testing.TB, config *rest.Config) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	own := rest.CopyConfig(config)
	own.QPS = -1
	c, err := client.NewWithWatch(own, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
