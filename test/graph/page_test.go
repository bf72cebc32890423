package graph

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// What the browser draws is what `warrener graph -o svg` draws, to the letter: one
// layout, in two engines.
func TestBrowserDrawsTheSame(t *testing.T) {
	file := samples(t)
	tb := open(t, file)
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), `<div id="stage"`)
	begin, end := strings.Index(rest, "<svg"), strings.Index(rest, "</svg>")+len("</svg>")
	drawn := js[string](tb, `warrenerPicture.draw(JSON.parse(document.getElementById("graph").textContent), [], "").svg`)
	if want := rest[begin:end]; want != drawn {
		t.Errorf("the page has\n%.3000s\nand the browser draws\n%.3000s", want, drawn)
	}
	tb.screenshot("samples")
}

func TestOpenAndFoldWithTheMouse(t *testing.T) {
	tb := open(t, samples(t))
	const tier = "order.invoice.retry.1.500"
	if tb.shows(tier) {
		t.Fatalf("%s is to be seen before anything is open", tier)
	}
	chip := nodeOf("order.invoice") + `.querySelector("[data-fold]")`
	x, y := tb.middle(chip)
	tb.click(chip)
	if !tb.shows(tier) || !tb.shows("order.invoice.dead") {
		t.Error("after a click on its chip, order.invoice is not open")
	}
	if tb.shows("order.process.dead") {
		t.Error("order.process is open, too")
	}
	if nowX, nowY := tb.middle(chip); math.Abs(nowX-x) > 2 || math.Abs(nowY-y) > 2 {
		t.Errorf("what was clicked moved from %.0f,%.0f to %.0f,%.0f", x, y, nowX, nowY)
	}
	tb.screenshot("open")
	tb.click(chip)
	if tb.shows(tier) {
		t.Error("after another click it is not folded")
	}
	tb.click(`document.getElementById("open-all")`)
	if !tb.shows(tier) || !tb.shows("order.process.dead") || !tb.shows("order-events.dlt") {
		t.Error("Open all does not open all")
	}
	tb.screenshot("open-all")
	tb.click(`document.getElementById("fold-all")`)
	if tb.shows(tier) || tb.shows("order-events.dlt") {
		t.Error("Fold all does not fold all")
	}
}

// A page that is to be unfolded unfolds itself.
func TestUnfold(t *testing.T) {
	tb := open(t, draw(t, states, "-f", "-", "--unfold"))
	if !tb.shows("dying.dead") {
		t.Error("--unfold leaves it folded")
	}
	tb.click(`document.getElementById("fold-all")`)
	if tb.shows("dying.dead") {
		t.Error("it cannot be folded again")
	}
}

const details = `document.getElementById("details")`

func TestDetails(t *testing.T) {
	tb := open(t, samples(t))
	tb.click(nodeOf("order.invoice") + `.querySelector(".name")`)
	text := js[string](tb, "%s.innerText", details)
	for _, want := range []string{"order.invoice", "quorum", "Queue orders/order-invoice", "x-dead-letter-exchange", "Messages come from", "order.*.paid"} {
		if !strings.Contains(text, want) {
			t.Errorf("the details do not say %q:\n%s", want, text)
		}
	}
	tb.screenshot("details")
	// From one object to the next, by a click on its name: it is inside, and opens.
	tb.click(`[...document.querySelectorAll("#details button.link")].find((b) => b.textContent === "order.invoice.failed")`)
	if got := js[string](tb, `%s.querySelector("h2").textContent`, details); got != "order.invoice.failed" || !tb.shows(got) {
		t.Errorf("a click on order.invoice.failed shows %s", got)
	}
	tb.keys(kb.Escape)
	if !js[bool](tb, "%s.hidden", details) {
		t.Error("Escape does not close the details")
	}
	tb.click(`[...document.querySelectorAll(".label text")].find((e) => e.textContent === "order.*.paid")`)
	if text := js[string](tb, "%s.innerText", details); !strings.Contains(text, "Binding") || !strings.Contains(text, `"order.*.paid"`) {
		t.Errorf("a click on a key shows\n%s", text)
	}
}

