package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary and commandLine build the programs once per test binary.
var (
	binary      = sync.OnceValues(func() (string, error) { return build("warrener-controller") })
	commandLine = sync.OnceValues(func() (string, error) { return build("warrener") })
)

func build(program string) (string, error) {
	dir, err := os.MkdirTemp("", "warrener-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, program)
	build := exec.Command("go", "build", "-o", path, "github.com/warrener-dev/warrener/cmd/"+program)
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", program, err, output)
	}
	return path, nil
}

// Controller is a warrener-controller process of one test.
type Controller struct {
	kubeconfig string
	args       []string
	health     string
	Metrics    string // URL
	log        string
	// Env is added to the environment of the process: NAME=value.
	Env []string

	mu      sync.Mutex
	process *exec.Cmd
	done    chan struct{}
}

// NewController prepares a controller for a namespace; Start runs it. With the
// test it is stopped, and its log is shown if the test failed.
func NewController(t testing.TB, kubeconfig, namespace string, args ...string) *Controller {
	t.Helper()
	health, metrics := freeAddress(t), freeAddress(t)
	c := &Controller{
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
		if t.Failed() && c.done != nil {
			t.Logf("the controller's log:\n%s", c.Tail(60))
		}
	})
	return c
}

// ServeProfiles has the process serve profiles from its next start on, and returns the URL of /debug/pprof.
func (c *Controller) ServeProfiles(t testing.TB) string {
	t.Helper()
	address := freeAddress(t)
	c.args = append(c.args, "--pprof-bind-address", address)
	return "http://" + address + "/debug/pprof"
}

// Start runs the process and returns when it is ready.
func (c *Controller) Start(t testing.TB) {
	t.Helper()
	done, err := c.launch()
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(Patience)
	for !c.ready() {
		select {
		case <-done:
			t.Fatalf("the controller ended at its start:\n%s", c.Tail(30))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the controller is not ready after %s:\n%s", Patience, c.Tail(30))
		}
	}
}

// StartKept is Start under the rule of a kubelet: when the process ends by itself it is started again, at once the first
// time, then after 10 s, 20 s, 40 s.
func (c *Controller) StartKept(t testing.TB) {
	t.Helper()
	c.Start(t)
	go func() {
		for wait := time.Duration(0); ; wait = max(10*time.Second, 2*wait) {
			c.mu.Lock()
			process, done := c.process, c.done
			c.mu.Unlock()
			if process == nil {
				return
			}
			<-done
			select {
			case <-t.Context().Done():
				return
			case <-time.After(wait):
			}
			c.mu.Lock()
			ended := c.process == process
			c.mu.Unlock()
			if !ended {
				return // it was ended, or started by somebody else
			}
			if _, err := c.launch(); err != nil {
				t.Errorf("start the controller again: %v", err)
				return
			}
		}
	}()
}

func (c *Controller) launch() (done chan struct{}, err error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own handle
	process := exec.Command(path, c.args...)
	process.Env = append(os.Environ(), c.Env...)
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		return nil, err
	}
	done = make(chan struct{})
	go func() { _ = process.Wait(); close(done) }()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.process, c.done = process, done
	return done, nil
}

func (c *Controller) ready() bool {
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
	answer.Body.Close() // nothing was read
	return answer.StatusCode == http.StatusOK
}

// Kill ends the process by SIGKILL, if it runs.
func (c *Controller) Kill() { c.signal(syscall.SIGKILL) }

// Stop ends the process in an orderly way.
func (c *Controller) Stop() { c.signal(syscall.SIGTERM) }

func (c *Controller) signal(s syscall.Signal) {
	c.mu.Lock()
	process, done := c.process, c.done
	c.process = nil
	c.mu.Unlock()
	if process == nil {
		return
	}
	_ = process.Process.Signal(s)
	<-done
}

