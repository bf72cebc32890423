package importer

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// Headline begins every file that an import writes: by it, the next one knows
// what it may replace.
const Headline = "# Imported by warrener from "

// File is a file of manifests.
type File struct {
	Name string
	Text string
}

// Text prints results as one stream of manifests.
func Text(results []*Result) (string, error) {
	var b strings.Builder
	for _, r := range results {
		b.WriteString(Headline + r.Origin + "\n")
		p := printer{b: &b}
		p.connection(r)
		for _, g := range r.Groups {
			p.remark("", "---- "+g.Title+" ----", "")
			p.objects(g.Objects)
		}
		p.notes(r.AllNotes())
		if p.err != nil {
			return "", p.err
		}
	}
	return b.String(), nil
}

// Files prints results as files: one for the connection, one for each group.
func Files(results []*Result) ([]File, error) {
	var out []File
	taken := map[string]bool{}
	add := func(name string, r *Result, print func(p *printer)) error {
		var b strings.Builder
		b.WriteString(Headline + r.Origin + "\n")
		p := printer{b: &b}
		print(&p)
		if taken[name] {
			name = r.Connection.GetName() + "-" + name
		}
		taken[name] = true
		out = append(out, File{Name: name + ".yaml", Text: b.String()})
		return p.err
	}
	for _, r := range results {
		if r.Connection != nil || len(r.Notes) > 0 {
			err := add("connection", r, func(p *printer) {
				p.connection(r)
				p.notes(r.Notes)
			})
			if err != nil {
				return nil, err
			}
		}
		for _, g := range r.Groups {
			err := add(g.File, r, func(p *printer) {
				p.objects(g.Objects)
				p.notes(g.Notes)
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// printer writes documents, and remarks between them.
type printer struct {
	b   *strings.Builder
	err error
}

func (p *printer) remark(lines ...string) {
	for _, line := range lines {
		if line == "" {
			p.b.WriteString("\n")
			continue
		}
		// A name can have anything in it, and must not break out of a comment.
		fmt.Fprintf(p.b, "# %s\n", strings.Map(oneLine, line))
	}
}

func oneLine(r rune) rune {
	if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
		return ' '
	}
	return r
}

func (p *printer) connection(r *Result) {
	if r.Connection == nil {
		return
	}
	p.document(r.Connection, r.Connection.KindName(), r.Advice...)
}

func (p *printer) objects(objects []v1alpha1.Object) {
	for _, object := range objects {
		p.document(object, object.KindName())
	}
}

func (p *printer) document(object runtime.Object, kind string, above ...string) {
	object.GetObjectKind().SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind)) // objects in memory do without
	text, err := renderYAML(object)
	if err != nil && p.err == nil {
		p.err = err
	}
	p.b.WriteString("---\n")
	p.remark(above...)
	p.b.WriteString(text)
}

func (p *printer) notes(notes []Note) {
	if len(notes) == 0 {
		return
	}
	p.remark("", "Worth knowing, and what is not in these manifests:")
	for _, note := range notes {
		p.remark("  " + note.String())
	}
}
