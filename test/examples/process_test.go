package examples

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// program runs to its end, within a time that is generous.
func program(t *testing.T, dir string, env []string, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	var out, log bytes.Buffer
	command.Dir, command.Env = dir, append(os.Environ(), env...)
	command.Stdout, command.Stderr = &out, &log
	err = command.Run()
	return out.String(), log.String(), err
}

// service is a program that goes on until it is stopped.
type service struct {
	command *exec.Cmd
	lines   chan line // closed with its standard output
	log     bytes.Buffer
}

// start runs a program of Node; with the test it is killed, if it still runs.
func start(t *testing.T, dir string, env []string, file string) *service {
	t.Helper()
	s := &service{command: exec.CommandContext(t.Context(), "node", file), lines: make(chan line, 1000)}
	s.command.Dir, s.command.Env, s.command.Stderr = dir, append(os.Environ(), env...), &s.log
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			var l line
			if json.Unmarshal(scanner.Bytes(), &l) == nil {
				s.lines <- l
			}
		}
	}()
	return s
}

// await waits for the next line with an event and, unless it is empty, an id.
func (s *service) await(t *testing.T, event, id string) {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		select {
		case l, more := <-s.lines:
			if !more {
				t.Fatalf("the program ended before it logged %q %s:\n%s", event, id, s.log.String())
			}
			if l.Event == event && (id == "" || l.ID == id) {
				return
			}
		case <-patience:
			t.Fatalf("the program does not log %q %s within a minute", event, id)
		}
	}
}

// stop asks the program to end, and expects that it does so in good order.
func (s *service) stop(t *testing.T) {
	t.Helper()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.await(t, "stopped", "")
	if err := s.command.Wait(); err != nil {
		t.Fatalf("asked to end, the program ended with %v:\n%s", err, s.log.String())
	}
}
