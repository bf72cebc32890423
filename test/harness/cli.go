package harness

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"
)

// Answer is what a command line program printed, and its exit code.
type Answer struct {
	Out, Err string
	Code     int
}

// CommandLine is the path of the program warrener, built for this run.
func CommandLine() (string, error) { return commandLine() }

// CLI runs the program warrener as a person would, with nobody at the keyboard.
func CLI(t testing.TB, kubeconfig string, args ...string) Answer {
	t.Helper()
	return CLIWith(t, nil, append([]string{"--kubeconfig", kubeconfig}, args...)...)
}

// CLIWith is CLI with additions to the environment, as NAME=value, and without a
// cluster.
func CLIWith(t testing.TB, environment []string, args ...string) Answer {
	t.Helper()
	return StartCLI(t, environment, args...).Wait()
}

// Running is a command line program at work.
type Running struct {
	t        testing.TB
	command  *exec.Cmd
	out, err bytes.Buffer
}

// StartCLI is CLIWith, and does not wait for the end.
func StartCLI(t testing.TB, environment []string, args ...string) *Running {
	t.Helper()
	path, err := commandLine()
	if err != nil {
		t.Fatal(err)
	}
	r := &Running{t: t, command: exec.CommandContext(t.Context(), path, args...)}
	r.command.Env = append(os.Environ(), environment...)
	r.command.Stdout, r.command.Stderr = &r.out, &r.err
	if err := r.command.Start(); err != nil {
		t.Fatalf("run warrener: %v", err)
	}
	return r
}

// Interrupt is Ctrl-C; one that has ended does not hear it.
func (r *Running) Interrupt() {
	r.t.Helper()
	if err := r.command.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		r.t.Fatalf("interrupt warrener: %v", err)
	}
}

// Wait waits for the end. The exit code of a program that a signal ended is -1.
func (r *Running) Wait() Answer {
	r.t.Helper()
	err := r.command.Wait()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		r.t.Fatalf("run warrener: %v", err)
	}
	return Answer{Out: r.out.String(), Err: r.err.String(), Code: r.command.ProcessState.ExitCode()}
}
