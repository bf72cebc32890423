package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// The rights of config/overlays/namespaced, and no more, are enough for a controller that watches some namespaces: objects,
// Secrets, contracts, events, deletions, and connections that select namespaces by label.
func TestNamespacedOverlay(t *testing.T) {
	t.Parallel()
	plane := harness.SharedControlPlane(t)
	plane.InstallCRDs(t, filepath.Join(harness.Root(t), "config", "crd", "bases"))
	s := &stage{t: t, plane: plane, namespace: plane.NewNamespace(t), home: plane.NewNamespace(t), client: harness.NewClient(t, plane.Config)}
	second, other := plane.NewNamespace(t), plane.NewNamespace(t)
	user, groups := harness.ServiceAccountUser(s.home, "warrener-controller")
	own := plane.UserConfig(t, user, groups...)
	s.kubeconfig = harness.WriteKubeconfig(t, own)
	flags := s.applyOverlay(t, s.namespace)
	if !slices.Contains(flags, "--watch-namespaces="+s.namespace) || !slices.Contains(flags, "--leader-elect") {
		t.Fatalf("the Deployment of the overlay has the flags %q", flags)
	}
	s.controller = harness.NewController(t, s.kubeconfig, s.home, "--watch-namespaces="+s.namespace, "--leader-elect")
	s.controller.Start(t)

	broker := harness.RabbitMQAt(t, "4.0")
	virtualHost := broker.NewVirtualHost(t)
	secret, connection := s.rabbit("shop", broker, virtualHost, "")
	connection.Spec.AllowedNamespaces = v1alpha1.AllowedNamespaces{
		From: v1alpha1.NamespacesFromSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": second}},
	}
	here, gone := exchange("here", "shop", "topic"), exchange("gone", "shop", "topic")
	told := queue("told", "shop", v1alpha1.QueueTypeQuorum)
	told.Spec.Contract = &v1alpha1.Contract{ConfigMap: "told"}
	there, foreign := s.elsewhere(second, exchange("there", "shop", "topic")), s.elsewhere(other, exchange("foreign", "shop", "topic"))
	s.create(secret, connection, here, gone, told, there, foreign)
	s.ready(connection, here, gone, told)
	s.told("told", func(data map[string]string) bool { return data["queue"] == "told" })
	s.remove(gone)
	within(t, "what was deleted to go", s.absent(broker, exchangePath(virtualHost, "gone")))
	within(t, "an event", func(context.Context) (bool, string) {
		events := s.events()
		return len(events) > 0, strings.Join(events, "\n")
	})

	// A second namespace is a copy of team-a.yaml and an entry of the flag.
	s.controller.Stop()
	s.applyOverlay(t, second)
	both := harness.NewController(t, s.kubeconfig, s.home, "--watch-namespaces="+s.namespace+","+second, "--leader-elect")
	both.Start(t)
	s.ready(connection, here, told, there)
	s.unseen(t, foreign)

	for _, c := range []*harness.Controller{s.controller, both} {
		if strings.Contains(c.Log(), "forbidden") {
			t.Errorf("it tried what it may not do:\n%s", c.Tail(60))
		}
	}
	for _, list := range []client.ObjectList{&v1alpha1.QueueList{}, &v1alpha1.RabbitMQConnectionList{}} {
		if err := harness.NewClient(t, own).List(t.Context(), list, client.InNamespace(other)); !apierrors.IsForbidden(err) {
			t.Errorf("%T of a namespace that is not watched: %v, want it forbidden", list, err)
		}
	}
}

// applyOverlay applies the rights of config/overlays/namespaced with a namespace in the place of team-a and the one of the
// stage's controller in the place of warrener-system; it returns the flags of the Deployment.
func (s *stage) applyOverlay(t *testing.T, namespace string) []string {
	t.Helper()
	overlay := filepath.Join(harness.Root(t), "config", "overlays", "namespaced")
	output, err := exec.CommandContext(t.Context(), s.plane.KubectlBin, "kustomize", overlay).Output()
	if err != nil {
		t.Fatalf("render %s: %v", overlay, err)
	}
	manifests := strings.NewReplacer("team-a", namespace, "warrener-system", s.home).Replace(string(output))
	var flags []string
	for manifest := range strings.SplitSeq(manifests, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
			t.Fatalf("%v in\n%s", err, manifest)
		}
		switch object.GetKind() {
		case "ClusterRoleBinding":
			t.Errorf("%s holds in all namespaces", object.GetName())
		case "ClusterRole", "Role", "RoleBinding", "ServiceAccount":
			if err := s.client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("overlay"), client.ForceOwnership); err != nil {
				t.Fatalf("apply %s %s: %v", object.GetKind(), object.GetName(), err)
			}
		case "Deployment":
			var deployment appsv1.Deployment
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &deployment); err != nil {
				t.Fatal(err)
			}
			flags = deployment.Spec.Template.Spec.Containers[0].Args
		}
	}
	return flags
}
