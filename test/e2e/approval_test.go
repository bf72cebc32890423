package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// awaits waits until an object waits for approval, and returns its plan: actions
// and objects, a line each.
func (s *stage) awaits(object v1alpha1.Object) (hash string, steps []string) {
	s.t.Helper()
	message := s.reaches(object, metav1.ConditionFalse, v1alpha1.ReasonAwaitingApproval)
	says(s.t, message, "kubectl warrener approve "+strings.ToLower(object.KindName())+"/"+object.GetName()+" -n "+s.namespace)
	if _, conditions := conditionsOf(object); !slices.ContainsFunc(conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionReconciling }) {
		s.t.Errorf("who waits for a person has not failed: %s", describe(object))
	}
	plan := object.GetStatus().Plan
	if plan == nil || plan.Generation != object.GetGeneration() {
		s.t.Fatalf("the plan is %+v", plan)
	}
	for _, step := range plan.Steps {
		line := fmt.Sprintf("%s %s", step.Action, step.Object)
		for _, field := range step.Fields {
			line += fmt.Sprintf(" %s: %s -> %s", field.Path, field.Live, field.Declared)
		}
		steps = append(steps, line)
	}
	return plan.Hash, steps
}

// approves approves a plan as a person does.
func (s *stage) approves(object v1alpha1.Object, hash string, flags ...string) {
	s.t.Helper()
	answer := harness.CLI(s.t, s.plane.Kubeconfig, append([]string{"approve", object.KindName() + "/" + object.GetName(), "-n", s.namespace, "--hash", hash, "--yes"}, flags...)...)
	if answer.Code != 0 {
		s.t.Fatalf("not approved: %+v", answer)
	}
}

// isDone waits until an object is Ready, and nothing of its plan is left.
func (s *stage) isDone(object v1alpha1.Object) {
	s.t.Helper()
	s.ready(object)
	within(s.t, "the plan to go", func(context.Context) (bool, string) {
		s.get(object)
		status := object.GetStatus()
		return status.Plan == nil && status.ApprovedPlan == "", fmt.Sprintf("%+v, approved %q", status.Plan, status.ApprovedPlan)
	})
}

