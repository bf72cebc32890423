package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/importer"
	"github.com/warrener-dev/warrener/internal/rabbitmq"
	"github.com/warrener-dev/warrener/internal/topology"
)

// importBrokers reads the brokers that the flags name.
func importBrokers(ctx context.Context, f *importFlags) ([]*importer.Source, error) {
	links, err := dialAll(ctx, f.brokers, nil, nil, fileKeeper{})
	if err != nil {
		return nil, err
	}
	defer hangUp(links)
	var sources []*importer.Source
	for _, l := range links {
		source, err := importBroker(ctx, l)
		if err != nil {
			return nil, err
		}
		source.Connection.Name = l.key.Name
		f.describe(&source.Connection, f.brokers.addressOf(l.key))
		sources = append(sources, source)
	}
	return sources, nil
}

// describe fills in what the flags and the environment tell of a connection.
func (f *importFlags) describe(c *importer.Connection, address string) {
	if c.Broker == v1alpha1.BrokerTypeRabbitMQ {
		c.Endpoint = address
		return
	}
	c.Servers = strings.Split(address, ",")
	c.TLS = f.brokers.kafkaTLS || f.brokers.kafkaCA != ""
	if os.Getenv(envKafkaUsername) != "" {
		c.Mechanism = v1alpha1.KafkaAuthenticationType(cmp.Or(os.Getenv(envKafkaMechanism), string(v1alpha1.KafkaAuthenticationScramSha512)))
	}
}

func importBroker(ctx context.Context, l *link) (*importer.Source, error) {
	live, err := l.broker.Observe(ctx, topology.Selection{All: true, Policies: l.kafka == nil})
	if err != nil {
		return nil, err
	}
	if l.kafka != nil {
		return &importer.Source{
			Origin: "a Kafka cluster", Version: l.version, Live: live,
			Connection: importer.Connection{Broker: v1alpha1.BrokerTypeKafka},
		}, nil
	}
	source := &importer.Source{
		Origin: "a RabbitMQ broker, version " + l.version, Version: l.version, Live: live,
		Connection: importer.Connection{Broker: v1alpha1.BrokerTypeRabbitMQ},
	}
	if broker, ok := l.broker.(*rabbitmq.Broker); ok {
		source.Notes, err = parameterNotes(ctx, broker)
	}
	return source, err
}

// parameterNotes tell what the broker has besides its topology.
func parameterNotes(ctx context.Context, broker *rabbitmq.Broker) ([]importer.Note, error) {
	parameters, err := broker.Parameters(ctx)
	var notes []importer.Note
	if topology.ClassOf(err) == topology.ClassAccessDenied {
		notes = append(notes, importer.Note{Subject: "parameters, such as federation upstreams and shovels", Text: fmt.Sprintf("are not told to this user: %v", err)})
	} else if err != nil {
		return nil, err
	}
	for _, p := range parameters {
		if p.Component == rabbitmq.ComponentOperatorPolicy {
			notes = append(notes, importer.OperatorPolicyNote(p.VirtualHost, p.Name))
		} else {
			notes = append(notes, importer.ParameterNote(p.VirtualHost, p.Component, p.Name))
		}
	}
	return notes, nil
}