// Pause stops the process in its tracks, until Resume.
func (c *Controller) Pause() { c.send(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (c *Controller) Resume() { c.send(syscall.SIGCONT) }

func (c *Controller) send(s syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process != nil {
		_ = c.process.Process.Signal(s)
	}
}

// Ended waits for the process to end by itself, for Patience at most, and tells whether
// it has.
func (c *Controller) Ended() bool {
	c.mu.Lock()
	done := c.done
	c.mu.Unlock()
	select {
	case <-done:
		return true
	case <-time.After(Patience):
		return false
	}
}

// Log is everything that the process wrote, over all its starts.
func (c *Controller) Log() string {
	content, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// Tail is the end of the log.
func (c *Controller) Tail(lines int) string {
	all := strings.Split(strings.TrimSpace(c.Log()), "\n")
	all = all[max(0, len(all)-lines):]
	for i, line := range all {
		all[i] = line[:min(len(line), 600)]
	}
	return strings.Join(all, "\n")
}

// Ports that freeAddress gives out: the system gives those below 32768 to nobody that does
// not ask for them, and the brokers and API servers of hack/ have those below the first.
const firstPort, lastPort = 28000, 31999

// taken are the ports that this process has given out. Nobody listens there until the one
// who got it has started.
var taken sync.Map

// freeAddress is one that stays free while its owner restarts.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if _, twice := taken.LoadOrStore(port, true); twice {
			continue
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatalf("no free port from %d to %d", firstPort, lastPort)
	return ""
}

// LeastPrivilege makes a kubeconfig of a service account that is bound to the
// roles of config/rbac, as far as they go, in a namespace of this test.
func (c *ControlPlane) LeastPrivilege(t testing.TB, namespace string) string {
	t.Helper()
	manifests := c.renderRBAC(t, namespace)
	apply := exec.CommandContext(t.Context(), c.KubectlBin, "--kubeconfig", c.Kubeconfig, "apply", "--server-side", "-f", "-")
	apply.Stdin = bytes.NewReader(manifests)
	if output, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("apply config/rbac: %v\n%s", err, output)
	}
	user, groups := ServiceAccountUser(namespace, "warrener-controller-"+namespace)
	return WriteKubeconfig(t, c.UserConfig(t, user, groups...))
}

// renderRBAC renders config/rbac as it is for another namespace and with a
// suffix, so that the cluster-wide parts of two tests stay apart.
func (c *ControlPlane) renderRBAC(t testing.TB, namespace string) []byte {
	t.Helper()
	dir := t.TempDir()
	base, err := filepath.Rel(dir, filepath.Join(Root(t), "config", "rbac"))
	if err != nil {
		t.Fatal(err)
	}
	kustomization := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: %s\nnameSuffix: -%s\nresources: [%s]\n"+
		"patches:\n- target: {kind: Namespace}\n  patch: '{$patch: delete, apiVersion: v1, kind: Namespace, metadata: {name: x}}'\n", namespace, namespace, base)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization), 0o600); err != nil {
		t.Fatal(err)
	}
	render := exec.CommandContext(t.Context(), c.KubectlBin, "kustomize", "--load-restrictor", "LoadRestrictionsNone", dir)
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

// PeakRSS is the most memory that the process has had resident, in bytes.
func (c *Controller) PeakRSS(t testing.TB) int64 {
	t.Helper()
	for line := range strings.Lines(procFile(t, c.process.Process.Pid, "status")) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("the kernel tells no VmHWM")
	return 0
}

// CPU is the time that the process has spent on a CPU.
func (c *Controller) CPU(t testing.TB) time.Duration {
	t.Helper()
	stat := procFile(t, c.process.Process.Pid, "stat")
	// The name of the program stands in parentheses and may hold spaces.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const utime, stime = 11, 12 // counted from the state, which follows the name
	var ticks int64
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ of every Linux that Go runs on
	return time.Duration(ticks) * time.Second / perSecond
}

func procFile(t testing.TB, pid int, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
