package rabbitmq

import (
	"fmt"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// BenchmarkBind declares bindings of a topic exchange on each version.
func BenchmarkBind(b *testing.B) {
	for _, server := range harness.RabbitMQs(b) {
		b.Run(server.Version, func(b *testing.B) {
			broker := connect(b, server, server.User, server.Password)
			const n, queues = 1000, 50
			var took time.Duration
			for b.Loop() {
				vh := server.NewVirtualHost(b)
				steps := []topology.Step{create(&topology.Exchange{VirtualHost: vh, Name: "events", Type: "topic", Durable: true})}
				for i := range queues {
					steps = append(steps, create(&topology.Queue{VirtualHost: vh, Name: fmt.Sprint("q", i), Type: "classic", Durable: true}))
				}
				apply(b, broker, steps...)
				steps = nil
				for i := range n {
					steps = append(steps, create(&topology.Binding{
						VirtualHost: vh, Source: "events", Destination: fmt.Sprint("q", i%queues), DestinationType: topology.DestinationQueue,
						RoutingKey: fmt.Sprintf("key.%d", i),
					}))
				}
				begin := time.Now()
				apply(b, broker, steps...)
				took += time.Since(begin)
			}
			b.ReportMetric(took.Seconds()*1000/float64(b.N), "ms/1000-bindings")
			b.ReportMetric(0, "ns/op")
		})
	}
}
