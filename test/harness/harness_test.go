package harness

import (
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

// TestMissing: a test without its broker is skipped loudly, and fails where nothing may be skipped.
func TestMissing(t *testing.T) {
	cases := map[string]struct {
		reason       string
		ci, parts    string
		wantRequired bool
	}{
		"a developer's machine": {reason: "nothing asks for the parts", wantRequired: false},
		"CI":                    {reason: "CI never skips", ci: "true", wantRequired: true},
		"make test":             {reason: "the variable is set", parts: "1", wantRequired: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CI", c.ci)
			t.Setenv("WARRENER_REQUIRE_PARTS", c.parts)
			if got := required(); got != c.wantRequired {
				t.Errorf("%s: required() = %v, want %v", c.reason, got, c.wantRequired)
			}
		})
	}
}
