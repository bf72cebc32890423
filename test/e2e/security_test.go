package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// Wrong credentials are named by their user and never by their password, and
// the corrected Secret is found without a hint.
func TestWrongPasswordRabbitMQ(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.0")
	virtualHost := broker.NewVirtualHost(t)
	user, password := broker.NewUser(t, "administrator", virtualHost)
	s := newStage(t)
	_, connection := s.rabbit("shop", broker, virtualHost, "")
	s.wrongPassword(t, user, password, connection, exchange("orders", "shop", "topic"))
}

func TestWrongPasswordKafka(t *testing.T) {
	t.Parallel()
	kafka := harness.PrivateKafka(t, harness.KafkaOptions{SASL: true})
	for _, mechanism := range []v1alpha1.KafkaAuthenticationType{
		v1alpha1.KafkaAuthenticationPlain, v1alpha1.KafkaAuthenticationScramSha256, v1alpha1.KafkaAuthenticationScramSha512,
	} {
		t.Run(string(mechanism), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			connection := s.sasl("shop", kafka, mechanism)
			s.wrongPassword(t, kafka.User, kafka.Password, connection, topic(kafka.NewTopicPrefix(t)+"orders", "shop", 1))
		})
	}
}

// sasl makes a connection to the SASL listener, with the Secret of its name.
func (s *stage) sasl(name string, kafka *harness.Kafka, mechanism v1alpha1.KafkaAuthenticationType) *v1alpha1.KafkaConnection {
	connection := s.kafka(name, kafka.SASLBootstrap...)
	connection.Spec.Authentication = &v1alpha1.KafkaAuthentication{
		Type: mechanism, SecretRef: &v1alpha1.LocalSecretReference{Name: name},
	}
	return connection
}

// wrongPassword plays the same scene for all kinds of login: wrong at first,
// right, wrong while running, right again.
func (s *stage) wrongPassword(t *testing.T, user, password string, connection, object client.Object) {
	t.Helper()
	const wrong = "5ecret-and-wrong"
	s.controller.Start(t)
	secret := s.credentials(connection.GetName(), user, wrong)
	s.create(secret, connection, object)
	s.refused(t, user, connection)
	s.reaches(object, metav1.ConditionFalse, v1alpha1.ReasonAuthenticationFailed)

	edit(s, secret, func(o *corev1.Secret) { o.StringData = map[string]string{"password": password} })
	s.ready(connection, object)

	edit(s, secret, func(o *corev1.Secret) { o.StringData = map[string]string{"password": wrong} })
	s.refused(t, user, connection) // at the next sweep, although the old login still works
	edit(s, secret, func(o *corev1.Secret) { o.StringData = map[string]string{"password": password} })
	s.ready(connection, object)

	s.keepsSecret(t, wrong)
	s.keepsSecret(t, password)
}

// refused waits for AuthenticationFailed, which names the user.
func (s *stage) refused(t *testing.T, user string, connection client.Object) {
	t.Helper()
	message := s.reaches(connection, metav1.ConditionFalse, v1alpha1.ReasonAuthenticationFailed)
	if !strings.Contains(message, user) {
		t.Errorf("AuthenticationFailed does not name the user %s: %s", user, message)
	}
}

// keepsSecret searches all that the controller tells anybody.
func (s *stage) keepsSecret(t *testing.T, password string) {
	t.Helper()
	told := map[string]string{
		"events": strings.Join(s.events(), "\n"), "log": s.controller.Log(), "metrics": scrape(t, s.controller),
	}
	for _, list := range harness.NewLists() {
		if err := s.client.List(t.Context(), list, client.InNamespace(s.namespace)); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		told["resources"] += string(text)
	}
	for where, text := range told {
		if len(text) == 0 {
			t.Errorf("%s: nothing to search", where)
		}
		if strings.Contains(text, password) {
			t.Errorf("%s: a password is in there", where)
		}
	}
}

