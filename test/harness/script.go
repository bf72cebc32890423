package harness

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// scriptTimeout bounds one call of a script; parts are there already, so nothing takes longer than a start.
const scriptTimeout = 3 * time.Minute

var instances atomic.Int64

// instance is one thing that a script of hack/ runs for this process only.
type instance struct {
	script, name string // rabbitmq.sh, p4711-1-rabbitmq
	hack         string // folder of the scripts
	env          []string
}

// newInstance names an instance. what tells a reader of the state folder what it is.
func newInstance(hack, script, what string, env ...string) *instance {
	name := fmt.Sprintf("p%d-%d-%s", os.Getpid(), instances.Add(1), what)
	return &instance{script: script, name: name, hack: hack, env: env}
}

// run calls the script and returns its standard output.
func (i *instance) run(arguments ...string) (string, error) {
	// Not the test's context: cleanup runs after that has ended.
	ctx, cancel := context.WithTimeout(context.Background(), scriptTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(i.hack, i.script), arguments...)
	command.Env = append(os.Environ(), i.env...)
	command.Env = append(command.Env, "WARRENER_OWNER_PID="+strconv.Itoa(os.Getpid()))
	command.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("hack/%s %s: %w\n%s", i.script, strings.Join(arguments, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// guard starts a process that removes the instance when this one ends without having done so. It holds none of our
// descriptors, so that `go test` never waits for it.
func (i *instance) guard() error {
	command := exec.Command(filepath.Join(i.hack, "lib", "guard.sh"), i.script, i.name, strconv.Itoa(os.Getpid()))
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("guard %s: %w", i.name, err)
	}
	go func() { _ = command.Wait() }() // no zombie
	return nil
}

// startFor starts the instance and removes it with the test.
func (i *instance) startFor(t testing.TB, arguments ...string) map[string]string {
	t.Helper()
	t.Cleanup(func() {
		if _, err := i.run("rm", i.name); err != nil {
			t.Errorf("remove %s: %v", i.name, err)
		}
	})
	out, err := i.run(append([]string{"start"}, arguments...)...)
	if err != nil {
		t.Fatalf("start %s: %v", i.name, err)
	}
	if err := i.guard(); err != nil {
		t.Fatal(err)
	}
	return variables(out)
}

// must runs the script for a test.
func (i *instance) must(t testing.TB, arguments ...string) {
	t.Helper()
	if _, err := i.run(arguments...); err != nil {
		t.Fatal(err)
	}
}

// variables parses NAME=value lines.
func variables(text string) map[string]string {
	result := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if name, value, found := strings.Cut(lines.Text(), "="); found {
			result[name] = value
		}
	}
	return result
}

// unique is a name that no other test uses, now or in an earlier run on the same broker.
func unique(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, t.Name())
	if len(name) > 40 {
		name = name[:40]
	}
	return fmt.Sprintf("%s-%x-%d", strings.Trim(name, "-"), time.Now().UnixNano()&0xffffffffff, instances.Add(1))
}
