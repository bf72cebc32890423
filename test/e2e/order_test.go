package e2e

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// Objects applied in the worst order: bindings first, connection and Secret
// last. All become Ready, and mere ordering is nobody's Warning.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	for _, broker := range harness.SomeRabbitMQ(t) {
		t.Run(broker.Version, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.controller.Start(t)
			virtualHost := broker.NewVirtualHost(t)
			secret, connection := s.rabbit("shop", broker, virtualHost, "")
			kafka := harness.SharedKafka(t)
			events := s.kafka("events", kafka.Bootstrap...)

			audit := binding("audit", "shop", "orders", "audit", "#")
			work := queue("work", "shop", v1alpha1.QueueTypeQuorum)
			work.Spec.DeadLetter = &v1alpha1.DeadLetter{}
			work.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"order.*.created"}}}
			sink := queue("audit", "shop", v1alpha1.QueueTypeClassic)
			orders := exchange("orders", "shop", "topic")
			log := topic(kafka.NewTopicPrefix(t)+"orders", "events", 3)

			s.create(audit, work, sink, orders, log)
			s.reaches(work, "False", v1alpha1.ReasonConnectionNotFound)
			s.create(events, connection)
			s.reaches(connection, "False", v1alpha1.ReasonSecretNotFound)
			s.create(secret)
			s.ready(connection, events, orders, sink, work, audit, log)
			if warnings := s.eventsWith(corev1.EventTypeWarning); len(warnings) > 0 {
				t.Errorf("mere ordering gave Warnings: %q", warnings)
			}
			if !find(t, broker, queuePath(virtualHost, "work.dead"), nil) {
				t.Error("the dead-letter queue is missing")
			}
		})
	}
}
