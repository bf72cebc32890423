package harness

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// tlsConfig trusts the authority of a private broker and presents its client certificate.
func tlsConfig(t *testing.T, dir string) *tls.Config {
	t.Helper()
	authority, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{certificate}}
}

func TestSharedRabbitMQs(t *testing.T) {
	for _, broker := range RabbitMQs(t) {
		t.Run(broker.Version, func(t *testing.T) {
			var overview struct {
				Version string `json:"rabbitmq_version"`
			}
			broker.Must(t, http.MethodGet, "/api/overview", nil, &overview)
			if !strings.HasPrefix(overview.Version, broker.Version+".") {
				t.Errorf("it is %s", overview.Version)
			}
			host := broker.NewVirtualHost(t)
			user, password := broker.NewUser(t, "management", host)
			as := *broker
			as.User, as.Password = user, password
			as.Must(t, http.MethodPut, "/api/queues/"+host+"/q", map[string]any{"durable": true}, nil)

			connection, err := amqp.Dial(broker.AMQPURL(host))
			if err != nil {
				t.Fatalf("AMQP: %v", err)
			}
			defer func() { _ = connection.Close() }()
			channel, err := connection.Channel()
			if err != nil {
				t.Fatal(err)
			}
			if err := channel.PublishWithContext(t.Context(), "", "q", false, false, amqp.Publishing{Body: []byte("hello")}); err != nil {
				t.Fatal(err)
			}
			Eventually(t, "the message to arrive", func() bool {
				message, ok, err := channel.Get("q", true)
				return err == nil && ok && string(message.Body) == "hello"
			})
		})
	}
}

func TestPrivateRabbitMQKeepsDataAndPorts(t *testing.T) {
	broker := PrivateRabbitMQ(t, "4.0", RabbitMQOptions{VerifyTLS: true})
	host := broker.NewVirtualHost(t)
	for name, end := range map[string]func(testing.TB){"stop": broker.Stop, "kill": broker.Kill} {
		end(t)
		if _, _, err := broker.do(t.Context(), http.MethodGet, "/api/overview", nil); err == nil {
			t.Fatalf("%s: it still answers", name)
		}
		broker.Start(t)
		broker.Must(t, http.MethodGet, "/api/vhosts/"+host, nil, nil)
	}

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsConfig(t, broker.TLSDir)}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, broker.ManagementTLSURL+"/api/overview", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(broker.User, broker.Password)
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("with a client certificate: %v", err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("with a client certificate: %s", response.Status)
	}
	client.Transport.(*http.Transport).CloseIdleConnections()
	client.Transport.(*http.Transport).TLSClientConfig.Certificates = nil
	if response, err := client.Do(request); err == nil {
		_ = response.Body.Close()
		t.Errorf("without a client certificate: %s", response.Status)
	}
}

func TestSharedKafka(t *testing.T) {
	for name, k := range map[string]*Kafka{"1": SharedKafka(t), "3": SharedKafka3(t)} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), Patience)
			defer cancel()
			admin := k.Admin(t)
			topic := k.NewTopicPrefix(t) + "a"
			if _, err := admin.CreateTopic(ctx, 2, int16(k.Nodes), nil, topic); err != nil {
				t.Fatal(err)
			}
			client := k.Client(t, kgo.ConsumeTopics(topic))
			if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("hello")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if records := client.PollFetches(ctx).Records(); len(records) != 1 {
				t.Errorf("%d records", len(records))
			}
			brokers, err := admin.ListBrokers(ctx)
			if err != nil || len(brokers) != k.Nodes {
				t.Errorf("brokers: %v %v", brokers, err)
			}
		})
	}
}

func TestPrivateKafka(t *testing.T) {
	k := PrivateKafka(t, KafkaOptions{SASL: true, VerifyTLS: true, Proxied: true})
	cases := map[string]struct {
		bootstrap []string
		options   []kgo.Opt
		works     bool
	}{
		"plain":                     {bootstrap: k.Bootstrap, works: true},
		"SCRAM":                     {bootstrap: k.SASLBootstrap, options: []kgo.Opt{scramOption(k.User, k.Password)}, works: true},
		"SCRAM, wrong password":     {bootstrap: k.SASLBootstrap, options: []kgo.Opt{scramOption(k.User, "wrong")}},
		"TLS":                       {bootstrap: k.TLSBootstrap, options: []kgo.Opt{kgo.DialTLSConfig(tlsConfig(t, k.TLSDir))}, works: true},
		"TLS, nobody's certificate": {bootstrap: k.TLSBootstrap, options: []kgo.Opt{kgo.DialTLSConfig(&tls.Config{InsecureSkipVerify: true})}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := reaches(t, k, append(c.options, kgo.SeedBrokers(c.bootstrap...))...); (err == nil) != c.works {
				t.Errorf("%v; should it work: %v", err, c.works)
			}
		})
	}
	k.Proxy.Refuse()
	if err := reaches(t, k); err == nil {
		t.Error("reached it past its proxy")
	}
	k.Proxy.Forward()
	k.Kill(t)
	if err := reaches(t, k); err == nil {
		t.Error("reached it after Kill")
	}
	k.Start(t)
	if err := reaches(t, k); err != nil {
		t.Errorf("after Start: %v", err)
	}
}

func scramOption(user, password string) kgo.Opt {
	return kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism())
}

// reaches asks for the brokers, each of which has to answer.
func reaches(t *testing.T, k *Kafka, options ...kgo.Opt) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	admin := kadm.NewClient(k.Client(t, append(options, kgo.RetryTimeout(2*time.Second))...))
	_, err := admin.ListBrokers(ctx)
	if err == nil {
		_, err = admin.ListTopics(ctx)
	}
	return err
}

func TestPrivateKafkaLosesANode(t *testing.T) {
	k := PrivateKafka(t, KafkaOptions{ThreeNodes: true})
	count := func(want int) func() bool {
		return func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			brokers, err := k.Admin(t).ListBrokers(ctx)
			return err == nil && len(brokers) == want
		}
	}
	k.Kill(t, 2)
	Eventually(t, "two brokers", count(2))
	k.Start(t)
	Eventually(t, "three brokers", count(3))
}
