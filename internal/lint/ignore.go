package lint

import (
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/manifest"
)

// subject is what a finding is about.
type subject struct {
	name     string
	position manifest.Position
	line     func(field string) int
	ignored  []silence
}

// silence is one entry of the annotation: a rule that is not to be heard of.
type silence struct {
	rule, reason string
	used         bool
}

func newSubject(name string, position manifest.Position, line func(string) int, annotations map[string]string) *subject {
	return &subject{name: name, position: position, line: line, ignored: parseIgnore(annotations[v1alpha1.AnnotationLintIgnore])}
}

func (s *subject) lineOf(field string) int {
	if s.line == nil || field == "" {
		return s.position.Line
	}
	return s.line(field)
}

// silence is the reason for which a rule is silent here; "" if it is not.
func (s *subject) silence(rule string) string {
	for i := range s.ignored {
		if entry := &s.ignored[i]; entry.rule == rule && entry.reason != "" {
			entry.used = true
			return entry.reason
		}
	}
	return ""
}

// parseIgnore reads "rule: reason; other-rule: reason"; a line break separates,
// too. What is not of this form becomes a rule without a reason.
func parseIgnore(annotation string) []silence {
	var out []silence
	for _, part := range strings.FieldsFunc(annotation, func(r rune) bool { return r == ';' || r == '\n' }) {
		rule, reason, _ := strings.Cut(part, ":")
		if rule = strings.TrimSpace(rule); rule != "" || strings.TrimSpace(reason) != "" {
			out = append(out, silence{rule: rule, reason: strings.TrimSpace(reason)})
		}
	}
	return out
}

const ignorePath = "metadata.annotations[" + v1alpha1.AnnotationLintIgnore + "]"

// ignoreRules run after all others, and cannot be silenced by annotation.
var ignoreRules = []struct {
	id    string
	check func(*world, finder)
}{
	{"lint-ignore-without-reason", func(w *world, found finder) {
		w.entries(func(s *subject, entry silence) {
			if entry.reason == "" {
				found(s, ignorePath, "%q has no reason, and silences nothing: write \"rule: reason\", several separated by semicolons or on lines of their own", entry.rule)
			}
		})
	}},
	{"lint-ignore-unknown-rule", func(w *world, found finder) {
		w.entries(func(s *subject, entry silence) {
			if entry.reason != "" && Find(entry.rule) == nil {
				found(s, ignorePath, "there is no rule %q: %s lists them", entry.rule, DocumentationURL)
			}
		})
	}},
	{"lint-ignore-unused", func(w *world, found finder) {
		w.entries(func(s *subject, entry silence) {
			if rule := Find(entry.rule); entry.reason != "" && !entry.used && rule != nil && !w.leavesOut(entry.rule) {
				found(s, ignorePath, "%s finds nothing here: remove it, so that it is told when it does", entry.rule)
			}
		})
	}},
}

// entries walks over what is silenced anywhere.
func (w *world) entries(visit func(*subject, silence)) {
	for _, s := range w.subjects {
		for _, entry := range s.ignored {
			visit(s, entry)
		}
	}
}
