package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/dial"
	"github.com/warrener-dev/warrener/internal/engine"
	kafkabroker "github.com/warrener-dev/warrener/internal/kafka"
	"github.com/warrener-dev/warrener/internal/rabbitmq"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Environment variables with credentials: where one of a kind of broker is set,
// no Secret is looked for. There are no flags for them: others can read a
// command line.
const (
	envRabbitMQUsername = "WARRENER_RABBITMQ_USERNAME"
	envRabbitMQPassword = "WARRENER_RABBITMQ_PASSWORD"
	envKafkaUsername    = "WARRENER_KAFKA_USERNAME"
	envKafkaPassword    = "WARRENER_KAFKA_PASSWORD"
	// envKafkaMechanism is Plain, ScramSha256 or ScramSha512; ScramSha512 where it
	// is not set and the connection says nothing.
	envKafkaMechanism = "WARRENER_KAFKA_MECHANISM"
)

// brokerFlags say where brokers are, instead of what connections say.
type brokerFlags struct {
	rabbitMQ, kafka     []string
	rabbitMQCA, kafkaCA string
	kafkaTLS            bool
}

func (f *brokerFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.rabbitMQ, "rabbitmq-url", nil, "where RabbitMQ's management API is, instead of what the RabbitMQConnection says;\nCONNECTION=URL where there are several. Credentials: "+envRabbitMQUsername+", "+envRabbitMQPassword)
	flags.StringVar(&f.rabbitMQCA, "rabbitmq-ca", "", "a file with the certificates that RabbitMQ's must be signed by")
	flags.StringArrayVar(&f.kafka, "kafka-brokers", nil, "Kafka's bootstrap servers, with commas between them, instead of what the KafkaConnection says;\nCONNECTION=SERVERS where there are several. Credentials: "+envKafkaUsername+", "+envKafkaPassword+", "+envKafkaMechanism)
	flags.StringVar(&f.kafkaCA, "kafka-ca", "", "a file with the certificates that Kafka's must be signed by; TLS is on then")
	flags.BoolVar(&f.kafkaTLS, "kafka-tls", false, "connect to Kafka over TLS, with the authorities of this machine")
}

// given tells whether the flags name a broker.
func (f *brokerFlags) given() bool { return len(f.rabbitMQ)+len(f.kafka) > 0 }

// addressOf is what the flags say of a connection; "" if nothing.
func (f *brokerFlags) addressOf(key topology.ConnectionKey) string {
	values := f.rabbitMQ
	if key.Kind == v1alpha1.KindKafkaConnection {
		values = f.kafka
	}
	var general string
	for _, value := range values {
		name, address := splitAddress(value)
		switch name {
		case "":
			general = address
		case key.Name, key.Namespace + "/" + key.Name:
			return address
		}
	}
	return general
}

// splitAddress takes the name of a connection off the value of a flag.
func splitAddress(value string) (name, address string) {
	name, address, named := strings.Cut(value, "=")
	if !named || strings.ContainsAny(name, ":") {
		return "", value
	}
	return name, address
}

// link is a connection at work.
type link struct {
	key topology.ConnectionKey
	// broker is one of the two adapters, with all that they can do.
	broker interface {
		engine.Broker
		Close()
	}
	// kafka is the broker if it is Kafka, else nil.
	kafka *kafkabroker.Broker
	// clusterID and version are those of whoever answered.
	clusterID, version string
	// warning is something that a person should know and that stops nothing.
	warning string
	// virtualHost of the objects that name none; "" on Kafka.
	virtualHost string
}

// clusterKey tells apart the clusters that links lead to.
func (l *link) clusterKey() string { return l.key.Kind + " " + l.clusterID }

// dialAll opens connections: those that are there, and for each of the wanted
// ones that is not, what the flags say. With nothing wanted and nothing there
// it is what the flags name. Every broker has answered when it returns; the
// caller closes them.
func dialAll(ctx context.Context, f brokerFlags, there []v1alpha1.Connection, wanted []topology.ConnectionKey, keeper dial.Keeper) ([]*link, error) {
	connections, err := f.complete(there, wanted)
	if err != nil {
		return nil, err
	}
	var links []*link
	for _, connection := range connections {
		l, err := f.dial(ctx, connection, keeper)
		if err != nil {
			hangUp(links)
			return nil, fmt.Errorf("%s %s/%s: %w", connection.KindName(), connection.GetNamespace(), connection.GetName(), err)
		}
		links = append(links, l)
	}
	return links, nil
}

func hangUp(links []*link) {
	for _, l := range links {
		l.broker.Close()
	}
}

