package examples

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/warrener-dev/warrener/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// samples are config/samples, applied and Ready.
type samples struct {
	plane       *harness.ControlPlane
	namespace   string
	virtualHost string
	topic       string // order-events has this name
}

// kustomization puts the samples into a namespace, a virtual host and a topic
// of this test; the other topics have fixed names and are left out.
const kustomization = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: %[1]s
resources: [%[2]s]
patches:
- target: {kind: RabbitMQConnection}
  patch: |
    - {op: replace, path: /spec/endpoint, value: %[3]q}
    - {op: replace, path: /spec/clientEndpoints, value: [%[4]q]}
    - {op: replace, path: /spec/virtualHost, value: %[5]q}
- target: {kind: KafkaConnection}
  patch: |
    - {op: replace, path: /spec/bootstrapServers, value: %[6]s}
- target: {kind: Topic, name: order-events}
  patch: |
    - {op: add, path: /spec/name, value: %[7]q}
- target: {kind: Topic, name: user.*}
  patch: '{$patch: delete, apiVersion: v1, kind: Topic, metadata: {name: x}}'
- target: {kind: VirtualHost}
  patch: '{$patch: delete, apiVersion: v1, kind: VirtualHost, metadata: {name: x}}'
- target: {kind: Namespace}
  patch: '{$patch: delete, apiVersion: v1, kind: Namespace, metadata: {name: x}}'
`

// applySamples starts a controller, applies config/samples and, beside them,
// more manifests, and waits until everything is Ready.
func applySamples(t *testing.T, broker *harness.RabbitMQ, kafka *harness.Kafka, more string) *samples {
	t.Helper()
	plane := harness.SharedControlPlane(t)
	root := harness.Root(t)
	plane.InstallCRDs(t, filepath.Join(root, "config", "crd", "bases"))
	s := &samples{
		plane: plane, namespace: plane.NewNamespace(t),
		virtualHost: broker.NewVirtualHost(t), topic: kafka.NewTopicPrefix(t) + "order-events",
	}
	harness.NewController(t, plane.LeastPrivilege(t, s.namespace), s.namespace).Start(t)

	dir := t.TempDir()
	base, err := filepath.Rel(dir, filepath.Join(root, "config", "samples"))
	if err != nil {
		t.Fatal(err)
	}
	bootstrap, err := json.Marshal(kafka.Bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	resources := base
	if more != "" {
		resources += ", more.yaml"
		write(t, filepath.Join(dir, "more.yaml"), more)
	}
	endpoint := broker.AMQPURL("")
	endpoint = "amqp://" + strings.TrimSuffix(endpoint[strings.Index(endpoint, "@")+1:], "/")
	write(t, filepath.Join(dir, "kustomization.yaml"), fmt.Sprintf(kustomization,
		s.namespace, resources, broker.ManagementURL, endpoint, s.virtualHost, bootstrap, s.topic))
	manifests := s.kubectl(t, nil, "kustomize", "--load-restrictor", "LoadRestrictionsNone", dir)
	s.kubectl(t, manifests, "apply", "--server-side", "-f", "-")
	s.kubectl(t, nil, "wait", "--namespace", s.namespace, "exchanges,queues,exchangebindings,topics", "--all", "--for=condition=Ready", "--timeout=60s")
	return s
}

func (s *samples) kubectl(t *testing.T, input []byte, args ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), s.plane.KubectlBin, append([]string{"--kubeconfig", s.plane.Kubeconfig}, args...)...)
	var stderr bytes.Buffer
	command.Stdin, command.Stderr = bytes.NewReader(input), &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, output, stderr.Bytes())
	}
	return output
}

// contracts writes each contract as a pod would see it mounted: a folder for a
// ConfigMap, a file for a key. It waits until there are as many as wanted.
func (s *samples) contracts(t *testing.T, wanted int) string {
	t.Helper()
	configMaps := kubernetes.NewForConfigOrDie(s.plane.Config).CoreV1().ConfigMaps(s.namespace)
	var found []corev1.ConfigMap
	for deadline := time.Now().Add(30 * time.Second); len(found) != wanted; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there are %d contracts and not %d after 30 s", len(found), wanted)
		}
		list, err := configMaps.List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		found = found[:0]
		for _, c := range list.Items {
			if _, is := c.Data["contract.json"]; is {
				found = append(found, c)
			}
		}
	}
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() // nothing is written to the folder itself
	for _, c := range found {
		err := root.Mkdir(c.Name, 0o700)
		for key, value := range c.Data {
			err = errors.Join(err, root.WriteFile(filepath.Join(c.Name, key), []byte(value), 0o600))
		}
		if err != nil {
			t.Fatalf("write the contract %s: %v", c.Name, err)
		}
	}
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil { //nolint:gosec // in a folder of the test
		t.Fatal(err)
	}
}
