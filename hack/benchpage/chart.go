package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Measures of a picture, in pixels.
const (
	width             = 860
	top, bottom       = 44, 46
	plainLeft, right  = 70, 30
	labelLeft, barRow = 190, 28
	curves            = 300 // height of a picture of curves
)

// style holds the colours, for light and for dark pages.
const style = `<style>
.page{fill:#ffffff}.text{fill:#1f2933}.faint{fill:#5f6b7a}.grid{stroke:#e4e7eb}.aim{fill:#b45309;stroke:#b45309}
.c0{fill:#2563eb;stroke:#2563eb}.c1{fill:#0d9488;stroke:#0d9488}.c2{fill:#c026d3;stroke:#c026d3}.c3{fill:#6b7280;stroke:#6b7280}.c4{fill:#65a30d;stroke:#65a30d}.missed{fill:#dc2626;stroke:#dc2626}
@media (prefers-color-scheme:dark){
.page{fill:#0d1117}.text{fill:#e6edf3}.faint{fill:#9aa7b4}.grid{stroke:#2a313a}.aim{fill:#f0a742;stroke:#f0a742}
.c0{fill:#6ea8fe;stroke:#6ea8fe}.c1{fill:#2dd4bf;stroke:#2dd4bf}.c2{fill:#e879f9;stroke:#e879f9}.c3{fill:#9ca3af;stroke:#9ca3af}.c4{fill:#a3e635;stroke:#a3e635}.missed{fill:#f87171;stroke:#f87171}}
</style>
`

// picture is an SVG under way.
type picture struct {
	strings.Builder

	height int
}

func newPicture(height int, title string) *picture {
	p := &picture{height: height}
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprint(p, style)
	fmt.Fprintf(p, `<rect class="page" width="%d" height="%d"/>`+"\n", width, height)
	fmt.Fprintf(p, `<text class="text" x="16" y="22" font-size="14" font-weight="600">%s</text>`+"\n", html.EscapeString(title))
	return p
}

func (p *picture) text(x, y float64, anchor, class, text string) {
	fmt.Fprintf(p, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, html.EscapeString(text))
}

