package cli

import (
	"context"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/manifest"
)

// dryRun has the API server say what a manifest would become: with defaults, and
// judged by its validation and by admission policies. Nothing is stored.
//
// Where somebody manages the resource by server-side apply, the manifest is
// applied in that manager's name, so that what others manage stays, and what it
// has left out goes. Else the manifest's spec takes the place of the one there.
func (w *worldView) dryRun(ctx context.Context, item *manifest.Item, into any) error {
	content, err := unstructuredOf(item)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", item.Position, item, err)
	}
	resource := w.cluster.client.Resource(resourceOf(item.Kind())).Namespace(content.GetNamespace())
	dry := []string{metav1.DryRunAll}
	existing, err := resource.Get(ctx, content.GetName(), metav1.GetOptions{})
	var result *unstructured.Unstructured
	switch manager := applier(existing); {
	case apierrors.IsNotFound(err):
		result, err = resource.Create(ctx, content, metav1.CreateOptions{DryRun: dry, FieldManager: "warrener"})
		if err == nil {
			result.SetUID("") // it will get another one
		}
	case err != nil:
		return fmt.Errorf("read %s: %w", item, err)
	case manager != "":
		result, err = resource.Apply(ctx, content.GetName(), content, metav1.ApplyOptions{DryRun: dry, FieldManager: manager, Force: true})
	default:
		result, err = resource.Update(ctx, replaced(existing, content), metav1.UpdateOptions{DryRun: dry, FieldManager: "warrener"})
	}
	if err != nil {
		return fmt.Errorf("%s: %s: the API server does not take it: %w", item.Position, item, err)
	}
	return convert(result.Object, into)
}

// unstructuredOf is a manifest as it is sent.
func unstructuredOf(item *manifest.Item) (*unstructured.Unstructured, error) {
	var object any = item.Object
	if item.Connection != nil {
		object = item.Connection
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, err
	}
	delete(content, "status")
	out := &unstructured.Unstructured{Object: content}
	out.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(item.Kind()))
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	return out, nil
}

// applier is who manages a resource by server-side apply; "" if nobody does.
func applier(existing *unstructured.Unstructured) string {
	if existing == nil {
		return ""
	}
	for _, entry := range existing.GetManagedFields() {
		if entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" {
			return entry.Manager
		}
	}
	return ""
}

// replaced is what is there with the spec of a manifest, and with its labels and
// annotations besides its own.
func replaced(existing, content *unstructured.Unstructured) *unstructured.Unstructured {
	out := existing.DeepCopy()
	out.Object["spec"] = content.Object["spec"]
	if added := content.GetLabels(); len(added) > 0 {
		out.SetLabels(joined(existing.GetLabels(), added))
	}
	if added := content.GetAnnotations(); len(added) > 0 {
		out.SetAnnotations(joined(existing.GetAnnotations(), added))
	}
	return out
}

func joined(before, added map[string]string) map[string]string {
	out := maps.Clone(before)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, added)
	return out
}
