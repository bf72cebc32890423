package preview

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Told is what a person has to approve, with the hash where it can be known.
func TestApprovals(t *testing.T) {
	step := plan.ProposedStep{
		Action: plan.ActionReplace, ID: topology.QueueID("shop", "work"), Risk: "it is deleted and created anew",
		Changes: []topology.Change{{Path: "type", From: "classic", To: "quorum"}},
	}
	proposal := func(name, uid string) plan.Proposal {
		return plan.Proposal{Owner: topology.Owner{OwnerKey: owner("Queue", name), UID: uid, Generation: 2}, Hash: "h-" + name, Steps: []plan.ProposedStep{step}}
	}
	approved, refused := proposal("approved", "1"), proposal("refused", "2")
	approved.Approved, refused.Hash = true, ""
	claims := map[topology.OwnerKey]*topology.Claim{}
	for _, name := range []string{"work", "new", "approved", "refused"} {
		claims[owner("Queue", name)] = &topology.Claim{}
	}
	held := plan.Held{Owner: owner("Queue", "work"), ID: step.ID, Reason: plan.AwaitingApproval, Message: "1 step waits", Approvable: true}
	cluster := Of(Input{
		Connection: rabbit, Live: snapshot(), Claims: claims,
		Plan: &plan.Plan{
			Proposals: []plan.Proposal{approved, proposal("new", ""), proposal("of others", "3"), refused, proposal("work", "4")},
			Held:      []plan.Held{held},
		},
		HeldDeletions: []topology.OwnerKey{owner("Queue", "gone")},
	})
	steps := []ApprovalStep{{Action: "Replace", Object: "queue shop/work", Fields: []Field{{Path: "type", Live: "classic", Declared: "quorum"}}, Risk: "it is deleted and created anew"}}
	if diff := cmp.Diff([]Approval{
		{Owner: "Queue orders/new", TotalSteps: 1, Steps: steps, Command: "kubectl warrener approve queue/new -n orders"},
		{Owner: "Queue orders/work", Hash: "h-work", Generation: 2, TotalSteps: 1, Steps: steps, Command: "kubectl warrener approve queue/work -n orders"},
	}, cluster.Approvals); diff != "" {
		t.Errorf("what waits (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Item{{
		Action: Held, Object: "queue shop/work", Owners: []string{"Queue orders/work"}, Reason: "AwaitingApproval",
		Message: "it is replaced once that is approved", Risks: []string{"it is deleted and created anew"},
	}}, cluster.Items); diff != "" {
		t.Errorf("the items (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&HeldDeletions{Owners: []string{"Queue orders/gone"}, Command: "kubectl warrener allow-deletes rabbitmqconnection/rabbitmq -n orders"}, cluster.HeldDeletions); diff != "" {
		t.Errorf("what is held (-want +got):\n%s", diff)
	}
	cluster.Items = nil
	if !(Report{Clusters: []Cluster{cluster}}).Changes() {
		t.Error("held deletions are nothing to see to")
	}
}
