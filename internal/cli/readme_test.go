package cli

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/test/golden"
)

// The terminal session in the README is what the command prints; -update records
// it anew.
func TestReadme(t *testing.T) {
	t.Chdir("../..")
	const file = "README.md"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	readme := string(raw)
	at := regexp.MustCompile("(?s)(<!-- recorded: .*? -->\n```\n)(.*?)(```\n<!-- end of the record -->)").FindStringSubmatchIndex(readme)
	if at == nil {
		t.Fatal("there is no record in the README")
	}
	recorded := readme[at[4]:at[5]]
	var played []string
	for line := range strings.SplitSeq(recorded, "\n") {
		typed, is := strings.CutPrefix(line, "$ warrener ")
		if !is {
			continue
		}
		d := newDesk(t)
		d.run(strings.Fields(typed)...)
		played = append(played, line+"\n"+d.out.String()+d.err.String())
	}
	if len(played) == 0 {
		t.Fatal("nothing is recorded")
	}
	now := strings.Join(played, "\n")
	if golden.Updating() {
		if err := os.WriteFile(file, []byte(readme[:at[4]]+now+readme[at[5]:]), 0o600); err != nil { //nolint:gosec // the README of this repository, by the flag of a test
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(recorded, now); diff != "" {
		t.Errorf("the README shows something else than the command prints; -update records it (-README +now):\n%s", diff)
	}
}
