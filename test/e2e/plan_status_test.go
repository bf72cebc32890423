package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/preview"
)

// kubectl runs the real one, in the namespace of the stage.
func (s *stage) kubectl(args ...string) string {
	s.t.Helper()
	args = append([]string{"--kubeconfig", s.plane.Kubeconfig, "-n", s.namespace}, args...)
	command := exec.CommandContext(s.t.Context(), s.plane.KubectlBin, args...)
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		s.t.Fatalf("kubectl %v: %v\n%s%s", args[4:], err, out.String(), problems.String())
	}
	return out.String()
}

// foretold is what the command line says will wait for approval, by resource.
func (s *stage) foretold(file string) map[string]preview.Approval {
	s.t.Helper()
	answer := s.warrener("plan", "-f", file, "--controller-namespace", s.home, "-o", "json")
	out := map[string]preview.Approval{}
	for _, cluster := range planOf(s.t, answer).Clusters {
		for _, approval := range cluster.Approvals {
			out[approval.Owner] = approval
		}
	}
	return out
}

// waiting is the plan in an object's status, in the words of the command line.
func (s *stage) waiting(object v1alpha1.Object) preview.Approval {
	s.t.Helper()
	s.awaits(object)
	plan := object.GetStatus().Plan
	out := preview.Approval{
		Owner: fmt.Sprintf("%s %s/%s", object.KindName(), object.GetNamespace(), object.GetName()),
		Hash:  plan.Hash, Generation: plan.Generation, TotalSteps: int(plan.TotalSteps),
		Command: "kubectl warrener approve " + lower(object) + " -n " + object.GetNamespace(),
	}
	text, err := json.Marshal(plan.Steps)
	must(s.t, err)
	must(s.t, json.Unmarshal(text, &out.Steps))
	return out
}

// agree fails the test if what the command line foretold is not what waits once
// the manifests are applied.
func (s *stage) agree(foretold preview.Approval, object v1alpha1.Object, steps int) {
	s.t.Helper()
	told := s.waiting(object)
	if object.GetGeneration() == 1 { // the hash covers the uid, which nobody knew
		if foretold.Hash != "" {
			s.t.Errorf("the hash of a plan of %s is foretold, and cannot be", told.Owner)
		}
		foretold.Hash, foretold.Generation = told.Hash, told.Generation
	}
	if diff := cmp.Diff(told, foretold); diff != "" || foretold.TotalSteps != steps || len(foretold.Steps) != steps {
		s.t.Errorf("status.plan, of %d steps, and what the command line foretold (-status +foretold):\n%s", steps, diff)
	}
}

// What plan shows before the manifests are applied is what the controller holds
// after it, step by step, and with the same hash: what was approved on a pull
// request can be approved by that.
func TestPlanEqualsStatusPlan(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		s.declareQueue("found", v1alpha1.QueueTypeClassic, map[string]any{"x-max-length": 7})
		events, orders, late := exchange("events", "shop", "topic"), queue("orders", "shop", v1alpha1.QueueTypeClassic), queue("late", "shop", v1alpha1.QueueTypeClassic)
		for _, q := range []*v1alpha1.Queue{orders, late} {
			q.Spec.Approval, q.Spec.UpdatePolicy = v1alpha1.ApprovalRequired, v1alpha1.UpdateRecreate
		}
		orders.Spec.Bindings = []v1alpha1.BindingSource{{Source: "events", RoutingKeys: []string{"old", "kept"}}}
		orders.Spec.DeadLetter = &v1alpha1.DeadLetter{}
		for _, object := range []v1alpha1.Object{events, orders, late} {
			object.SetNamespace(s.namespace)
		}
		s.kubectl("apply", "-f", manifests(t, events, orders))
		s.ready(events, orders)

		orders.Spec.Bindings[0].RoutingKeys = []string{"kept", "new"}
		orders.Spec.DeadLetter, orders.Spec.MaxLength = nil, pointer(int64(5))
		late.Spec.Name, late.Spec.AdoptionPolicy = "found", v1alpha1.AdoptAlways
		edited := manifests(t, events, orders, late)
		before := s.listing()
		foretold := s.foretold(edited)
		s.same("planning", before)
		s.kubectl("apply", "-f", edited)
		// A binding, the dead-letter exchange, its queue and their binding go; the queue is replaced.
		s.agree(foretold["Queue "+s.namespace+"/orders"], orders, 5)
		s.agree(foretold["Queue "+s.namespace+"/late"], late, 1)
		if diff := cmp.Diff(map[string]preview.Approval{
			"Queue " + s.namespace + "/orders": s.waiting(orders), "Queue " + s.namespace + "/late": s.waiting(late),
		}, s.foretold(edited)); diff != "" {
			t.Errorf("the plans in the status, and by the command line after it (-status +plan):\n%s", diff)
		}
		shown := s.warrener("plan", "-f", edited, "--controller-namespace", s.home)
		says(t, shown.Out, "= held       queue "+s.virtualHost+"/orders\n", "AwaitingApproval: it is replaced once that is approved",
			"Waits for approval, once it is applied:", "(plan "+orders.Status.Plan.Hash+")", "kubectl warrener approve queue/orders -n "+s.namespace)

		s.approves(orders, foretold["Queue "+s.namespace+"/orders"].Hash)
		s.isDone(orders)
	})
}

// The same for a topic that is to grow.
func TestPlanEqualsStatusPlanOfTopics(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	orders := s.topic("orders", 1, map[string]string{"retention.ms": "86400000"})
	orders.Spec.PartitionGrowth, orders.Spec.Approval = v1alpha1.PartitionGrowthAlways, v1alpha1.ApprovalRequired
	orders.SetNamespace(s.namespace)
	s.kubectl("apply", "-f", manifests(t, orders))
	s.ready(orders)
	s.produce(orders, 3)
	orders.Spec.Partitions, orders.Spec.Config["retention.ms"] = pointer(int32(3)), "172800000"
	edited := manifests(t, orders)
	foretold := s.foretold(edited)["Topic "+s.namespace+"/"+orders.Name]
	s.kubectl("apply", "-f", edited)
	s.agree(foretold, orders, 1)
	s.approves(orders, foretold.Hash)
	s.isDone(orders)
	within(t, "the topic to have grown", func(context.Context) (bool, string) {
		found := s.describe(orders)
		return len(found) == 3 && found[0] == "3 partitions", fmt.Sprint(found)
	})
}

func lower(object v1alpha1.Object) string {
	return strings.ToLower(object.KindName()) + "/" + object.GetName()
}
