package harness

import (
	"os"
	"path/filepath"
	"testing"
)

// Long reports whether the full soak versions of tests are asked for, by
// WARRENER_LONG.
func Long() bool { return os.Getenv("WARRENER_LONG") != "" }

// required reports whether a missing part fails a test instead of skipping it.
func required() bool {
	return os.Getenv("CI") == "true" || os.Getenv("WARRENER_REQUIRE_PARTS") == "1"
}

// missing skips the test with a loud line, or fails it where nothing may be skipped.
func missing(t testing.TB, what string) {
	t.Helper()
	if required() {
		t.Fatalf("%s: not available, and CI or WARRENER_REQUIRE_PARTS forbids skipping; run `make test`", what)
	}
	t.Skipf("SKIPPED: %s not running; run `make test`, or hack/testenv.sh up && eval \"$(hack/testenv.sh env)\"", what)
}

// variable returns an environment variable that hack/testenv.sh env exports, or skips.
func variable(t testing.TB, name, what string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		missing(t, what+" ("+name+")")
	}
	return value
}

// Root is the top folder of the repository.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("find the repository: %v", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("find the repository: no go.mod in any parent folder")
		}
		dir = parent
	}
}