func TestKeyboardAlone(t *testing.T) {
	tb := open(t, samples(t))
	js[bool](tb, "%s.focus() || true", nodeOf("orders"))
	focused := func() string {
		return js[string](tb, `document.activeElement.querySelector ? (document.activeElement.querySelector("title") || {textContent: ""}).textContent.split("\n")[0] : ""`)
	}
	tb.keys(kb.ArrowRight)
	if got := focused(); got != "order.process" {
		t.Fatalf("right of orders is %q", got)
	}
	tb.keys(kb.ArrowDown)
	if got := focused(); got != "order.invoice" {
		t.Fatalf("below order.process is %q", got)
	}
	tb.keys(" ")
	if !tb.shows("order.invoice.failed") {
		t.Error("Space does not open")
	}
	if got := focused(); got != "order.invoice" {
		t.Errorf("after Space the focus is at %q", got)
	}
	if got := js[string](tb, `%s.getAttribute("aria-expanded")`, nodeOf("order.invoice")); got != "true" {
		t.Errorf("aria-expanded is %q", got)
	}
	tb.keys(kb.Enter)
	if got := js[string](tb, `%s.querySelector("h2").textContent`, details); got != "order.invoice" {
		t.Errorf("Enter shows the details of %q", got)
	}
	before := js[string](tb, `document.querySelector("#stage > svg").getAttribute("viewBox")`)
	tb.keys("+")
	if js[string](tb, `document.querySelector("#stage > svg").getAttribute("viewBox")`) == before {
		t.Error("+ does not zoom")
	}
	if n := js[int](tb, `document.querySelectorAll('#stage [tabindex="0"]').length`); n != 1 {
		t.Errorf("the map takes %d steps of Tab, want 1", n)
	}
	if n := js[int](tb, `[...document.querySelectorAll("button, input, [data-node]")].filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || (e.labels && e.labels.length))).length`); n != 0 {
		t.Errorf("%d controls have no name", n)
	}
}

func TestSearch(t *testing.T) {
	tb := open(t, samples(t))
	tb.find("retry.2")
	if got := js[string](tb, `document.getElementById("found").textContent`); got != "1 found" {
		t.Fatalf("the search for retry.2 says %q", got)
	}
	tb.keys(kb.Enter)
	if !tb.shows("order.invoice.retry.2.1000") {
		t.Fatal("Enter does not open what the match is inside of")
	}
	stageX, stageY := tb.middle(`document.getElementById("stage")`)
	x, y := tb.middle(nodeOf("order.invoice.retry.2.1000") + ".querySelector('.box')")
	if math.Abs(x-stageX) > 200 || math.Abs(y-stageY) > 30 {
		t.Errorf("the match is at %.0f,%.0f, and not in the middle of the map, %.0f,%.0f", x, y, stageX, stageY)
	}
	tb.screenshot("search")
	dim := js[float64](tb, `Number(getComputedStyle(%s).opacity)`, nodeOf("analytics"))
	if bright := js[float64](tb, `Number(getComputedStyle(%s).opacity)`, nodeOf("order.invoice.retry.2.1000")); dim > 0.5 || bright < 1 {
		t.Errorf("opacity of what does not match is %.2f, of what does %.2f", dim, bright)
	}
	tb.keys(kb.Escape)
	if got := js[string](tb, `document.getElementById("search").value`); got != "" {
		t.Errorf("Escape leaves %q in the search field", got)
	}
}

func TestZoomAndPan(t *testing.T) {
	tb := open(t, samples(t))
	x, y := tb.middle(nodeOf("vip.eu"))
	tb.wheel(x, y, -400)
	// A wheel is answered with the next frame.
	tb.eventually("the wheel zooms", `(() => { const b = (%s).getBoundingClientRect(); return b.width > 150; })()`, nodeOf("vip.eu"))
	if nowX, nowY := tb.middle(nodeOf("vip.eu")); math.Abs(nowX-x) > 3 || math.Abs(nowY-y) > 3 {
		t.Errorf("what was under the mouse moved from %.0f,%.0f to %.0f,%.0f", x, y, nowX, nowY)
	}
	tb.drag(600, 300, 700, 250)
	if nowX, nowY := tb.middle(nodeOf("vip.eu")); math.Abs(nowX-x-100) > 4 || math.Abs(nowY-y+50) > 4 {
		t.Errorf("after a drag by 100,-50 it moved by %.0f,%.0f", nowX-x, nowY-y)
	}
	tb.click(`document.getElementById("fit")`)
	if nowX, nowY := tb.middle(nodeOf("vip.eu")); math.Abs(nowX-x) > 3 || math.Abs(nowY-y) > 3 {
		t.Errorf("Fit shows it at %.0f,%.0f, and not where it was first, %.0f,%.0f", nowX, nowY, x, y)
	}
}

