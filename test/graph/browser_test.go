// Package graph opens the page of `warrener graph` in a real browser, with a
// real mouse and keyboard.
//
//	browser_test.go  a tab, and what one can do in it
//	page_test.go     what a person expects of the page
package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/warrener-dev/warrener/internal/cli"
	"github.com/warrener-dev/warrener/test/harness"
)

// patience is how long a busy machine may need for anything here.
const patience = time.Minute

// browser is one for all tests of this package; TestMain ends it.
var browser = sync.OnceValues(func() (context.Context, error) {
	path, err := exec.Command("../../hack/chromium.sh").Output()
	if err != nil {
		return nil, fmt.Errorf("hack/chromium.sh: %w", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(strings.TrimSpace(string(path))),
		chromedp.NoSandbox, chromedp.WindowSize(1300, 850), chromedp.WSURLReadTimeout(patience))
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	return ctx, chromedp.Do(ctx)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if ctx, err := browser(); err == nil {
		_ = chromedp.Cancel(ctx)
	}
	os.Exit(code)
}

// draw runs `warrener graph` with standard input and returns the file that it
// wrote.
func draw(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "topology.html")
	var out, problems bytes.Buffer
	streams := cli.Streams{In: strings.NewReader(stdin), Out: &out, Err: &problems}
	if code := cli.Run(t.Context(), append([]string{"warrener", "graph", "-o", file}, args...), streams); code != cli.ExitDone {
		t.Fatalf("exit code %d: %s", code, problems.String())
	}
	return file
}

func samples(t *testing.T) string {
	t.Helper()
	return draw(t, "", "-k", filepath.Join(harness.Root(t), "config", "samples"))
}

// tab shows one page.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu sync.Mutex
	// requests for anything but the page, and what the browser complains about:
	// exceptions and violations of the page's own policy.
	requests, complaints []string
}

func open(t *testing.T, file string) *tab {
	t.Helper()
	parent, err := browser()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent)
	t.Cleanup(cancel)
	tb := &tab{t: t, ctx: ctx}
	address := "file://" + file
	tb.must(chromedp.Listen(ctx, func(event any) { tb.hear(event, address) }))
	_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	tb.must(err)
	_, err = chromedp.Call(ctx, log.Enable, struct{}{})
	tb.must(err)
	tb.do(chromedp.Navigate(address))
	t.Cleanup(func() {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		if len(tb.requests)+len(tb.complaints) > 0 {
			t.Errorf("requests: %q, complaints: %q; want none", tb.requests, tb.complaints)
		}
	})
	return tb
}

func (tb *tab) hear(event any, address string) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Request.URL != address {
			tb.requests = append(tb.requests, e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		tb.complaints = append(tb.complaints, string(text))
	case *log.EventEntryAdded:
		tb.complaints = append(tb.complaints, e.Entry.Text)
	}
}

func (tb *tab) must(err error) {
	tb.t.Helper()
	if err != nil {
		tb.t.Fatal(err)
	}
}

func (tb *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	tb.must(chromedp.Do(ctx, steps...))
}

// js evaluates an expression in the page.
func js[T any](tb *tab, expression string, args ...any) T {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](fmt.Sprintf(expression, args...)))
	if err != nil {
		tb.t.Fatalf("%s: %v", fmt.Sprintf(expression, args...), err)
	}
	return value
}

// nodeOf is an expression for the element of a node by its name.
func nodeOf(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("[data-node]")].find((g) => g.querySelector("title").textContent.split("\n")[0] === %q)`, name)
}

func (tb *tab) shows(name string) bool {
	tb.t.Helper()
	return js[bool](tb, "!!(%s)", nodeOf(name))
}

// middle of an element on the screen.
func (tb *tab) middle(element string) (x, y float64) {
	tb.t.Helper()
	at := js[[]float64](tb, `(() => { const b = (%s).getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()`, element)
	return at[0], at[1]
}

func (tb *tab) click(element string) {
	tb.t.Helper()
	x, y := tb.middle(element)
	tb.do(chromedp.MouseClickXY(x, y))
}

func (tb *tab) keys(keys ...string) {
	tb.t.Helper()
	for _, key := range keys {
		tb.do(chromedp.KeyEvent(key))
	}
}

// find types / and words, as a keyboard does: a key that the page takes for itself
// makes no character.
func (tb *tab) find(words string) {
	tb.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		_, err := chromedp.Call(tb.ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: "/", Text: "/"})
		tb.must(err)
	}
	tb.keys(words)
}

func (tb *tab) drag(fromX, fromY, toX, toY float64) {
	tb.t.Helper()
	left := chromedp.ButtonLeft
	held := func(p *input.DispatchMouseEventParams) { p.Buttons = 1 }
	tb.do(
		chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, fromX, fromY, left, chromedp.ClickCount(1)),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, (fromX+toX)/2, (fromY+toY)/2, left, held),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, toX, toY, left, held),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, toX, toY, left, chromedp.ClickCount(1)),
	)
}

func (tb *tab) wheel(x, y, delta float64) {
	tb.t.Helper()
	tb.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseWheel, x, y, func(p *input.DispatchMouseEventParams) { p.DeltaX, p.DeltaY = 1e-9, delta })) // a delta of 0 would not be sent
}

// scheme is light or dark.
func (tb *tab) scheme(name string) {
	tb.t.Helper()
	_, err := chromedp.Call(tb.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
	tb.must(err)
}

// screenshot is kept where WARRENER_SCREENSHOTS says, for people who change the
// page.
func (tb *tab) screenshot(name string) {
	tb.t.Helper()
	dir := os.Getenv("WARRENER_SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot())
	tb.must(err)
	tb.must(os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600)) //nolint:gosec // a person names the folder
}

// eventually waits for an expression to become true.
func (tb *tab) eventually(reason, expression string, args ...any) {
	tb.t.Helper()
	deadline := time.Now().Add(patience)
	for !js[bool](tb, expression, args...) {
		if time.Now().After(deadline) {
			tb.t.Fatalf("%s: %s is not true after %s", reason, fmt.Sprintf(expression, args...), patience)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
