package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// conditions as a verdict makes them.
func conditionsOf(v *engine.Verdict) []metav1.Condition {
	if v == nil {
		return nil
	}
	return objectStatus(noon, v1alpha1.ObjectStatus{}, "q", *v).Conditions
}

func TestAnnounce(t *testing.T) {
	fine := &engine.Verdict{Ready: true, Reason: "Succeeded", Message: "fine"}
	waits := &engine.Verdict{Reason: "DependencyNotReady", Message: "waits"}
	stalled := &engine.Verdict{Stalled: true, Reason: "Conflict", Message: "owned by another"}
	invalid := &engine.Verdict{Stalled: true, Reason: "InvalidSpec", Message: "invalid"}
	denied := &engine.Verdict{Reason: "AccessDenied", Message: "denied"}
	away := &engine.Verdict{Reason: "ConnectionUnavailable", Message: "away"}
	suspended := &engine.Verdict{Suspended: true, Reason: "Suspended", Message: "suspended"}
	migrating := &engine.Verdict{Reason: "Migrating", Message: "draining"}
	for name, c := range map[string]struct {
		reason        string
		before, after *engine.Verdict
		want          string
		// object is what is said of an object, where that is less.
		object string
	}{
		"Created":       {"it came about as declared: no news", nil, fine, "", ""},
		"Dependency":    {"waiting is in the ordinary course of things", nil, waits, "", ""},
		"Came":          {"so is what it waited for", waits, fine, "", ""},
		"Stalled":       {"somebody must do something", nil, stalled, "Warning Conflict Reconcile on shop/q: owned by another", "same"},
		"StillStalled":  {"once is enough", stalled, stalled, "", ""},
		"OtherReason":   {"another reason is another transition", stalled, invalid, "Warning InvalidSpec Reconcile on shop/q: invalid", "same"},
		"Cured":         {"who was warned is told that it is over", stalled, fine, "Normal Succeeded Reconcile on shop/q: fine", "same"},
		"Denied":        {"alarming without being Stalled", fine, denied, "Warning AccessDenied Reconcile on shop/q: denied", "same"},
		"Granted":       {"over", denied, fine, "Normal Succeeded Reconcile on shop/q: fine", "same"},
		"Away":          {"the connection says so, its objects do not", fine, away, "Warning ConnectionUnavailable Reconcile on shop/q: away", ""},
		"Suspended":     {"somebody did that", fine, suspended, "", ""},
		"Resumed":       {"and undid it", suspended, fine, "", ""},
		"Migrating":     {"a queue is about to be deleted, and to come back", fine, migrating, "Normal Migrating Migrate on shop/q: draining", "same"},
		"Migrated":      {"it is back", migrating, fine, "Normal Succeeded Reconcile on shop/q: fine", "same"},
		"FromSuspended": {"bad after all", suspended, stalled, "Warning Conflict Reconcile on shop/q: owned by another", "same"},
	} {
		t.Run(name, func(t *testing.T) {
			want := func(line string) []string {
				if line == "" {
					return nil
				}
				return []string{line}
			}
			if c.object == "same" {
				c.object = c.want
			}
			e := &events{}
			announce(e, queueObject("q"), conditionsOf(c.before), conditionsOf(c.after))
			check(t, c.reason, want(c.want), e.take())
			announceObject(e, queueObject("q"), v1alpha1.ObjectStatus{Conditions: conditionsOf(c.before)}, v1alpha1.ObjectStatus{Conditions: conditionsOf(c.after)})
			check(t, c.reason+", of an object", want(c.object), e.take())
		})
	}
}

func TestAnnounceReport(t *testing.T) {
	r, e, _ := newRegistry(newClient(t, interceptor.Funcs{}, queueObject("q")))
	q, x := topology.QueueID("shop", "q"), topology.ExchangeID("shop", "x")
	deleted := func(id topology.ID, err error) topology.Outcome {
		return topology.Outcome{Step: topology.Step{Verb: topology.VerbDelete, ID: id, Owners: []topology.OwnerKey{owner("gone")}}, Err: err}
	}
	report := &engine.Report{
		Corrected: map[topology.OwnerKey][]topology.ID{owner("q"): {q, x}, owner("gone"): {q}},
		Adopted:   map[topology.OwnerKey][]topology.ID{owner("q"): {x}},
		Outcomes: []topology.Outcome{
			deleted(q, nil), deleted(x, nil), deleted(topology.TopicID("t"), &topology.Error{Class: topology.ClassInUse, Reason: "no"}),
			{Step: topology.Step{Verb: topology.VerbCreate, ID: q, Owners: []topology.OwnerKey{owner("q")}}},
		},
	}
	r.announceReport(connectionObject(), report)
	got := e.take()
	slices.Sort(got)
	check(t, "what nobody asked for in so many words, one event for each owner", []string{
		"Normal Adopted Adopt on shop/q: existed already and is managed from now on: exchange shop/x",
		"Normal Deleted Delete on shop/broker for shop/gone: deleted for Queue shop/gone: queue shop/q, exchange shop/x",
		"Normal DriftCorrected Correct on shop/q: changed by somebody else and put right: queue shop/q, exchange shop/x",
	}, got)
	r.announceReport(nil, &engine.Report{Outcomes: report.Outcomes})
	check(t, "without its connection there is nobody to tell of a deletion", []string(nil), e.take())
}

