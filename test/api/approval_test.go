package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/test/harness"
)

// somebody is a user with one of the roles of config/rbac/user_roles.yaml in the default namespace.
func somebody(t *testing.T, role string) client.Client {
	t.Helper()
	needsServer(t)
	plane := harness.SharedControlPlane(t)
	admin := guardClient(t, plane.Config)
	text, err := os.ReadFile("../../config/rbac/user_roles.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, document := range strings.Split(string(text), "\n---\n") {
		var definition rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict([]byte(document), &definition); err != nil {
			t.Fatal(err)
		}
		if definition.Name != role {
			continue
		}
		found = true
		if err := admin.Create(t.Context(), &definition); client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("there is no role %s", role)
	}
	binding := &rbacv1.RoleBinding{
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "user-of-" + role}},
	}
	binding.Namespace, binding.Name = "default", "approval-"+role
	if err := admin.Create(t.Context(), binding); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin.Delete(context.Background(), binding); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
	return guardClient(t, plane.UserConfig(t, "user-of-"+role))
}

func approvedPlanOf(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	_, kube := needsServer(t)
	now := object.DeepCopy()
	if err := kube.Get(t.Context(), client.ObjectKeyFromObject(object), now); err != nil {
		t.Fatal(err)
	}
	hash, _, _ := unstructured.NestedString(now.Object, "status", "approvedPlan")
	return hash
}

// Whoever may edit specs may not thereby approve, on no way into the status; and whoever may approve may not edit.
func TestWhoMayApprove(t *testing.T) {
	patch := func(content string) client.Patch { return client.RawPatch(types.MergePatchType, []byte(content)) }
	const approval = `{"status":{"approvedPlan":"0123456789abcdef"}}`
	editor, approver, viewer := somebody(t, "warrener-edit"), somebody(t, "warrener-approver"), somebody(t, "warrener-view")
	for _, kind := range []string{"VirtualHost", "Exchange", "Queue", "ExchangeBinding", "Topic"} {
		t.Run(kind, func(t *testing.T) {
			object := manifest(t, kind, "approved-"+strings.ToLower(kind), `{approval: Required}`)
			object.Object["status"] = map[string]any{"approvedPlan": "0123456789abcdef"}
			if err := editor.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := editor.Delete(context.Background(), object); err != nil {
					t.Error(err)
				}
			})
			for reason, write := range map[string]func(*unstructured.Unstructured) error{
				"a patch":  func(o *unstructured.Unstructured) error { return editor.Patch(t.Context(), o, patch(approval)) },
				"no patch": func(*unstructured.Unstructured) error { return nil }, // the creation
				"an apply": func(o *unstructured.Unstructured) error {
					applied := manifest(t, kind, o.GetName(), `{approval: Required}`)
					applied.Object["status"] = map[string]any{"approvedPlan": "0123456789abcdef"}
					text, err := json.Marshal(applied)
					if err != nil {
						return err
					}
					return editor.Patch(t.Context(), o, client.RawPatch(types.ApplyPatchType, text), client.FieldOwner("editor"), client.ForceOwnership)
				},
			} {
				if err := write(object.DeepCopy()); err != nil {
					t.Errorf("%s: %v", reason, err)
				}
				if hash := approvedPlanOf(t, object); hash != "" {
					t.Errorf("%s by an editor approved %q", reason, hash)
				}
			}
			for name, user := range map[string]client.Client{"the editor": editor, "the viewer": viewer} {
				if err := user.Status().Patch(t.Context(), object.DeepCopy(), patch(approval)); !apierrors.IsForbidden(err) {
					t.Errorf("%s writes into the status: %v", name, err)
				}
				if err := user.Status().Update(t.Context(), object.DeepCopy()); !apierrors.IsForbidden(err) {
					t.Errorf("%s updates the status: %v", name, err)
				}
			}
			if err := approver.Patch(t.Context(), object.DeepCopy(), patch(`{"spec":{"approval":"None"}}`)); !apierrors.IsForbidden(err) {
				t.Errorf("the approver edits a spec: %v", err)
			}
			if err := approver.Get(t.Context(), client.ObjectKeyFromObject(object), object.DeepCopy()); err != nil {
				t.Errorf("the approver has to see what there is: %v", err)
			}
			if err := approver.Status().Patch(t.Context(), object.DeepCopy(), patch(approval)); err != nil {
				t.Errorf("the approver cannot approve: %v", err)
			}
			if hash := approvedPlanOf(t, object); hash != "0123456789abcdef" {
				t.Errorf("the approver approved %q", hash)
			}
			stale := `{"metadata":{"resourceVersion":"1"},"status":{"approvedPlan":"fedcba9876543210"}}`
			if err := approver.Status().Patch(t.Context(), object.DeepCopy(), patch(stale)); !apierrors.IsConflict(err) {
				t.Errorf("what was read before another write is approved: %v", err)
			}
		})
	}
}

// The API server keeps plans within their bounds.
func TestPlanBounds(t *testing.T) {
	_, kube := needsServer(t)
	object := manifest(t, "Queue", objectName(t))
	if err := create(t, object); err != nil {
		t.Fatal(err)
	}
	steps := strings.TrimSuffix(strings.Repeat(`{"action":"Delete","object":"queue shop/q"},`, 21), ",")
	for _, c := range []struct{ reason, status, words string }{
		{"a plan", `{"plan":{"hash":"0123456789abcdef","generation":1,"totalSteps":1,"covers":["aa"],"steps":[{"action":"Replace","object":"queue shop/q","risk":"r","fields":[{"path":"type","live":"a","declared":"b"}]}]},"approvedPlan":"0123456789abcdef"}`, ""},
		{"too many steps", fmt.Sprintf(`{"plan":{"steps":[%s]}}`, steps), "must have at most 20 items"},
		{"an unknown action", `{"plan":{"steps":[{"action":"Explode","object":"queue shop/q"}]}}`, `supported values: "Change", "Replace", "Delete", "Forbidden"`},
		{"a step of nothing", `{"plan":{"steps":[{"action":"Delete"}]}}`, "object: Required value"},
		{"a hash that is none", fmt.Sprintf(`{"approvedPlan":%q}`, strings.Repeat("a", 65)), "may not be more than 64"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			err := kube.Status().Patch(t.Context(), object.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"status":`+c.status+`}`)), client.DryRunAll)
			if c.words == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, c.reason, c.words)
		})
	}
}
