package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// trust makes a TLS configuration from the harness's folder.
func trust(t *testing.T, dir string, authority, certificate bool) *tls.Config {
	t.Helper()
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority {
		pem, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(pem)
	}
	if certificate {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key"))
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

func TestLoginAndTLS(t *testing.T) {
	k := harness.PrivateKafka(t, harness.KafkaOptions{SASL: true, VerifyTLS: true})
	const wrong = "not-the-password"
	authentication := func(words ...string) *failure {
		return &failure{Class: topology.ClassAuthentication, Operation: "connect", Words: words}
	}
	transport := func(words ...string) *failure {
		return &failure{Class: topology.ClassTransport, Operation: "connect", Words: words}
	}
	wrongName := trust(t, k.TLSDir, true, true)
	wrongName.ServerName = "kafka.example.org"
	for name, c := range map[string]struct {
		reason  string
		options Options
		want    *failure
	}{
		"Plain":            {"the right password", Options{BootstrapServers: k.SASLBootstrap, Mechanism: Plain, Username: k.User, Password: k.Password}, nil},
		"ScramSha256":      {"the right password", Options{BootstrapServers: k.SASLBootstrap, Mechanism: ScramSha256, Username: k.User, Password: k.Password}, nil},
		"ScramSha512":      {"the right password", Options{BootstrapServers: k.SASLBootstrap, Mechanism: ScramSha512, Username: k.User, Password: k.Password}, nil},
		"PlainWrong":       {"a wrong password names the user", Options{BootstrapServers: k.SASLBootstrap, Mechanism: Plain, Username: k.User, Password: wrong}, authentication(`user "warrener" was refused`)},
		"ScramSha256Wrong": {"a wrong password names the user", Options{BootstrapServers: k.SASLBootstrap, Mechanism: ScramSha256, Username: k.User, Password: wrong}, authentication(`user "warrener" was refused`)},
		"ScramSha512Wrong": {"a user that does not exist", Options{BootstrapServers: k.SASLBootstrap, Mechanism: ScramSha512, Username: "nobody", Password: wrong}, authentication(`user "nobody" was refused`)},
		"NoLogin":          {"a listener that wants a login", Options{BootstrapServers: k.SASLBootstrap}, transport("set authentication")},
		"NeedlessLogin":    {"a listener that wants none", Options{BootstrapServers: k.Bootstrap, Mechanism: Plain, Username: k.User, Password: k.Password}, authentication("does this listener ask for a login at all?")},
		"TLS":              {"own authority and client certificate", Options{BootstrapServers: k.TLSBootstrap, TLS: trust(t, k.TLSDir, true, true)}, nil},
		"UnknownAuthority": {"the system's authorities do not know it", Options{BootstrapServers: k.TLSBootstrap, TLS: trust(t, k.TLSDir, false, true)}, transport("set tls.caRef", k.TLSBootstrap[0])},
		"WrongName":        {"a certificate for another name", Options{BootstrapServers: k.TLSBootstrap, TLS: wrongName}, transport("kafka.example.org", "tls.serverName")},
		"NoCertificate":    {"the listener demands a certificate", Options{BootstrapServers: k.TLSBootstrap, TLS: trust(t, k.TLSDir, true, false)}, authentication("tls.clientCertificateSecretRef")},
		"TLSMissing":       {"plain text to a TLS listener", Options{BootstrapServers: k.TLSBootstrap}, transport("set tls")},
		"TLSNeedless":      {"TLS to a plain listener", Options{BootstrapServers: k.Bootstrap, TLS: trust(t, k.TLSDir, true, true)}, transport("take tls out")},
	} {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			b := connect(t, c.options)
			info, err := b.Probe(t.Context())
			c.want.check(t, c.reason, err)
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("%s: the answer took %s", c.reason, took)
			}
			if err == nil && (info.ClusterID == "" || info.Brokers != 1 || !strings.HasPrefix(info.Version, "4.") || info.MetadataVersion == 0) {
				t.Errorf("%s: probe found %+v", c.reason, info)
			}
			if err != nil && (strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), k.Password)) {
				t.Errorf("%s: the error tells the password: %v", c.reason, err)
			}
			if _, again := b.Observe(t.Context(), topology.Selection{All: true}); topology.ClassOf(again) != topology.ClassOf(err) {
				t.Errorf("%s: Observe fails as %v, Probe as %v", c.reason, again, err)
			}
		})
	}
}

