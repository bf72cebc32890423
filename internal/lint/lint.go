// Package lint finds what is accepted by Kubernetes and by the brokers, and will
// surprise people later: messages that are dropped without a word, settings that
// nobody reads, references to nothing. It looks at manifests only, asks no broker
// and no cluster, and says file and line.
//
// A rule is a function in the file of its family, a row in the table of rules.go
// and a section in docs/lint.md.
//
//	rules.go       the table
//	lint.go        what is found, and how it is put together
//	ignore.go      what people have silenced, and why
//	world.go       everything that the manifests declare, by what is looked for
//	routes.go      which queues a message can reach
//	spec.go, references.go, routing.go, deadletters.go, queues.go, policies.go, topics.go
//	               the rules
//	sarif.go       the findings for code scanners
package lint

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/warrener-dev/warrener/internal/manifest"
)

// Severity says what a finding is worth.
type Severity string

// Severities, the worst first. SARIF has the same words.
const (
	// Error: it does not work, or loses messages.
	Error Severity = "error"
	// Warning: it works, and likely not as it is meant.
	Warning Severity = "warning"
	// Note: good to know, and often nothing to change.
	Note Severity = "note"
)

// rank orders severities, the worst highest.
func (s Severity) rank() int { return map[Severity]int{Note: 1, Warning: 2, Error: 3}[s] }

// AtLeast tells whether a severity is as bad as another, or worse.
func (s Severity) AtLeast(other Severity) bool { return s.rank() >= other.rank() }

// Rule is one thing that is looked for.
type Rule struct {
	// ID is stable: people write it into annotations.
	ID       string
	Severity Severity
	// Summary is what is wrong, in one line.
	Summary string
	// Reason is why that matters.
	Reason string

	check func(*world, finder)
}

// DocumentationURL is the page with a section for each rule.
const DocumentationURL = "https://github.com/warrener-dev/warrener/blob/main/docs/lint.md"

// URL of the section about the rule.
func (r *Rule) URL() string { return DocumentationURL + "#" + r.ID }

// Finding is one place where a rule applies.
type Finding struct {
	// Rule is the id.
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// File and Line where it stands; line 0 if there is none.
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	// Object, such as `Queue shop/orders`; "" where nothing could be read.
	Object string `json:"object,omitempty"`
	// Field such as spec.deadLetter.exchange; "" if it is about the whole.
	Field string `json:"field,omitempty"`
	// Message says what is wrong and what to do.
	Message string `json:"message"`
	// Silenced is the reason why somebody does not want to hear of it; "" if
	// nobody has silenced it.
	Silenced string `json:"silenced,omitempty"`
}

// Options of a run.
type Options struct {
	// RabbitMQVersion that is used, such as 4.0.5. Default: the newest.
	RabbitMQVersion string
	// Without are ids of rules that are left out.
	Without []string
}

// Report is what a run finds.
type Report struct {
	// Findings by file and line, those that are silenced included.
	Findings []Finding `json:"findings"`
	// Objects is how many were looked at.
	Objects int `json:"objects"`
}

// Count of the findings of a severity that are not silenced.
func (r *Report) Count(severity Severity) int {
	n := 0
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Silenced == "" && f.Severity == severity {
			n++
		}
	}
	return n
}

// Silenced is the number of findings that somebody has silenced.
func (r *Report) Silenced() int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Silenced != "" {
			n++
		}
	}
	return n
}

// Fails tells whether there is something as bad as the severity, or worse, that
// nobody has silenced.
func (r *Report) Fails(severity Severity) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Silenced == "" && f.Severity.AtLeast(severity) })
}

// finder reports a finding of one rule.
type finder func(about *subject, field, format string, args ...any)

// Check runs all rules over a set of manifests. An id in Without that is none is
// an error.
func Check(set *manifest.Set, options Options) (*Report, error) {
	for _, id := range options.Without {
		if Find(id) == nil {
			return nil, fmt.Errorf("there is no rule %s: %s lists them", id, DocumentationURL)
		}
	}
	w := newWorld(set, options)
	report := &Report{Findings: []Finding{}, Objects: len(set.Items)}
	for i := range Rules {
		rule := &Rules[i]
		if rule.check == nil || slices.Contains(options.Without, rule.ID) {
			continue
		}
		rule.check(w, func(about *subject, field, format string, args ...any) {
			report.Findings = append(report.Findings, Finding{
				Rule: rule.ID, Severity: rule.Severity, File: about.position.File, Line: about.lineOf(field),
				Object: about.name, Field: field, Message: fmt.Sprintf(format, args...), Silenced: about.silence(rule.ID),
			})
		})
	}
	for _, late := range ignoreRules { // they need to know what the others have found
		if slices.Contains(options.Without, late.id) {
			continue
		}
		rule := Find(late.id)
		late.check(w, func(about *subject, field, format string, args ...any) {
			report.Findings = append(report.Findings, Finding{
				Rule: rule.ID, Severity: rule.Severity, File: about.position.File, Line: about.lineOf(field),
				Object: about.name, Field: field, Message: fmt.Sprintf(format, args...),
			})
		})
	}
	slices.SortStableFunc(report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), -cmp.Compare(a.Severity.rank(), b.Severity.rank()), cmp.Compare(a.Rule, b.Rule))
	})
	return report, nil
}

// Find a rule by its id; nil if there is none.
func Find(id string) *Rule {
	for i := range Rules {
		if Rules[i].ID == id {
			return &Rules[i]
		}
	}
	return nil
}
