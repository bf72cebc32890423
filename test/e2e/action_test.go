package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/preview"
	"github.com/warrener-dev/warrener/test/harness"
)

// gitHub is as much of GitHub's API as the action asks.
type gitHub struct {
	*httptest.Server
	mu       sync.Mutex
	comments []gitHubComment
	writes   []string
	refuses  bool // writes, as it does for forks
}

type gitHubComment struct {
	ID   int    `json:"id"`
	Body string `json:"body"`
	User struct {
		Type  string `json:"type"`
		Login string `json:"login"`
	} `json:"user"`
}

const actionToken = "ghs_secret"

// newGitHub has 100 comments of people, one of which begins as the action's do.
func newGitHub(t *testing.T) *gitHub {
	t.Helper()
	g := &gitHub{}
	for i := range 100 {
		g.add(fmt.Sprintf("comment %d", i), "User")
	}
	g.comments[7].Body = preview.CommentMark + "\nforged"
	answer := func(w http.ResponseWriter, value any) { must(t, json.NewEncoder(w).Encode(value)) }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /user", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message": "Resource not accessible"}`, http.StatusForbidden)
	})
	mux.HandleFunc("GET /repos/shop/topology/issues/12/comments", func(w http.ResponseWriter, r *http.Request) {
		from := 0
		if r.URL.Query().Get("page") == "2" {
			from = 100
		}
		if r.URL.Query().Get("per_page") != "100" {
			t.Errorf("it asks for %s", r.URL)
		}
		answer(w, g.comments[from:min(from+100, len(g.comments))])
	})
	mux.HandleFunc("POST /repos/shop/topology/issues/12/comments", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		answer(w, g.add(postedBody(t, r), "Bot"))
	})
	mux.HandleFunc("PATCH /repos/shop/topology/issues/comments/{id}", func(w http.ResponseWriter, r *http.Request) {
		for i := range g.comments {
			if fmt.Sprint(g.comments[i].ID) == r.PathValue("id") {
				g.comments[i].Body = postedBody(t, r)
				answer(w, g.comments[i])
			}
		}
	})
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+actionToken {
			t.Errorf("%s %s without the token", r.Method, r.URL)
		}
		if r.Method != http.MethodGet {
			g.writes = append(g.writes, r.Method+" "+r.URL.Path)
			if g.refuses {
				http.Error(w, `{"message": "Resource not accessible by integration"}`, http.StatusForbidden)
				return
			}
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gitHub) add(body, by string) gitHubComment {
	c := gitHubComment{ID: 1000 + len(g.comments), Body: body}
	c.User.Type = by
	g.comments = append(g.comments, c)
	return c
}

func postedBody(t *testing.T, r *http.Request) string {
	t.Helper()
	var content struct {
		Body string `json:"body"`
	}
	must(t, json.NewDecoder(r.Body).Decode(&content))
	return content.Body
}

// since lists what was written after the first n writes.
func (g *gitHub) since(n int) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.writes[n:]
}

// job runs the script of the action as a runner does, and returns what it
// printed, its outputs and its exit code.
func (g *gitHub) job(t *testing.T, environment ...string) (printed, outputs string, code int) {
	t.Helper()
	program, err := harness.CommandLine()
	must(t, err)
	folder := t.TempDir()
	command := exec.CommandContext(t.Context(), filepath.Join(harness.Root(t), ".github", "actions", "plan", "plan.sh"))
	command.Env = append(os.Environ(), "RUNNER_TEMP="+folder, "GITHUB_OUTPUT="+filepath.Join(folder, "output"), "GITHUB_STEP_SUMMARY="+filepath.Join(folder, "summary"),
		"GITHUB_API_URL="+g.URL, "GITHUB_REPOSITORY=shop/topology", "PULL_REQUEST=12", "GH_TOKEN="+actionToken, "PROGRAM="+program, "KUBECONFIG="+withoutCluster)
	command.Env = append(command.Env, environment...)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err = command.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "output"))
	must(t, err)
	return out.String(), string(text), command.ProcessState.ExitCode()
}

// The action, as GitHub runs it: one comment with the plan, replaced by the next
// run, and nobody else's.
func TestPlanAction(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the action takes %s, which is not here", tool)
		}
	}
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.0")
	d, g := newDesk(t, broker), newGitHub(t)
	classic := d.queueOf(t, v1alpha1.QueueTypeClassic, "")

	printed, outputs, code := g.job(t, "ARGUMENTS=-f "+classic+"\n  --no-cluster\n")
	if code != 0 || !strings.HasPrefix(outputs, "changes=true\nfile=") {
		t.Errorf("with changes it ended with %d, %q: %s", code, outputs, printed)
	}
	if w := g.since(0); len(w) != 1 || w[0] != "POST /repos/shop/topology/issues/12/comments" {
		t.Fatalf("it wrote %q: %s", w, printed)
	}
	first := g.comments[100].Body
	says(t, first, preview.CommentMark+"\n### Warrener plan: 3 to create; 0 objects as declared\n", "+ create queue "+d.virtualHost+"/work   type=classic")
	if plain := harness.CLI(t, withoutCluster, "plan", "-f", classic, "--no-cluster", "-o", "markdown"); plain.Out != first {
		t.Errorf("the comment is not the plan:\n%s\nbut\n%s", plain.Out, first)
	}

	if applied := harness.CLI(t, withoutCluster, "apply", "--yes", "-f", classic); applied.Code != 0 {
		t.Fatalf("apply: %+v", applied)
	}
	printed, outputs, code = g.job(t, "ARGUMENTS=-f "+classic)
	if code != 0 || !strings.HasPrefix(outputs, "changes=false\n") {
		t.Errorf("without changes it ended with %d, %q: %s", code, outputs, printed)
	}
	if w := g.since(1); len(w) != 1 || w[0] != "PATCH /repos/shop/topology/issues/comments/1100" || len(g.comments) != 101 {
		t.Errorf("it wrote %q: %s", w, printed)
	}
	says(t, g.comments[100].Body, "### Warrener plan: nothing to do: 3 objects as declared")
	says(t, g.comments[7].Body, "forged")

	quorum := d.queueOf(t, v1alpha1.QueueTypeQuorum, "")
	if printed, _, code = g.job(t, "ARGUMENTS=-f "+quorum, "FAIL_ON_CHANGES=true", "COMMENT=false"); code != 2 || len(g.since(2)) > 0 {
		t.Errorf("told to fail on changes, it ended with %d and wrote %q: %s", code, g.since(2), printed)
	}
	if printed, outputs, code = g.job(t, "ARGUMENTS=-f "+filepath.Join(t.TempDir(), "nowhere")); code != 1 || len(g.since(2)) > 0 || !strings.HasPrefix(outputs, "changes=false\n") {
		t.Errorf("without manifests it ended with %d, %q, and wrote %q: %s", code, outputs, g.since(2), printed)
	}
	g.refuses = true
	printed, outputs, code = g.job(t, "ARGUMENTS=-f "+quorum)
	says(t, printed, "::warning::the plan could not be written as a comment", "Resource not accessible by integration")
	if code != 0 || !strings.HasPrefix(outputs, "changes=true\n") || strings.Contains(printed, actionToken) {
		t.Errorf("where it may not comment it ended with %d, %q: %s", code, outputs, printed)
	}
}
