package cli

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/warrener-dev/warrener/internal/manifest"
)

// addSource adds the flags that say where manifests are.
func addSource(flags *pflag.FlagSet, source *manifest.Source) {
	flags.StringSliceVarP(&source.Files, "filename", "f", nil, "files and folders with manifests; - is standard input")
	flags.BoolVarP(&source.Recursive, "recursive", "R", false, "take the folders in a folder, too")
	flags.StringVarP(&source.Kustomization, "kustomize", "k", "", "the folder of a kustomization")
}

// readManifests reads them; what is wrong within them is in the set.
func (a *app) readManifests(ctx context.Context, source manifest.Source) (*manifest.Set, error) {
	source.Stdin, source.Namespace = a.In, a.namespace()
	return manifest.Load(ctx, source)
}

// tellProblems says what is wrong within manifests, a line each.
func (a *app) tellProblems(set *manifest.Set) {
	for _, problem := range set.Problems {
		fmt.Fprintln(a.Err, problem)
	}
}

// namespace that was asked for; "" if none was.
func (a *app) namespace() string {
	if a.flags.Namespace == nil {
		return ""
	}
	return *a.flags.Namespace
}
