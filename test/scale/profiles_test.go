package scale

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/test/harness"
)

// sliceOfProfile is the length of a CPU profile; one workload takes as many as
// it needs, and `go tool pprof a b c` adds them up.
const sliceOfProfile = 5 * time.Second

// profiles of a controller, taken if WARRENER_BENCH_PROFILE names a folder; nil
// otherwise.
type profiles struct{ url, folder string }

func newProfiles(tb testing.TB, controller *harness.Controller) *profiles {
	tb.Helper()
	folder := os.Getenv("WARRENER_BENCH_PROFILE")
	if folder == "" {
		return nil
	}
	folder = filepath.Join(folder, strings.ReplaceAll(strings.TrimPrefix(tb.Name(), "Benchmark"), "/", "-"))
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // to be looked at
		tb.Fatal(err)
	}
	return &profiles{url: controller.ServeProfiles(tb), folder: folder}
}

// during takes CPU profiles from now on until the function that it returns is
// called, and the heap then: what-1.cpu, what-2.cpu, what.heap.
func (p *profiles) during(tb testing.TB, what string) (end func()) {
	tb.Helper()
	if p == nil {
		return func() {}
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for i := 1; ; i++ {
			p.save(tb, fmt.Sprintf("profile?seconds=%d", int(sliceOfProfile.Seconds())), fmt.Sprintf("%s-%d.cpu", what, i))
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	return func() {
		close(stop)
		running.Wait()
		p.save(tb, "heap?gc=1", what+".heap")
	}
}

func (p *profiles) save(tb testing.TB, which, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/"+which, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		content, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(p.folder, name), content, 0o644) //nolint:gosec // to be looked at
	}()
	if err != nil {
		tb.Errorf("profile %s: %v", name, err)
	}
}
