package controllers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

func proposalFor(hash string, approved bool, steps ...plan.ProposedStep) *plan.Proposal {
	return &plan.Proposal{Owner: topology.Owner{OwnerKey: owner("q"), Generation: 3}, Hash: hash, Covers: []string{"aa"}, Approved: approved, Steps: steps}
}

func TestTellPlan(t *testing.T) {
	replaced := []engine.OperationNote{{Kind: topology.OperationRecreate}}
	moved := []engine.OperationNote{{Kind: topology.OperationReassign}}
	for name, c := range map[string]struct {
		reason             string
		planned, approved  string // before
		proposal           *plan.Proposal
		operations         []engine.OperationNote
		hash, approvedThen string // after; "-" for no plan
	}{
		"Nothing":         {"nothing is held", "", "", nil, nil, "-", ""},
		"New":             {"a plan is told", "", "", proposalFor("h1", false), nil, "h1", ""},
		"Gone":            {"it goes with what is held", "h1", "", nil, nil, "-", ""},
		"Approved":        {"an approval that came meanwhile stays", "h1", "h1", proposalFor("h1", false), nil, "h1", "h1"},
		"Partly":          {"what is left of an approved plan does not replace it", "h1", "h1", proposalFor("h2", true), nil, "h1", "h1"},
		"UnderWay":        {"nor does it go while something is being replaced: it may come back", "h1", "h1", nil, replaced, "h1", "h1"},
		"Done":            {"when it is done the approval goes with it", "h1", "h1", nil, nil, "-", ""},
		"Moved":           {"replicas that move are nobody's plan", "h1", "h1", nil, moved, "-", ""},
		"NotApproved":     {"what is being replaced without approval has no plan", "h1", "", nil, replaced, "-", ""},
		"Outdated":        {"the approval of another plan goes", "h1", "h1", proposalFor("h2", false), nil, "h2", ""},
		"OutdatedThen":    {"whenever it came", "h2", "h1", proposalFor("h2", false), nil, "h2", ""},
		"Restored":        {"a plan that is wiped out is told again", "", "h1", proposalFor("h1", true), nil, "h1", "h1"},
		"NotToBeApproved": {"nothing to approve, nothing approved", "", "h1", proposalFor("", false), nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			status := v1alpha1.ObjectStatus{ApprovedPlan: c.approved}
			if c.planned != "" {
				status.Plan = &v1alpha1.Plan{Hash: c.planned}
			}
			tellPlan(&status, engine.Verdict{Proposal: c.proposal, Operations: c.operations})
			hash := "-"
			if status.Plan != nil {
				hash = status.Plan.Hash
			}
			check(t, c.reason, []string{c.hash, c.approvedThen}, []string{hash, status.ApprovedPlan})
		})
	}
}

func TestPlanOf(t *testing.T) {
	step := plan.ProposedStep{
		Action: plan.ActionReplace, ID: topology.QueueID("shop", "q"), Risk: "it is away for a moment",
		Changes: []topology.Change{{Path: "type", From: "classic", To: "quorum"}},
	}
	check(t, "a step", &v1alpha1.Plan{
		Hash: "h1", Generation: 3, TotalSteps: 1, Covers: []string{"aa"},
		Steps: []v1alpha1.PlanStep{{Action: "Replace", Object: "queue shop/q", Risk: "it is away for a moment", Fields: []v1alpha1.PlanField{{Path: "type", Live: "classic", Declared: "quorum"}}}},
	}, planOf(proposalFor("h1", false, step)))

	var many []plan.ProposedStep
	for i := range 1000 {
		many = append(many, plan.ProposedStep{Action: plan.ActionDelete, ID: topology.QueueID("shop", fmt.Sprint("q", i))})
	}
	p := proposalFor("h1", false, many...)
	p.Covers = make([]string, 1000)
	told := planOf(p)
	check(t, "many steps are counted, and some listed", []int{1000, 20, 128}, []int{int(told.TotalSteps), len(told.Steps), len(told.Covers)})

	long := step
	long.ID.Name = strings.Repeat("ä", 400)
	for i := range 40 {
		long.Changes = append(long.Changes, topology.Change{Path: fmt.Sprint("arguments.x-", i), From: strings.Repeat("<", 2000), To: "b"})
	}
	told = planOf(proposalFor("h1", false, step, step, long, long))
	text, err := json.Marshal(told)
	if err != nil || len(text) > v1alpha1.MaxPlanBytes || len(told.Steps) != 2 || told.TotalSteps != 4 {
		t.Errorf("%d steps of %d, %d bytes, %v", len(told.Steps), told.TotalSteps, len(text), err)
	}
	short := planStepOf(long)
	if len(short.Fields) != v1alpha1.MaxPlanFields || len(short.Object) > v1alpha1.MaxPlanText || len(short.Fields[1].Live) > v1alpha1.MaxPlanText {
		t.Errorf("%+v", short)
	}
}

