package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// ControlPlane is an etcd, a kube-apiserver with RBAC, and the controllers for namespaces, garbage collection and
// service accounts and aggregated roles. One serves all tests of a test binary.
type ControlPlane struct {
	Config     *rest.Config // of an administrator
	Kubeconfig string       // the same, as a file
	KubectlBin string       // path of kubectl

	instance *instance
	dir      string // of the instance: certificates, logs

	// crds serialises tests that install the same definitions.
	crds sync.Mutex
}

var shared struct {
	sync.Mutex
	hasMain bool
	plane   *ControlPlane
	failed  error
}

// Main runs the tests of a package that uses ControlPlane and stops it afterwards:
//
//	func TestMain(m *testing.M) { harness.Main(m) }
func Main(m *testing.M) {
	shared.Lock()
	shared.hasMain = true
	shared.Unlock()
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.plane != nil {
		if _, err := shared.plane.instance.run("rm", shared.plane.instance.name); err != nil {
			fmt.Fprintln(os.Stderr, "stop the control plane:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// SharedControlPlane starts the control plane of this test binary at its first call.
func SharedControlPlane(t testing.TB) *ControlPlane {
	t.Helper()
	assets := variable(t, "KUBEBUILDER_ASSETS", "the binaries of a control plane")
	hack := variable(t, "WARRENER_HACK", "a control plane")
	shared.Lock()
	defer shared.Unlock()
	if !shared.hasMain {
		t.Fatal("the package needs `func TestMain(m *testing.M) { harness.Main(m) }`, which stops the control plane")
	}
	if shared.plane == nil && shared.failed == nil {
		shared.plane, shared.failed = startControlPlane(hack, assets)
	}
	if shared.failed != nil {
		t.Fatalf("start the control plane: %v", shared.failed)
	}
	return shared.plane
}

func startControlPlane(hack, assets string) (*ControlPlane, error) {
	i := newInstance(hack, "controlplane.sh", "controlplane")
	out, err := i.run("start", i.name)
	if err != nil {
		_, stopErr := i.run("rm", i.name)
		return nil, errors.Join(err, stopErr)
	}
	kubeconfig := strings.TrimSpace(out)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	config.QPS, config.Burst = 1000, 2000
	return &ControlPlane{
		Config: config, Kubeconfig: kubeconfig, KubectlBin: filepath.Join(assets, "kubectl"),
		instance: i, dir: filepath.Dir(kubeconfig),
	}, i.guard()
}

// PrivateControlPlane starts a control plane that this test may stop, pause and start again. It ends with the test.
func PrivateControlPlane(t testing.TB) *ControlPlane {
	t.Helper()
	assets := variable(t, "KUBEBUILDER_ASSETS", "the binaries of a control plane")
	plane, err := startControlPlane(variable(t, "WARRENER_HACK", "a private control plane"), assets)
	if err != nil {
		t.Fatalf("start a control plane: %v", err)
	}
	t.Cleanup(func() {
		plane.ResumeEtcd(t)
		if _, err := plane.instance.run("rm", plane.instance.name); err != nil {
			t.Errorf("remove the control plane: %v", err)
		}
	})
	return plane
}

// InstallCRDs installs the custom resource definitions of the folders and waits until they are served.
func (c *ControlPlane) InstallCRDs(t testing.TB, dirs ...string) {
	t.Helper()
	c.crds.Lock()
	defer c.crds.Unlock()
	if _, err := envtest.InstallCRDs(c.Config, envtest.CRDInstallOptions{Paths: dirs, ErrorIfPathMissing: true}); err != nil {
		t.Fatalf("install CRDs: %v", err)
	}
}

// UserConfig authenticates as a user by a client certificate. The user may do what RBAC grants it and its groups, and
// nothing more. A service account can be played by its user name and groups, see ServiceAccountUser.
func (c *ControlPlane) UserConfig(t testing.TB, user string, groups ...string) *rest.Config {
	t.Helper()
	certificate, key, err := clientCertificate(filepath.Join(c.dir, "certs"), user, groups)
	if err != nil {
		t.Fatalf("certificate for %s: %v", user, err)
	}
	config := rest.AnonymousClientConfig(c.Config)
	config.CertData, config.KeyData = certificate, key
	config.QPS, config.Burst = c.Config.QPS, c.Config.Burst
	return config
}

// ServiceAccountUser is the user name and the groups that a service account has.
func ServiceAccountUser(namespace, name string) (user string, groups []string) {
	return "system:serviceaccount:" + namespace + ":" + name, []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace}
}

// WriteKubeconfig writes a kubeconfig for the config into a folder of the test.
func WriteKubeconfig(t testing.TB, config *rest.Config) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			"warrener": {Server: config.Host, CertificateAuthorityData: config.CAData},
		},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{
			"user": {ClientCertificateData: config.CertData, ClientKeyData: config.KeyData},
		},
		Contexts:       map[string]*clientcmdapi.Context{"warrener": {Cluster: "warrener", AuthInfo: "user"}},
		CurrentContext: "warrener",
	}, file)
	if err != nil {
		t.Fatalf("write a kubeconfig: %v", err)
	}
	return file
}

// NewNamespace creates a namespace whose deletion begins with the end of the test.
func (c *ControlPlane) NewNamespace(t testing.TB) string {
	t.Helper()
	namespaces := kubernetes.NewForConfigOrDie(c.Config).CoreV1().Namespaces()
	name := unique(t)
	_, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create namespace %s: %v", name, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := namespaces.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("delete namespace %s: %v", name, err)
		}
	})
	return name
}

// StopAPIServer kills the API server, for all tests that share it, until StartAPIServer.
func (c *ControlPlane) StopAPIServer(t testing.TB) {
	t.Helper()
	c.instance.must(t, "stop", c.instance.name, "apiserver")
}

// StartAPIServer brings it back under the same address, and returns when it is ready.
func (c *ControlPlane) StartAPIServer(t testing.TB) {
	t.Helper()
	c.instance.must(t, "start", c.instance.name)
}

// PauseEtcd stops etcd in its tracks: requests to the API server hang until ResumeEtcd.
func (c *ControlPlane) PauseEtcd(t testing.TB) { t.Helper(); c.signalEtcd(t, syscall.SIGSTOP) }

// ResumeEtcd lets it go on.
func (c *ControlPlane) ResumeEtcd(t testing.TB) { t.Helper(); c.signalEtcd(t, syscall.SIGCONT) }

func (c *ControlPlane) signalEtcd(t testing.TB, signal syscall.Signal) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, "etcd.pid"))
	if err != nil {
		t.Fatal(err)
	}
	number, _, _ := strings.Cut(string(content), " ")
	pid, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("etcd.pid: %v", err)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatalf("signal etcd: %v", err)
	}
}