// contrast computes, after WCAG 2, the contrast of a text with the box behind it.
const contrast = `(() => {
  const parts = (c) => c.match(/[\d.]+/g).slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  const light = (c) => { const [r, g, b] = parts(c); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const pairs = [[".node .name", (e) => e.closest(".node").querySelector(".box")], [".node .note", (e) => e.closest(".node").querySelector(".box")],
    [".chip text", (e) => e.parentNode.querySelector("rect")], [".badge text", (e) => e.parentNode.querySelector("rect")],
    [".label text", (e) => e.parentNode.querySelector("rect")], [".frame text", (e) => e.parentNode.querySelector("rect")]];
  let least = [99, ""], compared = 0;
  for (const [selector, behind] of pairs) {
    for (const e of document.querySelectorAll("#stage " + selector)) {
      const fill = getComputedStyle(behind(e)).fill;
      if (fill === "none") continue;
      const r = ratio(getComputedStyle(e).fill, fill);
      compared++;
      if (r < least[0]) least = [r, selector + " " + e.textContent];
    }
  }
  return least[0].toFixed(2) + " " + least[1] + " of " + compared;
})()`

func TestContrastInLightAndDark(t *testing.T) {
	tb := open(t, draw(t, states, "-f", "-"))
	pages := map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}
	for _, scheme := range []string{"light", "dark"} {
		tb.scheme(scheme)
		if got := js[string](tb, "getComputedStyle(document.body).backgroundColor"); got != pages[scheme] {
			t.Errorf("%s: the page is %s", scheme, got)
		}
		var least float64
		var compared int
		got := js[string](tb, "%s", contrast)
		if _, err := fmt.Sscanf(got, "%f", &least); err != nil || least < 4.5 {
			t.Errorf("%s: contrast %s; WCAG AA wants 4.5", scheme, got)
		}
		if _, err := fmt.Sscanf(got[strings.LastIndex(got, " of ")+4:], "%d", &compared); err != nil || compared < 15 {
			t.Errorf("%s: %d texts compared", scheme, compared)
		}
		tb.screenshot("states-" + scheme)
	}
}

// states has an object of each state; the last has a name that would run as a
// script if anything let it.
const states = `
{apiVersion: topology.warrener.dev/v1alpha1, kind: Exchange, metadata: {name: fine}, spec: {connectionRef: {name: r}, type: topic}, status: {conditions: [{type: Ready, status: "True", reason: Succeeded, message: ok, lastTransitionTime: "2026-01-01T00:00:00Z"}]}}
---
{apiVersion: topology.warrener.dev/v1alpha1, kind: Queue, metadata: {name: drifted}, spec: {connectionRef: {name: r}, type: quorum, bindings: [{source: fine, routingKeys: [a.b]}]}, status: {conditions: [{type: Drifted, status: "True", reason: DriftReported, message: "x-max-length: 1 on the broker, 2 declared", lastTransitionTime: "2026-01-01T00:00:00Z"}]}}
---
{apiVersion: topology.warrener.dev/v1alpha1, kind: Queue, metadata: {name: dying}, spec: {connectionRef: {name: r}, type: quorum, deadLetter: {}, bindings: [{source: fine, routingKeys: [c]}]}, status: {conditions: [{type: DeadLettersPresent, status: "True", reason: HoldsMessages, message: "messages wait in dying.dead", lastTransitionTime: "2026-01-01T00:00:00Z"}]}}
---
{apiVersion: topology.warrener.dev/v1alpha1, kind: Queue, metadata: {name: held}, spec: {connectionRef: {name: r}, type: quorum}, status: {conditions: [{type: Ready, status: "False", reason: Conflict, message: "Queue other/held owns it", lastTransitionTime: "2026-01-01T00:00:00Z"}]}}
---
{apiVersion: topology.warrener.dev/v1alpha1, kind: Queue, metadata: {name: odd}, spec: {connectionRef: {name: r}, name: "</script></svg><img src=x onerror='window.pwned=1'><script>window.pwned=1</script>", type: classic, bindings: [{source: fine, routingKeys: ["<img src=x onerror='window.pwned=1'>"]}]}}
---
{apiVersion: topology.warrener.dev/v1alpha1, kind: Topic, metadata: {name: lines}, spec: {connectionRef: {name: k}, partitions: 12}}
`

