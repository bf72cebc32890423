package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/dial"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/kafka"
	"github.com/warrener-dev/warrener/internal/rabbitmq"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Secrets and ConfigMaps are read one by one, in the connection's own
// namespace, past every cache: nothing ever lists them. config/rbac grants it
// namespace by namespace; the rule for all namespaces is an overlay.
//
// +kubebuilder:rbac:groups="",resources=secrets;configmaps,namespace=warrener-system,verbs=get

// adapter is a connection to one broker cluster.
type adapter interface {
	engine.Broker
	probe(ctx context.Context) (identity, error)
	Close()
}

// identity is who answers at the other end.
type identity struct {
	clusterID string
	version   string
	// warning is something that the user should know and that stops nothing.
	warning string
}

// requestHook is told of every request to a broker.
type requestHook func(operation, outcome string, took time.Duration)

// readMaterial fetches what a connection refers to.
func readMaterial(ctx context.Context, reader client.Reader, c v1alpha1.Connection) (dial.Material, error) {
	return dial.Read(ctx, vault{reader}, c)
}

// vault reads Secrets and ConfigMaps from the API server.
type vault struct{ reader client.Reader }

func (k vault) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	var secret corev1.Secret
	err := k.get(ctx, "Secret", namespace, name, &secret)
	return secret.Data, err
}

func (k vault) ConfigMap(ctx context.Context, namespace, name string) (map[string]string, error) {
	var object corev1.ConfigMap
	err := k.get(ctx, "ConfigMap", namespace, name, &object)
	return object.Data, err
}

func (k vault) get(ctx context.Context, kind, namespace, name string, into client.Object) error {
	err := k.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	switch {
	case apierrors.IsNotFound(err):
		return &dial.Missing{Message: fmt.Sprintf("%s %s/%s does not exist", kind, namespace, name)}
	case apierrors.IsForbidden(err):
		return &dial.Missing{Message: fmt.Sprintf("the controller may not read %s %s/%s: grant its service account get on it (config/rbac/secret_reader.yaml shows how)", kind, namespace, name)}
	case err != nil:
		return fmt.Errorf("read %s %s/%s: %w", kind, namespace, name, err)
	}
	return nil
}

// adapterOf builds the adapter of a connection; it sends nothing yet. permit is
// asked before every write.
func adapterOf(c v1alpha1.Connection, m dial.Material, hook requestHook, permit topology.Permit) (adapter, error) {
	hooks := dial.Hooks{OnRequest: hook, Permit: permit}
	switch c := c.(type) {
	case *v1alpha1.RabbitMQConnection:
		broker, err := dial.RabbitMQ(c, m, hooks)
		if err != nil {
			return nil, err
		}
		return rabbitAdapter{broker}, nil
	case *v1alpha1.KafkaConnection:
		broker, err := dial.Kafka(c, m, hooks)
		if err != nil {
			return nil, err
		}
		return kafkaAdapter{broker}, nil
	}
	return nil, errors.New("no adapter for this kind of connection")
}

type rabbitAdapter struct{ *rabbitmq.Broker }

func (a rabbitAdapter) probe(ctx context.Context) (identity, error) {
	info, err := a.Probe(ctx)
	return identity{clusterID: info.ClusterID, version: info.Version, warning: info.Warning}, err
}

type kafkaAdapter struct{ *kafka.Broker }

func (a kafkaAdapter) probe(ctx context.Context) (identity, error) {
	info, err := a.Probe(ctx)
	return identity{clusterID: info.ClusterID, version: info.Version}, err
}
