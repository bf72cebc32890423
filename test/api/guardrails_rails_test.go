package api_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/test/harness"
)

const (
	guardrails = "topology.warrener.dev/guardrails"  // the label of namespaces
	guardrail  = "guardrails.topology.warrener.dev/" // begins labels and annotations about one of them
)

// in builds the object of a case for a namespace.
func (g guarded) in(t *testing.T, namespace string) *unstructured.Unstructured {
	t.Helper()
	fill := func(patch string) string { return strings.ReplaceAll(patch, "NS", namespace) }
	object := manifest(t, g.kind, objectName(t), fill(compliant[g.kind]), fill(g.patch))
	object.SetNamespace(namespace)
	object.SetAnnotations(maps.Clone(g.annotations))
	return object
}

func (g guarded) says(namespace string) string { return strings.ReplaceAll(g.words, "NS", namespace) }

// rails are the policies of config/policies on the API server, and who tries them.
type rails struct {
	plane    *harness.ControlPlane
	admin    client.Client
	author   client.Client // may write all kinds, and acknowledge nothing
	warnings *warnings     // that the author got
}

// newRails applies config/policies, which stays: it does nothing in the namespaces of other tests.
func newRails(t *testing.T) *rails {
	t.Helper()
	needsServer(t)
	r := &rails{plane: harness.SharedControlPlane(t), warnings: &warnings{}}
	admin := rest.CopyConfig(r.plane.Config)
	admin.WarningHandlerWithContext = rest.NoWarnings{}
	r.admin = guardClient(t, admin)
	user := r.plane.UserConfig(t, "author")
	user.WarningHandlerWithContext = r.warnings
	r.author = guardClient(t, user)
	r.grant(t, "author", rbacv1.PolicyRule{
		APIGroups: []string{"topology.warrener.dev"}, Resources: []string{"*"}, Verbs: []string{"get", "create", "update", "patch", "delete"},
	})
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "warrener-system"}}
	if err := r.admin.Create(t.Context(), home); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	r.kubectl(t, "apply", "--server-side", "-k", filepath.Join(harness.Root(t), "config", "policies"))
	return r
}

func guardClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *rails) kubectl(t *testing.T, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), r.plane.KubectlBin, append([]string{"--kubeconfig", r.plane.Kubeconfig}, args...)...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}

// make creates an object as an administrator, for the time of the test.
func (r *rails) make(t *testing.T, object client.Object) {
	t.Helper()
	if err := r.admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.admin.Delete(context.Background(), object); client.IgnoreNotFound(err) != nil {
			t.Errorf("delete %s: %v", object.GetName(), err)
		}
	})
}

// grant lets a user do something in all namespaces.
func (r *rails) grant(t *testing.T, user string, rule rbacv1.PolicyRule) {
	t.Helper()
	name := "guardrails-" + user
	r.make(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}})
	r.make(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
}

// namespace makes a namespace whose name begins with guardrails.
func (r *rails) namespace(t *testing.T, name string, labels, annotations map[string]string) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "guardrails-" + name + "-", Labels: labels, Annotations: annotations}}
	r.make(t, namespace)
	return namespace.Name
}

// try creates an object as the author, without leaving it behind.
func (r *rails) try(t *testing.T, object *unstructured.Unstructured) error {
	t.Helper()
	return r.author.Create(t.Context(), object.DeepCopy(), client.DryRunAll)
}

// inForce waits until the first case of each policy is refused in a namespace.
func (r *rails) inForce(t *testing.T, namespace string) {
	t.Helper()
	for _, g := range firstRefusals() {
		r.eventually(t, g.policy+" to be in force in "+namespace, func() error {
			err := r.try(t, g.in(t, namespace))
			if err == nil || !strings.Contains(err.Error(), "'warrener-"+g.policy+"'") || !strings.Contains(err.Error(), g.says(namespace)) {
				return fmt.Errorf("want it to refuse, got: %v", err) //nolint:errorlint // none is an answer, too
			}
			return nil
		})
	}
}

func firstRefusals() []guarded {
	var out []guarded
	for _, g := range guardedCases {
		if g.words != "" && !slices.ContainsFunc(out, func(o guarded) bool { return o.policy == g.policy }) {
			out = append(out, g)
		}
	}
	return out
}

// warnings are those that the API server sent.
type warnings struct {
	sync.Mutex
	texts []string
}

func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.Lock()
	defer w.Unlock()
	w.texts = append(w.texts, text)
}

// take returns what came since the last call.
func (w *warnings) take() []string {
	w.Lock()
	defer w.Unlock()
	texts := w.texts
	w.texts = nil
	return texts
}

// wantRefusedBy checks that one policy, and no other, refused a write in these words.
func wantRefusedBy(t *testing.T, g guarded, namespace string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: accepted in %s, want a refusal that says %q", g.reason, namespace, g.says(namespace))
		return
	}
	for _, want := range []string{"'warrener-" + g.policy + "'", g.says(namespace)} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: refused with\n\t%v\nwant it to say\n\t%s", g.reason, err, want)
		}
	}
	if strings.Contains(err.Error(), "no such key") || strings.Contains(err.Error(), "failed expression") {
		t.Errorf("%s: the policy broke instead of deciding: %v", g.reason, err)
	}
}

// warnsIn waits until the first case of each policy is warned of in a namespace.
func (r *rails) warnsIn(t *testing.T, namespace string) {
	t.Helper()
	for _, g := range firstRefusals() {
		r.eventually(t, g.policy+" to warn in "+namespace, func() error {
			r.warnings.take()
			if err := r.try(t, g.in(t, namespace)); err != nil {
				return err
			}
			if got := r.warnings.take(); len(got) == 0 {
				return errors.New("no warning yet")
			}
			return nil
		})
	}
}

// typeChecks waits until the control plane has looked through a policy, and shows what it found.
func (r *rails) typeChecks(t *testing.T, name string) {
	t.Helper()
	var policy admissionv1.ValidatingAdmissionPolicy
	r.eventually(t, "the expressions of "+name+" to be checked", func() error {
		if err := r.admin.Get(t.Context(), client.ObjectKey{Name: name}, &policy); err != nil {
			return err
		}
		if policy.Status.TypeChecking == nil || policy.Status.ObservedGeneration != policy.Generation {
			return errors.New("not yet")
		}
		return nil
	})
	for _, warning := range policy.Status.TypeChecking.ExpressionWarnings {
		t.Errorf("%s: %s: %s", name, warning.FieldRef, warning.Warning)
	}
}

// eventually tries until there is no error.
func (r *rails) eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(harness.Patience); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, harness.Patience, err)
		}
	}
}

func wantAccepted(t *testing.T, where string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v, want it accepted", where, err)
	}
}
