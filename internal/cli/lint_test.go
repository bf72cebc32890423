package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/test/golden"
)

const lintShop = "testdata/lint/shop.yaml"

func TestLintOutput(t *testing.T) {
	for file, args := range map[string][]string{
		"shop.txt":      {"lint", "-f", lintShop},
		"shop.json":     {"lint", "-f", lintShop, "-o", "json"},
		"shop.yaml.txt": {"lint", "-f", lintShop, "-o", "yaml"},
		"shop.sarif":    {"lint", "-f", lintShop, "-o", "sarif"},
	} {
		t.Run(file, func(t *testing.T) {
			d := newDesk(t)
			d.ends(ExitFound, args...)
			golden.Check(t, "lint/"+file, d.out.String())
		})
	}
	t.Run("rules.txt", func(t *testing.T) {
		d := newDesk(t)
		d.ends(ExitDone, "lint", "--rules")
		golden.Check(t, "lint/rules.txt", d.out.String())
	})
}

func TestLintExitCodes(t *testing.T) {
	const head = "apiVersion: topology.warrener.dev/v1alpha1\nkind: Queue\nmetadata: {name: q}\nspec: {connectionRef: {name: c}, "
	manifests := map[string]string{
		"note":    head + "type: classic}",
		"warning": head + "type: classic, durable: false}",
		"error":   head + "type: classic, deliveryLimit: 3}",
	}
	for _, c := range []struct {
		has    string
		failOn string
		want   int
	}{
		{"note", "", ExitDone}, {"note", "note", ExitFound}, {"warning", "", ExitFound}, {"warning", "error", ExitDone},
		{"error", "", ExitFound}, {"error", "error", ExitFound}, {"error", "never", ExitDone},
	} {
		t.Run(c.has+c.failOn, func(t *testing.T) {
			d := newDesk(t)
			d.keys = manifests[c.has]
			args := []string{"lint", "-f", "-"}
			if c.failOn != "" {
				args = append(args, "--fail-on", c.failOn)
			}
			d.ends(c.want, args...)
			if !strings.Contains(d.out.String(), ": "+c.has+": ") {
				t.Errorf("the output shows no %s: %s", c.has, d.out.String())
			}
		})
	}
}

func TestLintFlags(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		args []string
		want string // in stderr
	}{
		{[]string{"lint"}, "no manifests are named"},
		{[]string{"lint", "-f", "testdata/nothing.yaml"}, "nothing.yaml"},
		{[]string{"lint", "-f", "testdata"}, "nothing to lint"},
		{[]string{"lint", "-f", lintShop, "-o", "xml"}, "json, yaml or sarif"},
		{[]string{"lint", "-f", lintShop, "--fail-on", "always"}, "error, warning, note or never"},
		{[]string{"lint", "-f", lintShop, "--without", "nothing"}, "there is no rule nothing"},
		{[]string{"lint", "-f", lintShop, "--rabbitmq-version", "four"}, "write a version such as 4.0"},
		{[]string{"lint", "--rules", "-o", "sarif"}, "json or yaml lists the rules"},
	} {
		d.ends(ExitFailed, c.args...)
		if !strings.Contains(d.err.String(), c.want) {
			t.Errorf("%q: stderr %q does not say %q", c.args, d.err.String(), c.want)
		}
	}
	// Before 4.0 a quorum queue has no delivery limit of its own, and 4.3's retries are unknown.
	d.ends(ExitFound, "lint", "-f", lintShop, "--rabbitmq-version", "3.13", "-o", "json", "--without", "unknown-field")
	var report struct {
		Findings []struct {
			Rule string `json:"rule"`
		} `json:"findings"`
	}
	if err := json.Unmarshal(d.out.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, f := range report.Findings {
		rules = append(rules, f.Rule)
	}
	if got, want := strings.Join(rules, " "), "dead-letter-cycle-expiration lint-ignore-unused unsupported-by-broker native-retry-nack"; got != want {
		t.Errorf("found %s, not %s", got, want)
	}
}
