package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// kustomize builds a kustomization, with what `kubectl kustomize` permits: no
// plugins, no files outside of the folder.
func kustomize(folder, namespace string) ([]result, error) {
	files := &recorder{FileSystem: filesys.MakeFsOnDisk(), folder: folder}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, folder)
	if err != nil {
		return nil, fmt.Errorf("build the kustomization %s: %w", folder, err)
	}
	var texts []text
	for _, resource := range built.Resources() {
		content, err := resource.AsYAML()
		if err != nil {
			return nil, fmt.Errorf("build the kustomization %s: %w", folder, err)
		}
		texts = append(texts, text{name: folder, content: content, found: true})
	}
	out := decodeAll(texts, namespace)
	files.locate(out)
	return out, nil
}

// recorder remembers what a kustomization reads: that is where its objects stand.
type recorder struct {
	filesys.FileSystem
	folder string
	texts  []text
}

// ReadFile implements filesys.FileSystem.
func (r *recorder) ReadFile(path string) ([]byte, error) {
	content, err := r.FileSystem.ReadFile(path)
	if err == nil && isManifest(path) {
		r.texts = append(r.texts, text{name: relative(r.folder, path), content: content, found: true})
	}
	return content, err
}

// locate gives objects that were built the place in the file that they come from.
// Names may have got a prefix and a suffix on the way; what cannot be told apart
// stays with the kustomization.
func (r *recorder) locate(built []result) {
	written := map[string][]*Item{}
	for _, found := range decodeAll(r.texts, "") {
		for _, item := range found.items {
			written[item.Kind()] = append(written[item.Kind()], item)
		}
	}
	for i := range built {
		for _, item := range built[i].items {
			item.Position.Line = 0
			if origin := originOf(item, written[item.Kind()]); origin != nil {
				item.Position, item.source = origin.Position, origin.source
			} else {
				item.source = node{}
			}
		}
		for _, other := range built[i].others {
			other.Position.Line = 0
		}
		for j := range built[i].problems {
			p := &built[i].problems[j]
			p.Position = Position{File: r.folder}
			if p.Item != nil {
				p.Position = p.Item.Position
			}
		}
	}
}

// originOf finds the object that was built from: the one with the longest name
// that is part of the name of what was built, best in the same namespace. Of
// several the first counts: patches are read after what they change.
func originOf(item *Item, candidates []*Item) *Item {
	var best *Item
	most := 0
	for _, c := range candidates {
		written := c.Meta().GetName()
		if !strings.Contains(item.Meta().GetName(), written) {
			continue
		}
		score := 2 * len(written)
		if c.Meta().GetNamespace() == item.Meta().GetNamespace() {
			score++
		}
		if score > most {
			best, most = c, score
		}
	}
	return best
}

// relative shortens a path as far as the folder was named relatively.
func relative(folder, path string) string {
	here, err := os.Getwd()
	if err != nil || filepath.IsAbs(folder) {
		return path
	}
	if short, err := filepath.Rel(here, path); err == nil {
		return short
	}
	return path
}
