// Command timelines draws measured retry timelines as SVG:
//
//	WARRENER_TIMELINE_OUT=docs/retry-timelines.json go test ./test/e2e -run TestRetryTimeline
//	go run ./hack/timelines docs/retry-timelines.json docs/retry-timelines.svg
package main

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"slices"
	"strings"
)

// timeline is one poison message, as test/e2e writes it: milliseconds after the
// first delivery.
type timeline struct {
	RabbitMQ string `json:"rabbitmq"`
	Type     string `json:"type"`
	Strategy string `json:"strategy"`
	Attempts []struct {
		Attempt int     `json:"attempt"`
		At      float64 `json:"at"`
	} `json:"attempts"`
	DeadAt float64 `json:"deadAt"`
}

// Measures of the picture, in pixels.
const (
	left, right, top, bottom = 190, 30, 44, 46
	rowHeight                = 26
	width                    = 860
	tick                     = 200.0 // milliseconds
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: timelines DATA.json PICTURE.svg")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "timelines:", err)
		os.Exit(1)
	}
}

func run(data, picture string) error {
	raw, err := os.ReadFile(data) //nolint:gosec // the file that the user names
	if err != nil {
		return err
	}
	var all []timeline
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	slices.SortFunc(all, func(a, b timeline) int { return strings.Compare(a.order(), b.order()) })
	return os.WriteFile(picture, []byte(draw(all)), 0o644) //nolint:gosec // a picture of the documentation
}

func (t timeline) order() string { return t.Strategy + t.Type + t.RabbitMQ }

func (t timeline) label() string { return t.Strategy + ", " + t.Type + ", " + t.RabbitMQ }

// draw makes a row per message: a dot per delivery with its time, a cross where
// it arrives in the dead-letter queue.
func draw(all []timeline) string {
	longest := tick
	for _, t := range all {
		longest = max(longest, t.DeadAt)
	}
	end := tick * float64(int(longest/tick)+1)
	x := func(ms float64) float64 { return left + ms/end*(width-left-right) }
	height := top + rowHeight*len(all) + bottom
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&s, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(&s, `<text x="%d" y="22" font-size="14" font-weight="600" fill="#1f2933">A poison message, retried three times: when it is delivered, and when it is dead</text>`+"\n", 16)
	base := top + rowHeight*len(all)
	for ms := 0.0; ms <= end; ms += tick {
		fmt.Fprintf(&s, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#e4e7eb"/><text x="%.1f" y="%d" text-anchor="middle" fill="#616e7c">%.1f s</text>`+"\n",
			x(ms), top-6, x(ms), base, x(ms), base+16, ms/1000)
	}
	for i, t := range all {
		y := top + rowHeight*i + rowHeight/2
		fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="end" fill="#1f2933">%s</text>`+"\n", left-14, y+4, html.EscapeString(t.label()))
		fmt.Fprintf(&s, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#9aa5b1" stroke-width="1.5"/>`+"\n", x(0), y, x(t.DeadAt), y)
		for _, a := range t.Attempts {
			fmt.Fprintf(&s, `<circle cx="%.1f" cy="%d" r="5" fill="#2563eb"><title>%s: attempt %d after %.0f ms</title></circle>`+"\n",
				x(a.At), y, html.EscapeString(t.label()), a.Attempt, a.At)
		}
		d := x(t.DeadAt) + 12 // beside the last delivery, which it follows at once
		fmt.Fprintf(&s, `<path d="M%.1f %d l8 8 m0 -8 l-8 8" stroke="#b91c1c" stroke-width="2"><title>dead after %.0f ms</title></path>`+"\n", d-4, y-4, t.DeadAt)
	}
	fmt.Fprintf(&s, `<circle cx="%d" cy="%d" r="5" fill="#2563eb"/><text x="%d" y="%d" fill="#1f2933">delivered, and rejected</text>`+"\n", left, height-12, left+10, height-8)
	fmt.Fprintf(&s, `<path d="M%d %d l8 8 m0 -8 l-8 8" stroke="#b91c1c" stroke-width="2"/><text x="%d" y="%d" fill="#1f2933">in the dead-letter queue</text>`+"\n", left+176, height-16, left+190, height-8)
	s.WriteString("</svg>\n")
	return s.String()
}
