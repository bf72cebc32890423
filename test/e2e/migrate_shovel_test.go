package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/migration"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// TestMigrateWhereABrokerLostTrack: RabbitMQ 3.10 fails now and then in the
// middle of stopping a shovel. What it leaves, an entry in the list of what runs
// or a worker that nobody has declared, is put there by hand here. A migration
// clears it away, and goes on.
func TestMigrateWhereABrokerLostTrack(t *testing.T) {
	t.Parallel()
	broker := harness.PrivateRabbitMQ(t, "3.10", harness.RabbitMQOptions{})
	for name, lose := range map[string]func(t *testing.T, broker *harness.RabbitMQ, virtualHost, shovel string){
		"entry": leaveEntry, "worker": leaveWorker,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const name = "orders"
			vh := broker.NewVirtualHost(t)
			prepare(t, broker, append([]topology.Resource{migrant(vh, name, "classic", nil), migrant(vh, "elsewhere", "classic", nil)}, shopBindings(vh, name)...)...)
			before := inventoryOf(t, broker, vh)
			channel := amqpChannel(t, broker, vh)
			send(t, channel, plain("orders", "order.1", "1"), plain("orders", "order.2", "2"))
			shovel := migration.NamesOf(name).Shovel
			lose(t, broker, vh, shovel)
			if declared, listed := shovels(t, broker, vh); declared != 0 || listed != 1 {
				t.Fatalf("%d shovels are declared and %d listed, want none and one", declared, listed)
			}
			out := migrating{broker: broker, want: migrant(vh, name, "quorum", nil)}.run(t, 5*time.Minute)
			t.Logf("%s: %v", out.took.Round(time.Second), out.steps)
			if declared, listed := shovels(t, broker, vh); declared != 0 || listed != 0 {
				t.Errorf("%d shovels are declared and %d listed, want none", declared, listed)
			}
			if diff := cmp.Diff(before, inventoryOf(t, broker, vh)); diff != "" {
				t.Errorf("another topology (- before, + after):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"1 order.1", "2 order.2"}, drained(t, broker, vh, name, 2)); diff != "" {
				t.Errorf("sent -, got +\n%s", diff)
			}
			send(t, channel, plain("", "elsewhere", "3"))
			drained(t, broker, vh, "elsewhere", 1) // a worker that is still there would have taken it away
		})
	}
}

// shovels counts those that are declared, and those that are said to run.
func shovels(t *testing.T, broker *harness.RabbitMQ, virtualHost string) (declared, listed int) {
	t.Helper()
	var parameters, statuses []struct{}
	broker.Must(t, http.MethodGet, "/api/parameters/shovel/"+url.PathEscape(virtualHost), nil, &parameters)
	broker.Must(t, http.MethodGet, "/api/shovels/"+url.PathEscape(virtualHost), nil, &statuses)
	return len(parameters), len(statuses)
}

// leaveEntry lists a shovel that is not there.
func leaveEntry(t *testing.T, broker *harness.RabbitMQ, virtualHost, shovel string) {
	t.Helper()
	broker.Evaluate(t, fmt.Sprintf(`rabbit_shovel_status:report({<<%q>>, <<%q>>}, dynamic, {running, [{src_uri, <<"amqp://">>}, {dest_uri, <<"amqp://">>}]}).`,
		virtualHost, shovel))
	within(t, "it is listed", func(context.Context) (bool, string) {
		_, listed := shovels(t, broker, virtualHost)
		return listed == 1, fmt.Sprintf("%d listed", listed)
	})
}

// leaveWorker lets a shovel run, and makes the broker forget that it was declared.
func leaveWorker(t *testing.T, broker *harness.RabbitMQ, virtualHost, shovel string) {
	t.Helper()
	uri := "amqp:///" + url.PathEscape(virtualHost)
	broker.Must(t, http.MethodPut, "/api/parameters/shovel/"+url.PathEscape(virtualHost)+"/"+url.PathEscape(shovel), map[string]any{"value": map[string]any{
		"src-uri": uri, "src-queue": "elsewhere", "dest-uri": uri, "dest-exchange": "amq.fanout",
	}}, nil)
	within(t, "the shovel runs", func(context.Context) (bool, string) {
		var statuses []struct {
			State string `json:"state"`
		}
		broker.Must(t, http.MethodGet, "/api/shovels/"+url.PathEscape(virtualHost), nil, &statuses)
		return len(statuses) == 1 && statuses[0].State == "running", fmt.Sprint(statuses)
	})
	broker.Evaluate(t, fmt.Sprintf(`mnesia:dirty_delete(rabbit_runtime_parameters, {<<%q>>, <<"shovel">>, <<%q>>}).`, virtualHost, shovel))
}
