package harness

import (
	"bytes"
	"errors"
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
	path, err := commandLine()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), path, append([]string{"--kubeconfig", kubeconfig}, args...)...)
	var out, stderr bytes.Buffer
	command.Stdout, command.Stderr = &out, &stderr
	err = command.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatalf("run warrener: %v", err)
	}
	return Answer{Out: out.String(), Err: stderr.String(), Code: command.ProcessState.ExitCode()}
}