func (p *picture) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(p, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func (p *picture) end() string {
	fmt.Fprintln(p, "</svg>")
	return p.String()
}

// bar is a value and, if there is one, the most that it should be.
type bar struct {
	label      string
	value, aim float64
}

// mostTimes is where a bar is broken off, so that the others can be told apart.
const mostTimes = 10

// bars draws a row per value, with a mark at each aim.
func bars(title, unit string, all []bar) string {
	longest := 0.0
	for _, b := range all {
		longest = max(longest, b.value, b.aim)
	}
	ticks := ticksTo(min(longest, mostTimes))
	end := ticks[len(ticks)-1]
	x := func(v float64) float64 { return labelLeft + min(v/end, 1)*(width-labelLeft-right-40) }
	p := newPicture(top+barRow*len(all)+bottom, title)
	base := float64(top + barRow*len(all))
	for _, tick := range ticks {
		p.line("grid", x(tick), top-6, x(tick), base)
		p.text(x(tick), base+16, "middle", "faint", number(tick)+unit)
	}
	for i, b := range all {
		y := float64(top + barRow*i)
		class := "c0"
		if b.aim > 0 && b.value > b.aim {
			class = "missed"
		}
		p.text(labelLeft-12, y+18, "end", "text", b.label)
		fmt.Fprintf(p, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="14" rx="2"/>`+"\n", class, x(0), y+7, max(x(b.value)-x(0), 1))
		after := x(b.value)
		if b.aim > 0 {
			fmt.Fprintf(p, `<line class="aim" stroke-width="2.5" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", x(b.aim), y+3, x(b.aim), y+25)
			if b.aim > b.value && x(b.aim)-after < 44 {
				after = x(b.aim)
			}
		}
		text := number(b.value)
		if b.value > end {
			text += "…"
		}
		p.text(after+7, y+18, "start", "text", text)
	}
	fmt.Fprintf(p, `<line class="aim" stroke-width="2.5" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>`+"\n", labelLeft, base+26, labelLeft, base+40)
	p.text(labelLeft+8, base+38, "start", "faint", "the most that is aimed at; a bar beyond it is red; one with … is longer than drawn")
	return p.end()
}

// curve is a line through points.
type curve struct {
	label  string
	points [][2]float64
	dots   bool
	class  string
}

// axis says how one direction is scaled and called.
type axis struct {
	name string
	log  bool
	end  float64 // the least that the axis goes to
	show func(float64) string
}

// plot draws curves in one picture; the axes begin at 0 or, logarithmic ones,
// below the smallest value.
func plot(title string, xAxis, yAxis axis, all []curve) string {
	p := newPicture(curves, title)
	left, base := float64(plainLeft), float64(curves-bottom-16)
	x, xTicks := scale(xAxis, all, 0, left, width-right-24)
	y, yTicks := scale(yAxis, all, 1, base, top+8)
	for _, tick := range xTicks {
		p.line("grid", x(tick), top+8, x(tick), base)
		p.text(x(tick), base+16, "middle", "faint", xAxis.show(tick))
	}
	for _, tick := range yTicks {
		p.line("grid", left, y(tick), width-right, y(tick))
		p.text(left-8, y(tick)+4, "end", "faint", yAxis.show(tick))
	}
	p.text(width-right, base+32, "end", "faint", xAxis.name)
	p.text(16, top-4, "start", "faint", yAxis.name)
	at := left
	for i, c := range all {
		class := fmt.Sprintf("c%d", i%5)
		if c.class != "" {
			class = c.class
		}
		var path strings.Builder
		free := 0.0 // from where on there is room for another label
		for j, point := range c.points {
			fmt.Fprintf(&path, "%s%.1f %.1f ", map[bool]string{true: "M", false: "L"}[j == 0], x(point[0]), y(point[1]))
			if c.dots {
				fmt.Fprintf(p, `<circle class="%s" cx="%.1f" cy="%.1f" r="4"><title>%s: %s</title></circle>`+"\n", class, x(point[0]), y(point[1]), html.EscapeString(c.label), yAxis.show(point[1]))
				if x(point[0]) > free {
					p.text(x(point[0]), y(point[1])-9, "middle", "text", yAxis.show(point[1]))
					free = x(point[0]) + 34
				}
			}
		}
		fmt.Fprintf(p, `<path class="%s" style="fill:none;stroke-width:2" d="%s"/>`+"\n", class, strings.TrimSpace(path.String()))
		fmt.Fprintf(p, `<rect class="%s" x="%.1f" y="%d" width="12" height="3"/>`+"\n", class, at, curves-17)
		p.text(at+18, curves-12, "start", "text", c.label)
		at += 40 + 6.6*float64(len(c.label))
	}
	return p.end()
}

// scale maps values of a direction to pixels between from and to.
func scale(a axis, all []curve, direction int, from, to float64) (at func(float64) float64, ticks []float64) {
	least, most := math.Inf(1), a.end
	for _, c := range all {
		for _, point := range c.points {
			least, most = min(least, point[direction]), max(most, point[direction])
		}
	}
	if !a.log {
		ticks = ticksTo(most)
		end := ticks[len(ticks)-1]
		return func(v float64) float64 { return from + v/end*(to-from) }, ticks
	}
	low, high := math.Floor(math.Log10(max(least, 1e-3))), math.Ceil(math.Log10(max(most, 1e-2)))
	if low == high {
		high++
	}
	for e := low; e <= high; e++ {
		ticks = append(ticks, math.Pow(10, e))
	}
	return func(v float64) float64 {
		return from + (math.Log10(max(v, 1e-3))-low)/(high-low)*(to-from)
	}, ticks
}

// ticksTo are round numbers from 0 to above most.
func ticksTo(most float64) []float64 {
	if most <= 0 {
		most = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if most/(step*factor) <= 6 {
			step *= factor
			break
		}
	}
	var out []float64
	for i := 0; ; i++ {
		out = append(out, float64(i)*step)
		if out[i] >= most {
			return out
		}
	}
}
