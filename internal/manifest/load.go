package manifest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Source says where manifests come from.
type Source struct {
	// Files and folders; "-" is standard input. Of a folder the files that end in
	// .yaml, .yml and .json count, and what is no Kubernetes object there is passed
	// over.
	Files []string
	// Recursive takes the folders in a folder, too, but for those whose name begins
	// with a dot.
	Recursive bool
	// Kustomization is the folder of a kustomization; "" for none.
	Kustomization string
	// Stdin is read for "-".
	Stdin io.Reader
	// Namespace of the objects that name none. Default: "default".
	Namespace string
}

// text is one file, read.
type text struct {
	name    string
	content []byte
	// found by walking through a folder, and not named by a person.
	found bool
}

const stdinName = "<stdin>"

// Load reads a source. What is wrong within a file is in Set.Problems; an error is
// about a source that cannot be read at all.
func Load(ctx context.Context, source Source) (*Set, error) {
	if len(source.Files) == 0 && source.Kustomization == "" {
		return nil, errors.New("no manifests are named: -f names files and folders, -k a kustomization")
	}
	if source.Namespace == "" {
		source.Namespace = "default"
	}
	texts, err := source.read(ctx)
	if err != nil {
		return nil, err
	}
	found := decodeAll(texts, source.Namespace)
	if source.Kustomization != "" {
		built, err := kustomize(source.Kustomization, source.Namespace)
		if err != nil {
			return nil, err
		}
		found = append(found, built...)
	}
	return assemble(found), ctx.Err()
}

// read reads the files in the order in which they are named, each once.
func (s Source) read(ctx context.Context) ([]text, error) {
	var out []text
	seen := map[string]bool{}
	add := func(name string, found bool) error {
		if path, err := filepath.Abs(name); err == nil {
			if seen[path] {
				return nil
			}
			seen[path] = true
		}
		content, err := os.ReadFile(name)
		out = append(out, text{name: name, content: content, found: found})
		return err
	}
	for _, name := range s.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if name == "-" {
			content, err := readStdin(s.Stdin)
			if err != nil {
				return nil, fmt.Errorf("read standard input: %w", err)
			}
			out = append(out, text{name: stdinName, content: content})
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("read manifests: %w", err)
		}
		if !info.IsDir() {
			if err := add(name, false); err != nil {
				return nil, fmt.Errorf("read manifests: %w", err)
			}
			continue
		}
		if err := s.walk(ctx, name, add); err != nil {
			return nil, fmt.Errorf("read manifests: %w", err)
		}
	}
	return out, nil
}

func readStdin(stdin io.Reader) ([]byte, error) {
	if stdin == nil {
		return nil, errors.New("there is none")
	}
	return io.ReadAll(stdin)
}

// walk finds the manifests of a folder, in the order of their names.
func (s Source) walk(ctx context.Context, folder string, add func(string, bool) error) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != folder && (!s.Recursive || strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case entry.IsDir() || !isManifest(path):
			return nil
		case entry.Type()&fs.ModeSymlink != 0:
			if info, err := os.Stat(path); err != nil || info.IsDir() {
				return err
			}
		}
		return add(path, true)
	})
}

func isManifest(path string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path))
}

// assemble makes a set of what was found: an object that is declared twice counts
// once.
func assemble(found []result) *Set {
	set := &Set{}
	first := map[string]*Item{}
	for _, r := range found {
		set.Others = append(set.Others, r.others...)
		set.Ignored = append(set.Ignored, r.ignored...)
		dropped := map[*Item]bool{}
		for _, item := range r.items {
			name := item.String()
			if other, twice := first[name]; twice {
				dropped[item] = true
				set.Problems = append(set.Problems, Problem{
					Position: item.Position,
					Message:  fmt.Sprintf("%s is declared at %s already, and this one is left out: remove one of the two", name, other.Position),
				})
				continue
			}
			first[name] = item
			set.Items = append(set.Items, item)
		}
		for _, p := range r.problems {
			if !dropped[p.Item] {
				set.Problems = append(set.Problems, p)
			}
		}
	}
	return set
}