// complete adds to the connections that are there those that the flags make.
func (f *brokerFlags) complete(there []v1alpha1.Connection, wanted []topology.ConnectionKey) ([]v1alpha1.Connection, error) {
	out, known := []v1alpha1.Connection{}, map[topology.ConnectionKey]bool{}
	wantsAny := len(wanted) > 0
	for _, connection := range there {
		key := connectionKey(connection)
		if known[key] || wantsAny && !slices.Contains(wanted, key) {
			continue
		}
		known[key] = true
		out = append(out, connection)
	}
	if !wantsAny && len(there) == 0 && f.given() {
		wanted = f.ownKeys()
	}
	for _, key := range wanted {
		if known[key] {
			continue
		}
		known[key] = true
		connection, err := f.make(key)
		if err != nil {
			return nil, err
		}
		out = append(out, connection)
	}
	return out, f.unambiguous(out)
}

// ownKeys names the connections of which nothing is known but flags.
func (f *brokerFlags) ownKeys() []topology.ConnectionKey {
	var out []topology.ConnectionKey
	add := func(kind, general string, values []string) {
		for _, value := range values {
			name, _ := splitAddress(value)
			namespace := metav1.NamespaceDefault
			if before, after, qualified := strings.Cut(name, "/"); qualified {
				namespace, name = before, after
			}
			if name == "" {
				name = general
			}
			out = append(out, topology.ConnectionKey{Kind: kind, Namespace: namespace, Name: name})
		}
	}
	add(v1alpha1.KindRabbitMQConnection, "rabbitmq", f.rabbitMQ)
	add(v1alpha1.KindKafkaConnection, "kafka", f.kafka)
	return out
}

// make is a connection of which only the address is known.
func (f *brokerFlags) make(key topology.ConnectionKey) (v1alpha1.Connection, error) {
	meta := metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}
	flag := "--rabbitmq-url"
	if key.Kind == v1alpha1.KindKafkaConnection {
		flag = "--kafka-brokers"
	}
	if f.addressOf(key) == "" {
		return nil, fmt.Errorf("%s is not among the manifests: add it, or say where the broker is with %s", key, flag)
	}
	if key.Kind == v1alpha1.KindKafkaConnection {
		return &v1alpha1.KafkaConnection{ObjectMeta: meta}, nil
	}
	return &v1alpha1.RabbitMQConnection{ObjectMeta: meta}, nil
}

// unambiguous refuses one address for several connections of a kind: what is
// meant for two clusters would come to one.
func (f *brokerFlags) unambiguous(connections []v1alpha1.Connection) error {
	for kind, values := range map[string][]string{v1alpha1.KindRabbitMQConnection: f.rabbitMQ, v1alpha1.KindKafkaConnection: f.kafka} {
		var names []string
		for _, connection := range connections {
			if connection.KindName() == kind {
				names = append(names, connection.GetNamespace()+"/"+connection.GetName())
			}
		}
		general := slices.ContainsFunc(values, func(value string) bool { name, _ := splitAddress(value); return name == "" })
		if general && len(names) > 1 {
			return fmt.Errorf("one address for several connections of kind %s: write CONNECTION=ADDRESS for each of %s", kind, strings.Join(names, ", "))
		}
	}
	return nil
}

// dial makes one link, and has the broker answer.
func (f *brokerFlags) dial(ctx context.Context, connection v1alpha1.Connection, keeper dial.Keeper) (*link, error) {
	l := &link{key: connectionKey(connection)}
	address := f.addressOf(l.key)
	switch c := connection.DeepCopyObject().(type) {
	case *v1alpha1.RabbitMQConnection:
		if address != "" {
			c.Spec.Endpoint = address
		}
		l.virtualHost = c.GetVirtualHost()
		return l, f.dialRabbitMQ(ctx, l, c, keeper)
	case *v1alpha1.KafkaConnection:
		if address != "" {
			c.Spec.BootstrapServers = strings.Split(address, ",")
		}
		return l, f.dialKafka(ctx, l, c, keeper)
	}
	return nil, errors.New("no broker for this kind of connection")
}

func (f *brokerFlags) dialRabbitMQ(ctx context.Context, l *link, c *v1alpha1.RabbitMQConnection, keeper dial.Keeper) error {
	username, password := os.Getenv(envRabbitMQUsername), os.Getenv(envRabbitMQPassword)
	if username != "" {
		c.Spec.Authentication.SecretRef = nil
	} else if c.Spec.Authentication.SecretRef == nil {
		return fmt.Errorf("no credentials: set %s and %s", envRabbitMQUsername, envRabbitMQPassword)
	}
	m, err := material(ctx, keeper, c, username, password, f.rabbitMQCA)
	if err != nil {
		return orEnvironment(err, envRabbitMQUsername, envRabbitMQPassword)
	}
	var broker *rabbitmq.Broker
	if broker, err = dial.RabbitMQ(c, m, dial.Hooks{}); err != nil {
		return err
	}
	info, err := broker.Probe(ctx)
	if err != nil {
		broker.Close()
		return err
	}
	l.broker, l.clusterID, l.version, l.warning = broker, info.ClusterID, info.Version, info.Warning
	return nil
}

