package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// cluster is the Kubernetes cluster, and the namespace that the user is in.
type cluster struct {
	client    dynamic.Interface
	namespace string
}

func connect(a *app) (*cluster, error) {
	namespace, _, err := a.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config, err := a.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("use the kubeconfig: %w", err)
	}
	return &cluster{client: client, namespace: namespace}, nil
}

// The resources that are read.
var (
	rabbitMQConnections = v1alpha1.GroupVersion.WithResource("rabbitmqconnections")
	kafkaConnections    = v1alpha1.GroupVersion.WithResource("kafkaconnections")
	brokerInventories   = v1alpha1.GroupVersion.WithResource("brokerinventories")
)

// objectKind is a kind that declares something on a broker, and the words that
// people write for it.
type objectKind struct {
	resource schema.GroupVersionResource
	words    []string
	empty    func() v1alpha1.Object
}

var objectKinds = []objectKind{
	{v1alpha1.GroupVersion.WithResource("virtualhosts"), []string{"virtualhost", "virtualhosts", "wvh"}, func() v1alpha1.Object { return &v1alpha1.VirtualHost{} }},
	{v1alpha1.GroupVersion.WithResource("exchanges"), []string{"exchange", "exchanges", "wex"}, func() v1alpha1.Object { return &v1alpha1.Exchange{} }},
	{v1alpha1.GroupVersion.WithResource("queues"), []string{"queue", "queues", "wq"}, func() v1alpha1.Object { return &v1alpha1.Queue{} }},
	{v1alpha1.GroupVersion.WithResource("exchangebindings"), []string{"exchangebinding", "exchangebindings", "wxb"}, func() v1alpha1.Object { return &v1alpha1.ExchangeBinding{} }},
	{v1alpha1.GroupVersion.WithResource("topics"), []string{"topic", "topics", "wt"}, func() v1alpha1.Object { return &v1alpha1.Topic{} }},
}

// kindNamed finds a kind by its name, plural or short name, as kubectl does.
func kindNamed(word string) (objectKind, bool) {
	word, _, _ = strings.Cut(strings.ToLower(word), ".") // queue.topology.warrener.dev
	for _, kind := range objectKinds {
		for _, known := range kind.words {
			if word == known {
				return kind, true
			}
		}
	}
	return objectKind{}, false
}

// resourceOf is the plural of a kind of ours, as the API server knows it.
func resourceOf(kind string) schema.GroupVersionResource {
	if kind == v1alpha1.KindKafkaConnection {
		return kafkaConnections
	}
	for _, object := range objectKinds {
		if object.empty().KindName() == kind {
			return object.resource
		}
	}
	return rabbitMQConnections
}

// connections lists the connections of a namespace, or of all ("").
func (c *cluster) connections(ctx context.Context, namespace string) ([]v1alpha1.Connection, error) {
	var out []v1alpha1.Connection
	for i, resource := range []schema.GroupVersionResource{rabbitMQConnections, kafkaConnections} {
		list, err := c.client.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, explain(err, "list", resource.Resource)
		}
		for _, item := range list.Items {
			connection := v1alpha1.NewConnections()[i]
			if err := convert(item.Object, connection); err != nil {
				return nil, fmt.Errorf("read %s %s/%s: %w", resource.Resource, item.GetNamespace(), item.GetName(), err)
			}
			out = append(out, connection)
		}
	}
	slices.SortStableFunc(out, func(x, y v1alpha1.Connection) int {
		return strings.Compare(x.GetNamespace()+"/"+x.GetName(), y.GetNamespace()+"/"+y.GetName())
	})
	return out, nil
}

// objects lists the custom resources that declare something, of a namespace or
// of all (""), kind by kind.
func (c *cluster) objects(ctx context.Context, namespace string) ([]v1alpha1.Object, error) {
	var out []v1alpha1.Object
	for _, kind := range objectKinds {
		some, err := c.list(ctx, kind, namespace)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// list is objects for one kind.
func (c *cluster) list(ctx context.Context, kind objectKind, namespace string) ([]v1alpha1.Object, error) {
	list, err := c.client.Resource(kind.resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, explain(err, "list", kind.resource.Resource)
	}
	var out []v1alpha1.Object
	for _, item := range list.Items {
		object := kind.empty()
		if err := convert(item.Object, object); err != nil {
			return nil, fmt.Errorf("read %s %s/%s: %w", kind.resource.Resource, item.GetNamespace(), item.GetName(), err)
		}
		out = append(out, object)
	}
	return out, nil
}

// explain says in one sentence what keeps people from reading on.
func explain(err error, verb, what string) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s %s: the cluster does not know them: see that this is the right context, and that Warrener's CRDs are installed", verb, what)
	}
	return fmt.Errorf("%s %s: %w", verb, what, err)
}

