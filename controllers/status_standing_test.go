package controllers

import (
	"context"
	"testing"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// queued are the verdicts that wait to be compared and written.
func (d *desk) queued() []string {
	var out []string
	for key := range d.queue.latest {
		out = append(out, key.Name)
	}
	return out
}

// settle has the queued verdicts written, and their events heard.
func (d *desk) settle(t *testing.T) {
	t.Helper()
	for len(d.queue.latest) > 0 {
		v, _ := d.next(false)
		d.write(t, v)
		delete(d.inHand, v.Owner.OwnerKey)
	}
}

func TestStandingVerdictIsNotComparedAgain(t *testing.T) {
	start := func(t *testing.T) *desk {
		d := newDesk(t, queueObject("q"))
		for range 2 { // written, and seen to be written
			d.add([]engine.Verdict{ready("q")})
			check(t, "nothing is known of it", []string{"q"}, d.queued())
			d.settle(t)
			d.heard(owner("q"))
		}
		d.add([]engine.Verdict{ready("q")})
		d.settle(t)
		d.add([]engine.Verdict{ready("q")})
		check(t, "its status says so", []string(nil), d.queued())
		check(t, "one status was written", 1, len(d.patches))
		return d
	}
	t.Run("Heard", func(t *testing.T) {
		d := start(t)
		d.heard(owner("q"))
		d.add([]engine.Verdict{ready("q")})
		check(t, "something has happened to it", []string{"q"}, d.queued())
	})
	t.Run("HeardMeanwhile", func(t *testing.T) {
		d := start(t)
		d.heard(owner("q"))
		before := d.standing.news
		d.heard(owner("r"))
		d.stands(ready("q"), before)
		check(t, "who knows what the cache showed", false, d.standing.has(ready("q")))
	})
	t.Run("AnotherWaits", func(t *testing.T) {
		d := start(t)
		d.add([]engine.Verdict{waiting("q")})
		d.stands(ready("q"), d.standing.news)
		check(t, "what is written last is not what stands", false, d.standing.has(ready("q")))
		d.settle(t)
		d.add([]engine.Verdict{ready("q")})
		d.settle(t)
		check(t, "and the last word is", []string{"Ready=True Succeeded: queue shop/q is as declared"}, conditionLines(d.stored(t, "q").Conditions))
	})
	t.Run("Another", func(t *testing.T) {
		for name, change := range map[string]func(*engine.Verdict){
			"generation":   func(v *engine.Verdict) { v.Owner.Generation++ },
			"object":       func(v *engine.Verdict) { v.Owner.UID = "another" },
			"reconcile-at": func(v *engine.Verdict) { v.Owner.ReconcileAt = "now" },
			"message":      func(v *engine.Verdict) { v.Message += "." },
			"reason":       func(v *engine.Verdict) { v.Reason = v1alpha1.ReasonProgressing },
			"not ready":    func(v *engine.Verdict) { v.Ready = false },
			"stalled":      func(v *engine.Verdict) { v.Stalled = true },
			"suspended":    func(v *engine.Verdict) { v.Suspended = true },
			"drift":        func(v *engine.Verdict) { v.Drift = []string{"it differs"} },
			"draining":     func(v *engine.Verdict) { v.Draining = []string{"it drains"} },
			"operations":   func(v *engine.Verdict) { v.Operations = []engine.OperationNote{{}} },
			"proposal":     func(v *engine.Verdict) { v.Proposal = &plan.Proposal{} },
			"dead letters": func(v *engine.Verdict) { v.DeadLetters.Present = true },
			"warnings":     func(v *engine.Verdict) { v.Warnings = []string{"a mistake"} },
			"owns":         func(v *engine.Verdict) { v.Owns = append(v.Owns, topology.QueueID("shop", "more")) },
			"keeps owns":   func(v *engine.Verdict) { v.KeepOwns = true },
		} {
			d := start(t)
			v := ready("q")
			change(&v)
			d.add([]engine.Verdict{v})
			check(t, "another verdict: "+name, []string{"q"}, d.queued())
		}
	})
	t.Run("Contract", func(t *testing.T) {
		q := queueObject("q")
		q.Spec.Contract = &v1alpha1.Contract{ConfigMap: "told"}
		d := newDesk(t, q)
		d.contracts.render = func(context.Context, v1alpha1.Object) (map[string]string, error) { return nil, nil }
		for range 3 {
			d.add([]engine.Verdict{ready("q")})
			check(t, "what it says depends on more than the verdict", []string{"q"}, d.queued())
			d.settle(t)
		}
	})
}
