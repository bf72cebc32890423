// Testsum reads the output of `go test -json` and prints what a person wants
// of it: a line for each package, everything about a failure, what is running
// once a minute, and the totals. It fails if a test did.
//
//	go test -json ./... | go run ./hack/testsum
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string  `json:"Action"`
	Package string  `json:"Package"`
	Test    string  `json:"Test"`
	Elapsed float64 `json:"Elapsed"`
	Output  string  `json:"Output"`
}

const heartbeat = time.Minute

func main() {
	s := newSummary(os.Stdout, time.Now)
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(2)
	}
	if !s.finish() {
		os.Exit(1)
	}
}

// key is a test, or with an empty name its package.
type key struct{ pkg, test string }

func (k key) String() string { return shorten(k.pkg) + " " + k.test }

// shorten drops what all packages of this repository begin with.
func shorten(pkg string) string {
	return strings.TrimPrefix(pkg, "github.com/warrener-dev/warrener/")
}

type timing struct {
	key
	seconds float64
}

type summary struct {
	out    io.Writer
	clock  func() time.Time
	begin  time.Time
	spoken time.Time

	output  map[key][]string // of what has not ended yet
	running map[key]time.Time
	tests   map[string]int // passed and failed, by package

	passed, packages int
	failed           []key
	said             map[key][]string // by the failed tests themselves
	skipped          []string
	slow             []timing
}

func newSummary(out io.Writer, clock func() time.Time) *summary {
	now := clock()
	return &summary{
		out: out, clock: clock, begin: now, spoken: now,
		output: map[key][]string{}, running: map[key]time.Time{}, tests: map[string]int{}, said: map[key][]string{},
	}
}

// read takes events, and lines that are none, until the input ends.
func (s *summary) read(in io.Reader) error {
	lines := make(chan string)
	failure := make(chan error, 1)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		failure <- scanner.Err()
	}()
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case line, more := <-lines:
			if !more {
				return <-failure
			}
			s.line(line)
		case <-tick.C:
			s.beat()
		}
	}
}

func (s *summary) line(line string) {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		s.say("%s", line) // the go command itself
		return
	}
	k := key{e.Package, e.Test}
	switch e.Action {
	case "start", "run":
		s.running[k] = s.clock()
	case "output":
		s.output[k] = append(s.output[k], e.Output)
	case "build-output":
		s.say("%s", strings.TrimSuffix(e.Output, "\n"))
	case "pass", "fail", "skip":
		s.end(k, e)
	}
}

func (s *summary) end(k key, e event) {
	output := s.output[k]
	delete(s.output, k)
	delete(s.running, k)
	if k.test == "" {
		s.endPackage(k, e, output)
		return
	}
	s.slow = append(s.slow, timing{k, e.Elapsed})
	switch e.Action {
	case "pass":
		s.passed++
		s.tests[k.pkg]++
	case "skip":
		s.skipped = append(s.skipped, fmt.Sprintf("%s: %s", k, reason(output)))
	case "fail":
		s.failed = append(s.failed, k)
		s.said[k] = words(output)
		s.tests[k.pkg]++
		s.say("\nFAIL %s", k)
		s.say("%s", strings.Join(output, ""))
	}
}

func (s *summary) endPackage(k key, e event, output []string) {
	if e.Action == "skip" {
		return // no test files
	}
	s.packages++
	verdict := "ok  "
	if e.Action == "fail" {
		verdict = "FAIL"
		if !slices.ContainsFunc(s.failed, func(f key) bool { return f.pkg == k.pkg }) {
			s.failed = append(s.failed, k) // a panic, a timeout, a build failure
		}
		s.say("%s", strings.Join(output, ""))
		for test, lines := range s.output {
			if test.pkg == k.pkg {
				s.say("\nUNFINISHED %s\n%s", test, strings.Join(lines, ""))
				delete(s.output, test)
			}
		}
	}
	for test := range s.running {
		if test.pkg == k.pkg {
			delete(s.running, test)
		}
	}
	s.say("[%s] %s %5d tests %7.1f s  %s", s.elapsed(), verdict, s.tests[k.pkg], e.Elapsed, shorten(k.pkg))
}

// reason is the last thing that a skipped test said.
func reason(output []string) string {
	if said := words(output); len(said) > 0 {
		return said[len(said)-1]
	}
	return "no reason given"
}

const (
	mostLines   = 30
	longestLine = 400 // bytes
)

// words is the end of what a test itself said, without what the controller logged
// meanwhile: a few lines that can be repeated where everybody looks.
func words(output []string) []string {
	var out []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") || strings.HasPrefix(line, `{"level":`) {
			continue
		}
		if len(line) > longestLine {
			line = strings.ToValidUTF8(line[:longestLine], "") + " …"
		}
		out = append(out, line)
	}
	return out[max(0, len(out)-mostLines):]
}

// beat tells that nothing hangs, or where it does.
func (s *summary) beat() {
	if s.clock().Sub(s.spoken) < heartbeat {
		return
	}
	var tests []timing
	for k, since := range s.running {
		if k.test != "" {
			tests = append(tests, timing{k, s.clock().Sub(since).Seconds()})
		}
	}
	longest(tests)
	var names []string
	for _, t := range tests[:min(3, len(tests))] {
		names = append(names, fmt.Sprintf("%s (%.0f s)", t.key, t.seconds))
	}
	if len(names) == 0 {
		names = []string{"builds"}
	}
	s.say("[%s] running: %s", s.elapsed(), strings.Join(names, ", "))
}

func longest(tests []timing) {
	slices.SortFunc(tests, func(a, b timing) int {
		if a.seconds != b.seconds {
			return int(1000 * (b.seconds - a.seconds))
		}
		return strings.Compare(a.String(), b.String())
	})
}

// finish prints the totals and tells whether all is well.
func (s *summary) finish() bool {
	var top []timing
	for _, t := range s.slow {
		if !strings.Contains(t.test, "/") {
			top = append(top, t)
		}
	}
	longest(top)
	if len(top) > 0 && top[0].seconds >= 1 {
		s.say("\nThe slowest:")
		for _, t := range top[:min(5, len(top))] {
			s.say("  %6.1f s  %s", t.seconds, t.key)
		}
	}
	for i, skipped := range s.skipped {
		if i == 0 {
			s.say("\nSKIPPED:")
		}
		s.say("  %s", skipped)
	}
	for i, failed := range s.failed {
		if i == 0 {
			s.say("\nFAILED:")
		}
		s.say("  %s", failed)
		for _, line := range s.said[failed] {
			s.say("      %s", line)
		}
	}
	s.say("\n%d tests in %d packages: %d passed, %d failed, %d skipped, in %s",
		s.passed+len(s.failed)+len(s.skipped), s.packages, s.passed, len(s.failed), len(s.skipped), s.elapsed())
	return len(s.failed) == 0
}

func (s *summary) elapsed() string {
	d := s.clock().Sub(s.begin)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func (s *summary) say(format string, arguments ...any) {
	s.spoken = s.clock()
	fmt.Fprintf(s.out, format+"\n", arguments...)
}
