package engine

import (
	"errors"
	"testing"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// What a person reads, word by word.
func TestVerdicts(t *testing.T) {
	q, x := queue("order.process"), exchange("orders")
	name := q.ID()
	for title, c := range map[string]struct {
		reason string
		claim  *topology.Claim
		script func(*stage)
		want   string
		drift  []string
	}{
		"One":  {reason: "one object is named", claim: cr("shop/q", wants(q)), want: "shop/q Ready Succeeded: queue shop/order.process is as declared"},
		"Some": {reason: "several are counted", claim: cr("shop/q", wants(q, x)), want: "shop/q Ready Succeeded: 2 broker objects are as declared"},
		"Rejected": {
			reason: "the broker's own words, and only an edit helps", claim: cr("shop/q", wants(q)),
			script: func(s *stage) {
				s.broker.faults[name] = []fault{refuse(topology.ClassRejected, "invalid arg 'x-max-length'")}
			},
			want: "shop/q Stalled BrokerRejected: queue shop/order.process: create: invalid arg 'x-max-length'",
		},
		"Unsupported": {
			reason: "only an edit, or another broker, helps", claim: cr("shop/q", wants(q)),
			script: func(s *stage) {
				s.broker.faults[name] = []fault{refuse(topology.ClassUnsupported, "needs RabbitMQ 4.3")}
			},
			want: "shop/q Stalled UnsupportedByBroker: queue shop/order.process: create: needs RabbitMQ 4.3",
		},
		"Denied": {
			reason: "a permission can cure it, so nobody is Stalled", claim: cr("shop/q", wants(q)),
			script: func(s *stage) {
				s.broker.faults[name] = []fault{refuse(topology.ClassAccessDenied, "user warrener may not configure it")}
			},
			want: "shop/q InProgress AccessDenied: queue shop/order.process: create: user warrener may not configure it",
		},
		"Slow": {
			reason: "it is on its way", claim: cr("shop/q", wants(q)),
			script: func(s *stage) { s.broker.faults[name] = []fault{slow} },
			want:   "shop/q InProgress Progressing: queue shop/order.process: create: the broker accepted it and does not show it yet",
		},
		"WorstFirst": {
			reason: "what stalls is told before what waits", claim: cr("shop/q", wants(q, bind("nowhere", "order.process", "k"), x)),
			script: func(s *stage) { s.broker.faults[x.ID()] = []fault{refuse(topology.ClassRejected, "no")} },
			want:   "shop/q Stalled BrokerRejected: exchange shop/orders: create: no (and 1 more)",
		},
		"Exists": {
			reason: "what is there and differs is not taken over", claim: cr("shop/q", wants(q)),
			script: func(s *stage) { s.broker.live[name] = queue("order.process", "x-max-length", int64(7)) },
			want:   "shop/q Stalled AdoptionRefused: queue shop/order.process exists already and differs (arguments.x-max-length: 7 on the broker, (unset) declared): declare it as it is, or set adoptionPolicy: Always to change what can be changed in place",
		},
		"Invalid": {
			reason: "the compiler's words",
			claim:  cr("shop/q", wants(q), func(c *topology.Claim) { c.Invalid = errors.New("spec.arguments: x-max-length is an integer") }),
			want:   "shop/q Stalled InvalidSpec: spec.arguments: x-max-length is an integer",
		},
		"NotPermitted": {
			reason: "the connection can cure it", claim: cr("shop/q", wants(q), func(c *topology.Claim) {
				c.Invalid = &plan.NotPermitted{Message: "RabbitMQConnection shop/broker does not admit it"}
			}),
			want: "shop/q InProgress RefNotPermitted: RabbitMQConnection shop/broker does not admit it",
		},
		"Suspended": {
			reason: "nothing is known, on purpose", claim: cr("shop/q", wants(q), func(c *topology.Claim) { c.Suspended = true }),
			want: "shop/q Unknown Suspended: suspended: nothing is changed until spec.suspend is false",
		},
		"Immutable": {
			reason: "an argument that the broker cannot change", claim: cr("shop/q", wants(queue("order.process", "x-max-length", int64(7))), generation(2)),
			script: func(s *stage) { s.set(cr("shop/q", wants(q))); s.edits() },
			want:   "shop/q Stalled ImmutableFieldChanged: queue shop/order.process: the broker cannot change this on an existing queue (arguments.x-max-length: (unset) on the broker, 7 declared), and updatePolicy is Refuse: set it back; or write Recreate, which deletes the queue and creates it anew once it is empty and has no consumer, or Migrate, which replaces it while it is in use, without losing a message",
		},
		"Drifted": {
			reason: "reported drift leaves it Ready", claim: nil,
			script: func(s *stage) {
				s.set(cr("shop/q", wants(q), reportsDrift))
				s.edits()
				s.broker.remove(name)
				s.cluster.Touch(key("shop/q"))
			},
			want:  "shop/q Ready Succeeded: queue shop/order.process is as declared",
			drift: []string{"queue shop/order.process was changed by somebody else (existence: missing on the broker, present declared)"},
		},
	} {
		t.Run(title, func(t *testing.T) {
			s := newStage(t)
			if c.script != nil {
				c.script(s)
			}
			if c.claim != nil {
				s.set(c.claim)
			}
			report := s.edits()
			check(t, c.reason, []string{c.want}, said(report))
			check(t, c.reason, c.drift, report.Verdicts[0].Drift)
		})
	}
}

func TestVerdictRepeatsTheClaim(t *testing.T) {
	s := newStage(t)
	s.set(cr("shop/q", wants(queue("q"), exchange("x")), generation(4), func(c *topology.Claim) {
		c.Warnings, c.Owner.ReconcileAt = []string{"x-foo is unknown"}, "now"
	}))
	v := s.edits().Verdicts[0]
	check(t, "whose word it is about", topology.Owner{OwnerKey: key("shop/q"), UID: "uid-shop/q", Generation: 4, Created: birth, ReconcileAt: "now"}, v.Owner)
	check(t, "its warnings", []string{"x-foo is unknown"}, v.Warnings)
	check(t, "what it owns, sorted", []topology.ID{exchange("x").ID(), queue("q").ID()}, v.Owns)
}

func TestDescribe(t *testing.T) {
	var ids []topology.ID
	for range 7 {
		ids = append(ids, topology.TopicID("t"))
	}
	for n, want := range map[int]string{0: "", 1: "topic t", 5: "topic t, topic t, topic t, topic t, topic t", 7: "topic t, topic t, topic t, topic t, topic t, and 2 more"} {
		check(t, "the first few, and the count of the rest", want, Describe(ids[:n]))
	}
}
