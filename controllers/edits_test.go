package controllers

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// An object that was taken in while the connection worked, and whose turn comes when it does
// not, is told why nothing happens at once, whoever of the lanes noticed first: it was told
// when the trouble had lasted for a minute.
func TestTroubleIsToldToWhatIsTakenIn(t *testing.T) {
	away := &topology.Error{Class: topology.ClassTransport, Operation: "list queues", Reason: "connection refused"}
	edits, rollOut, sweep := Request{connectionKey(), LaneEdits}, Request{connectionKey(), LaneRollOut}, Request{connectionKey(), LaneSweep}
	for name, c := range map[string]struct {
		reason string
		owned  owning
		before []Request // while all is well
		then   []Request // each notices what the drift check has noticed a moment before
	}{
		"Edited":    {"it is on the broker", owning{owner("late")}, []Request{sweep}, []Request{edits}},
		"RolledOut": {"it is new, and a roll-out that gathers is found by the trouble", nil, []Request{sweep}, []Request{edits, rollOut}},
		"First":     {"everything is, by the first drift check", nil, nil, []Request{sweep}},
	} {
		t.Run(name, func(t *testing.T) {
			connection := connectionObject()
			late := queueObject("late")
			late.Spec.VirtualHost = "shop"
			server := newClient(t, interceptor.Funcs{}, connection, loginSecret(), late)
			r, _, waiting := newRegistry(server)
			m, err := readMaterial(t.Context(), server, connection)
			if err != nil {
				t.Fatal(err)
			}
			broker := &silent{}
			s := r.session(connectionKey())
			s.adapter, s.fingerprint = broker, m.Fingerprint
			r.clusters[clusterKey{v1alpha1.BrokerTypeRabbitMQ, "one"}] = engine.NewCluster(c.owned, time.Now)
			notice := func() { s.fail(v1alpha1.ReasonConnectionUnavailable, away.Error(), false, noon) }
			run := func(request Request) {
				t.Helper()
				waiting.waits = nil
				if _, err := r.Reconcile(t.Context(), request); err != nil {
					t.Fatal(err)
				}
			}
			for _, request := range c.before {
				run(request)
			}
			late.Generation++
			if err := server.Update(t.Context(), late); err != nil {
				t.Fatal(err)
			}
			r.intake.add(connectionKey(), owner("late"), nil)
			broker.reading, broker.whileReading = away, notice
			for _, request := range c.then {
				run(request)
				notice()
			}
			wait, queued := waiting.waits[edits]
			check(t, c.reason+": the Edits lane has it in hand, at once", []any{true, time.Duration(0)}, []any{queued, wait})

			run(edits)
			check(t, c.reason+": what is told",
				"RabbitMQConnection shop/broker: "+away.Error(), r.status.queue.latest[owner("late")].Message)
		})
	}
}

// A Secret that is gone leaves the session working for a moment. What is taken in then is not
// taken in again and again meanwhile.
func TestSpareCredentialsAreNoLoop(t *testing.T) {
	for _, lane := range []Lane{LaneEdits, LaneRollOut} {
		server := newClient(t, interceptor.Funcs{}, connectionObject(), queueObject("late"), loginSecret())
		r, _, waiting := newRegistry(server)
		m, err := readMaterial(t.Context(), server, connectionObject())
		if err != nil {
			t.Fatal(err)
		}
		s := r.session(connectionKey())
		s.adapter, s.fingerprint = &silent{}, m.Fingerprint
		if _, err := r.Reconcile(t.Context(), Request{connectionKey(), LaneSweep}); err != nil {
			t.Fatal(err)
		}
		s.fail(v1alpha1.ReasonSecretNotFound, "Secret shop/login does not exist", false, time.Now())
		r.intake.add(connectionKey(), owner("late"), nil)
		waiting.waits = nil
		if _, err := r.Reconcile(t.Context(), Request{connectionKey(), lane}); err != nil {
			t.Fatal(err)
		}
		_, again := waiting.waits[Request{connectionKey(), LaneEdits}]
		check(t, string(lane)+": the Edits lane is queued", false, again)
	}
}
