package lint

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What code scanners are given is as OASIS's own schema has it, whatever is in
// names and messages.
func TestSARIFFitsItsSchema(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "sarif", "schema-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	s := schema{t: t, root: decoded(t, text)}
	for name, report := range map[string]*Report{
		"Nothing": {},
		"Everything": {Findings: []Finding{
			{Rule: Rules[0].ID, Severity: Rules[0].Severity, File: "a folder/ü%#?.yaml", Line: 3, Message: "a <b> & \"c\""},
			{Rule: Rules[1].ID, Severity: Warning, File: "-", Message: "no line"},
			{Rule: Rules[2].ID, Severity: Note, File: "/absolute/q.yaml", Line: 1, Object: "Queue orders/q", Message: "m", Silenced: "a reason"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := WriteSARIF(&out, report); err != nil {
				t.Fatal(err)
			}
			if problems := s.check(s.root, decoded(t, out.Bytes()), "log"); len(problems) > 0 {
				t.Errorf("%q\n%s", problems, out.String())
			}
		})
	}

	// The judge itself: a log that is wrong in many ways.
	bad := decoded(t, []byte(`{"version": "2.0.0", "runs": [{"tool": {"driver": {"rules": [{"id": 1}], "informationUri": "nowhere"}}, "colour": "red",
		"results": [{"message": {}, "ruleIndex": -2, "level": "bad", "locations": [{"physicalLocation": {"region": {"startLine": 0}}}]}]}]}`))
	got := s.check(s.root, bad, "log")
	slices.Sort(got)
	want := []string{
		`log.runs[0].results[0].level: bad is none of [none note warning error]`,
		`log.runs[0].results[0].locations[0].physicalLocation.region.startLine: 0 is beyond the minimum 1`,
		`log.runs[0].results[0].locations[0].physicalLocation: anyOf of its schemas fit 0 times`,
		`log.runs[0].results[0].message: anyOf of its schemas fit 0 times`,
		`log.runs[0].results[0].ruleIndex: -2 is beyond the minimum -1`,
		`log.runs[0].tool.driver.informationUri: "nowhere" is no uri`,
		`log.runs[0].tool.driver.rules[0].id: is no string`,
		`log.runs[0].tool.driver: name is missing`,
		`log.runs[0]: there is no property colour`,
		`log.version: 2.0.0 is none of [2.1.0]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the judge finds %q, want %q", got, want)
	}
}