// An approval that is written between the reading of an object and the writing of
// its status stands; one that is outdated goes, and not if another has come since.
func TestApprovalIsNotOverwritten(t *testing.T) {
	d := newDesk(t, queueObject("q"))
	held := waiting("q")
	held.Proposal = proposalFor("h1", false)
	d.write(t, held)
	d.cached = d.inServer(t) // from now on the cache lags
	d.approve(t, "h1")
	held.Message = "waits still"
	d.write(t, held)
	check(t, "the approval stands", []string{"h1", "h1"}, d.planned(t))

	d.cached = nil
	held.Proposal = proposalFor("h2", false)
	d.write(t, held)
	check(t, "it is of another plan now", []string{"h2", ""}, d.planned(t))

	d.approve(t, "h1")
	d.cached = d.inServer(t)
	d.approve(t, "h2") // unseen
	held.Message = "waits all the same"
	if err := d.statusWriter.write(t.Context(), held); !apierrors.IsConflict(err) {
		t.Errorf("the outdated approval was taken away with %v, which must be a conflict", err)
	}
	check(t, "the new approval stands", []string{"h2", "h2"}, d.planned(t))
}

// Two that write at the same time are no failure to tell of.
func TestConflictIsTriedAgain(t *testing.T) {
	d := newDesk(t, queueObject("q"))
	d.fails = apierrors.NewConflict(schema.GroupResource{Resource: "queues"}, "q", nil)
	d.run(t)
	d.add([]engine.Verdict{ready("q")})
	check(t, "the object is looked at once more", owner("q"), <-d.retried)
}

// A person's approval is news, and the rest of a status is not.
func TestApprovalIsNews(t *testing.T) {
	before, after := queueObject("q"), queueObject("q")
	after.Status.Plan = &v1alpha1.Plan{Hash: "h1"}
	check(t, "a plan is our own word", false, changed(before, after))
	after.Status.ApprovedPlan = "h1"
	check(t, "an approval is not", true, changed(before, after))
	check(t, "nor is that it was taken back", true, changed(after, before))
	check(t, "connections have none", false, changed(connectionObject(), connectionObject()))
}

// inServer is the object as the server has it, for a cache that lags from now on.
func (d *desk) inServer(t *testing.T) *v1alpha1.Queue {
	t.Helper()
	var q v1alpha1.Queue
	if err := d.server.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "q"}, &q); err != nil {
		t.Fatal(err)
	}
	return &q
}

func (d *desk) approve(t *testing.T, hash string) {
	t.Helper()
	q := d.inServer(t)
	q.Status.ApprovedPlan = hash
	if err := d.server.Status().Update(t.Context(), q); err != nil {
		t.Fatal(err)
	}
}

// planned are the hashes of the plan and of the approval.
func (d *desk) planned(t *testing.T) []string {
	t.Helper()
	status := d.inServer(t).Status
	return []string{status.Plan.Hash, status.ApprovedPlan}
}