func TestNamesAreOnlyNames(t *testing.T) {
	tb := open(t, draw(t, states, "-f", "-"))
	tb.click(`document.getElementById("open-all")`)
	tb.click(`[...document.querySelectorAll("[data-node] .name")].find((e) => e.textContent.includes("</scr"))`)
	tb.find("onerror")
	tb.keys(kb.Enter)
	if js[bool](tb, "window.pwned !== undefined || document.querySelector('img') !== null") {
		t.Error("a name became a part of the page")
	}
	if got := js[string](tb, `%s.querySelector("h2").textContent`, details); got == "" {
		t.Error("no details of what was found")
	}
}

// fiveHundred are 50 exchanges with 9 queues each, some of them bound to other
// exchanges, too.
func fiveHundred() string {
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "{apiVersion: topology.warrener.dev/v1alpha1, kind: Exchange, metadata: {name: area-%d}, spec: {connectionRef: {name: r}, type: topic}}\n---\n", i)
		for q := range 9 {
			also, failing := "", "deadLetter: {}"
			if q%3 == 1 {
				failing = "retry: {strategy: Tiers, maxRetries: 2, backoff: {initial: 1s}}"
			}
			if q == 0 {
				also = fmt.Sprintf(", {source: area-%d, routingKeys: ['#']}", i/7)
			}
			fmt.Fprintf(&b, "{apiVersion: topology.warrener.dev/v1alpha1, kind: Queue, metadata: {name: area-%d.work-%d}, spec: {connectionRef: {name: r}, type: quorum, "+
				"bindings: [{source: area-%d, routingKeys: [work.%d]}%s], %s}}\n---\n", i, q, i, q, also, failing)
		}
	}
	return b.String()
}

func TestFiveHundredObjects(t *testing.T) {
	tb := open(t, draw(t, fiveHundred(), "-f", "-"))
	if n := js[int](tb, `document.querySelectorAll("[data-node]").length`); n != 500 {
		t.Fatalf("%d nodes are drawn", n)
	}
	tb.screenshot("500")
	tb.find("37.work-4.r")
	tb.keys(kb.Enter)
	if !tb.shows("area-37.work-4.retry") || tb.shows("area-36.work-4.retry") {
		t.Error("the search does not open what it finds, and only that")
	}
	if zoom := js[float64](tb, `(() => { const s = document.querySelector("#stage > svg"); return s.clientWidth / Number(s.getAttribute("viewBox").split(" ")[2]); })()`); zoom < 0.8 {
		t.Errorf("what was found is shown at %.2f of its size, which nobody can read", zoom)
	}
	tb.screenshot("500-search")
	// Opening one of many must feel like opening one of few: what did not change is
	// not laid out again.
	millis := js[float64](tb, `(() => { const g = %s; const before = performance.now(); g.querySelector("[data-fold]").dispatchEvent(new MouseEvent("click", {bubbles: true})); return performance.now() - before; })()`, nodeOf("area-12.work-1"))
	if !tb.shows("area-12.work-1.retry") || millis > 10_000 {
		t.Errorf("opening one of 500 took %.0f ms", millis)
	}
	t.Logf("opening one of 500 objects: %.0f ms", millis)
	// A stub leads to what it names.
	tb.keys(kb.Escape)
	stub := `[...document.querySelectorAll("[data-stub]")].find((g) => g.textContent.startsWith("area-"))`
	name := strings.TrimSuffix(js[string](tb, "%s.textContent", stub), " ↗")
	js[bool](tb, "%s.dispatchEvent(new MouseEvent('click', {bubbles: true}))", stub)
	if got := js[string](tb, `%s.querySelector("h2").textContent`, details); got != name {
		t.Errorf("the stub of %s leads to %s", name, got)
	}
	all := js[float64](tb, `(() => { const before = performance.now(); document.querySelector("#open-all").click(); return performance.now() - before; })()`)
	n := js[int](tb, `document.querySelectorAll("[data-node]").length`)
	if n < 1500 {
		t.Errorf("all unfolded are %d", n)
	}
	t.Logf("unfolding all, %d objects then: %.0f ms", n, all)
}
