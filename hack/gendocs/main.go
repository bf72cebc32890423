// Gendocs writes the parts of docs/kinds that repeat what the custom resource
// definitions say: the tables of fields and the sentences of the rules. They
// stand between markers, and everything else on a page is written by hand:
//
//	<!-- fields -->  ...  <!-- /fields -->    the fields of spec
//	<!-- status -->  ...  <!-- /status -->    the fields of status
//	<!-- rules -->   ...  <!-- /rules -->     what the API server refuses
//
// A page belongs to the kind that its name spells in lower case.
//
//	go run ./hack/gendocs           write the pages
//	go run ./hack/gendocs -check    fail if a page is not up to date
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// recordKept is not for people to write, and has no page.
const recordKept = "BrokerInventory"

func main() {
	crds := flag.String("crds", "config/crd/bases", "folder of the custom resource definitions")
	pages := flag.String("pages", "docs/kinds", "folder of the pages")
	check := flag.Bool("check", false, "write nothing; fail if a page is not up to date")
	flag.Parse()
	if err := run(*crds, *pages, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

// run writes or checks the page of every definition.
func run(crds, pages string, check bool) error {
	files, err := filepath.Glob(filepath.Join(crds, "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no custom resource definitions", crds)
	}
	var failures []error
	for _, file := range files {
		if err := page(file, pages, check); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func page(crd, pages string, check bool) error {
	text, err := os.ReadFile(crd)
	if err != nil {
		return err
	}
	var d definition
	if err := yaml.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("%s: %w", crd, err)
	}
	if d.Spec.Names.Kind == recordKept {
		return nil
	}
	if len(d.Spec.Versions) == 0 {
		return fmt.Errorf("%s: no versions", crd)
	}
	path := filepath.Join(pages, strings.ToLower(d.Spec.Names.Kind)+".md")
	before, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s has no page: %w", d.Spec.Names.Kind, err)
	}
	after, err := fill(before, d.Spec.Versions[0].Schema.OpenAPIV3Schema)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if bytes.Equal(before, after) {
		return nil
	}
	if check {
		return fmt.Errorf("%s is not up to date: run make generate", path)
	}
	return os.WriteFile(path, after, 0o644) //nolint:gosec // documentation is for everybody
}

// fill replaces what stands between the markers of a page.
func fill(page []byte, s schema) ([]byte, error) {
	text := string(page)
	for _, block := range []struct{ marker, content string }{
		{"fields", section("spec", s.Properties["spec"])},
		{"status", section("status", s.Properties["status"])},
		{"rules", rules(s)},
	} {
		begin, end := "<!-- "+block.marker+" -->\n", "<!-- /"+block.marker+" -->"
		head, rest, found := strings.Cut(text, begin)
		_, tail, ended := strings.Cut(rest, end)
		if !found || !ended {
			return nil, fmt.Errorf("the markers %s and %s are missing", strings.TrimSpace(begin), end)
		}
		text = head + begin + block.content + end + tail
	}
	return []byte(text), nil
}