// A password that the broker replaces while the controller runs: the failure is
// met by an edit, long before the next sweep.
func TestRotatedPasswordRabbitMQ(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.3")
	virtualHost := broker.NewVirtualHost(t)
	user, password := broker.NewUser(t, "administrator", virtualHost)
	s := newStage(t)
	s.controller.Start(t)
	_, connection := s.rabbit("shop", broker, virtualHost, "")
	connection.Spec.Interval = &metav1.Duration{Duration: time.Hour}
	secret, first := s.credentials("shop", user, password), exchange("first", "shop", "topic")
	s.create(secret, connection, first)
	s.ready(connection, first)

	// The Secret is up to date: nobody notices more than a short wait.
	broker.SetPassword(t, user, "second-secret", "administrator")
	edit(s, secret, func(o *corev1.Secret) { o.StringData = map[string]string{"password": "second-secret"} })
	second := exchange("second", "shop", "topic")
	s.create(second)
	s.ready(second, connection)

	// It is late: the failure is told, and 5 s after the correction it is over.
	broker.SetPassword(t, user, "third-secret", "administrator")
	third := exchange("third", "shop", "topic")
	s.create(third)
	s.refused(t, user, connection)
	edit(s, secret, func(o *corev1.Secret) { o.StringData = map[string]string{"password": "third-secret"} })
	s.ready(third, connection)
	for _, secret := range []string{password, "second-secret", "third-secret"} {
		s.keepsSecret(t, secret)
	}
}

// A SCRAM password that is replaced counts for new connections only: those that
// stand go on until they break.
func TestRotatedPasswordKafka(t *testing.T) {
	t.Parallel()
	kafka := harness.PrivateKafka(t, harness.KafkaOptions{SASL: true})
	s := newStage(t)
	s.controller.Start(t)
	connection := s.sasl("shop", kafka, v1alpha1.KafkaAuthenticationScramSha512)
	connection.Spec.Interval = &metav1.Duration{Duration: time.Hour}
	prefix := kafka.NewTopicPrefix(t)
	secret, first := s.credentials("shop", kafka.User, kafka.Password), topic(prefix+"first", "shop", 1)
	s.create(secret, connection, first)
	s.ready(connection, first)

	outcome, err := kafka.Admin(t).AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{
		User: kafka.User, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "second-secret",
	}})
	if err != nil || outcome.Error() != nil {
		t.Fatal(err, outcome.Error())
	}
	kafka.Stop(t)
	kafka.Start(t)
	second := topic(prefix+"second", "shop", 1)
	s.create(second)
	s.refused(t, kafka.User, connection)
	edit(s, secret, func(o *corev1.Secret) { o.StringData = map[string]string{"password": "second-secret"} })
	s.ready(second, connection)
	s.keepsSecret(t, "second-secret")
	s.keepsSecret(t, kafka.Password)
}

// A broker that demands a client certificate, signed by an authority of its
// own: what is missing is said in the words of the spec.
func TestTLS(t *testing.T) {
	t.Parallel()
	t.Run("RabbitMQ", func(t *testing.T) {
		t.Parallel()
		broker := harness.PrivateRabbitMQ(t, "4.0", harness.RabbitMQOptions{VerifyTLS: true})
		s := newStage(t)
		secret, connection := s.rabbit("shop", broker, broker.NewVirtualHost(t), broker.ManagementTLSURL)
		s.create(secret)
		s.tls(t, broker.TLSDir, refusal{v1alpha1.ReasonAuthenticationFailed, "tls.clientCertificateSecretRef"}, connection, exchange("orders", "shop", "topic"), func(c client.Object, settings *v1alpha1.TLS) {
			c.(*v1alpha1.RabbitMQConnection).Spec.TLS = settings
		})
	})
	t.Run("Kafka", func(t *testing.T) {
		t.Parallel()
		kafka := harness.PrivateKafka(t, harness.KafkaOptions{VerifyTLS: true})
		s := newStage(t)
		connection := s.kafka("shop", kafka.TLSBootstrap...)
		object := topic(kafka.NewTopicPrefix(t)+"orders", "shop", 1)
		s.tls(t, kafka.TLSDir, refusal{v1alpha1.ReasonAuthenticationFailed, "tls.clientCertificateSecretRef"}, connection, object, func(c client.Object, settings *v1alpha1.TLS) {
			c.(*v1alpha1.KafkaConnection).Spec.TLS = settings
			c.(*v1alpha1.KafkaConnection).Spec.Authentication = nil
			if settings.ClientCertificateSecretRef != nil {
				c.(*v1alpha1.KafkaConnection).Spec.Authentication = &v1alpha1.KafkaAuthentication{Type: v1alpha1.KafkaAuthenticationTLS}
			}
		})
	})
}

// refusal is how a connection tells that it has no client certificate.
type refusal struct{ reason, says string }

