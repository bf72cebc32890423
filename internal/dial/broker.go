package dial

import (
	"fmt"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/kafka"
	"github.com/warrener-dev/warrener/internal/rabbitmq"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Hooks of a connection. Both may be nil; they must be quick and safe for
// concurrent use.
type Hooks struct {
	// OnRequest hears of every request: its operation and how it went, "2xx" and
	// the like from RabbitMQ, "ok" from Kafka, "failed" without an answer.
	OnRequest func(operation, outcome string, took time.Duration)
	// Permit is asked before every write.
	Permit topology.Permit
}

func (h Hooks) tell(operation, outcome string, took time.Duration) {
	if h.OnRequest != nil {
		h.OnRequest(operation, outcome, took)
	}
}

// RabbitMQ makes the client of a connection; it sends nothing yet. An error is a
// *Bad: it is about the spec.
func RabbitMQ(c *v1alpha1.RabbitMQConnection, m Material, hooks Hooks) (*rabbitmq.Broker, error) {
	broker, err := rabbitmq.New(rabbitmq.Options{
		Endpoint: c.Spec.Endpoint, Username: m.Username, Password: m.Password, TLS: m.TLS, Permit: hooks.Permit,
		OnRequest: func(_, operation string, status int, took time.Duration) {
			hooks.tell(operation, httpOutcome(status), took)
		},
	})
	if err != nil {
		return nil, &Bad{err.Error()}
	}
	return broker, nil
}

// Kafka makes the client of a connection; it connects to nothing yet. An error is
// a *Bad: it is about the spec.
func Kafka(c *v1alpha1.KafkaConnection, m Material, hooks Hooks) (*kafka.Broker, error) {
	broker, err := kafka.New(kafka.Options{
		BootstrapServers: c.Spec.BootstrapServers, Mechanism: mechanismOf(c.Spec.Authentication),
		Username: m.Username, Password: m.Password, TLS: m.TLS, Permit: hooks.Permit,
		OnRequest: func(api string, err error, took time.Duration) {
			outcome := "ok"
			if err != nil {
				outcome = "failed"
			}
			hooks.tell(api, outcome, took)
		},
	})
	if err != nil {
		return nil, &Bad{err.Error()}
	}
	return broker, nil
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
