package harness

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Kafka is a running Kafka cluster.
type Kafka struct {
	Bootstrap []string // of the plain listener
	Nodes     int

	// Of a private cluster; User (Password) and other (other-secret) for SASL, and for TLS a folder with ca.crt,
	// client.crt and client.key.
	SASLBootstrap []string
	User          string
	Password      string
	TLSBootstrap  []string
	TLSDir        string

	// Proxy or Wire is what clients of the plain listener go through if the options asked for it.
	Proxy *Proxy
	Wire  *Wire

	instance *instance // nil for a shared cluster
}

// SharedKafka is the shared cluster of one node.
func SharedKafka(t testing.TB) *Kafka {
	t.Helper()
	return &Kafka{Nodes: 1, Bootstrap: list(variable(t, "WARRENER_TEST_KAFKA", "Kafka"))}
}

// SharedKafka3 is the shared cluster of three nodes.
func SharedKafka3(t testing.TB) *Kafka {
	t.Helper()
	return &Kafka{Nodes: 3, Bootstrap: list(variable(t, "WARRENER_TEST_KAFKA3", "Kafka with three nodes"))}
}

// KafkaOptions are what a private cluster can have beyond a shared one.
type KafkaOptions struct {
	ThreeNodes bool
	SASL       bool // a listener with PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512
	TLS        bool // a TLS listener
	VerifyTLS  bool // which demands a client certificate
	ACL        bool // an authorizer: the plain listener may everything, the others what ACLs allow
	Proxied    bool // one node only: all clients of the plain listener go through Kafka.Proxy
	Wired      bool // the same, through Kafka.Wire
}

// PrivateKafka starts a cluster that this test may stop, kill and start again.
func PrivateKafka(t testing.TB, options KafkaOptions) *Kafka {
	t.Helper()
	i := newInstance(variable(t, "WARRENER_HACK", "a private Kafka"), "kafka.sh", "kafka")
	k := &Kafka{Nodes: 1, instance: i}
	arguments := []string{i.name}
	for argument, wanted := range map[string]bool{
		"NODES=3": options.ThreeNodes, "SASL=1": options.SASL, "TLS=1": options.TLS || options.VerifyTLS,
		"TLS_VERIFY=1": options.VerifyTLS, "ACL=1": options.ACL,
	} {
		if wanted {
			arguments = append(arguments, argument)
		}
	}
	if options.ThreeNodes {
		k.Nodes = 3
	}
	var advertised string
	if options.Proxied || options.Wired {
		if options.ThreeNodes || options.Proxied && options.Wired {
			t.Fatal("a proxied Kafka has one node and one proxy")
		}
		advertised = freeAddress(t)
		if options.Proxied {
			k.Proxy = NewProxy(t, "")
			advertised = k.Proxy.Addr()
		}
		_, port, _ := net.SplitHostPort(advertised)
		arguments = append(arguments, "ADVERTISED="+port)
	}
	values := i.startFor(t, arguments...)
	k.Bootstrap = list(values["KAFKA_BOOTSTRAP"])
	k.SASLBootstrap, k.User, k.Password = list(values["KAFKA_SASL_BOOTSTRAP"]), values["KAFKA_USER"], values["KAFKA_PASSWORD"]
	k.TLSBootstrap, k.TLSDir = list(values["KAFKA_TLS_BOOTSTRAP"]), values["TLS_DIR"]
	if k.Proxy != nil {
		k.Proxy.SetTarget(k.Bootstrap[0])
		k.Bootstrap = []string{k.Proxy.Addr()}
	}
	if options.Wired {
		k.Wire = NewWire(t, advertised, k.Bootstrap[0])
		k.Bootstrap = []string{advertised}
	}
	return k
}

func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// Stop stops all nodes of a private cluster in an orderly way, or the given ones (1, 2, 3); data and ports stay.
func (k *Kafka) Stop(t testing.TB, nodes ...int) { t.Helper(); k.stop(t, nodes) }

// Kill ends all nodes of a private cluster, or the given ones, by SIGKILL; data and ports stay.
func (k *Kafka) Kill(t testing.TB, nodes ...int) { t.Helper(); k.stop(t, nodes, "--kill") }

func (k *Kafka) stop(t testing.TB, nodes []int, flags ...string) {
	t.Helper()
	arguments := append([]string{"stop", k.private(t).name}, flags...)
	if len(nodes) == 0 {
		k.instance.must(t, arguments...)
	}
	for _, node := range nodes {
		k.instance.must(t, append(arguments, strconv.Itoa(node))...)
	}
}

// Start starts the nodes of a private cluster that are down, and returns when they serve.
func (k *Kafka) Start(t testing.TB) { t.Helper(); k.private(t).must(t, "start", k.instance.name) }

func (k *Kafka) private(t testing.TB) *instance {
	t.Helper()
	if k.instance == nil {
		t.Fatal("a shared cluster is not ours to stop: use PrivateKafka")
	}
	return k.instance
}

// Client is a client of the plain listener, closed with the test.
func (k *Kafka) Client(t testing.TB, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.Bootstrap...)}, options...)...)
	if err != nil {
		t.Fatalf("Kafka client: %v", err)
	}
	t.Cleanup(client.Close)
	return client
}

// Admin is an admin client of the plain listener, closed with the test.
func (k *Kafka) Admin(t testing.TB) *kadm.Client {
	t.Helper()
	return kadm.NewClient(k.Client(t))
}

// Login is what a client of the SASL listener needs.
func (k *Kafka) Login() kgo.Opt {
	return kgo.SASL(scram.Auth{User: k.User, Pass: k.Password}.AsSha512Mechanism())
}

// NewTopicPrefix is a prefix for topic names of this test; topics with it are deleted with the test.
func (k *Kafka) NewTopicPrefix(t testing.TB) string {
	t.Helper()
	prefix := unique(t) + "."
	k.DeleteTopicsLater(t, prefix)
	return prefix
}

// DeleteTopicsLater has the topics with a prefix deleted with the test.
func (k *Kafka) DeleteTopicsLater(t testing.TB, prefix string) {
	t.Helper()
	admin := k.Admin(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := deleteTopics(ctx, admin, prefix); err != nil && k.instance == nil { // a private one may be down by now
			t.Errorf("delete the topics %s*: %v", prefix, err)
		}
	})
}

func deleteTopics(ctx context.Context, admin *kadm.Client, prefix string) error {
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, name := range topics.Names() {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	_, err = admin.DeleteTopics(ctx, names...)
	return err
}