func (s *stage) tls(t *testing.T, dir string, withoutCertificate refusal, connection, object client.Object, set func(client.Object, *v1alpha1.TLS)) {
	t.Helper()
	ca, certificate, key := pem(t, dir, "ca.crt"), pem(t, dir, "client.crt"), pem(t, dir, "client.key")
	s.create(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "ca"}, StringData: map[string]string{"ca.crt": ca}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "ca"}, Data: map[string]string{"root.pem": ca, "broken": "no PEM", "other": someAuthority}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "client"}, Type: corev1.SecretTypeTLS, StringData: map[string]string{"tls.crt": certificate, "tls.key": key}},
	)
	clientCertificate := &v1alpha1.LocalSecretReference{Name: "client"}
	authority := func(kind v1alpha1.CAReferenceKind, key string) *v1alpha1.CAReference {
		return &v1alpha1.CAReference{Kind: kind, Name: "ca", Key: key}
	}
	cases := []struct {
		reason   string
		settings v1alpha1.TLS
		want     string // reason of Ready; Succeeded if empty
		says     string
	}{
		{
			reason:   "nobody's authority is trusted but those of the image",
			settings: v1alpha1.TLS{ClientCertificateSecretRef: clientCertificate},
			want:     v1alpha1.ReasonConnectionUnavailable, says: "tls.caRef",
		},
		{
			reason:   "somebody else's authority is trusted",
			settings: v1alpha1.TLS{CARef: authority(v1alpha1.CAReferenceConfigMap, "other"), ClientCertificateSecretRef: clientCertificate},
			want:     v1alpha1.ReasonConnectionUnavailable, says: "tls.caRef",
		},
		{
			reason:   "the key of the ConfigMap does not exist",
			settings: v1alpha1.TLS{CARef: authority(v1alpha1.CAReferenceConfigMap, "nothing")},
			want:     v1alpha1.ReasonSecretNotFound, says: "has no key nothing",
		},
		{
			reason:   "what is there is no certificate",
			settings: v1alpha1.TLS{CARef: authority(v1alpha1.CAReferenceConfigMap, "broken")},
			want:     v1alpha1.ReasonInvalidSpec, says: "tls.caRef",
		},
		{
			reason:   "no client certificate",
			settings: v1alpha1.TLS{CARef: authority(v1alpha1.CAReferenceSecret, "ca.crt")},
			want:     withoutCertificate.reason, says: withoutCertificate.says,
		},
		{
			reason: "the broker's certificate is for another name",
			settings: v1alpha1.TLS{
				CARef: authority(v1alpha1.CAReferenceSecret, "ca.crt"), ClientCertificateSecretRef: clientCertificate, ServerName: "elsewhere",
			},
			want: v1alpha1.ReasonConnectionUnavailable, says: "tls.serverName",
		},
		{
			reason:   "all is right, the authority in a Secret",
			settings: v1alpha1.TLS{CARef: authority(v1alpha1.CAReferenceSecret, "ca.crt"), ClientCertificateSecretRef: clientCertificate},
		},
		{
			reason:   "all is right, the authority in a ConfigMap",
			settings: v1alpha1.TLS{CARef: authority(v1alpha1.CAReferenceConfigMap, "root.pem"), ClientCertificateSecretRef: clientCertificate},
		},
	}
	set(connection, &cases[0].settings)
	s.create(connection, object)
	s.controller.Start(t)
	for _, c := range cases {
		edit(s, connection, func(o client.Object) { set(o, &c.settings) })
		if c.want == "" {
			s.ready(connection, object)
			continue
		}
		if message := s.reaches(connection, metav1.ConditionFalse, c.want); !strings.Contains(message, c.says) {
			t.Errorf("%s: the message does not say %q: %s", c.reason, c.says, message)
		}
	}
	s.keepsSecret(t, strings.Split(key, "\n")[1])
}

func pem(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// someAuthority has signed nothing.
const someAuthority = `-----BEGIN CERTIFICATE-----
MIIBhzCCAS2gAwIBAgIUF/z3g9DIOStkUtlHcz0pJty/9VMwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNc29tZWJvZHktZWxzZTAgFw0yNjExMjEyMjE5NThaGA8yMTI2
MTAyODIyMTk1OFowGDEWMBQGA1UEAwwNc29tZWJvZHktZWxzZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABHbzev+6UeR+d6ocSkbcSXtWGEKxLpGA4V/qHCnrG166
bg5JJbwN33UxdN4xjnP7bDqwgAXh3fdG03xfEMmv43+jUzBRMB0GA1UdDgQWBBTt
M4dlffxVEtZt1XPhvfSzOVZ8FDAfBgNVHSMEGDAWgBTtM4dlffxVEtZt1XPhvfSz
OVZ8FDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDXL7MPiCeV
2vqZP5W1KeQ2kMeNbATO1CrZrNRWJVKCDgIgNq+IcqF87is6k7u1oProyIDqTX8h
zBnLC71TbWMim2w=
-----END CERTIFICATE-----
`
