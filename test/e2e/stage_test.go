package e2e

import (
	"context"
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// interval is the drift check interval of the connections of tests.
const interval = 2 * time.Second

// stage is what one test plays on.
type stage struct {
	t          *testing.T
	plane      *harness.ControlPlane
	namespace  string
	home       string        // of the controller
	kubeconfig string        // of the controller
	client     client.Client // of an administrator
	controller *harness.Controller
}

// newStage makes a namespace with a controller of its own, bound to config/rbac
// and not started yet.
func newStage(t *testing.T, args ...string) *stage {
	t.Helper()
	return newStageOn(t, harness.SharedControlPlane(t), args...)
}

func newStageOn(t *testing.T, plane *harness.ControlPlane, args ...string) *stage {
	t.Helper()
	plane.InstallCRDs(t, filepath.Join(harness.Root(t), "config", "crd", "bases"))
	s := &stage{t: t, plane: plane, namespace: plane.NewNamespace(t), client: harness.NewClient(t, plane.Config)}
	s.home, s.kubeconfig = s.namespace, plane.LeastPrivilege(t, s.namespace)
	s.controller = harness.NewController(t, s.kubeconfig, s.namespace, args...)
	return s
}

// newStageApart is a stage whose controller has a namespace of its own, as it
// has in production: inventory and lease are in home, the objects in namespace,
// where the controller may read Secrets because that namespace grants it.
func newStageApart(t *testing.T, args ...string) *stage {
	t.Helper()
	plane := harness.SharedControlPlane(t)
	plane.InstallCRDs(t, filepath.Join(harness.Root(t), "config", "crd", "bases"))
	s := &stage{t: t, plane: plane, namespace: plane.NewNamespace(t), home: plane.NewNamespace(t), client: harness.NewClient(t, plane.Config)}
	s.kubeconfig = plane.LeastPrivilege(t, s.home)
	s.grantSecrets(s.namespace)
	// The later one of two flags counts.
	s.controller = harness.NewController(t, s.kubeconfig, s.home, append([]string{"--watch-namespaces", s.namespace}, args...)...)
	return s
}

// grantSecrets lets the controller read Secrets in a namespace, as
// config/rbac/secret_reader.yaml tells people to.
func (s *stage) grantSecrets(namespace string) {
	s.t.Helper()
	s.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "warrener-secret-reader", Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "warrener-secret-reader-" + s.home},
		Subjects: []rbacv1.Subject{{
			Kind: rbacv1.ServiceAccountKind, Namespace: s.home, Name: "warrener-controller-" + s.home,
		}},
	})
}

// create creates objects in the namespace of the stage.
func (s *stage) create(objects ...client.Object) {
	s.t.Helper()
	for _, object := range objects {
		if object.GetNamespace() == "" {
			object.SetNamespace(s.namespace)
		}
		if err := s.client.Create(s.t.Context(), object); err != nil {
			s.t.Fatalf("create %T %s: %v", object, object.GetName(), err)
		}
	}
}

// edit changes an object; a conflict with another writer is tried again.
func edit[T client.Object](s *stage, object T, change func(T)) {
	s.t.Helper()
	for {
		s.get(object)
		change(object)
		err := s.client.Update(s.t.Context(), object)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			s.t.Fatalf("edit %T %s: %v", object, object.GetName(), err)
		}
	}
}

// get reads an object anew.
func (s *stage) get(object client.Object) {
	s.t.Helper()
	if err := s.client.Get(s.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		s.t.Fatalf("get %T %s: %v", object, object.GetName(), err)
	}
}

// remove deletes objects.
func (s *stage) remove(objects ...client.Object) {
	s.t.Helper()
	for _, object := range objects {
		if err := s.client.Delete(s.t.Context(), object); client.IgnoreNotFound(err) != nil {
			s.t.Fatalf("delete %T %s: %v", object, object.GetName(), err)
		}
	}
}