// Whoever brings what there is under Warrener's care adopts thousands at once.
func TestAnnounceMany(t *testing.T) {
	r, e, _ := newRegistry(newClient(t, interceptor.Funcs{}))
	done := map[topology.OwnerKey][]topology.ID{}
	for i := range plan.DefaultBreaker.Floor + 1 {
		name := fmt.Sprintf("orders-%04d", i)
		done[owner(name)] = []topology.ID{topology.QueueID("shop", name)}
	}
	r.announceReport(connectionObject(), &engine.Report{Adopted: done, Corrected: done})
	got := e.take()
	for i, lead := range []string{
		"Normal DriftCorrected Correct on shop/broker for shop/orders-0000: changed by somebody else and put right: Queue shop/orders-0000: queue shop/orders-0000; ",
		"Normal Adopted Adopt on shop/broker for shop/orders-0000: existed already and is managed from now on: Queue shop/orders-0000: queue shop/orders-0000; ",
	} {
		each := len(got) / 2
		if each != 3 || !strings.HasPrefix(got[i*each], lead) || !strings.HasSuffix(got[(i+1)*each-1], "queue shop/orders-0050") {
			t.Errorf("of many the connection tells, as many as fit at a time:\n%s", strings.Join(got, "\n"))
		}
	}
}

func TestNotes(t *testing.T) {
	deleted := func(n int) map[topology.OwnerKey][]topology.ID {
		out := map[topology.OwnerKey][]topology.ID{}
		for i := range n {
			name := fmt.Sprintf("orders-%04d", i)
			out[owner(name)] = []topology.ID{topology.QueueID("shop", name)}
		}
		return out
	}
	few := notes("deleted for ", deleted(plan.DefaultBreaker.Floor))
	check(t, "one event an owner", plan.DefaultBreaker.Floor, len(few))
	check(t, "in order", note{owner("orders-0001"), "deleted for Queue shop/orders-0001: queue shop/orders-0001"}, few[1], cmp.AllowUnexported(note{}))
	many := notes("deleted for ", deleted(2000))
	if len(many) > 2000/15 {
		t.Errorf("%d events for 2000 owners", len(many))
	}
	named := 0
	for _, told := range many {
		if len(told.text) > mostNote {
			t.Errorf("the note for %s is cut off", told.first)
		}
		for part := range strings.SplitSeq(strings.TrimPrefix(told.text, "deleted for "), "; ") {
			name := fmt.Sprintf("orders-%04d", named)
			check(t, "each is named, and once", fmt.Sprintf("Queue shop/%s: queue shop/%s", name, name), part)
			named++
		}
	}
	check(t, "all are named", 2000, named)
	check(t, "of nothing nothing is said", []note(nil), notes("deleted for ", nil))
	long := topology.OwnerKey{Kind: "Queue", Namespace: "shop", Name: strings.Repeat("x", mostNote)}
	all := deleted(plan.DefaultBreaker.Floor)
	all[long] = []topology.ID{topology.QueueID("shop", "x")}
	if told := notes("deleted for ", all); !slices.ContainsFunc(told, func(n note) bool { return n.first == long }) {
		t.Error("what is too long for a note has one of its own, which is cut off")
	}
}

func TestAnnounceLeftBehind(t *testing.T) {
	stays := func(object, owner string) v1alpha1.LeftBehind {
		return v1alpha1.LeftBehind{Object: object, Owner: owner, Reason: "it holds messages"}
	}
	before := v1alpha1.ConnectionStatus{LeftBehind: []v1alpha1.LeftBehind{stays("queue shop/old", "Queue shop/old")}}
	after := v1alpha1.ConnectionStatus{LeftBehind: append(before.LeftBehind,
		stays("queue shop/q", "Queue shop/q"), stays("queue shop/q.dead", "Queue shop/q"), stays("queue shop/r", "Queue shop/r"))}
	e := &events{}
	announceLeftBehind(e, connectionObject(), before, after)
	got := e.take()
	slices.Sort(got)
	check(t, "one Warning a resource, and none for what was there before", []string{
		"Warning LeftBehind Delete on shop/broker for shop/q: of Queue shop/q stays on the broker: queue shop/q (it holds messages); queue shop/q.dead (it holds messages)",
		"Warning LeftBehind Delete on shop/broker for shop/r: of Queue shop/r stays on the broker: queue shop/r (it holds messages)",
	}, got)
	announceLeftBehind(e, connectionObject(), after, after)
	check(t, "once", []string(nil), e.take())
}

func TestNotesFitTheAPIServer(t *testing.T) {
	e := &events{}
	record(e, queueObject("q"), "Normal", "R", "A", "100%s "+strings.Repeat("é", 2000))
	_, note, _ := strings.Cut(e.take()[0], ": ")
	if len(note) > mostNote || !utf8.ValidString(note) || !strings.HasPrefix(note, "100%s é") || !strings.HasSuffix(note, "é…") {
		t.Errorf("a note of %d bytes: %.10q ... %q", len(note), note, note[len(note)-8:])
	}
}