func (f *brokerFlags) dialKafka(ctx context.Context, l *link, c *v1alpha1.KafkaConnection, keeper dial.Keeper) error {
	username, password := os.Getenv(envKafkaUsername), os.Getenv(envKafkaPassword)
	if username != "" {
		kind := v1alpha1.KafkaAuthenticationScramSha512
		if c.Spec.Authentication != nil && c.Spec.Authentication.Type != v1alpha1.KafkaAuthenticationTLS {
			kind = c.Spec.Authentication.Type
		}
		if mechanism := os.Getenv(envKafkaMechanism); mechanism != "" {
			kind = v1alpha1.KafkaAuthenticationType(mechanism)
		}
		c.Spec.Authentication = &v1alpha1.KafkaAuthentication{Type: kind}
	}
	if (f.kafkaTLS || f.kafkaCA != "") && c.Spec.TLS == nil {
		c.Spec.TLS = &v1alpha1.TLS{}
	}
	m, err := material(ctx, keeper, c, username, password, f.kafkaCA)
	if err != nil {
		return orEnvironment(err, envKafkaUsername, envKafkaPassword)
	}
	var broker *kafkabroker.Broker
	if broker, err = dial.Kafka(c, m, dial.Hooks{}); err != nil {
		return err
	}
	info, err := broker.Probe(ctx)
	if err != nil {
		broker.Close()
		return err
	}
	l.broker, l.kafka, l.clusterID, l.version = broker, broker, info.ClusterID, info.Version
	return nil
}

// material is what a connection's Secrets hold, with what the environment and
// the flags say in place of it.
func material(ctx context.Context, keeper dial.Keeper, c v1alpha1.Connection, username, password, caFile string) (dial.Material, error) {
	if settings := c.GetTLS(); settings != nil && caFile != "" {
		settings.CARef = nil // of a copy
	}
	m, err := dial.Read(ctx, keeper, c)
	if err != nil {
		return m, err
	}
	if username != "" {
		m.Username, m.Password = username, password
	}
	if caFile == "" {
		return m, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return m, fmt.Errorf("read the certificates of the authorities: %w", err)
	}
	if m.TLS == nil {
		m.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	m.TLS.RootCAs = x509.NewCertPool()
	if !m.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return m, fmt.Errorf("%s holds no PEM certificate", caFile)
	}
	return m, nil
}

// orEnvironment says how to do without a Secret that is not there.
func orEnvironment(err error, username, password string) error {
	if _, missing := errors.AsType[*dial.Missing](err); missing {
		return fmt.Errorf("%w; or set %s and %s", err, username, password)
	}
	return err
}

func connectionKey(c v1alpha1.Connection) topology.ConnectionKey {
	return topology.ConnectionKey{Kind: c.KindName(), Namespace: c.GetNamespace(), Name: c.GetName()}
}

// fileKeeper has the Secrets and ConfigMaps that stand among manifests.
type fileKeeper struct {
	secrets    []*corev1.Secret
	configMaps []*corev1.ConfigMap
}

// Secret implements dial.Keeper. What a manifest says in stringData counts, as
// it does in a cluster.
func (k fileKeeper) Secret(_ context.Context, namespace, name string) (map[string][]byte, error) {
	for _, secret := range k.secrets {
		if secret.Namespace != namespace || secret.Name != name {
			continue
		}
		data := map[string][]byte{}
		for key, value := range secret.Data {
			data[key] = value
		}
		for key, value := range secret.StringData {
			data[key] = []byte(value)
		}
		return data, nil
	}
	return nil, &dial.Missing{Message: fmt.Sprintf("Secret %s/%s is not among the manifests", namespace, name)}
}

// ConfigMap implements dial.Keeper.
func (k fileKeeper) ConfigMap(_ context.Context, namespace, name string) (map[string]string, error) {
	for _, configMap := range k.configMaps {
		if configMap.Namespace == namespace && configMap.Name == name {
			return configMap.Data, nil
		}
	}
	return nil, &dial.Missing{Message: fmt.Sprintf("ConfigMap %s/%s is not among the manifests", namespace, name)}
}