// rabbit makes the Secret and the connection to a broker; endpoint replaces the
// broker's own, for proxies. Neither is created.
func (s *stage) rabbit(name string, broker *harness.RabbitMQ, virtualHost, endpoint string) (*corev1.Secret, *v1alpha1.RabbitMQConnection) {
	if endpoint == "" {
		endpoint = broker.ManagementURL
	}
	secret := s.credentials(name, broker.User, broker.Password)
	connection := &v1alpha1.RabbitMQConnection{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace},
		Spec: v1alpha1.RabbitMQConnectionSpec{
			Endpoint: endpoint,
			Authentication: v1alpha1.RabbitMQAuthentication{
				Type: v1alpha1.RabbitMQAuthenticationBasic, SecretRef: &v1alpha1.LocalSecretReference{Name: name},
			},
			VirtualHost: virtualHost,
			Interval:    &metav1.Duration{Duration: interval},
		},
	}
	return secret, connection
}

func (s *stage) credentials(name, user, password string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace},
		StringData: map[string]string{"username": user, "password": password},
	}
}

// kafka makes a connection to a cluster without authentication.
func (s *stage) kafka(name string, bootstrap ...string) *v1alpha1.KafkaConnection {
	return &v1alpha1.KafkaConnection{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace},
		Spec: v1alpha1.KafkaConnectionSpec{
			BootstrapServers: bootstrap, Interval: &metav1.Duration{Duration: interval},
		},
	}
}

// Short constructors: a test adds what it is about.

func ref(connection string) v1alpha1.ConnectionReference {
	return v1alpha1.ConnectionReference{Name: connection}
}

func exchange(name, connection string, kind v1alpha1.ExchangeType) *v1alpha1.Exchange {
	return &v1alpha1.Exchange{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.ExchangeSpec{ConnectionRef: ref(connection), Type: kind},
	}
}

func queue(name, connection string, kind v1alpha1.QueueType) *v1alpha1.Queue {
	return &v1alpha1.Queue{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.QueueSpec{ConnectionRef: ref(connection), Type: kind},
	}
}

func topic(name, connection string, partitions int32) *v1alpha1.Topic {
	return &v1alpha1.Topic{
		ObjectMeta: metav1.ObjectMeta{Name: strings.ReplaceAll(name, "_", "-")},
		Spec:       v1alpha1.TopicSpec{ConnectionRef: ref(connection), Name: name, Partitions: &partitions},
	}
}

func binding(name, connection, source, destination string, keys ...string) *v1alpha1.ExchangeBinding {
	return &v1alpha1.ExchangeBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ExchangeBindingSpec{
			ConnectionRef: ref(connection),
			BindingSource: v1alpha1.BindingSource{Source: source, RoutingKeys: keys},
			Destination:   destination, DestinationType: v1alpha1.DestinationQueue,
		},
	}
}

// brokerQueue is what the management API tells of a queue.
type brokerQueue struct {
	Name      string         `json:"name"`
	Type      string         `json:"type"`
	Durable   bool           `json:"durable"`
	Arguments map[string]any `json:"arguments"`
	Messages  int            `json:"messages"`
	// Undead have died, at-least-once, and found no queue yet; Messages has them too.
	Undead int `json:"messages_dlx"`
}

// find reads an object of the management API; false if there is none.
func find(t testing.TB, broker *harness.RabbitMQ, path string, into any) bool {
	t.Helper()
	status, body := broker.Do(t, "GET", path, nil)
	switch status {
	case 404:
		return false
	case 200:
	default:
		t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatalf("GET %s: %v", path, err)
		}
	}
	return true
}

func queuePath(virtualHost, name string) string {
	return "/api/queues/" + url.PathEscape(virtualHost) + "/" + url.PathEscape(name)
}

func exchangePath(virtualHost, name string) string {
	return "/api/exchanges/" + url.PathEscape(virtualHost) + "/" + url.PathEscape(name)
}

// within waits until a condition holds; what it says last is shown if it never
// does.
func within(t testing.TB, what string, holds func(ctx context.Context) (bool, string)) {
	t.Helper()
	withinTime(t, harness.Patience, what, holds)
}

// withinTime is within for what takes long by its nature.
func withinTime(t testing.TB, limit time.Duration, what string, holds func(ctx context.Context) (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		ok, state := holds(t.Context())
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s; last seen: %s", what, limit, state)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
