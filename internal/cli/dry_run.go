package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/client-go/dynamic"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/manifest"
)

// dryRun has the API server say what a manifest would become: with defaults, and
// judged by its validation and by admission policies. Nothing is stored.
//
// It is laid over what is there as it was before, so that what others have set
// stays, and what the manifest has left out goes: by server-side apply in the
// name of whoever did that, or as kubectl apply does. If nobody applied it, the
// manifest's spec takes the place of the one there.
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
		result, err = w.applyDry(ctx, item, resource, content, manager)
	case existing.GetAnnotations()[corev1.LastAppliedConfigAnnotation] != "":
		var patch []byte
		if patch, err = threeWayPatch(existing, content); err == nil {
			result, err = resource.Patch(ctx, content.GetName(), types.MergePatchType, patch, metav1.PatchOptions{DryRun: dry, FieldManager: "warrener"})
		}
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

// applyDry applies a manifest in a manager's name. What others manage too is told
// and taken over: whoever applies it has to force that.
func (w *worldView) applyDry(ctx context.Context, item *manifest.Item, resource dynamic.ResourceInterface, content *unstructured.Unstructured, manager string) (*unstructured.Unstructured, error) {
	options := metav1.ApplyOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: manager}
	result, err := resource.Apply(ctx, content.GetName(), content, options)
	if !apierrors.IsConflict(err) {
		return result, err
	}
	w.notes = append(w.notes, fmt.Sprintf("%s: %s: others manage some of it, so %s has to apply it with --force-conflicts, as is done here: %s", item.Position, item, manager, conflictsOf(err)))
	options.Force = true
	return resource.Apply(ctx, content.GetName(), content, options)
}

// conflictsOf lists the fields of a conflict, and who else manages each.
func conflictsOf(err error) string {
	var parts []string
	if status, is := errors.AsType[*apierrors.StatusError](err); is && status.ErrStatus.Details != nil {
		for _, cause := range status.ErrStatus.Details.Causes {
			parts = append(parts, strings.TrimPrefix(cause.Field, ".")+" ("+cause.Message+")")
		}
	}
	return strings.Join(parts, "; ")
}

// threeWayPatch is what kubectl apply would send: what the manifest says, and
// nothing in place of what it said the last time and says no longer.
func threeWayPatch(existing, content *unstructured.Unstructured) ([]byte, error) {
	current, err := existing.MarshalJSON()
	if err != nil {
		return nil, err
	}
	modified, err := content.MarshalJSON()
	if err != nil {
		return nil, err
	}
	last := existing.GetAnnotations()[corev1.LastAppliedConfigAnnotation]
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch([]byte(last), modified, current)
	if err != nil {
		return nil, fmt.Errorf("compare it with its annotation %s: %w", corev1.LastAppliedConfigAnnotation, err)
	}
	return patch, nil
}

// applier is who manages a resource by server-side apply: the one who gave it
// what every resource must have. Others may manage a field or two. "" if it was
// not applied so.
func applier(existing *unstructured.Unstructured) string {
	if existing == nil {
		return ""
	}
	for _, entry := range existing.GetManagedFields() {
		if entry.Operation != metav1.ManagedFieldsOperationApply || entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		for _, field := range []string{"connectionRef", "endpoint", "bootstrapServers"} {
			if strings.Contains(entry.FieldsV1.GetRawString(), `"f:`+field+`"`) {
				return entry.Manager
			}
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
