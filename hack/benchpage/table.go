package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// order of the workloads on the page, by the beginning of their ids; others
// follow.
var order = []string{"create-", "offline", "topics-create", "topics-change", "topics-delete", "idle-requests", "idle-cpu", "restart",
	"edit-ten", "edit-quiet", "edit-sweep", "edit-create", "edit-calls", "edit-writes", "lost-exchange", "outage", "dead-connections", "memory-", "cost"}

func inOrder(rows []row) []row {
	place := func(r row) int {
		if i := slices.IndexFunc(order, func(prefix string) bool { return strings.HasPrefix(r.ID, prefix) }); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Objects, b.Objects), cmp.Compare(a.ID, b.ID))
	})
	return rows
}

// tables are the machine, the results, what was counted, and what objects cost.
func tables(rows []row) string {
	var s strings.Builder
	s.WriteString(measured(rows))
	s.WriteString("| workload | objects | figure | limit | ratio | aim |\n|---|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		limit, ratio := "", ""
		if r.Limit > 0 {
			limit, ratio = quantity(r.Limit, r.Unit), "**"+number(r.Ratio)+"**"
		}
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %s | %s |\n", r.Workload, thousands(r.Objects), quantity(r.Figure, r.Unit), limit, ratio, aim(r))
	}
	s.WriteString("\nThe limits, each taken in the same run:\n\n")
	for _, is := range limits(rows) {
		s.WriteString(is)
	}
	s.WriteString("\n### What was counted\n\n| workload | count | |\n|---|---|--:|\n")
	for _, r := range rows {
		for _, m := range r.Counts {
			fmt.Fprintf(&s, "| `%s` | %s | %s |\n", r.ID, m.Name, thousands(int(m.Value)))
		}
	}
	s.WriteString("\n### What it costs\n\n| workload | objects | what | |\n|---|--:|---|--:|\n")
	for _, r := range rows {
		for _, m := range r.Details {
			fmt.Fprintf(&s, "| `%s` | %s | %s | %s |\n", r.ID, thousands(r.Objects), m.Name, quantity(m.Value, m.Unit))
		}
	}
	s.WriteString("\n")
	return s.String()
}

// measured says on which machine, and which rows where there are several.
func measured(rows []row) string {
	var machines []machine
	of := map[machine][]string{}
	for _, r := range rows {
		if of[r.Machine] == nil {
			machines = append(machines, r.Machine)
		}
		of[r.Machine] = append(of[r.Machine], "`"+r.ID+"`")
	}
	var s strings.Builder
	for _, m := range machines {
		fmt.Fprintf(&s, "Measured on %s: %d cores (%s), %s, RabbitMQ %s, Kubernetes %s", m.Date, m.Cores, m.CPU, m.Go, m.RabbitMQ, cmp.Or(m.Kubernetes, "of the test environment"))
		if len(machines) > 1 {
			fmt.Fprintf(&s, ": %s", strings.Join(of[m], ", "))
		}
		s.WriteString(".\n\n")
	}
	return s.String()
}

func limits(rows []row) []string {
	by := map[string][]string{}
	var texts []string
	for _, r := range rows {
		if r.Limit == 0 {
			continue
		}
		if by[r.LimitIs] == nil {
			texts = append(texts, r.LimitIs)
		}
		by[r.LimitIs] = append(by[r.LimitIs], "`"+r.ID+"`")
	}
	for i, text := range texts {
		texts[i] = fmt.Sprintf("* %s: %s\n", strings.Join(by[text], ", "), text)
	}
	return texts
}

// aim says what is aimed at, and whether it was reached.
func aim(r row) string {
	var parts []string
	met := true
	if r.AimRatio > 0 {
		parts, met = append(parts, fmt.Sprintf("ratio ≤ %g", r.AimRatio)), met && r.Ratio <= r.AimRatio
	}
	if r.AimFigure > 0 {
		parts, met = append(parts, fmt.Sprintf("≤ %g %s", r.AimFigure, r.Unit)), met && r.Figure <= r.AimFigure
	}
	switch {
	case len(parts) == 0:
		return ""
	case met:
		return strings.Join(parts, ", ") + ": met"
	}
	return strings.Join(parts, ", ") + ": **missed**"
}

func quantity(value float64, unit string) string {
	return strings.TrimSpace(number(value) + " " + unit)
}

// number has three digits that matter.
func number(value float64) string {
	switch {
	case value == float64(int(value)):
		return thousands(int(value))
	case value >= 100:
		return thousands(int(value + 0.5))
	case value >= 10:
		return strconv.FormatFloat(value, 'f', 1, 64)
	}
	return strconv.FormatFloat(value, 'f', 2, 64)
}

func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
