package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// drawing is one picture of the page.
type drawing struct{ name, title, text, svg string }

// plots are the pictures for which there are results.
func plots(rows []row) []drawing {
	var out []drawing
	for _, draw := range []func([]row) (drawing, bool){ratios, memory, cost, edits} {
		if d, ok := draw(rows); ok {
			out = append(out, d)
		}
	}
	return out
}

func ratios(rows []row) (drawing, bool) {
	var all []bar
	for _, r := range rows {
		if r.Ratio > 0 {
			all = append(all, bar{label: r.ID, value: r.Ratio, aim: r.AimRatio})
		}
	}
	d := drawing{name: "ratios", title: "Each workload against its limit", text: "How many times its limit each workload takes. 1 is the limit itself."}
	d.svg = bars(d.title, "×", all)
	return d, len(all) > 0
}

// bySize has a point for each of the runs that tell of memory and cost, by the
// number of objects.
func bySize(rows []row, value func(row) float64) [][2]float64 {
	var out [][2]float64
	for _, r := range rows {
		if strings.HasPrefix(r.ID, "memory-") {
			out = append(out, [2]float64{float64(r.Objects), value(r)})
		}
	}
	slices.SortFunc(out, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
	return out
}

func costOf(r row) float64 {
	for _, m := range r.Details {
		if m.Name == "CPU per object" {
			return m.Value
		}
	}
	return 0
}

func objects(v float64) string { return thousands(int(v)) }

func memory(rows []row) (drawing, bool) {
	points := bySize(rows, func(r row) float64 { return r.Figure })
	d := drawing{
		name: "memory", title: "Peak memory of the controller",
		text: "Resident set of the process at its highest. The aim is 150 MiB at 10,500 objects and 500 MiB at 50,000.",
	}
	aims := curve{label: "the most that is aimed at", points: [][2]float64{{10500, 150}, {50000, 500}}, class: "aim"}
	d.svg = plot(d.title, axis{name: "objects", show: objects}, axis{name: "MiB", show: number}, []curve{{label: "peak RSS", points: points, dots: true}, aims})
	return d, len(points) > 1
}

func cost(rows []row) (drawing, bool) {
	points := bySize(rows, costOf)
	d := drawing{
		name: "cost", title: "CPU time of the controller per object, from its creation to Ready",
		text: "Level would mean that an object among many costs what one among few does. The aim is less than 1.3 times from 1,000 to 50,000.",
	}
	var aims []curve
	if len(points) > 0 {
		most := 1.3 * points[0][1]
		aims = append(aims, curve{label: "1.3 times that of the fewest", points: [][2]float64{{points[0][0], most}, {points[len(points)-1][0], most}}, class: "aim"})
	}
	d.svg = plot(d.title, axis{name: "objects", show: objects}, axis{name: "ms", show: number}, append([]curve{{label: "CPU per object", points: points, dots: true}}, aims...))
	return d, len(points) > 1
}

// edits draws which share of the edits took how long at the most.
func edits(rows []row) (drawing, bool) {
	var all []curve
	for _, r := range rows {
		if len(r.Latencies) == 0 || !strings.HasPrefix(r.ID, "edit-") {
			continue
		}
		c := curve{label: r.ID}
		for i, ms := range r.Latencies {
			c.points = append(c.points, [2]float64{ms, 100 * float64(i) / float64(len(r.Latencies))}, [2]float64{ms, 100 * float64(i+1) / float64(len(r.Latencies))})
		}
		all = append(all, c)
	}
	d := drawing{name: "edits", title: "One edit: from its apply to Ready", text: "The share of edits that took so long at the most; the scale of time is logarithmic."}
	percent := func(v float64) string { return number(v) + " %" }
	time := func(v float64) string {
		if v >= 1000 {
			return fmt.Sprintf("%s s", strconv.FormatFloat(v/1000, 'g', -1, 64))
		}
		return number(v) + " ms"
	}
	d.svg = plot(d.title, axis{name: "time, logarithmic", log: true, show: time}, axis{name: "share of the edits", end: 100, show: percent}, all)
	return d, len(all) > 0
}
