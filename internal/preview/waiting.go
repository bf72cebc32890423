package preview

import (
	"fmt"
	"strings"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Approval is what a custom resource waits for a person to approve, as it will
// stand in its status.plan once the manifests are applied.
type Approval struct {
	// Owner is the custom resource.
	Owner string `json:"owner"`
	// Hash that an approval names; "" of a resource that is not in the cluster yet,
	// since the hash covers its uid.
	Hash       string         `json:"hash,omitempty"`
	Generation int64          `json:"generation,omitempty"`
	TotalSteps int            `json:"totalSteps"`
	Steps      []ApprovalStep `json:"steps"`
	// Command that approves it, once the manifests are applied.
	Command string `json:"command"`
}

// ApprovalStep is what would be done to one object, in the words of status.plan.
type ApprovalStep struct {
	Action string  `json:"action"`
	Object string  `json:"object"`
	Fields []Field `json:"fields,omitempty"`
	Risk   string  `json:"risk,omitempty"`
}

// HeldDeletions are what unusually many custom resources that went at once have
// declared: it stays on the broker until somebody decides.
type HeldDeletions struct {
	// Owners are the custom resources that are gone, the first one to go first.
	Owners []string `json:"owners"`
	// Command that lets them go.
	Command string `json:"command"`
}

// approvals lists what waits for approval of the owners that the plan is for.
// Of others it has not all of the steps.
func (b *builder) approvals() []Approval {
	var out []Approval
	for _, p := range b.Plan.Proposals {
		if p.Hash == "" || p.Approved || b.Claims[p.Owner.OwnerKey] == nil {
			continue
		}
		one := Approval{
			Owner: p.Owner.String(), TotalSteps: len(p.Steps),
			Command: fmt.Sprintf("kubectl warrener approve %s/%s -n %s", strings.ToLower(p.Owner.Kind), p.Owner.Name, p.Owner.Namespace),
		}
		if p.Owner.UID != "" {
			one.Hash, one.Generation = p.Hash, p.Owner.Generation
		}
		for _, step := range p.Steps {
			told := ApprovalStep{Action: string(step.Action), Object: step.ID.String(), Risk: step.Risk}
			for _, c := range step.Changes {
				told.Fields = append(told.Fields, fieldOf(c))
			}
			one.Steps = append(one.Steps, told)
		}
		out = append(out, one)
	}
	return out
}

// approved says what becomes of an object whose step waits for approval, and its
// risk; false if that is not what the object waits for.
func (b *builder) approved(h plan.Held) (message, risk string, found bool) {
	if !h.Approvable {
		return "", "", false
	}
	for _, p := range b.Plan.Proposals {
		if p.Owner.OwnerKey != h.Owner {
			continue
		}
		for _, step := range p.Steps {
			if step.ID == h.ID {
				return "it " + onceApproved[step.Action] + " once that is approved", step.Risk, true
			}
		}
	}
	return "", "", false
}

var onceApproved = map[plan.Action]string{plan.ActionChange: "is changed", plan.ActionReplace: "is replaced", plan.ActionDelete: "goes"}

// heldDeletions names who is gone and what to do.
func heldDeletions(connection topology.ConnectionKey, owners []topology.OwnerKey) *HeldDeletions {
	if len(owners) == 0 {
		return nil
	}
	out := &HeldDeletions{Command: fmt.Sprintf("kubectl warrener allow-deletes %s/%s -n %s", strings.ToLower(connection.Kind), connection.Name, connection.Namespace)}
	for _, owner := range owners {
		out.Owners = append(out.Owners, owner.String())
	}
	return out
}

// title says in a line what is held.
func (h *HeldDeletions) title() string {
	return "What " + count(int64(len(h.Owners)), "custom resource") + " declared stays until somebody decides: unusually many went at once"
}

// title says in a line what waits.
func (a Approval) title() string {
	title := a.Owner + ": " + count(int64(a.TotalSteps), "step")
	if a.Hash == "" {
		return title + " (a plan whose hash is known once the resource is applied)"
	}
	return title + " (plan " + a.Hash + ")"
}