// An edit takes a binding away and needs the queue to be replaced. Both wait for
// approval, the rest goes on; the approval of an older plan does nothing; one
// that is given while no controller runs is heeded by the next.
func TestApproval(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		bound := func(key string) []v1alpha1.BindingSource {
			return []v1alpha1.BindingSource{{Source: "events", RoutingKeys: []string{key}}}
		}
		q, free := queue("orders", "shop", v1alpha1.QueueTypeClassic), queue("audit", "shop", v1alpha1.QueueTypeClassic)
		q.Spec.Approval, q.Spec.UpdatePolicy, q.Spec.Bindings = v1alpha1.ApprovalRequired, v1alpha1.UpdateRecreate, bound("old")
		free.Spec.Bindings = bound("old")
		s.create(exchange("events", "shop", "topic"), q, free)
		s.ready(q, free)

		edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.Bindings, q.Spec.MaxLength = bound("new"), pointer(int64(5)) })
		older, steps := s.awaits(q)
		deletes := `Delete binding ` + s.virtualHost + `/events -> queue orders key old`
		replaces := func(length string) string {
			return `Replace queue ` + s.virtualHost + `/orders arguments.x-max-length: (unset) -> ` + length
		}
		if diff := cmp.Diff([]string{deletes, replaces("5")}, steps); diff != "" {
			t.Errorf("the plan (-wanted +found):\n%s", diff)
		}
		held := []string{
			`binding "events" -> queue "audit" key "old" {}`, `binding "events" -> queue "orders" key "new" {}`, `binding "events" -> queue "orders" key "old" {}`,
			`queue "audit" durable=true auto_delete=false {"x-queue-type":"classic"}`, `queue "orders" durable=true auto_delete=false {"x-queue-type":"classic"}`,
			`topic exchange "events" durable=true auto_delete=false {}`,
		}
		s.shows(held)

		edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.MaxLength = pointer(int64(6)) })
		within(t, "another plan", func(context.Context) (bool, string) {
			_, steps = s.awaits(q)
			return slices.Contains(steps, replaces("6")), fmt.Sprint(steps)
		})
		hash := q.Status.Plan.Hash
		if answer := harness.CLI(t, s.plane.Kubeconfig, "approve", "queue/orders", "-n", s.namespace, "--hash", older, "--yes"); answer.Code != 1 || hash == older {
			t.Errorf("the plan %s, then %s, is approved: %+v", older, hash, answer)
		}
		must(t, s.client.Status().Patch(t.Context(), q.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"approvedPlan":"`+older+`"}}`))))
		within(t, "the approval of an older plan to be taken away", func(context.Context) (bool, string) {
			s.get(q)
			return q.Status.ApprovedPlan == "", q.Status.ApprovedPlan
		})
		s.same("the approval of an older plan", held)
		if again, _ := s.awaits(q); again != hash {
			t.Errorf("the plan was %s and is %s, and nothing has changed", hash, again)
		}

		s.controller.Kill()
		if answer := harness.CLI(t, s.plane.Kubeconfig, "approve", "wq/orders", "-n", s.namespace, "--hash", hash, "--yes", "--timeout", "0"); answer.Code != 0 {
			t.Fatalf("not approved: %+v", answer)
		}
		s.controller.Start(t)
		s.isDone(q)
		after := []string{held[0], held[1], held[3], `queue "orders" durable=true auto_delete=false {"x-max-length":6,"x-queue-type":"classic"}`, held[5]}
		s.shows(after)

		// What a connection requires, no object can do without.
		edit(s.stage, s.connection, func(c *v1alpha1.RabbitMQConnection) { c.Spec.Approval = v1alpha1.ApprovalRequired })
		s.ready(s.connection)
		edit(s.stage, free, func(q *v1alpha1.Queue) { q.Spec.Approval, q.Spec.Bindings = v1alpha1.ApprovalNone, bound("new") })
		hash, _ = s.awaits(free)
		s.approves(free, hash)
		s.isDone(free)
		edit(s.stage, free, func(q *v1alpha1.Queue) { q.Spec.Bindings = bound("newer") })
		s.awaits(free)
		edit(s.stage, s.connection, func(c *v1alpha1.RabbitMQConnection) { c.Spec.Approval = "" })
		s.isDone(free)
		after[0] = `binding "events" -> queue "audit" key "newer" {}`
		s.shows(after)
	})
}

// More partitions for a topic with records wait for approval; a setting of
// another topic does not.
func TestApprovalOfPartitions(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	orders, empty := s.topic("orders", 1, nil), s.topic("empty", 1, nil)
	for _, topic := range []*v1alpha1.Topic{orders, empty} {
		topic.Spec.PartitionGrowth, topic.Spec.Approval = v1alpha1.PartitionGrowthAlways, v1alpha1.ApprovalRequired
	}
	s.create(orders, empty)
	s.ready(orders, empty)
	s.produce(orders, 3)
	for _, topic := range []*v1alpha1.Topic{orders, empty} {
		edit(s.stage, topic, func(t *v1alpha1.Topic) { t.Spec.Partitions = pointer(int32(3)) })
	}
	s.isDone(empty)
	hash, steps := s.awaits(orders)
	if diff := cmp.Diff([]string{"Change topic " + s.prefix + "orders partitions: 1 -> 3"}, steps); diff != "" {
		t.Errorf("the plan (-wanted +found):\n%s", diff)
	}
	s.holds("only the empty topic to grow", "", "empty 3", "orders 1")
	s.approves(orders, hash)
	s.isDone(orders)
	s.holds("both to have grown", "", "empty 3", "orders 3")
}
