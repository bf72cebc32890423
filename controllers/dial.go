package controllers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/kafka"
	"github.com/warrener-dev/warrener/internal/rabbitmq"
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

// material is what a connection's Secrets hold. It has no String on purpose:
// nothing prints it.
type material struct {
	username, password string
	tls                *tls.Config
	// fingerprint changes with anything that an adapter is built from.
	fingerprint string
}

// missingMaterial says that a Secret, a ConfigMap or a key is not there; it may
// come.
type missingMaterial struct{ message string }

func (e *missingMaterial) Error() string { return e.message }

// badMaterial says that what is there cannot be used.
type badMaterial struct{ message string }

func (e *badMaterial) Error() string { return e.message }

// readMaterial fetches what a connection refers to.
func readMaterial(ctx context.Context, reader client.Reader, c v1alpha1.Connection) (material, error) {
	var m material
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %d\n", c.GetUID(), c.GetGeneration())
	note := func(value []byte) { fmt.Fprintf(hash, "%d:%s\n", len(value), value) }
	if name := c.GetCredentialsSecret(); name != "" {
		secret, err := getSecret(ctx, reader, c.GetNamespace(), name)
		if err != nil {
			return m, err
		}
		username, err := valueOf(secret.Data, "Secret", c.GetNamespace(), name, corev1.BasicAuthUsernameKey)
		if err != nil {
			return m, err
		}
		password, err := valueOf(secret.Data, "Secret", c.GetNamespace(), name, corev1.BasicAuthPasswordKey)
		if err != nil {
			return m, err
		}
		// A line break at the end comes from an editor and is never meant.
		m.username, m.password = strings.TrimRight(string(username), "\r\n"), strings.TrimRight(string(password), "\r\n")
		note(username)
		note(password)
	}
	if settings := c.GetTLS(); settings != nil {
		config, parts, err := readTLS(ctx, reader, c.GetNamespace(), settings)
		if err != nil {
			return m, err
		}
		m.tls = config
		for _, part := range parts {
			note(part)
		}
	}
	m.fingerprint = hex.EncodeToString(hash.Sum(nil))
	return m, nil
}

func readTLS(ctx context.Context, reader client.Reader, namespace string, settings *v1alpha1.TLS) (*tls.Config, [][]byte, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: settings.ServerName}
	var parts [][]byte
	if ref := settings.CARef; ref != nil {
		pem, err := readCA(ctx, reader, namespace, ref)
		if err != nil {
			return nil, nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, &badMaterial{fmt.Sprintf("tls.caRef: %s %s/%s holds no PEM certificate under %s", ref.Kind, namespace, ref.Name, caKey(ref))}
		}
		parts = append(parts, pem)
	}
	if ref := settings.ClientCertificateSecretRef; ref != nil {
		secret, err := getSecret(ctx, reader, namespace, ref.Name)
		if err != nil {
			return nil, nil, err
		}
		certificate, err := valueOf(secret.Data, "Secret", namespace, ref.Name, corev1.TLSCertKey)
		if err != nil {
			return nil, nil, err
		}
		key, err := valueOf(secret.Data, "Secret", namespace, ref.Name, corev1.TLSPrivateKeyKey)
		if err != nil {
			return nil, nil, err
		}
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			// The cause could quote the key.
			return nil, nil, &badMaterial{fmt.Sprintf("tls.clientCertificateSecretRef: Secret %s/%s: tls.crt and tls.key are not a PEM certificate and its key", namespace, ref.Name)}
		}
		config.Certificates = []tls.Certificate{pair}
		parts = append(parts, certificate, key)
	}
	return config, parts, nil
}

func caKey(ref *v1alpha1.CAReference) string { return cmp.Or(ref.Key, v1alpha1.DefaultCAKey) }

func readCA(ctx context.Context, reader client.Reader, namespace string, ref *v1alpha1.CAReference) ([]byte, error) {
	key := caKey(ref)
	if ref.Kind == v1alpha1.CAReferenceConfigMap {
		var object corev1.ConfigMap
		if err := get(ctx, reader, "ConfigMap", namespace, ref.Name, &object); err != nil {
			return nil, err
		}
		data := map[string][]byte{}
		for k, v := range object.Data {
			data[k] = []byte(v)
		}
		return valueOf(data, "ConfigMap", namespace, ref.Name, key)
	}
	secret, err := getSecret(ctx, reader, namespace, ref.Name)
	if err != nil {
		return nil, err
	}
	return valueOf(secret.Data, "Secret", namespace, ref.Name, key)
}

func getSecret(ctx context.Context, reader client.Reader, namespace, name string) (*corev1.Secret, error) {
	var secret corev1.Secret
	return &secret, get(ctx, reader, "Secret", namespace, name, &secret)
}

func get(ctx context.Context, reader client.Reader, kind, namespace, name string, into client.Object) error {
	err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	switch {
	case apierrors.IsNotFound(err):
		return &missingMaterial{fmt.Sprintf("%s %s/%s does not exist", kind, namespace, name)}
	case apierrors.IsForbidden(err):
		return &missingMaterial{fmt.Sprintf("the controller may not read %s %s/%s: grant its service account get on it (config/rbac/secret_reader.yaml shows how)", kind, namespace, name)}
	case err != nil:
		return fmt.Errorf("read %s %s/%s: %w", kind, namespace, name, err)
	}
	return nil
}

func valueOf(data map[string][]byte, kind, namespace, name, key string) ([]byte, error) {
	value, ok := data[key]
	if !ok || len(value) == 0 {
		return nil, &missingMaterial{fmt.Sprintf("%s %s/%s has no key %s", kind, namespace, name, key)}
	}
	return value, nil
}

// dial builds the adapter of a connection; it sends nothing yet. permit is asked
// before every write.
func dial(c v1alpha1.Connection, m material, hook requestHook, permit func() error) (adapter, error) {
	switch c := c.(type) {
	case *v1alpha1.RabbitMQConnection:
		broker, err := rabbitmq.New(rabbitmq.Options{
			Endpoint: c.Spec.Endpoint, Username: m.username, Password: m.password, TLS: m.tls, Permit: permit,
			OnRequest: func(_, operation string, status int, took time.Duration) {
				hook(operation, httpOutcome(status), took)
			},
		})
		if err != nil {
			return nil, &badMaterial{err.Error()}
		}
		return rabbitAdapter{broker}, nil
	case *v1alpha1.KafkaConnection:
		broker, err := kafka.New(kafka.Options{
			BootstrapServers: c.Spec.BootstrapServers, Mechanism: mechanismOf(c.Spec.Authentication),
			Username: m.username, Password: m.password, TLS: m.tls, Permit: permit,
			OnRequest: func(api string, err error, took time.Duration) {
				outcome := "ok"
				if err != nil {
					outcome = "failed"
				}
				hook(api, outcome, took)
			},
		})
		if err != nil {
			return nil, &badMaterial{err.Error()}
		}
		return kafkaAdapter{broker}, nil
	}
	return nil, errors.New("no adapter for this kind of connection")
}

// httpOutcome sorts statuses by their hundreds: a label with few values.
func httpOutcome(status int) string {
	if status == 0 {
		return "failed"
	}
	return fmt.Sprintf("%dxx", status/100)
}

// mechanismOf maps the API's words: with TLS the certificate does it, and
// tls.clientCertificateSecretRef is where it comes from.
func mechanismOf(a *v1alpha1.KafkaAuthentication) kafka.Mechanism {
	if a == nil || a.Type == v1alpha1.KafkaAuthenticationTLS {
		return kafka.None
	}
	return kafka.Mechanism(a.Type)
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
