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

// CLI runs the program warrener as a person would, with nobody at the keyboard.
func CLI(t testing.TB, kubeconfig string, args ...string) Answer {
	t.Helper()
	return CLIWith(t, nil, append([]string{"--kubeconfig", kubeconfig}, args...)...)
}

// CLIWith is CLI with additions to the environment, as NAME=value, and without a
// cluster.
func CLIWith(t testing.TB, environment []string, args ...string) Answer {
	t.Helper()
	path, err := commandLine()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), path, args...)
	command.Env = append(os.Environ(), environment...)
	var out, stderr bytes.Buffer
	command.Stdout, command.Stderr = &out, &stderr
	err = command.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatalf("run warrener: %v", err)
	}
	return Answer{Out: out.String(), Err: stderr.String(), Code: command.ProcessState.ExitCode()}
}
