package main

import (
	"strings"
	"testing"
	"time"
)

func TestSummary(t *testing.T) {
	const pkg = `"Package":"github.com/warrener-dev/warrener/internal/plan"`
	cases := map[string]struct {
		reason string
		events []string
		wantOK bool
		want   []string
	}{
		"all passed": {
			reason: "a line for the package and the totals",
			events: []string{
				`{"Action":"start",` + pkg + `}`, `{"Action":"run",` + pkg + `,"Test":"TestA"}`,
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"chatter\n"}`,
				`{"Action":"pass",` + pkg + `,"Test":"TestA","Elapsed":0.1}`, `{"Action":"pass",` + pkg + `,"Elapsed":0.2}`,
			},
			wantOK: true,
			want:   []string{"ok       1 tests     0.2 s  internal/plan", "1 tests in 1 packages: 1 passed, 0 failed, 0 skipped"},
		},
		"a failure": {
			reason: "its output is shown, and it is named at the end with what the test itself said",
			events: []string{
				`{"Action":"run",` + pkg + `,"Test":"TestA"}`, `{"Action":"output",` + pkg + `,"Test":"TestA","Output":"    want 1, got 2\n"}`,
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"{\"level\":\"info\",\"msg\":\"Starting\"}\n"}`,
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"--- FAIL: TestA (0.10s)\n"}`,
				`{"Action":"fail",` + pkg + `,"Test":"TestA","Elapsed":0.1}`, `{"Action":"fail",` + pkg + `,"Elapsed":0.2}`,
			},
			want: []string{"want 1, got 2", "FAILED:\n  internal/plan TestA\n      want 1, got 2\n\n1 tests", "0 passed, 1 failed"},
		},
		"a panic": {
			reason: "the test never ends: what it said counts all the same, and so does the package",
			events: []string{
				`{"Action":"run",` + pkg + `,"Test":"TestA"}`, `{"Action":"output",` + pkg + `,"Test":"TestA","Output":"panic: no\n"}`,
				`{"Action":"fail",` + pkg + `,"Elapsed":0.2}`,
			},
			want: []string{"UNFINISHED internal/plan TestA\npanic: no", "1 failed"},
		},
		"no build": {
			reason: "the compiler's words are shown, and the package has failed",
			events: []string{
				`{"ImportPath":"x","Action":"build-output","Output":"a.go:1: no\n"}`,
				`{"Action":"start",` + pkg + `}`, `{"Action":"fail",` + pkg + `,"Elapsed":0}`,
			},
			want: []string{"a.go:1: no", "1 failed"},
		},
		"skipped": {
			reason: "nothing is skipped in silence",
			events: []string{
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"    a.go:1: SKIPPED: Kafka not running\n"}`,
				`{"Action":"output",` + pkg + `,"Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}`,
				`{"Action":"skip",` + pkg + `,"Test":"TestA","Elapsed":0}`, `{"Action":"pass",` + pkg + `,"Elapsed":0.2}`,
			},
			wantOK: true,
			want:   []string{"SKIPPED:\n  internal/plan TestA: a.go:1: SKIPPED: Kafka not running", "1 skipped"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			s := newSummary(&out, time.Now)
			if err := s.read(strings.NewReader(strings.Join(c.events, "\n"))); err != nil {
				t.Fatal(err)
			}
			if got := s.finish(); got != c.wantOK {
				t.Errorf("%s: finish() = %v, want %v", c.reason, got, c.wantOK)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s: no %q in\n%s", c.reason, want, out.String())
				}
			}
		})
	}
}
