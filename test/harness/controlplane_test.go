package harness

import (
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func TestControlPlaneNamespaceGoesAway(t *testing.T) {
	c := SharedControlPlane(t)
	admin := kubernetes.NewForConfigOrDie(c.Config)
	namespace := c.NewNamespace(t)
	_, err := admin.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the namespace to go", func() bool {
		_, err := admin.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func TestControlPlaneGarbageCollection(t *testing.T) {
	c := SharedControlPlane(t)
	maps := kubernetes.NewForConfigOrDie(c.Config).CoreV1().ConfigMaps(c.NewNamespace(t))
	owner, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reference := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}
	_, err = maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: "owned", OwnerReferences: []metav1.OwnerReference{reference},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := maps.Delete(t.Context(), owner.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "what it owns to go", func() bool {
		_, err := maps.Get(t.Context(), "owned", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

// TestControlPlaneUser: a user has what RBAC grants its service account, and nothing more.
func TestControlPlaneUser(t *testing.T) {
	c := SharedControlPlane(t)
	admin := kubernetes.NewForConfigOrDie(c.Config)
	namespace := c.NewNamespace(t)
	user, groups := ServiceAccountUser(namespace, "controller")
	config, err := clientcmd.BuildConfigFromFlags("", WriteKubeconfig(t, c.UserConfig(t, user, groups...)))
	if err != nil {
		t.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(config)
	if _, err := client.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("before the grant: %v; want it forbidden", err)
	}
	_, err = admin.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "view"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "controller"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the user to be admitted", func() bool {
		_, err := client.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{})
		return err == nil
	})
	if _, err := client.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("Secrets: %v; want it forbidden", err)
	}
}

func TestControlPlaneAPIServerComesBack(t *testing.T) {
	c := SharedControlPlane(t)
	namespaces := kubernetes.NewForConfigOrDie(c.Config).CoreV1().Namespaces()
	namespace := c.NewNamespace(t)
	c.StopAPIServer(t)
	if _, err := namespaces.Get(t.Context(), namespace, metav1.GetOptions{}); err == nil {
		t.Error("it still answers")
	}
	c.StartAPIServer(t)
	if _, err := namespaces.Get(t.Context(), namespace, metav1.GetOptions{}); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

// What goes through a recorder is done as the user of the kubeconfig, and noted.
func TestAPIRecorder(t *testing.T) {
	c := SharedControlPlane(t)
	path := "/api/v1/namespaces/" + c.NewNamespace(t) + "/secrets/one"
	for kubeconfig, status := range map[string]int{
		c.Kubeconfig: http.StatusNotFound, WriteKubeconfig(t, c.UserConfig(t, "nobody")): http.StatusForbidden,
	} {
		recorder, recorded := NewAPIRecorder(t, kubeconfig)
		config, err := clientcmd.BuildConfigFromFlags("", recorded)
		if err != nil {
			t.Fatal(err)
		}
		answer := kubernetes.NewForConfigOrDie(config).CoreV1().RESTClient().Get().AbsPath(path).Do(t.Context())
		var got int
		if answer.StatusCode(&got); got != status {
			t.Errorf("the answer is %d, want %d: %v", got, status, answer.Error())
		}
		if seen := recorder.Requests(time.Time{}); len(seen) != 1 || seen[0].Path != path || seen[0].Status != status || seen[0].Write() || recorder.Pending() != 0 {
			t.Errorf("noted: %+v, pending: %d; want one GET of %s, %d", seen, recorder.Pending(), path, status)
		}
	}
}
