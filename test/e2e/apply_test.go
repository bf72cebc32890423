package e2e

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/cli"
	"github.com/warrener-dev/warrener/test/harness"
)

// desk is a broker with manifests, and no cluster.
type desk struct {
	broker      *harness.RabbitMQ
	virtualHost string
	connection  *v1alpha1.RabbitMQConnection
}

func newDesk(t *testing.T, broker *harness.RabbitMQ) desk {
	t.Helper()
	d := desk{broker: broker, virtualHost: broker.NewVirtualHost(t), connection: &v1alpha1.RabbitMQConnection{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}}
	d.connection.Spec.Endpoint, d.connection.Spec.VirtualHost = broker.ManagementURL, d.virtualHost
	d.connection.Spec.Authentication.SecretRef = &v1alpha1.LocalSecretReference{Name: "login"}
	return d
}

// queueOf declares an exchange with one queue, of a type.
func (d desk) queueOf(t *testing.T, kind v1alpha1.QueueType, update v1alpha1.UpdatePolicy) string {
	t.Helper()
	q := queue("work", "shop", kind)
	q.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"k"}}}
	q.Spec.UpdatePolicy = update
	q.Spec.Approval = v1alpha1.ApprovalRequired // which the confirmation of apply stands for
	if update == v1alpha1.UpdateMigrate {
		q.Spec.Migration = &v1alpha1.QueueMigration{DefaultExchangePublishers: v1alpha1.DefaultExchangeNone}
	}
	secret := fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {username: %q, password: %q}\n", d.broker.User, d.broker.Password)
	return manifestsAnd(t, secret, d.connection, exchange("orders", "shop", "direct"), q)
}

// A queue is replaced only as its updatePolicy says, and with what it holds said
// before.
func TestApplyReplaces(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.0")
	d := newDesk(t, broker)
	if first := harness.CLI(t, withoutCluster, "apply", "--yes", "-f", d.queueOf(t, v1alpha1.QueueTypeClassic, "")); first.Code != cli.ExitDone {
		t.Fatalf("apply: %+v", first)
	}
	channel := amqpChannel(t, broker, d.virtualHost)
	publish(t, channel, "orders", "k", "precious")

	refused := harness.CLI(t, withoutCluster, "apply", "--yes", "-f", d.queueOf(t, v1alpha1.QueueTypeQuorum, ""))
	says(t, refused.Out, "! forbidden  queue "+d.virtualHost+"/work", "type: classic → quorum", "Plan: 1 forbidden; 2 objects as declared.")
	says(t, refused.Err, "nothing of this can be done")
	file := d.queueOf(t, v1alpha1.QueueTypeQuorum, v1alpha1.UpdateRecreate)
	waits := harness.CLI(t, withoutCluster, "plan", "-f", file)
	says(t, waits.Out, "= held       queue "+d.virtualHost+"/work", "it holds 1 message")
	if refused.Code != cli.ExitFailed || waits.Code != cli.ExitFound {
		t.Errorf("they ended with %d and %d", refused.Code, waits.Code)
	}

	if _, ok, err := channel.Get("work", true); !ok || err != nil {
		t.Fatalf("take the message out: %t, %v", ok, err)
	}
	within(t, "the queue to show as empty", func(context.Context) (bool, string) {
		answer := harness.CLI(t, withoutCluster, "plan", "-f", file)
		return strings.Contains(answer.Out, "± replace"), answer.Out
	})
	done := harness.CLI(t, withoutCluster, "apply", "--yes", "-f", file)
	if done.Code != cli.ExitDone {
		t.Errorf("apply: %+v", done)
	}
	if after := harness.CLI(t, withoutCluster, "plan", "-f", file); after.Code != cli.ExitDone {
		t.Errorf("plan after apply: %+v", after)
	}
}

// A user who may only look is enough for a plan, and is told what it lacks.
func TestPlanOfReader(t *testing.T) {
	broker := harness.RabbitMQAt(t, "4.0")
	d := newDesk(t, broker)
	name, password := broker.NewUser(t, "monitoring")
	broker.Must(t, "PUT", "/api/permissions/"+url.PathEscape(d.virtualHost)+"/"+name, map[string]string{"configure": "^$", "write": "^$", "read": ".*"}, nil)
	t.Setenv("WARRENER_RABBITMQ_USERNAME", name)
	t.Setenv("WARRENER_RABBITMQ_PASSWORD", password)
	file := d.queueOf(t, v1alpha1.QueueTypeClassic, "")
	answer := harness.CLI(t, withoutCluster, "plan", "-f", file)
	says(t, answer.Out, "give it the tag policymaker", "Plan: 3 to create;")
	if answer.Code != cli.ExitFound || strings.Contains(answer.Out+answer.Err, password) {
		t.Errorf("plan: %+v", answer)
	}
	denied := harness.CLI(t, withoutCluster, "apply", "--yes", "-f", file)
	if denied.Code != cli.ExitFailed || strings.Contains(denied.Out+denied.Err, password) {
		t.Errorf("apply: %+v", denied)
	}
	says(t, denied.Out, "Not as declared:", "AccessDenied")
}