// connection finds one by "name", "kind/name" or a kind's short name.
func (c *cluster) connection(ctx context.Context, name string) (v1alpha1.Connection, error) {
	kind, rest, qualified := strings.Cut(name, "/")
	if !qualified {
		kind, rest = "", name
	}
	all, err := c.connections(ctx, c.namespace)
	if err != nil {
		return nil, err
	}
	var found []v1alpha1.Connection
	for _, connection := range all {
		if connection.GetName() == rest && (kind == "" || isKind(connection, kind)) {
			found = append(found, connection)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("there is no connection %q in namespace %s: -n names another namespace", name, c.namespace)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%q is a RabbitMQConnection and a KafkaConnection in namespace %s: write %s or %s", name, c.namespace, title(found[0]), title(found[1]))
}

func isKind(connection v1alpha1.Connection, word string) bool {
	kind := strings.ToLower(connection.KindName())
	short := map[string]string{"wrc": "rabbitmqconnection", "wkc": "kafkaconnection"}
	word = strings.ToLower(word)
	return word == kind || word == kind+"s" || short[word] == kind
}

// title is a connection as kubectl writes it: rabbitmqconnection/shop.
func title(connection v1alpha1.Connection) string {
	return strings.ToLower(connection.KindName()) + "/" + connection.GetName()
}

// annotate sets one annotation and nothing else.
func (c *cluster) annotate(ctx context.Context, connection v1alpha1.Connection, name, value string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{name: value}}})
	if err != nil {
		return err
	}
	_, err = c.client.Resource(resourceOf(connection.KindName())).Namespace(connection.GetNamespace()).
		Patch(ctx, connection.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "warrener"})
	if err != nil {
		return fmt.Errorf("annotate %s in namespace %s: %w", title(connection), connection.GetNamespace(), err)
	}
	return nil
}

// pollInterval is how often the controller's answer is looked for.
const pollInterval = 300 * time.Millisecond

// await reads a connection again and again until it is as wanted; false if it is
// not by the time limit.
func (c *cluster) await(ctx context.Context, connection v1alpha1.Connection, limit time.Duration, done func(v1alpha1.ConnectionStatus) bool) (v1alpha1.ConnectionStatus, bool, error) {
	deadline := time.Now().Add(limit)
	resource := c.client.Resource(resourceOf(connection.KindName())).Namespace(connection.GetNamespace())
	for {
		item, err := resource.Get(ctx, connection.GetName(), metav1.GetOptions{})
		if err != nil {
			return v1alpha1.ConnectionStatus{}, false, fmt.Errorf("read %s in namespace %s: %w", title(connection), connection.GetNamespace(), err)
		}
		if err := convert(item.Object, connection); err != nil {
			return v1alpha1.ConnectionStatus{}, false, err
		}
		status := *connection.GetStatus()
		if done(status) || time.Now().After(deadline) {
			return status, done(status), nil
		}
		select {
		case <-ctx.Done():
			return status, false, ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// books are the entries of all inventories.
func (c *cluster) books(ctx context.Context, namespace string) ([]topology.Entry, error) {
	inventories, err := c.inventories(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var out []topology.Entry
	for _, inventory := range inventories {
		entries, err := entriesOf(inventory)
		if err != nil {
			return nil, err
		}
		out = append(out, entries...)
	}
	slices.SortFunc(out, func(x, y topology.Entry) int { return x.ID.Compare(y.ID) })
	return out, nil
}

// inventories lists those of a controller.
func (c *cluster) inventories(ctx context.Context, namespace string) ([]v1alpha1.BrokerInventory, error) {
	list, err := c.client.Resource(brokerInventories).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, explain(err, "list", "brokerinventories in namespace "+namespace)
	}
	out := make([]v1alpha1.BrokerInventory, len(list.Items))
	for i, item := range list.Items {
		if err := convert(item.Object, &out[i]); err != nil {
			return nil, fmt.Errorf("read BrokerInventory %s/%s: %w", item.GetNamespace(), item.GetName(), err)
		}
	}
	return out, nil
}

func entriesOf(inventory v1alpha1.BrokerInventory) ([]topology.Entry, error) {
	out := make([]topology.Entry, len(inventory.Entries))
	for i, line := range inventory.Entries {
		if err := out[i].UnmarshalText([]byte(line)); err != nil {
			return nil, fmt.Errorf("read BrokerInventory %s/%s: %w", inventory.Namespace, inventory.Name, err)
		}
		out[i].Connection.Kind = string(inventory.BrokerType) + "Connection"
	}
	return out, nil
}

// convert fills in a typed object anew.
func convert(from map[string]any, into any) error {
	if connection, ok := into.(v1alpha1.Connection); ok {
		*connection.GetStatus() = v1alpha1.ConnectionStatus{} // what is gone must not stay
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(from, into)
}