func TestMissingPermissions(t *testing.T) {
	k := harness.PrivateKafka(t, harness.KafkaOptions{SASL: true, ACL: true})
	root := connect(t, Options{BootstrapServers: k.Bootstrap})
	b := connect(t, Options{BootstrapServers: k.SASLBootstrap, Mechanism: Plain, Username: "other", Password: "other-secret"})
	var wants []*topology.Topic
	for _, name := range []string{"all", "described", "hidden", "listed"} {
		wants = append(wants, &topology.Topic{Name: name, Partitions: 1, Config: map[string]string{"retention.ms": "1000"}})
	}
	converge(t, root, wants...)
	allow(t, k, "all", kadm.OpAll)
	allow(t, k, "fresh", kadm.OpDescribe)
	allow(t, k, "listed", kadm.OpDescribe, kadm.OpDescribeConfigs)
	allow(t, k, "described", kadm.OpDescribe)
	harness.Eventually(t, "the ACLs are known", func() bool {
		s := observe(t, b, topology.Selection{IDs: topicIDs(wants)})
		return len(s.Objects) == 2 && len(s.Unread) == 2
	})

	denied := func(operation string, words ...string) *failure {
		return &failure{Class: topology.ClassAccessDenied, Operation: operation, Words: append(words, `user "other"`)}
	}
	snapshot := observe(t, b, topology.Selection{IDs: append(topicIDs(wants), topology.TopicID("nowhere")), Usage: topicIDs(wants[:1])})
	for name, want := range map[string]*failure{
		"all": nil, "listed": nil,
		"described": denied(opReadConfig, "DescribeConfigs on topic described"),
		"hidden":    denied(opObserve, "Describe on topic hidden"),
		"nowhere":   denied(opObserve, "Describe on topic nowhere"), // Kafka does not tell strangers what exists
	} {
		want.check(t, "observe "+name, snapshot.UnreadReason(topology.TopicID(name)))
		if _, presence := snapshot.Look(topology.TopicID(name)); (presence == topology.Present) != (want == nil) {
			t.Errorf("%s is %v", name, presence)
		}
	}
	if use := snapshot.Usage[topology.TopicID("all")]; !use.Unknown {
		t.Errorf("groups that cannot be listed may read it: usage is %+v, want Unknown", use)
	}

	step := func(verb topology.Verb, name string, paths ...string) topology.Step {
		want := &topology.Topic{Name: name, Partitions: 2, Config: map[string]string{"retention.ms": "2000"}}
		s := topology.Step{Verb: verb, ID: want.ID(), Want: want, Live: &topology.Topic{Name: name, Partitions: 1}}
		for _, path := range paths {
			s.Changes = append(s.Changes, topology.Change{Path: path})
		}
		return s
	}
	guarded := step(topology.VerbDelete, "all")
	guarded.IfUnused = true
	cases := []struct {
		reason string
		step   topology.Step
		want   *failure
	}{
		{"a permitted update among forbidden ones", step(topology.VerbUpdate, "all", "config.retention.ms", topology.PathPartitions), nil},
		{"config", step(topology.VerbUpdate, "listed", "config.retention.ms"), denied(opAlterConfig, "AlterConfigs on topic listed")},
		{"partitions", step(topology.VerbUpdate, "described", topology.PathPartitions), denied(opAddPartitions, "Alter on topic described")},
		{"create", step(topology.VerbCreate, "fresh"), denied(opCreate, "Create on topic fresh")},
		{"create what cannot be seen", step(topology.VerbCreate, "hidden"), denied(opCreate)},
		{"delete", topology.Step{Verb: topology.VerbDelete, ID: topology.TopicID("described"), Live: look(t, root, "described")}, denied(opDelete, "Delete on topic described")},
		{"a guarded delete that cannot see the groups", guarded, denied(opDelete, "cannot tell whether it is used", "Describe on the cluster")},
	}
	wave := make([]topology.Step, len(cases))
	for i, c := range cases {
		wave[i] = c.step
	}
	for i, outcome := range b.Apply(t.Context(), wave) {
		cases[i].want.check(t, cases[i].reason, outcome.Err)
	}
	if live := look(t, root, "all"); live.Partitions != 2 || live.Config["retention.ms"] != "2000" {
		t.Errorf("the permitted update did not arrive: %+v", live)
	}

	move := topology.Operation{Kind: topology.OperationReassign, Want: &topology.Topic{Name: "all", ReplicationFactor: 1}}
	_, err := b.Advance(t.Context(), move)
	denied(opListReassignments, "Describe on the cluster").check(t, "a reassignment that cannot be seen", err)
	for operation, acl := range map[string]string{opReassign: "Alter on the cluster", opThrottle: "AlterConfigs and DescribeConfigs on the cluster"} {
		err := b.codeError(operation, move.ID(), kerr.ClusterAuthorizationFailed.Code, nil)
		denied(operation, acl).check(t, "what a reassignment needs besides", err)
	}

	// Create on the cluster without Describe on the topic: it "exists" for ever.
	allowOn(t, k, kadm.NewACLs().Clusters(), kadm.OpCreate)
	harness.Eventually(t, "a hidden topic that cannot be created is explained", func() bool {
		err := b.Apply(t.Context(), wave[4:5])[0].Err
		return topology.ClassOf(err) == topology.ClassAccessDenied && strings.Contains(err.Error(), "the topic exists, and user")
	})
	allowOn(t, k, kadm.NewACLs().Clusters(), kadm.OpDescribe)
	harness.Eventually(t, "who may describe the cluster sees what moves", func() bool {
		progress, err := b.Advance(t.Context(), move)
		return err == nil && progress.Done
	})
	harness.Eventually(t, "who may describe the cluster sees all groups", func() bool {
		use, ok := observe(t, b, topology.Selection{Usage: topicIDs(wants[:1])}).Usage[topology.TopicID("all")]
		return ok && !use.Unknown
	})
}

// allow grants operations on a topic to the user other.
func allow(t *testing.T, k *harness.Kafka, topic string, operations ...kadm.ACLOperation) {
	t.Helper()
	allowOn(t, k, kadm.NewACLs().Topics(topic), operations...)
}

func allowOn(t *testing.T, k *harness.Kafka, on *kadm.ACLBuilder, operations ...kadm.ACLOperation) {
	t.Helper()
	acls := on.ResourcePatternType(kadm.ACLPatternLiteral).Operations(operations...).Allow("User:other").AllowHosts()
	results, err := k.Admin(t).CreateACLs(t.Context(), acls)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}
