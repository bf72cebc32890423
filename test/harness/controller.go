package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/test/harness"
)

// binary builds the controller once per test binary.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "warrener-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "warrener-controller")
	build := exec.Command("go", "build", "-o", path, "github.com/warrener-dev/warrener/cmd/warrener-controller")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the controller: %w\n%s", err, output)
	}
	return path, nil
})

// controller is a warrener-controller process of one test.
type controller struct {
	kubeconfig string
	args       []string
	health     string
	Metrics    string // URL
	log        string
	process    *exec.Cmd
	done       chan struct{}
}

// newController prepares a controller for a namespace; Start runs it. With the
// test it is stopped, and its log is shown if the test failed.
func newController(t *testing.T, kubeconfig, namespace string, args ...string) *controller {
	t.Helper()
	health, metrics := freeAddress(t), freeAddress(t)
	c := &controller{
		kubeconfig: kubeconfig,
		health:     "http://" + health, Metrics: "http://" + metrics + "/metrics",
		log: filepath.Join(t.TempDir(), "controller.log"),
		args: append([]string{
			"--kubeconfig", kubeconfig,
			"--watch-namespaces", namespace, "--inventory-namespace", namespace, "--leader-election-namespace", namespace,
			"--metrics-bind-address", metrics, "--health-probe-bind-address", health,
		}, args...),
	}
	t.Cleanup(func() {
		c.Kill()
		if t.Failed() {
			t.Logf("the controller's log:\n%s", c.Tail(60))
		}
	})
	return c
}

// Start runs the process and returns when it is ready.
func (c *controller) Start(t *testing.T) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the process has its own handle
	c.process = exec.Command(path, c.args...)
	c.process.Stdout, c.process.Stderr = log, log
	c.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	process, done := c.process, make(chan struct{})
	c.done = done
	go func() { _ = process.Wait(); close(done) }()
	deadline := time.Now().Add(30 * time.Second)
	for !c.ready() {
		select {
		case <-done:
			t.Fatalf("the controller ended at its start:\n%s", c.Tail(30))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the controller is not ready after 30 s:\n%s", c.Tail(30))
		}
	}
}

func (c *controller) ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.health+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	answer.Body.Close() //nolint:errcheck // nothing was read
	return answer.StatusCode == http.StatusOK
}

// Kill ends the process by SIGKILL, if it runs.
func (c *controller) Kill() { c.signal(syscall.SIGKILL) }

// Stop ends the process in an orderly way.
func (c *controller) Stop() { c.signal(syscall.SIGTERM) }

func (c *controller) signal(s syscall.Signal) {
	if c.process == nil {
		return
	}
	_ = c.process.Process.Signal(s)
	<-c.done
	c.process = nil
}

// Log is everything that the process wrote, over all its starts.
func (c *controller) Log() string {
	content, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// Tail is the end of the log.
func (c *controller) Tail(lines int) string {
	all := strings.Split(strings.TrimSpace(c.Log()), "\n")
	all = all[max(0, len(all)-lines):]
	for i, line := range all {
		all[i] = line[:min(len(line), 600)]
	}
	return strings.Join(all, "\n")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // it was only for the number
	return listener.Addr().String()
}

// leastPrivilege makes a kubeconfig of a service account that is bound to the
// roles of config/rbac, as far as they go, in a namespace of this test.
func leastPrivilege(t *testing.T, plane *harness.ControlPlane, namespace string) string {
	t.Helper()
	manifests := kustomizeRBAC(t, plane, namespace)
	apply := exec.CommandContext(t.Context(), plane.KubectlBin, "--kubeconfig", plane.Kubeconfig, "apply", "--server-side", "-f", "-")
	apply.Stdin = bytes.NewReader(manifests)
	if output, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("apply config/rbac: %v\n%s", err, output)
	}
	user, groups := harness.ServiceAccountUser(namespace, "warrener-controller-"+namespace)
	return harness.WriteKubeconfig(t, plane.UserConfig(t, user, groups...))
}

// kustomizeRBAC renders config/rbac as it is for another namespace and with a
// suffix, so that the cluster-wide parts of two tests stay apart.
func kustomizeRBAC(t *testing.T, plane *harness.ControlPlane, namespace string) []byte {
	t.Helper()
	dir := t.TempDir()
	base, err := filepath.Rel(dir, filepath.Join(harness.Root(t), "config", "rbac"))
	if err != nil {
		t.Fatal(err)
	}
	kustomization := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: %s\nnameSuffix: -%s\nresources: [%s]\n"+
		"patches:\n- target: {kind: Namespace}\n  patch: '{$patch: delete, apiVersion: v1, kind: Namespace, metadata: {name: x}}'\n", namespace, namespace, base)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization), 0o600); err != nil {
		t.Fatal(err)
	}
	render := exec.CommandContext(t.Context(), plane.KubectlBin, "kustomize", "--load-restrictor", "LoadRestrictionsNone", dir)
	output, err := render.Output()
	if err != nil {
		t.Fatalf("render config/rbac: %v\n%s", err, stderr(err))
	}
	return output
}

func stderr(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(exit.Stderr)
	}
	return ""
}
