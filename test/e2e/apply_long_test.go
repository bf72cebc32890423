//go:build long

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/cli"
	"github.com/warrener-dev/warrener/test/harness"
)

// A replacement of a queue in use that was cut off goes on with the next apply:
// what was built for it is on the broker.
func TestApplyGoesOnWithAReplacement(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.0")
	d := newDesk(t, broker)
	if first := harness.CLI(t, withoutCluster, "apply", "--yes", "-f", d.queueOf(t, v1alpha1.QueueTypeClassic, "")); first.Code != cli.ExitDone {
		t.Fatalf("apply: %+v", first)
	}
	channel := amqpChannel(t, broker, d.virtualHost)
	for range 3 {
		publish(t, channel, "orders", "k", "precious")
	}
	file := d.queueOf(t, v1alpha1.QueueTypeQuorum, v1alpha1.UpdateMigrate)
	within(t, "the messages to be counted", func(context.Context) (bool, string) {
		answer := harness.CLI(t, withoutCluster, "plan", "-f", file)
		return strings.Contains(answer.Out, "risk: 3 messages would be moved"), answer.Out
	})
	short := harness.CLI(t, withoutCluster, "apply", "--yes", "--timeout", "4s", "-f", file)
	says(t, short.Err, "not all is as declared within 4s: the same command goes on from here")
	publish(t, channel, "orders", "k", "in between")
	underway := harness.CLI(t, withoutCluster, "plan", "-f", file)
	says(t, underway.Out, "± replace    queue "+d.virtualHost+"/work")
	start := time.Now()
	done := harness.CLI(t, withoutCluster, "apply", "--yes", "--timeout", "5m", "-f", file)
	t.Logf("after %s:\n%s%s", time.Since(start).Round(time.Second), done.Out, done.Err)
	if done.Code != cli.ExitDone {
		t.Fatalf("apply ended with %d", done.Code)
	}
	within(t, "all messages in the new queue", func(context.Context) (bool, string) {
		n := ready(t, channel, "work")
		return n == 4, strings.Repeat("*", n)
	})
	for _, line := range listing(t, broker, d.virtualHost) {
		if strings.Contains(line, "warrener.migrate.") {
			t.Errorf("it is left on the broker: %s", line)
		}
	}
}
